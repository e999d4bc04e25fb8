"""A refusal as the hub answers it: a 4xx with the sentence, the hint and the reason code.

JupyterHub 5.3 and 6.1 both honour ``headers``, ``jupyterhub_message`` and ``jupyterhub_html_message`` of an exception, on
pages and on the REST API, whether it is raised in a handler or while a server starts.
"""

from __future__ import annotations

import http
from typing import Any, Final

from markupsafe import escape
from tornado import web

from afkit.errors import AfkitError, RequestError

__all__ = ["HEADER", "AlreadyRunning", "LoginRefused", "Refused", "ServerFailed", "answer", "log_error", "reason_of", "status_of"]

HEADER: Final = "X-Afkit-Reason"
"""The response header that has the reason code."""

_MOST_TEXT: Final = 400
_STATUS: Final = {"not-entitled": 403, "limit-exceeded": 403, "no-capacity": 409}


def status_of(error: RequestError) -> int:
    """The HTTP status of a refusal: 403 where somebody may not have it, 409 where nothing can run it now, else 400."""
    return _STATUS.get(error.reason, 400)


class Refused(web.HTTPError):
    """A refused choice, while a request is handled or a server starts."""

    def __init__(self, error: RequestError) -> None:
        super().__init__(status_of(error), _sentence(error))
        self.error = error
        self.headers = {HEADER: error.reason}
        self.jupyterhub_message = _sentence(error)
        self.jupyterhub_html_message = str(escape(self.jupyterhub_message))


class AlreadyRunning(web.HTTPError):
    """The hub's own answer to a start of a server that runs: nothing is wrong with what was sent."""

    def __init__(self, message: str | None) -> None:
        super().__init__(400, message)
        self.headers = {HEADER: "already-running"}


class LoginRefused(web.HTTPError):
    """A login that ended without one: 403 for who is refused, 400 for what is no login, 503 where the provider cannot say."""

    def __init__(self, status: int, error: AfkitError, reason: str) -> None:
        sentence = f"{error.message} {error.hint}".strip()
        # tornado would take a percent sign for a place to fill in
        super().__init__(status, sentence.replace("%", "%%"))
        self.headers = {HEADER: reason}
        self.jupyterhub_message = sentence
        self.jupyterhub_html_message = str(escape(sentence))


class ServerFailed(web.HTTPError):
    """A server ended while it was starting: the hub is fine, what runs in the server is not (424: Failed Dependency).

    ``cause`` is one sentence, ``lines`` the last ones of the server's log, without secrets.
    """

    def __init__(self, cause: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(424, cause)
        self.cause = cause
        self.headers = {HEADER: "server-failed"}
        self.jupyterhub_message = "\n".join((cause, *lines))
        shown = f'<pre class="af-log" tabindex="0">{escape(chr(10).join(lines))}</pre>' if lines else ""
        self.jupyterhub_html_message = f"<p>{escape(cause)}</p>{shown}"


def answer(status: int, error: BaseException | None) -> dict[str, Any]:
    """The JSON of a refusal or of an error of the hub's own: ``status``, ``reason``, ``message``, ``hint``."""
    if isinstance(error, Refused):
        return {"status": status, "reason": error.error.reason, "message": error.error.message, "hint": error.error.hint}
    if isinstance(error, ServerFailed):
        return {"status": status, "reason": reason_of(status, error), "message": error.cause, "hint": error.jupyterhub_message}
    message = ""
    if isinstance(error, web.HTTPError):
        # the hub's own messages may be long and of several lines
        message = " ".join(str(getattr(error, "jupyterhub_message", "") or error.get_message() or "").split())[:_MOST_TEXT]
    return {"status": status, "reason": reason_of(status, error), "message": message or _phrase(status), "hint": ""}


def log_error(handler: Any, error: BaseException | None, exc_info: Any) -> None:
    """What tornado's ``log_exception`` logs, but of the address only the path: behind it there may be a token or a password."""
    request = handler.request
    line = f"{request.method} {request.path} ({request.remote_ip})"
    if not isinstance(error, web.HTTPError):
        handler.log.error("Uncaught exception, %s", line, exc_info=exc_info)
    elif message := error.get_message():
        handler.log.warning("%d %s: %s", error.status_code, line, message)


def reason_of(status: int, error: BaseException | None) -> str:
    """The reason code of an answer: the refusal's own; of the hub's own errors ``malformed`` (400), else HTTP's words for it."""
    headers = getattr(error, "headers", None) or {}
    if HEADER in headers:
        return str(headers[HEADER])
    return "malformed" if status == http.HTTPStatus.BAD_REQUEST else _phrase(status).lower().replace(" ", "-")


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _sentence(error: RequestError) -> str:
    return f"{error.message} {error.hint}".strip()
