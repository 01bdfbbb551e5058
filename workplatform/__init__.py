"""Work Platform: typed jobs over HTTP, run by Celery workers, with live progress."""

import sys

# structlog imports rich where that is installed, for tracebacks that we never print: a tenth of a second and five
# megabytes of every process. The few commands that draw tables import it themselves.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog as _  # noqa: E402, F401

if sys.modules["rich"] is None:
    del sys.modules["rich"]

__all__ = ["__version__"]

__version__ = "0.1.0"
