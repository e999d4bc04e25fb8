"""What the service answers when it does not do what was asked."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from afkit.errors import AfkitError, KubernetesError, RequestError

__all__ = ["CallerError", "NoClusterError", "answer"]

_STATUS: Final = {"not-entitled": 403, "incompatible": 409, "limit-exceeded": 409, "no-capacity": 409}


class CallerError(AfkitError):
    """Who calls is not known, or not let in."""

    def __init__(self, status: int, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason


class NoClusterError(AfkitError):
    """There is no such cluster for whoever asks: the same answer whether somebody else has one of that name or nobody."""

    def __init__(self) -> None:
        super().__init__("You have no Dask cluster of this name.", "afkit.clusters() lists yours.")


def answer(error: AfkitError) -> web.Response:
    """An error as JSON: reason, sentence, hint."""
    status, reason = 503, "platform"
    extra: dict[str, str] = {}
    headers: dict[str, str] = {}
    if isinstance(error, CallerError):
        status, reason = error.status, error.reason
    elif isinstance(error, NoClusterError):
        status, reason = 404, "unknown-choice"
    elif isinstance(error, RequestError):
        status, reason = _STATUS.get(error.reason, 400), error.reason
        extra = {"field": error.field} if error.field else {}
    elif isinstance(error, KubernetesError):
        headers = {"Retry-After": "1"}
    body = {"reason": reason, "message": error.message, "hint": error.hint, **extra}
    return web.json_response(body, status=status, headers={"X-Afkit-Reason": reason, **headers})
