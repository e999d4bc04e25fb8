"""``afkit explain``: what a person may choose, what not, and why; with ``--set``, the decision on a choice."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from afkit.cli.asked import add_choice, split_groups, twice

if TYPE_CHECKING:
    from afkit.facility.model import Facility
    from afkit.policy.model import Identity

Paint = Callable[[str, str], str]
_COLOURS = {"offered": "32", "advertised": "33", "hidden": "31"}
_WORDS = {"offered": "yes", "advertised": "greyed", "hidden": "hidden"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the facility file")
    person = parser.add_mutually_exclusive_group(required=True)
    person.add_argument("--user", metavar="NAME", help="a person of identity.local, or anybody by login name")
    person.add_argument("--groups", metavar="G,…", help="somebody in these groups: the facility's own, or of an issuer (cms:/cms)")
    add_choice(parser, "a choice to decide on")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation; 1: the choice is refused, 2: the call or the file is wrong."""
    from afkit.facility.load import load_facility
    from afkit.policy.capacity import declared
    from afkit.policy.entitle import entitle
    from afkit.policy.explain import explanation
    from afkit.policy.offer import offer

    choice: list[tuple[str, str]] | None = arguments.choice
    if twice(choice):
        return _wrong("--set: a key is set twice.")
    facility = load_facility(arguments.file)
    who = _person(facility, arguments)
    if isinstance(who, str):
        return _wrong(who)
    offered = offer(facility, entitle(facility, who), declared(facility))
    told = explanation(offered, None if choice is None else dict(choice))
    told["notes"] = _notes(facility, who, arguments)
    if arguments.json:
        json.dump(told, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        paint = _paint if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else _plain
        print("\n".join(_lines(told, paint)))
    return 1 if told["decision"] and not told["decision"]["granted"] else 0


def _wrong(message: str) -> int:
    print(f"afkit explain: {message}", file=sys.stderr)
    return 2


def _person(facility: Facility, arguments: argparse.Namespace) -> Identity | str:
    """Who is asked about, or what is wrong with the call. Groups with a colon are claim groups of one issuer."""
    from afkit.policy.entitle import local_identity
    from afkit.policy.model import Identity

    if arguments.user is not None:
        return local_identity(facility, arguments.user) if arguments.user else "--user is empty."
    groups, claims, issuers = split_groups(arguments.groups)
    if len(issuers) > 1:
        return f"--groups: a person has one issuer, and these groups are of {' and '.join(issuers)}."
    return Identity("", issuers[0] if issuers else "local", claim_groups=claims, groups=groups)


def _notes(facility: Facility, who: Identity, arguments: argparse.Namespace) -> list[str]:
    if arguments.user is None:
        return []
    notes = []
    local = facility.identity.local if facility.identity else None
    named = any(who.name in group.users for group in facility.groups.values())
    if who.name not in (local or {}) and not named:
        notes.append(f"{who.name[:80]!a} is neither in identity.local nor in the users of a group: only what is for everyone counts.")
    if any(group.sources for group in facility.groups.values()):
        notes.append("Groups that come with a login (from) are not known here; name them with --groups.")
    return notes


def _plain(_: str, text: str) -> str:
    return text


def _paint(standing: str, text: str) -> str:
    return f"\033[{_COLOURS[standing]}m{text}\033[0m"


def _lines(told: dict[str, Any], paint: Paint) -> Iterator[str]:
    admin = ", hub administrator" if told["admin"] else ""
    yield f"{told['user'] or 'Somebody'}: in {', '.join(told['groups'])}{admin}"
    for note in told["notes"]:
        yield f"  note: {note}"
    for one in told["ignored"]:
        yield f"  ignored: {one['why']}"
    yield f"  limits: {_limits(told['limits'])}"
    for profile in told["profiles"]:
        yield ""
        yield from _profile(profile, paint)
    if told["decision"] is not None:
        yield ""
        yield from _decision(told["decision"], paint)


def _profile(profile: dict[str, Any], paint: Paint) -> Iterator[str]:
    yield _line("", "profile", profile["name"], profile, paint)
    fields = {"pool": profile["pools"], "image": profile["images"], "size": profile["sizes"], **profile["options"]}
    for field, items in fields.items():
        for name, item in items.items():
            yield _line("  ", field, name, item, paint)
    if profile["left_out"]:
        yield f"  not mounted for this person: {', '.join(profile['left_out'])}"


def _line(indent: str, field: str, name: str, item: dict[str, Any], paint: Paint) -> str:
    word = paint(item["standing"], f"{_WORDS[item['standing']]:6}")
    default = " (default)" if item["default"] and item["offered"] else ""
    only = (
        "".join(f" Only with {kind} {', '.join(names) or 'nothing'}." for kind, names in item.get("only", {}).items())
        if item["offered"]
        else ""
    )
    why = item["why"] if item["why"].endswith(".") else f"{item['why'][:1].upper()}{item['why'][1:]}."
    place = f"  [{item['file']}:{item['line']}]" if item["line"] else ""
    return f"{indent}{word} {field} {name}{default}: {why}{only}{place}"


def _limits(limits: dict[str, Any]) -> str:
    from afkit.quantities import format_cpu, format_memory

    def amount(value: int | None, what: str, form: Callable[[int], str]) -> str:
        return f"any {what}" if value is None else f"{form(value)} {what}"

    def count(value: int | None, what: str, of: str = "") -> str:
        return f"{'any number of' if value is None else value} {what}{'' if value == 1 else 's'}{of}"

    parts = [
        count(limits["servers"], "server"),
        amount(limits["cpu"], "CPU", format_cpu),
        amount(limits["memory"], "memory", format_memory),
    ]
    parts += [count(units, "accelerator", f" of {pool}") for pool, units in limits["accelerators"].items()]
    parts += [count(limits["dask"]["clusters"], "Dask cluster"), count(limits["dask"]["workers"], "worker")]
    return ", ".join(parts)


def _decision(decision: dict[str, Any], paint: Paint) -> Iterator[str]:
    place = f"  [{decision['file']}:{decision['line']}: {decision['rule']}]" if decision["line"] else ""
    if decision["granted"]:
        chosen = " ".join(f"{key}={value}" for key, value in decision["selection"].items())
        yield f"{paint('offered', 'granted')}: {chosen}{place}"
        return
    yield f"{paint('hidden', 'refused')} ({decision['reason']}): {decision['message']}{place}"
    if decision["hint"]:
        yield f"  {decision['hint']}"
    if decision["hidden"]:
        yield "  It exists and is hidden from this person, who is told that it does not."
