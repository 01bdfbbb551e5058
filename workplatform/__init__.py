"""Work Platform: typed jobs over HTTP, run by Celery workers, with live progress."""

__all__ = ["__version__"]

__version__ = "0.1.0"
