"""The first gate of the REST API: guards in front of the hub's own handlers.

`guarded` makes a subclass of one of the hub's handlers that checks what the request carries before the handler sees it, and
answers refusals as JSON with a reason. That of a server judges the choice before the hub stores or counts anything.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final, Literal

from jupyterhub.apihandlers import users
from jupyterhub.scopes import needs_scope, scope_definitions
from sqlalchemy.exc import StatementError
from tornado import web

from afkit.errors import LimitExceededError, MalformedError, RequestError
from afkit.hub.bodies import check_arguments, check_fields, check_size, check_title, parse_object, server_request
from afkit.hub.desk import Asked, Desk, Via
from afkit.hub.fields import check_body, check_numbers
from afkit.hub.refusal import HEADER, AlreadyRunning, Refused, ServerFailed, answer, log_error, reason_of

if TYPE_CHECKING:
    from jupyterhub.apihandlers.base import APIHandler as _Handler
else:
    _Handler = object  # the guards stand in front of a handler of the hub, which comes after them in the order of resolution

__all__ = ["admit", "check_server_name", "guarded", "refused", "requester", "settle", "uncancelled"]

_START: Final = "start:servers" if "start:servers" in scope_definitions else "servers"
"""The scope that starting a server needs: JupyterHub 6 has one of its own."""

_SERVER_NAME: Final = re.compile(r"(?=.{1,30}$)[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
"""The rule of JupyterHub 6 for names of servers; 5 has hardly any."""

_VIAS: Final[dict[str, Via]] = {"POST": "rest", "PUT": "create", "PATCH": "change"}
"""What a request with a choice is to the decision."""

_OF_A_BODY: Final = (TypeError, ValueError, KeyError, AttributeError, OverflowError, StatementError)


class Guard(_Handler):
    """Checks body and query of every request, and answers errors with their reason."""

    afkit_body: dict[str, Any] | None = None
    afkit_net = True
    """Whether an error of the hub's handler may be the body's fault."""

    async def prepare(self) -> None:
        """After the hub's own checks, so that 401 and 403 stay what they are."""
        await super().prepare()
        self.settings["afkit"].source.current()  # what the hub itself has from the file is as new as the file
        try:
            check_arguments(self.request.query_arguments, "link")
            check_numbers(self.request.query_arguments, self.path_args)
            check_size(len(self.request.body))
            self.afkit_body = parse_object(self.request.body)
            if self.afkit_body is not None:
                self.check_body(self.afkit_body)
        except RequestError as error:
            self.note_refused(error)
            raise Refused(error) from None

    def note_refused(self, error: RequestError) -> None:
        """Publish that what was sent is refused, where it would have been a choice."""

    def check_body(self, body: dict[str, Any]) -> None:
        """Check what the body says; raises `MalformedError`."""
        check_body(type(self).__name__, self.request.method or "", body, scope_definitions)

    def get_json_body(self) -> dict[str, Any] | None:
        """The body, which is parsed once."""
        return self.afkit_body

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A 4xx as JSON with its reason. The hub's own code writes the others, and rolls its database back."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if status_code >= 500:
            super().write_error(status_code, **kwargs)
            return
        for name, value in (getattr(error, "headers", None) or {}).items():
            self.set_header(name, value)
        self.set_header(HEADER, reason_of(status_code, error))
        self.set_header("Content-Type", "application/json")
        self.clear_header("Content-Length")
        self.write(json.dumps(answer(status_code, error)))

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Without what tornado would log of a query."""
        log_error(self, value, (typ, value, tb))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """A net below `check_body`: what the hub's handler cannot take of a body is the body's fault, not the platform's."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if status_code >= 500 and self.afkit_net and self.afkit_body and isinstance(error, _OF_A_BODY):
            self.log.warning("The hub could not use the body of %s %s: %s", self.request.method, self.request.path, type(error).__name__)
            self.db.rollback()
            refused = Refused(MalformedError("The hub cannot use what the body says.", "Check its fields and their values."))
            super().send_error(400, exc_info=(type(refused), refused, None))
            return
        super().send_error(status_code, **kwargs)


