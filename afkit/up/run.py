"""`afkit up`: from a facility file to a URL, and back to nothing."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from afkit.errors import PlatformError
from afkit.facility.load import load_facility
from afkit.facility.model import Facility
from afkit.hub import machine
from afkit.policy.laptop import not_applied
from afkit.up.follow import Follower
from afkit.up.passwords import ensure_passwords
from afkit.up.people import added_people, everybody
from afkit.up.ports import HOST, choose_port, free_ports
from afkit.up.proxy import Addresses, Proxy, find_traefik, python_proxy, traefik_proxy
from afkit.up.report import pool_note, start_notes
from afkit.up.state import State, default_directory, explained, write_private
from afkit.up.supervisor import Supervisor, end_leftovers

__all__ = ["LAPTOP", "Options", "Ready", "run"]

LAPTOP: Final = Path(__file__).with_name("laptop.yaml")
"""The packaged facility."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. ``port`` ``None``: any near 8000; ``people`` as typed after ``--user``; ``proxy`` ``None``: the best there is."""

    file: Path | None = None
    port: int | None = None
    state: Path | None = None
    people: Sequence[str] = ()
    token: bool = True
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A facility that answers after ``seconds``; ``notes`` say what this machine does not do. ``passwords`` stays out of the repr."""

    facility: Facility
    url: str
    people: Mapping[str, Sequence[str]]
    passwords: Mapping[str, str]
    state: State
    notes: str
    seconds: float

    def __repr__(self) -> str:
        return f"Ready({self.url!r})"


def run(options: Options, tell: Callable[[str], None], ready: Callable[[Ready], None]) -> None:
    """Run a facility until somebody asks to stop it; returns when nothing of it is left.

    ``tell`` gets lines on the way there, ``ready`` the facility once the hub answers through the proxy. Raises
    `FacilityError`, `CallError` and `PlatformError`.
    """
    began = time.monotonic()
    file = (options.file or LAPTOP).absolute()
    facility = load_facility(file)
    added = added_people(options.people, facility)
    people = everybody(facility, added)
    state = State.open(options.state or default_directory(facility.name))
    try:
        if count := end_leftovers(state):
            tell(f"Ended {count} processes that an earlier run had left.")
        with explained(state.directory):
            passwords = ensure_passwords(state.passwords, people)
        addresses = _addresses(options.port)
        state.note(addresses.url)
        proxy = _proxy(options.proxy, addresses, state.runtime)
        if proxy.notice:
            tell(proxy.notice)
        _supervise(
            Supervisor(state, addresses, proxy, tell), Plan(facility, file, added, people, passwords, options.token, began), tell, ready
        )
    finally:
        state.close()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is made of, once everything that can be wrong beforehand is known to be right."""

    facility: Facility
    file: Path
    added: Mapping[str, Sequence[str]]
    people: Mapping[str, Sequence[str]]
    passwords: Mapping[str, str]
    token: bool
    began: float

    def __repr__(self) -> str:
        return f"Plan({self.facility.name!r})"


class Publisher:
    """Writes ``facility.json``: at the first answer, and when the people of the file have changed."""

    def __init__(self, state: State, url: str, token: str, tell: Callable[[str], None]) -> None:
        self._state = state
        self._content: dict[str, Any] = {"url": url, "pid": os.getpid()}
        self._token = {"token": token} if token else {}
        self._tell = tell

    def publish(self, passwords: Mapping[str, str]) -> None:
        """Write the file; `PlatformError` where that is not possible."""
        with explained(self._state.directory):
            content = {**self._content, "users": dict(passwords), **self._token}
            write_private(self._state.facility_json, json.dumps(content, indent=1) + "\n")

    def change(self, people: Iterable[str], new: Sequence[str]) -> None:
        """Other people than before: passwords for the new ones, and the file anew. A disk that is full now ends nothing."""
        try:
            with explained(self._state.directory):
                passwords = ensure_passwords(self._state.passwords, people)
            self.publish(passwords)
        except PlatformError as error:
            self._tell(f"The people of the facility file have changed, but: {error}")
            return
        if new:
            self._tell(f"New in the facility file: {', '.join(new)}; passwords are in {self._state.facility_json}")


def _supervise(supervisor: Supervisor, plan: Plan, tell: Callable[[str], None], ready: Callable[[Ready], None]) -> None:
    token = secrets.token_hex(32) if plan.token else ""
    state = supervisor.state
    supervisor.catch_signals()
    try:
        supervisor.start(_settings(state, supervisor.addresses, plan, token))
        notes = _notes(plan.facility)  # while the hub starts
        if supervisor.wait_for_hub():
            publisher = Publisher(state, supervisor.addresses.url, token, tell)
            publisher.publish(plan.passwords)
            seconds = time.monotonic() - plan.began
            ready(Ready(plan.facility, supervisor.addresses.url, plan.people, plan.passwords, state, notes, seconds))
            follower = Follower(plan.file, plan.added)
            supervisor.wait(lambda: follower.look(lambda names: publisher.change(follower.people, names)))
        tell("Stopping all servers …")
    finally:
        supervisor.stop()


def _notes(facility: Facility) -> str:
    inventory = machine.inventory(facility, machine.this_machine(), {})
    here = [name for name, pool in inventory.pools.items() if pool.available]
    return start_notes(not_applied(facility), pool_note(facility, here))


def _settings(state: State, addresses: Addresses, plan: Plan, token: str) -> dict[str, Any]:
    return {
        "file": str(plan.file),
        "people": {name: list(groups) for name, groups in plan.added.items()},
        "state": str(state.directory),
        "passwords": str(state.passwords),
        "mark": state.mark,
        "url": addresses.url,
        "hub_url": f"http://{HOST}:{addresses.hub}",
        "service": f"afkit-up-{secrets.token_hex(3)}" if token else "",
        "token": token,
    }


def _addresses(asked: int | None) -> Addresses:
    public = choose_port(asked)
    hub, api = free_ports(2)
    return Addresses(public, hub, api)


def _proxy(asked: str | None, addresses: Addresses, folder: Path) -> Proxy:
    program = find_traefik() if asked != "python" else None
    if program:
        return traefik_proxy(program, addresses, folder)
    if asked == "traefik":
        raise PlatformError("There is no traefik in this Python environment.", 'Install the extra "laptop" of afkit, or leave --proxy out.')
    return python_proxy(addresses)
