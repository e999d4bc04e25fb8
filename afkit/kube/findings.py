"""What was found when something of a cluster was looked at, and how a look ends that cannot be taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from afkit.errors import DeadlineError, KubernetesError

__all__ = ["Found", "State", "looked"]

State = Literal["ok", "bad", "unknown"]
"""``ok``: it was looked at and is as it must be. ``bad``: it is not. ``unknown``: it could not be looked at, which is never ``ok``."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was looked at: ``name``, ``state``, a sentence, a ``remedy`` where something is to do, and ``details``."""

    name: str
    state: State
    message: str
    remedy: str = ""
    details: tuple[str, ...] = ()


Look = Callable[[], Awaitable[tuple[Found, ...]]]


async def looked(name: str, look: Look) -> tuple[Found, ...]:
    """What a look finds; ``unknown`` where the API server refuses it or does not answer."""
    try:
        return await look()
    except KubernetesError as error:
        if error.status in (401, 403):
            message = (
                f"Whether this is right is not known: you may not read {error.kind}{f' in {error.namespace}' if error.namespace else ''}."
            )
            if "cannot impersonate" in error.message:
                message = "Whether this is right is not known: you may not act as the facility's hub."
            return (Found(name, "unknown", message, "Let somebody look who may."),)
        if error.status == 404 and not error.name:
            return (Found(name, "unknown", f"This cluster does not know the kind {error.kind}."),)
        return (Found(name, "unknown", error.message, error.hint),)
    except DeadlineError as error:
        return (Found(name, "unknown", error.message),)
    except Exception as error:  # noqa: BLE001  # objects of others may have any form, and what else was found is told all the same
        text = (
            f"It could not be looked at: the cluster holds something of a form that afkit does not know ({type(error).__name__}: {error})."
        )
        return (Found(name, "unknown", text, "Please report it."),)


def verdict(name: str, bad: list[str], good: str, remedy: str, details: tuple[Any, ...] = ()) -> tuple[Found, ...]:
    """One line: bad with these sentences, or good."""
    if bad:
        return (Found(name, "bad", bad[0], remedy, tuple(bad[1:])),)
    return (Found(name, "ok", good, "", details),)
