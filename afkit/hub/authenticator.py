"""Login of the facility's own people by name and password, on one machine or in a workshop."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Unicode, default

from afkit.hub.people import entitlements, is_local_person

__all__ = ["AfkitLocalAuthenticator", "Attempts"]

_FREE: Final = 5
_LONGEST: Final = 60.0
_REMEMBERED: Final = 1000


class Attempts:
    """Failed logins by name: the sixth in a row has to wait, each further one twice as long, a minute at most."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Seconds until this name may be tried again; 0: now. ``now`` is of a monotonic clock."""
        count, last = self._failed.get(name, (0, 0.0))
        return 0.0 if count < _FREE else max(last + min(2.0 ** (count - _FREE), _LONGEST) - now, 0.0)

    def failed(self, name: str, now: float) -> None:
        """A wrong password."""
        count, last = self._failed.pop(name, (0, now))
        # after an hour of peace counting starts anew
        self._failed[name] = (1 if now - last > 3600 else count + 1, now)
        while len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """The right password."""
        self._failed.pop(name, None)


class AfkitLocalAuthenticator(Authenticator):
    """Lets in the facility's local people (and those that ``--user`` adds), nobody else; the facility file has their groups."""

    only_local_people = True
    """Nobody else can have a server either, whoever asks for it."""

    passwords_file = Unicode(
        "",
        help="""
        JSON file with login name to password, readable by the hub's user alone.

        It is read at each login, so a changed password counts at once.
        """,
    ).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._attempts = Attempts()

    @default("any_allow_config")
    def _any_allow_config_default(self) -> bool:
        return True  # the facility file says who may log in

    def normalize_username(self, username: str) -> str:
        """As the facility file writes it; the hub's own rule (small letters) only for a name that is not there."""
        name = str(self.username_map.get(username, username))
        desk = self._desk()
        return name if desk is not None and is_local_person(desk.facility, name) else str(super().normalize_username(username))

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002  # the hub's own signature
        """Local people; where an administrator lists ``allowed_users``, of those only they."""
        return is_local_person(self._facility(), username) and (not self.allowed_users or username in self.allowed_users)

    async def authenticate(self, handler: Any, data: dict[str, str] | None) -> dict[str, Any] | None:  # noqa: ARG002  # as above
        """Name and password. Raises a 403 with a sentence, a 429 after too many wrong passwords."""
        if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in ("username", "password")):
            raise web.HTTPError(400, "A name and a password are needed to log in.")
        name, password = self.normalize_username(data["username"]), data["password"]
        now = time.monotonic()
        wait = self._attempts.wait(name, now)
        if wait:
            raise web.HTTPError(429, f"Too many wrong passwords for this name. Try again in {int(wait) + 1} seconds.")
        # what does not exist is compared too, so that answers take as long for names that nobody has
        matches = _same(self._passwords().get(name, ""), password)
        if not (matches and password and is_local_person(self._facility(), name)):
            self._attempts.failed(name, now)
            raise web.HTTPError(403, "Name and password do not belong to anybody of this facility.")
        self._attempts.succeeded(name)
        return self._model(name)

    async def refresh_user(self, user: Any, handler: Any = None) -> bool:  # noqa: ARG002  # as above
        """Whoever has left the facility file has to log in, and cannot. Groups and administrators follow the file by themselves."""
        return is_local_person(self._facility(), user.name)

    def _model(self, name: str) -> dict[str, Any]:
        facility = self._facility()
        granted = entitlements(facility, name, only_local=True)
        # `afkit.hub.people.Mirror` has the groups in the hub's database already; an administrator may set manage_groups all the same
        groups = [group for group in granted.groups if group in facility.groups]
        return {"name": name, "groups": groups, "admin": granted.admin or name in self.admin_users}

    def _desk(self) -> Any:
        return self.parent.tornado_settings.get("afkit") if self.parent is not None else None

    def _facility(self) -> Any:
        desk = self._desk()
        if desk is None:
            raise RuntimeError("This hub has no facility file: call afkit.hub.configure, or set facility_file of its spawner.")
        return desk.facility

    def _passwords(self) -> dict[str, str]:
        if not self.passwords_file:
            self.log.error("There is no file of passwords, so nobody can log in: set c.AfkitLocalAuthenticator.passwords_file")
            return {}
        try:
            known = json.loads(Path(self.passwords_file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.log.error("The passwords cannot be read from %s; nobody can log in", self.passwords_file)  # noqa: TRY400  # it has no secret, a traceback might
            return {}
        return {name: word for name, word in known.items() if isinstance(word, str)} if isinstance(known, dict) else {}


def _same(one: str, other: str) -> bool:
    """Whether two passwords are equal, in a time that says nothing about either."""
    return hmac.compare_digest(hashlib.sha256(one.encode()).digest(), hashlib.sha256(other.encode()).digest())
