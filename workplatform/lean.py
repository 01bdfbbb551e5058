"""structlog without rich; to be imported before it by whatever starts a role.

structlog imports rich where that is installed, for tracebacks that we never print: a tenth of a second and five
megabytes of every process. The few commands that draw tables import it themselves.
"""

import sys

sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog as _  # noqa: E402, F401

if sys.modules["rich"] is None:
    del sys.modules["rich"]
