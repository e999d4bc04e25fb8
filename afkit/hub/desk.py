"""One desk a hub: where every request for a server is judged, whichever way it came.

It holds what the parts of the hub share: the facility as it stands, who runs what, where servers run. `Desk.admit` is the
first gate (before the hub stores anything), `Desk.confirm` the second (in the spawner, before the server starts).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from afkit.errors import MalformedError, NotEntitledError, RequestError
from afkit.facility.follow import FacilitySource
from afkit.facility.model import Facility, IdentityRules
from afkit.hub import events, people, processes
from afkit.hub.ending import Ending
from afkit.hub.known import standing
from afkit.hub.logins import Logins
from afkit.hub.place import Place
from afkit.hub.usage import Ledger, use_of
from afkit.policy.entitle import entitle
from afkit.policy.limits import allowance
from afkit.policy.model import Allowance, Entitlements, Identity, Offer, Selection, Usage
from afkit.policy.offer import offer
from afkit.policy.parse import CHOOSABLE, parse_options
from afkit.policy.select import select

__all__ = ["Asked", "Desk", "Granted", "Via"]

Via = Literal["form", "link", "rest", "saved", "create", "change", "start"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a server: whose (``user`` is the hub's own object), which, what, who asked and how.

    ``options`` is what was sent, of any shape; ``None``: nothing was sent, so the saved choice counts.
    """

    user: Any
    server: str
    options: object
    via: Via
    requester: str
    requester_kind: Literal["user", "service", "hub"]


@dataclass(frozen=True, slots=True)
class Granted:
    """A choice that was granted, and the offer that it was chosen from: working one out is most of what a decision costs."""

    selection: Selection
    offer: Offer


