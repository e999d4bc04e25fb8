"""Asks the namespace provisioner for a person's namespace, with the hub's projected token."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

import aiohttp

from afkit.errors import PlatformError
from afkit.kube.deadline import Deadline
from afkit.pods.layout import TOKEN_FILE
from afkit.pods.person import Person

__all__ = ["Namespaces"]

log = logging.getLogger(__name__)

_FRESH: Final = 300.0
"""Seconds for which an answer holds: the provisioner keeps what it has made by itself."""
_MOST: Final = 4096
_NOT_PREPARED: Final = "Your place in the cluster could not be prepared"
_HINT: Final = "Try again in a minute; the administrators of the facility can see why."


class Namespaces:
    """The provisioner at ``url`` (its address and path, with a slash at the end)."""

    def __init__(self, url: str, token_file: str = TOKEN_FILE) -> None:
        self._url = f"{url.rstrip('/')}/users"
        self._token_file = Path(token_file)
        self._session: aiohttp.ClientSession | None = None
        self._known: OrderedDict[tuple[str, Person], float] = OrderedDict()

    async def ensure(self, digest: str, person: Person, deadline: Deadline) -> tuple[tuple[str, str], ...]:
        """Return when everything in the person's namespace stands. ``digest``: of the facility file.

        The result: copies of Secrets there that the file names no longer, as name and uid; none where it was asked lately.
        Raises `PlatformError` with a sentence for the person where the provisioner does not answer or refuses.
        """
        key = (digest, person)
        if time.monotonic() - self._known.get(key, -_FRESH) < _FRESH:
            return ()
        outdated = await self._ask(person, deadline)
        self._known[key] = time.monotonic()
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return outdated

    def forget(self, digest: str, person: Person) -> None:
        """Ask again the next time: something is not there after all."""
        self._known.pop((digest, person), None)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, person: Person, deadline: Deadline) -> tuple[tuple[str, str], ...]:
        who = {"name": person.name, "issuer": person.issuer, "key": person.key, "uid": person.uid, "gid": person.gid}
        body = {**who, "facility_groups": sorted(person.facility_groups)}
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            headers = {"Authorization": f"Bearer {await asyncio.to_thread(self._token)}"}
            async with deadline.limit(), self._session.post(self._url, json=body, headers=headers) as answer:
                said = await answer.json() if answer.content_type == "application/json" else {}
        except (OSError, aiohttp.ClientError) as error:  # a deadline that has passed is an OSError too
            log.error("The namespace provisioner at %s does not answer: %s", self._url, error)  # noqa: TRY400  # a sentence, no traceback
            raise PlatformError(f"{_NOT_PREPARED}: the facility's namespace service does not answer.", _HINT) from error
        if answer.status != 200:
            raise self._refused(answer.status, said)
        return tuple((str(one["name"]), str(one["uid"])) for one in said.get("outdated") or ())

    def _token(self) -> str:
        # the kubelet renews it, so it is read each time
        return self._token_file.read_text(encoding="ascii").strip()

    def _refused(self, status: int, said: Any) -> PlatformError:
        message = said.get("message") if isinstance(said, dict) else None
        reason = said.get("reason") if isinstance(said, dict) else None
        log.error("The namespace provisioner at %s answers %i (%s): %s", self._url, status, reason, message)
        hint = str(said.get("hint") or _HINT) if isinstance(said, dict) else _HINT
        return PlatformError(
            f"Your place in the cluster could not be prepared: {message or f'the namespace service answers {status}'}", hint
        )
