"""Where a client on this machine reaches the platform."""

from workplatform.settings import Settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - translated, not bound


def local_host(settings: Settings) -> str:
    """Return the host to connect to: an address that stands for all is no place to connect to."""
    return _EVERYWHERE.get(settings.bind_host, settings.bind_host)


def local_url(settings: Settings, port: int | None = None) -> str:
    """Return the URL of the API's root and the dashboard, or of what listens on another port of BIND_HOST."""
    host = local_host(settings)
    return f"http://{f'[{host}]' if ':' in host else host}:{port or settings.port}"
