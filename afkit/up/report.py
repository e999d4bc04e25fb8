"""What `afkit up` says, as text; it decides nothing and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from afkit.facility.model import Facility, Pool

__all__ = ["greeting", "hub_failed", "pool_note", "start_notes"]


def greeting(title: str, url: str, passwords: Mapping[str, str] | None, facility_json: Path, people: Mapping[str, Iterable[str]]) -> str:
    """The URL and how to log in. ``passwords`` is ``None`` where they must not be shown: the file that has them is named."""
    plain = "".join(sign if sign.isprintable() else " " for sign in title)  # nothing in a file moves the cursor
    lines = [f"{' '.join(plain.split())}: {url}", ""]
    if passwords is None:
        lines += [f"Log in as {_listed(people, 'or')}; the passwords are in {facility_json}"]
    else:
        width = max(len(name) for name in passwords)
        lines += ["Log in as"]
        lines += [f"  {name:<{width}}  {word}   {', '.join(people[name])}".rstrip() for name, word in passwords.items()]
    return "\n".join(lines) + "\n"


def start_notes(not_applied: Iterable[str], elsewhere: str) -> str:
    """What of the file this machine does not do; empty where it does all of it."""
    items = [*not_applied, *([elsewhere] if elsewhere else [])]
    if not items:
        return ""
    return "Not on this machine:\n" + "".join(f"  - {item}\n" for item in items)


def pool_note(facility: Facility, here: Iterable[str]) -> str:
    """One sentence with the pools that this machine is not (``here``: those that it is); empty where it is all."""
    mine = frozenset(here)
    others = [f"{pool.name} ({_kind(pool)})" for pool in facility.pools.values() if pool.name not in mine]
    return f"Pools that this machine is not, shown in the form but refused: {', '.join(others)}." if others else ""


def hub_failed(why: str, tail: Iterable[str], log: Path) -> tuple[str, str]:
    """Sentence and hint for a hub that ended by itself: how, its last lines, where the rest is."""
    lines = "\n".join(f"    {line}" for line in tail)
    return f"The hub {why}.", f"Its last lines, from {log}:\n{lines}"


def _kind(pool: Pool) -> str:
    accelerator = pool.accelerator
    return pool.arch if accelerator is None else f"{pool.arch} with {accelerator.resource or accelerator.device_class}"


def _listed(names: Iterable[str], word: str) -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last