class Desk:
    """Judges requests by the facility file. ``app`` is the running JupyterHub."""

    def __init__(self, app: Any, source: FacilitySource, place: Place) -> None:
        self.app = app
        self.source = source
        self.place = place
        # the hub makes its mapping of users when all settings are there
        self.ledger = Ledger(lambda: app.users)
        self.log: logging.Logger = app.log
        self.mark = processes.hub_mark(source.path, app.db_url)
        """What the servers of this hub, and of the one before it, have in their environment."""
        self.tasks: list[asyncio.Task[None]] = []
        self.only_local = False
        """Whether the hub's authenticator lets in the facility's local people only."""
        self.logins: Logins | None = None
        """Whose login names are, where the hub logs people in through the file's providers."""

    @property
    def facility(self) -> Facility:
        """The facility as its file stands now."""
        return self.source.current()

    def entitlements(self, user: Any) -> Entitlements:
        """The facility groups of one of the hub's users. Raises `NotEntitledError` for who is nobody here."""
        return self._entitlements(self.facility, user)

    def identity(self, user: Any) -> Identity:
        """Who one of the hub's users is. Raises `NotEntitledError` for who is nobody here."""
        return self._identity(self.facility, user)

    def allowance(self, user: Any) -> Allowance:
        """A user's limits. Raises `NotEntitledError` for who is nobody here."""
        facility = self.facility
        return allowance(facility, self._entitlements(facility, user))

    def offer(self, user: Any, server: str, *, running: bool = True) -> Offer:
        """What ``user`` may choose for ``server`` now. ``running=False``: what they may choose when nothing else runs."""
        facility = self.facility
        identity = self._identity(facility, user)
        usage = self._usage(facility, identity, user, server) if running else Usage()

        def used() -> Mapping[str, int]:
            return self.ledger.accelerators(leaving_out=(user.name, server)) if running else {}

        return offer(facility, entitle(facility, identity), self.place.inventory(facility, used), usage)

    def admit(self, asked: Asked) -> Selection:
        """The first gate. A granted start is counted from here on (`settle` ends that); raises `RequestError`.

        A choice that is only stored (``create``, ``change``) is judged as if nothing else ran, and holds nothing.
        """
        starting = asked.via not in ("create", "change")
        selection = self._decide(asked, gate="route", running=starting).selection
        if starting:
            self.ledger.hold(asked.user.name, asked.server, use_of(selection))
        return selection

    def confirm(self, asked: Asked) -> Granted:
        """The second gate, while the server starts: from here on its spawner counts it. Raises `RequestError`.

        A grant is published only where the first gate was not passed (a start by other code than the hub's routes).
        """
        known = self.ledger.held(asked.user.name, asked.server)
        return self._decide(asked, gate="spawner", running=True, publish=not known)

    def compare(self, asked: Asked) -> Selection:
        """Judge a choice for a server that is being started already, as if nothing ran; a grant is no new decision."""
        return self._decide(asked, gate="route", running=False, publish=False).selection

    def refused(self, asked: Asked, error: RequestError) -> None:
        """Publish what was refused before there was a choice to judge: a link's, a body or form that is none, a server's name."""
        self._publish(asked, "route", error, None)

    def settle(self, user: Any, server: str) -> None:
        """The request that was admitted is over. What it holds goes now, or with a start that has begun and not yet chosen."""
        spawner = user.spawners.get(server)
        future = getattr(spawner, "_spawn_future", None)
        if future is not None and not future.done() and getattr(spawner, "running", None) is None:
            name = user.name
            future.add_done_callback(lambda _: self.ledger.release(name, server))
        else:
            self.ledger.release(user.name, server)

    def _entitlements(self, facility: Facility, user: Any) -> Entitlements:
        return entitle(facility, self._identity(facility, user))

    def _usage(self, facility: Facility, identity: Identity, user: Any, server: str) -> Usage:
        """What counts against a person's limits beside this server: their other servers, and their Dask clusters."""
        clusters = self.place.clusters(facility, identity)
        return Usage((*self.ledger.usage(user, without=server).uses, *clusters.uses), clusters.clusters)

    def _check_login(self, user: Any) -> None:
        """Raise `NotEntitledError` where the provider has not confirmed a login for too long: nothing new begins with it."""
        known = self.logins.find(user.name) if self.logins is not None else None
        if known is None:
            return
        worth = standing(known, self.facility.identity or IdentityRules(), time.time())
        if worth == "over":
            raise NotEntitledError("Your login is over.", "Log out, and log in again.")
        if worth == "old":
            message = "Your login cannot be confirmed now: its provider does not answer. What runs goes on."
            raise NotEntitledError(message, "Try again in a few minutes.")

    def _identity(self, facility: Facility, user: Any) -> Identity:
        def groups() -> list[str]:
            return [group.name for group in user.groups]

        return people.identity(facility, user.name, groups, only_local=self.only_local, logins=self.logins)

    def _decide(self, asked: Asked, *, gate: str, running: bool, publish: bool = True) -> Granted:
        try:
            if gate == "spawner":  # by now the hub has asked the provider again, whoever starts the server
                self._check_login(asked.user)
            raw = asked.options if asked.options is not None else saved_options(asked.user, asked.server)
            offered = self.offer(asked.user, asked.server, running=running)
            selection = select(offered, raw, asked.server)
        except RequestError as error:
            self._publish(asked, gate, error, None)
            raise
        if publish:
            self._publish(asked, gate, None, selection)
        return Granted(selection, offered)

    def _publish(self, asked: Asked, gate: str, error: RequestError | None, selection: Selection | None) -> None:
        reason = error.reason if error else ""
        events.DECISIONS.labels(result="refused" if error else "granted", reason=reason).inc()
        facility = self.facility
        chosen = selection.user_options() if selection else None
        self.log.info(
            "Choice of server %r of %s %s, asked by %s %s (%s): %s",
            asked.server,
            asked.user.name,
            f"refused, {reason}" if error else "granted",
            asked.requester_kind,
            asked.requester,
            asked.via,
            error.message if error else chosen,
        )
        data = {
            "facility": facility.name,
            "digest": facility.digest,
            "user": asked.user.name,
            "server": asked.server,
            "requester": asked.requester,
            "requester_kind": asked.requester_kind,
            "via": asked.via,
            "gate": gate,
            "asked": _flat(asked.options, facility),
            "granted": error is None,
            "reason": reason,
            "message": error.message if error else "",
            "selection": chosen,
        }
        self.emit(events.DECISION, data)

    def emit(self, event: str, data: Mapping[str, Any]) -> None:
        """Publish an event on the hub's event log."""
        self.app.eventlog.emit(schema_id=event, data=dict(data))

    def publish_end(self, user: str, server: str, ending: Ending) -> None:
        """Publish that a server ended unasked."""
        data = {"facility": self.facility.name, "user": user, "server": server}
        self.emit(events.SERVER_END, {**data, "why": ending.why, "message": ending.message, "seconds": round(ending.lived, 1)})

    def named_servers(self, handler: Any) -> int:
        """How many named servers the owner of a request's server may have (0 means any number to the hub, so 1 is the least)."""
        owner = handler.find_user(handler.path_args[0]) if handler.path_args else None
        try:
            most = self.allowance(owner or handler.current_user).servers
        except RequestError:
            return 1
        return 0 if most is None else max(most, 1)

    def services_url(self) -> str:
        """Address below which the facility's services are, as a server reaches them."""
        return self.place.services_url(self.app, self.facility)


def saved_options(user: Any, server: str) -> object:
    """The options of an earlier start of this server, ``{}`` where there are none."""
    saved = user.orm_user.orm_spawners.get(server)
    return (saved.user_options if saved is not None else None) or {}


def _flat(options: object, facility: Facility) -> dict[str, str] | None:
    """What was asked for, fit for an event: ``None`` where it is no choice at all, and nothing of what no option takes."""
    if options is None:
        return {}
    try:
        return {name: value if name in CHOOSABLE or name in facility.options else "" for name, value in parse_options(options).items()}
    except MalformedError:
        return None