class ServerGuard(Guard):
    """Judges choices before a server is made, changed or started."""

    afkit_admitted: tuple[Any, str] | None = None
    _found: tuple[str, Any] | None = None
    _display: str | None = None
    _options: dict[str, Any] | None = None

    def find_user(self, name: str) -> Any:
        """The hub's user, looked for once a request: gate and hub both need it, and each look is several to the database."""
        if self._found is None or self._found[0] != name:
            self._found = (name, super().find_user(name))
        return self._found[1]

    def note_refused(self, error: RequestError) -> None:
        """What was to be a choice and is none."""
        via = _VIAS.get(self.request.method or "")
        user = self.find_user(self.path_args[0]) if via and self.current_user is not None else None
        if via and user is not None:
            refused(self, user, next(iter(self.path_args[1:]), None) or "", (), via, error)

    def check_body(self, body: dict[str, Any]) -> None:
        """Options, or options and a display name, or the fields of PATCH and DELETE."""
        if self.request.method in ("POST", "PUT"):
            self._display, self._options = server_request(body)
        elif self.request.method == "PATCH":
            check_fields(body, {"name": str, "display_name": str, "user_options": dict})
            check_title(body.get("display_name", ""))  # the hub checks only that of a new server
        elif self.request.method == "DELETE":
            check_fields(body, {"remove": bool})

    def get_json_body(self) -> dict[str, Any] | None:
        """As JupyterHub 5 reads it: the body of POST is the options."""
        return self._options if self.request.method == "POST" else self.afkit_body

    def get_server_json_body(self) -> dict[str, Any]:
        """As JupyterHub 6 reads it."""
        return {"display_name": self._display, "user_options": self._options}

    @needs_scope(_START)
    async def post(self, user_name: str, server_name: str = "") -> None:
        """Start a server: judged before the hub makes a record of a new one."""
        self.afkit_net = False  # from here on the body is judged: what fails now is the server or the hub
        user = self.find_user(user_name)
        if user is not None:
            await self._judge_start(user, server_name)
        try:
            await super().post(user_name, server_name)
        except web.HTTPError as error:
            if error.status_code == 400 and not isinstance(error, Refused) and user is not None and _is(user, server_name, "ready"):
                raise AlreadyRunning(error.log_message) from None
            raise
        finally:
            settle(self)

    async def _judge_start(self, user: Any, server: str) -> None:
        if not _is(user, server, "active"):
            await check_server_name(self, user, server)
            admit(self, user, server, self._options)
        elif self._options is not None and _is(user, server, "pending"):
            _same_choice(self, user, server, self._options)

    async def spawn_single_user(self, user: Any, server_name: str = "", *args: Any, options: Any = None, **kwargs: Any) -> Any:
        """The one way from a request to a start; judged here unless it was before."""
        admit(self, user, server_name, options)
        return await uncancelled(super().spawn_single_user(user, server_name, *args, options=options, **kwargs))


class ServerChangeGuard(ServerGuard):
    """JupyterHub 6 can also store a choice without a start."""

    @needs_scope(_START)
    async def put(self, user_name: str, server_name: str = "") -> None:
        """Make a named server."""
        user = self.find_user(user_name)
        if user is not None and server_name and server_name not in user.orm_spawners:
            await check_server_name(self, user, server_name)
            if self._options:
                _judge(self, user, server_name, self._options, "create")
        await super().put(user_name, server_name)

    @needs_scope(_START)
    async def patch(self, user_name: str, server_name: str = "") -> None:
        """Change a server's name, title or choice."""
        user = self.find_user(user_name)
        options = (self.afkit_body or {}).get("user_options")
        if user is not None and options is not None and server_name in user.orm_spawners:
            _judge(self, user, server_name, options, "change")
        await super().patch(user_name, server_name)


