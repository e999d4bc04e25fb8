"""The service's HTTP side: routes, who calls, and every refusal as a sentence."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from afkit.errors import AfkitError, MalformedError, RequestError
from afkit.pods.layout import DASK_PATH
from afkit.services.dask.bodies import MOST_BODY, read
from afkit.services.dask.callers import Caller
from afkit.services.dask.desk import Desk
from afkit.services.dask.refusal import CallerError, NoClusterError, answer

__all__ = ["application"]

logger = logging.getLogger("afkit.services.dask")

_LONGEST_WAIT: Final = 30.0
_LINES: Final = 200
Handler = Callable[[web.Request, Caller], Awaitable[web.Response]]


def application(desk: Desk, prefixes: tuple[str, ...] = (DASK_PATH,)) -> web.Application:
    """``prefixes``: the paths below which the service answers; the proxy keeps the hub's own path in front."""
    door = _Door(desk)
    app = web.Application(client_max_size=MOST_BODY, middlewares=[_sentences])
    for prefix in prefixes:
        app.router.add_get(f"{prefix}health", door.health)
        for method, path, handler in (
            ("POST", "clusters", door.create),
            ("GET", "clusters", door.all),
            ("GET", "clusters/{name}", door.one),
            ("PATCH", "clusters/{name}", door.change),
            ("DELETE", "clusters/{name}", door.delete),
            ("GET", "clusters/{name}/access", door.access),
            ("GET", "clusters/{name}/logs", door.logs),
            ("GET", "capacity", door.capacity),
        ):
            app.router.add_route(method, f"{prefix}{path}", door.known(handler))
    return app


@web.middleware
async def _sentences(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Whatever goes wrong is answered as JSON with a sentence."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.json_response({"reason": "malformed", "message": f"{error.reason}.", "hint": ""}, status=error.status)
    except (RequestError, CallerError, NoClusterError) as error:
        return answer(error)
    except AfkitError as error:
        logger.error("failed: %s", error)  # noqa: TRY400  # a sentence, no traceback
        return answer(error)
    except Exception:
        # whoever asks gets an answer, whatever went wrong here
        logger.exception("a fault of the service's own")
        body = {"reason": "platform", "message": "The Dask service has failed.", "hint": "The administrators can see why in its log."}
        return web.json_response(body, status=500)


class _Door:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def known(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """The handler for callers who are known."""

        async def handle(request: web.Request) -> web.Response:
            caller = await self.desk.caller(request.headers.get("Authorization", ""))
            return await handler(request, caller)

        return handle

    async def health(self, _: web.Request) -> web.Response:
        """The process answers."""
        return web.json_response({"status": "ok"})

    async def create(self, request: web.Request, caller: Caller) -> web.Response:
        """``POST clusters``."""
        state, made = await self.desk.create(caller, await read(request))
        return web.json_response(state, status=201 if made else 200)

    async def all(self, _: web.Request, caller: Caller) -> web.Response:
        """``GET clusters``: the caller's own."""
        return web.json_response({"clusters": self.desk.all(caller)})

    async def one(self, request: web.Request, caller: Caller) -> web.Response:
        """``GET clusters/NAME``; with ``since`` and ``wait`` when there is news."""
        live = self.desk.find(caller, _name(request))
        if "wait" in request.query:
            seconds = _number(request, "wait", _LONGEST_WAIT)
            await live.news(int(_number(request, "since", 2**53)), seconds)
        return web.json_response(self.desk.state(live))

    async def change(self, request: web.Request, caller: Caller) -> web.Response:
        """``PATCH clusters/NAME``."""
        return web.json_response(await self.desk.change(caller, _name(request), await read(request)))

    async def delete(self, request: web.Request, caller: Caller) -> web.Response:
        """``DELETE clusters/NAME``."""
        await self.desk.delete(caller, _name(request), request.query.get("id", ""))
        return web.json_response({}, status=202)

    async def access(self, request: web.Request, caller: Caller) -> web.Response:
        """``GET clusters/NAME/access``."""
        return web.json_response(await self.desk.access(caller, _name(request)), headers={"Cache-Control": "no-store"})

    async def logs(self, request: web.Request, caller: Caller) -> web.Response:
        """``GET clusters/NAME/logs``."""
        lines = int(_number(request, "lines", 10_000)) if "lines" in request.query else _LINES
        return web.json_response(await self.desk.logs(caller, _name(request), lines))

    async def capacity(self, _: web.Request, caller: Caller) -> web.Response:
        """``GET capacity``."""
        return web.json_response(await self.desk.capacity(caller))


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _number(request: web.Request, key: str, most: float) -> float:
    text: Any = request.query.get(key, "0")
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:  # nan is not either
        raise MalformedError(f"{key} is a number from 0 to {most:g}.", "", field=key)
    return number
