"""The provisioner's HTTP side: one call, for the hub alone, which proves itself by its projected token."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from aiohttp import web

from afkit.errors import AfkitError
from afkit.facility.follow import FacilitySource
from afkit.facility.model import Facility
from afkit.names import AUDIENCE
from afkit.pods.layout import NAMESPACES_PATH, one_namespace, section
from afkit.services.namespaces.keeper import Keeper, Tenant, tenant
from afkit.services.namespaces.refusal import ProvisionError

__all__ = ["application"]

_LONGEST_BODY: Final = 64 << 10
_LONGEST_TEXT: Final = 1024
_BEARER: Final = "Bearer "

logger = logging.getLogger("afkit.services.namespaces")


def application(source: FacilitySource, keeper: Keeper) -> web.Application:
    """``POST users`` brings one person's namespace up to date; ``GET health`` says that the process answers."""
    door = _Door(source, keeper)
    app = web.Application(client_max_size=_LONGEST_BODY)
    app.router.add_post(f"{NAMESPACES_PATH}users", door.users)
    app.router.add_get(f"{NAMESPACES_PATH}health", door.health)
    return app


class _Door:
    def __init__(self, source: FacilitySource, keeper: Keeper) -> None:
        self.source = source
        self.keeper = keeper

    async def health(self, _: web.Request) -> web.Response:
        """The process answers."""
        return web.json_response({"status": "ok"})

    async def users(self, request: web.Request) -> web.Response:
        """Check who calls, read whom it is for, make it so."""
        try:
            await self._authenticate(request)
            person = await self._person(request)
            outdated = await self.keeper.ensure(self.source.current(), person)
        except ProvisionError as error:
            logger.info("refused", extra={"reason": error.reason, "sentence": error.message})
            return _answer(error.status, error.reason, error)
        except AfkitError as error:
            logger.error("failed: %s", error)  # noqa: TRY400  # a sentence, no traceback
            return _answer(503, "platform", error)
        copies = [{"name": one.name, "uid": one.uid} for one in outdated]
        return web.json_response({"namespace": person.namespace, "owner": person.owner, "outdated": copies})

    async def _authenticate(self, request: web.Request) -> None:
        """Only the hub's service account, with a token of our audience: the API server's own tokens open nothing here."""
        given = request.headers.get("Authorization", "")
        if not given.startswith(_BEARER):
            raise ProvisionError(401, "no-token", "The call has no token.")
        status = await self.keeper.kube.review(given.removeprefix(_BEARER), AUDIENCE)
        if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
            raise ProvisionError(401, "token", "The token is not valid, or not for this audience.")
        wanted = f"system:serviceaccount:{section(self.source.current()).namespace}:{self.keeper.layout.hub}"
        name = (status.get("user") or {}).get("username")
        if name != wanted:
            logger.warning("a stranger called", extra={"caller": name})
            raise ProvisionError(403, "caller", "Only the hub of this facility may ask for namespaces.")

    async def _person(self, request: web.Request) -> Tenant:
        facility = self.source.current()
        if one_namespace(facility):
            raise ProvisionError(409, "one-namespace", "All servers of this facility have one namespace; there is nothing to make.")
        try:
            body = json.loads(await request.text())
        except (ValueError, RecursionError, web.HTTPRequestEntityTooLarge):
            body = None
        return _person_of(facility, body)


def _person_of(facility: Facility, body: Any) -> Tenant:
    """Whom a body describes. Raises `ProvisionError` where it describes nobody."""
    if not isinstance(body, dict) or not all(_is_text(body.get(key)) for key in ("name", "issuer", "key")):
        raise ProvisionError(400, "malformed", "A person is an object with name, issuer and key, each a short text.")
    groups = body.get("facility_groups", [])
    if not isinstance(groups, list) or not all(map(_is_text, groups)):
        raise ProvisionError(400, "malformed", "The groups of a person are a list of names.")
    ids = {key: body[key] for key in ("uid", "gid") if key in body}
    if not all(map(_is_id, ids.values())):
        raise ProvisionError(400, "malformed", "The ids of a person are whole numbers.")
    try:
        return tenant(facility, body["name"], body["issuer"], body["key"], groups, **ids)
    except ValueError as error:
        raise ProvisionError(400, "malformed", "This can be nobody's issuer and key.") from error


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and "\0" not in value


def _answer(status: int, reason: str, error: AfkitError) -> web.Response:
    return web.json_response({"reason": reason, "message": error.message, "hint": error.hint}, status=status)
