"""What the namespace provisioner answers when it does not do what was asked."""

from __future__ import annotations

from afkit.errors import PlatformError

__all__ = ["ProvisionError"]


class ProvisionError(PlatformError):
    """A namespace was not made or not brought up to date. ``status`` is the HTTP status, ``reason`` the stable word of the answer."""

    def __init__(self, status: int, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason
