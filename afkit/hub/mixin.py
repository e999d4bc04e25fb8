"""What makes a spawner one of the facility's: the second gate, the form, and state that survives a restart of the hub.

Combine it with any spawner: ``class AfkitLocalSpawner(AfkitMixin, SimpleLocalProcessSpawner)``. A subclass applies a choice in
`apply_selection`; every trait that it owns it assigns anew at each spawn, so nothing is left from the last one.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import jupyterhub.spawner
from tornado import web
from traitlets import Dict, Float, HasTraits, Integer, List, Unicode

from afkit.errors import RequestError
from afkit.facility.model import Facility
from afkit.facility.traits import Traits
from afkit.hub import form
from afkit.hub.desk import Asked, Desk, Granted
from afkit.hub.ending import Ending
from afkit.hub.environment import dask_setting
from afkit.hub.gate_rest import requester
from afkit.hub.machine import this_machine
from afkit.hub.offerform import Shown, form_or_start
from afkit.hub.place import MachinePlace, Place
from afkit.hub.refusal import Refused
from afkit.hub.running import Running
from afkit.hub.scopes import server_scopes
from afkit.hub.usage import use_of
from afkit.pods.layers import Session, session_of
from afkit.policy.model import Selection

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _Spawner
else:
    _Spawner = HasTraits  # a mixin with traits must be one, and the spawner comes after it in the order of resolution

__all__ = ["AfkitMixin"]

_COUNTS_EVERYTHING = not hasattr(jupyterhub.spawner, "SpawnException")
"""JupyterHub 5 counts every failed start as a failure of the hub, a refusal too; 6 exempts what a 4xx answers."""


class AfkitMixin(_Spawner):
    """Resolution, form and state, for any spawner."""

    facility_file = Unicode(
        "",
        help="""
        Path of the facility file that says who may run what.

        It is read again whenever it changes; a version with errors changes nothing.
        """,
    ).tag(config=True)

    people = Dict(
        List(Unicode()),
        key_trait=Unicode(),
        help="""
        People beside those of the facility file: login name to the names of facility groups.

        For trying a facility file on one machine.
        """,
    ).tag(config=True)

    lifetime_interval = Float(10.0, help="Seconds between two looks at which servers are over their lifetime.").tag(config=True)

    log_lines = Integer(20, help="How many of the last lines of a server's log its page shows when it has ended.").tag(config=True)

    server_token_scopes: Any

    facility_traits: ClassVar[Traits | None] = None
    """What the traits that a facility file names take, for spawners that have them."""
    first_progress = 50
    """Percent of the way that lie behind a server when its start is told."""
    running: Running | None = None
    """The choice of the server that runs now or starts."""
    dask = "null"
    """``AFKIT_DASK`` of the server that starts."""
    end: Mapping[str, Any] | None = None
    """How the last server ended when nobody had asked for it: ``why``, ``message``, ``lines``, ``at``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # an administrator's own subclass in a jupyterhub_config.py; the wiring knows this class
        from afkit.hub.wiring import install_where_running

        install_where_running()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        app = self.user.settings.get("app") if self.user else None
        if app is not None:
            self.server_token_scopes = server_scopes(app, self.server_token_scopes)

    @classmethod
    def make_place(cls, app: Any, facility: Facility) -> Place:  # noqa: ARG003  # for subclasses
        """Where the servers of the hub ``app`` run: on its own machine. For subclasses; called once, when the configuration is read."""
        return MachinePlace(this_machine())

    @property
    def desk(self) -> Desk:
        """Where the hub decides. Raises ``RuntimeError`` in a hub that was not set up for afkit."""
        desk = self.user.settings.get("afkit")
        if desk is None:
            raise RuntimeError("This hub has no facility file: call afkit.hub.configure, or set facility_file of its spawner.")
        found: Desk = desk
        return found

    def take_devices(self, selection: Selection) -> tuple[str, ...]:  # noqa: ARG002  # for subclasses
        """The accelerators of this machine that the server uses; none where servers run elsewhere."""
        return ()

    def dask_service(self) -> str:
        """Where the server reaches the facility's Dask service; empty: its clusters run beside the notebook. For subclasses."""
        return ""

    def apply_selection(self, selection: Selection, session: Session, running: Running) -> None:
        """Assign every trait that the choice decides: what is left out here is left from the last spawn. For subclasses."""

    async def keep_house(self) -> None:
        """What is to be done from time to time while the server runs. For subclasses."""

    def note_end(self, ending: Ending) -> None:
        """Keep how the server ended, for its page and the event log."""
        self.end = ending.state()
        self.log.warning("Server %s ended: %s", self._log_name, ending.message)
        self.desk.publish_end(self.user.name, self.name, ending)

    async def _run_apply_user_options(self, user_options: Any) -> None:
        """The second gate: judge the choice again and apply it. What an administrator has hooked in here runs after it."""
        try:
            self._take(self.desk.confirm(self._asked(user_options)))
        except RequestError as error:
            self.no_hub_failure()
            raise Refused(error) from None
        if not self.apply_user_options:
            return
        try:
            await super()._run_apply_user_options(user_options)
        except web.HTTPError as error:
            if error.status_code < 500:
                self.no_hub_failure()
            raise

    def no_hub_failure(self) -> None:
        """What is raised next is no failure of the hub: JupyterHub 5 counts it all the same, so one is taken off first."""
        if _COUNTS_EVERYTHING and self.handler is not None:
            # the web application's settings, where the hub counts; the user's are another mapping
            settings = self.handler.settings
            settings["failure_count"] = settings.get("failure_count", 0) - 1

    async def get_options_form(self) -> str:
        """The form of the facility; empty where nothing is left to choose."""
        handler = self.handler
        shown: Shown = getattr(handler, "afkit_shown", None) or Shown()
        try:
            html = form_or_start(self.desk, self.user, self.name, shown)
        except RequestError as error:
            raise Refused(error) from None
        if shown.refusal is not None and shown.asked is not None:
            self.desk.refused(Asked(self.user, self.name, dict(shown.asked), "link", *requester(handler)), shown.refusal)
        return html

    def run_options_from_form(self, form_data: Mapping[str, Any]) -> dict[str, str]:
        """Raw options from the fields of the form."""
        return form.parse(form_data)

    def options_from_query(self, query_data: Mapping[str, Any]) -> dict[str, str]:
        """Raw options from a link. The guard takes them to the form, so the hub never starts with them."""
        return form.parse(query_data)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """One line: what starts."""
        if self.running is None:
            yield {"progress": 10, "message": "Preparing…"}
            return
        facility = self.desk.facility
        names = self.running.chosen
        parts = [
            facility.profiles[names["profile"]].title if names["profile"] in facility.profiles else names["profile"],
            facility.pools[names["pool"]].title if names["pool"] in facility.pools else names["pool"],
            facility.sizes[names["size"]].title if names["size"] in facility.sizes else names["size"],
        ]
        yield {"progress": self.first_progress, "message": f"Starting {' · '.join(parts)}"}

    def get_state(self) -> dict[str, Any]:
        """The choice that runs, and how the last server ended."""
        state: dict[str, Any] = super().get_state()
        mine: dict[str, Any] = {}
        if self.running is not None:
            mine["running"] = self.running.state()
        if self.end is not None:
            mine["end"] = dict(self.end)
        if mine:
            state["afkit"] = mine
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """After a restart of the hub."""
        super().load_state(state)
        mine = state.get("afkit") or {}
        self.end = mine.get("end")
        try:
            self.running = Running.from_state(self.name, mine["running"])
        except (KeyError, TypeError):
            self.running = None  # nothing ran, or a version before this one kept it otherwise

    def clear_state(self) -> None:
        """The server is gone. How it ended stays until the next one starts."""
        super().clear_state()
        self.running = None

    def _asked(self, options: object) -> Asked:
        handler = self.handler
        current = getattr(handler, "current_user", None)
        if current is None:
            return Asked(self.user, self.name, options, "start", self.user.name, "hub")
        return Asked(self.user, self.name, options, "start", *requester(handler))

    def _take(self, granted: Granted) -> None:
        facility, selection = self.desk.facility, granted.selection
        session = session_of(facility, selection)
        devices = self.take_devices(selection)
        idle, age = session.lifetime.idle, session.lifetime.max
        self.end = None
        self.running = Running(selection.user_options(), use_of(selection), time.time(), idle, age, facility.digest, devices)
        # from here on the spawner counts it
        self.desk.ledger.release(self.user.name, self.name)
        self.dask = dask_setting(granted.offer, selection, self.dask_service())
        self.apply_selection(selection, session, self.running)
