"""The form for one person and one server: what is marked, what is said, and whether a form is needed at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afkit.errors import RequestError
from afkit.hub import form
from afkit.hub.desk import Desk, saved_options
from afkit.hub.refusal import status_of
from afkit.policy.offer import nothing_to_choose
from afkit.policy.select import select

__all__ = ["Shown", "form_html", "form_or_start"]


@dataclass(slots=True)
class Shown:
    """What a page shows: what was asked for by a link or a form (``None``: nothing), what is refused of it, the HTTP status."""

    asked: Mapping[str, str] | None = None
    refusal: RequestError | None = None
    status: int = 200


def form_html(desk: Desk, user: Any, server: str, shown: Shown) -> str:
    """The form with what was asked for, else with the saved choice; says what is refused."""
    offer = desk.offer(user, server)
    chosen = shown.asked if shown.asked is not None else saved_options(user, server)
    return form.render(offer, chosen=_texts(chosen), refusal=shown.refusal, notes=desk.place.not_applied(offer.facility))


def form_or_start(desk: Desk, user: Any, server: str, shown: Shown) -> str:
    """The form, or nothing where nothing is left to choose and the saved choice is granted.

    What is refused of a link or of the saved choice is put into ``shown``. A saved choice that is no longer granted is said on
    a page that is fine itself (200), unless there is nothing else that could be started.
    """
    if shown.refusal is None:
        offer = desk.offer(user, server)
        try:
            select(offer, shown.asked if shown.asked is not None else saved_options(user, server), server)
        except RequestError as error:
            shown.refusal = error
            startable = any(each.standing == "offered" for each in offer.profiles)
            shown.status = status_of(error) if shown.asked is not None or not startable else 200
        else:
            if shown.asked is None and nothing_to_choose(offer):
                return ""
    return form_html(desk, user, server, shown)


def _texts(chosen: object) -> dict[str, str]:
    """What can be marked of a choice; a saved one may have any shape."""
    items = chosen.items() if isinstance(chosen, Mapping) else ()
    return {key: value for key, value in items if isinstance(key, str) and isinstance(value, str)}