def requester(handler: Any) -> tuple[str, Literal["user", "service"]]:
    """Who makes a request: name and kind."""
    current = handler.current_user
    return current.name, "service" if getattr(current, "kind", "user") == "service" else "user"


def admit(handler: Any, user: Any, server: str, options: object, via: Via = "rest") -> None:
    """Judge a start, once a request; raises `Refused`, and a 409 where this very server is being started already."""
    if handler.afkit_admitted == (user, server):
        return
    desk: Desk = handler.settings["afkit"]
    if _is(user, server, "pending") or desk.ledger.held(user.name, server):
        raise web.HTTPError(409, f"The server {server or 'of ' + user.name} is already being started or stopped.")
    _judge(handler, user, server, options, "saved" if options is None else via)
    handler.afkit_admitted = (user, server)


async def uncancelled(start: Awaitable[Any]) -> Any:
    """Wait for a start. When somebody stops the server meanwhile, that is a 409 and not an error of the hub; nor is silence."""
    try:
        return await start
    except TimeoutError:
        raise ServerFailed("The server was started, but it did not answer the hub in time.") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is this request that is cancelled
        raise web.HTTPError(409, "The start was cancelled.") from None


def settle(handler: Any) -> None:
    """The request is over: what it was granted is counted no longer, unless the server runs or still starts."""
    if handler.afkit_admitted is not None:
        handler.settings["afkit"].settle(*handler.afkit_admitted)


async def check_server_name(handler: Any, user: Any, server: str) -> None:
    """Refuse a named server that cannot be; one that exists may have any name, and counts whether it runs or not."""
    if not server:
        return
    if not handler.allow_named_servers:
        raise web.HTTPError(400, "Named servers are not enabled.")
    if server in user.orm_spawners:
        return
    if not _SERVER_NAME.fullmatch(server):
        error = MalformedError("This cannot be the name of a server.", "Use small letters and digits, and - between them, at most 30.")
        raise refused(handler, user, server, None, "rest", error)
    most = await handler.get_current_user_named_server_limit()
    named = sum(1 for _ in user.all_spawners(include_default=False))
    if 0 < most <= named:
        many = LimitExceededError(f"{user.name} has {named} named servers already, stopped ones too.", "Delete one of them first.")
        raise refused(handler, user, server, None, "rest", many)


def refused(handler: Any, user: Any, server: str, options: object, via: Via, error: RequestError) -> Refused:
    """Publish a refusal that no choice was judged for; returns what to raise."""
    handler.settings["afkit"].refused(Asked(user, server, options, via, *requester(handler)), error)
    return Refused(error)


def guarded(handler: Any) -> type:
    """A subclass of one of the hub's REST handlers that checks what it is sent."""
    guard: type = Guard
    if issubclass(handler, users.UserServerAPIHandler):
        guard = ServerChangeGuard if handler.patch is not web.RequestHandler.patch else ServerGuard
    # the hub's metrics are labelled by the module and the name of the class
    return type(handler.__name__, (guard, handler), {"__module__": handler.__module__})


def _same_choice(handler: Any, user: Any, server: str, options: object) -> None:
    """The hub takes no notice of what is sent while a server starts: what may not be had, or differs, is said all the same."""
    desk: Desk = handler.settings["afkit"]
    try:
        selection = desk.compare(Asked(user, server, options, "rest", *requester(handler)))
    except RequestError as error:
        raise Refused(error) from None
    running = getattr(user.spawners[server], "running", None)
    if running is not None and selection.user_options() != running.chosen:
        raise AlreadyRunning(f"The server {server or 'of ' + user.name} is being started with another choice. Stop it first.")


def _judge(handler: Any, user: Any, server: str, options: object, via: Via) -> None:
    desk: Desk = handler.settings["afkit"]
    name, kind = requester(handler)
    try:
        desk.admit(Asked(user, server, options, via, name, kind))
    except RequestError as error:
        raise Refused(error) from None


def _is(user: Any, server: str, state: str) -> bool:
    return server in user.spawners and bool(getattr(user.spawners[server], state))
