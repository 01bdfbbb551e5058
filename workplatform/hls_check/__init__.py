"""A validator of HLS folders: playlists by RFC 8216bis, and what their segments really hold."""

from workplatform.hls_check.check import check
from workplatform.hls_check.findings import Finding, Report, Severity

__all__ = ["Finding", "Report", "Severity", "check"]
