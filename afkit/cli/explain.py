"""``afkit explain``: what a person may choose, what not, and why; with ``--set``, the decision on a choice; with ``--claims``, a login."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afkit.cli.asked import add_choice, person_in, twice

if TYPE_CHECKING:
    from afkit.facility.model import Facility, Issuer
    from afkit.policy.model import Entitlements, Identity

Paint = Callable[[str, str], str]
_COLOURS = {"offered": "32", "advertised": "33", "hidden": "31"}
_WORDS = {"offered": "yes", "advertised": "greyed", "hidden": "hidden"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the facility file")
    person = parser.add_mutually_exclusive_group(required=True)
    person.add_argument("--user", metavar="NAME", help="a person of identity.local, or anybody by login name")
    person.add_argument("--groups", metavar="G,…", help="somebody in these groups: the facility's own, or of an issuer (cms:/cms)")
    person.add_argument("--claims", metavar="CLAIMS.json", help="somebody whom a provider says this of: claims as one JSON object")
    parser.add_argument("--issuer", metavar="NAME", help="with --claims: the issuer that they are of (by default the one that they name)")
    add_choice(parser, "a choice to decide on")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation; 1: the login or the choice is refused, 2: the call or a file is wrong."""
    from afkit.errors import CallError
    from afkit.facility.load import load_facility

    if twice(arguments.choice):
        raise CallError("--set: a key is set twice.", "Write each once.")
    if arguments.issuer is not None and arguments.claims is None:
        raise CallError("--issuer says whose --claims are, and there are none.", "Name groups with their issuer: cms:/cms.")
    facility = load_facility(arguments.file)
    told = _of_claims(facility, arguments) if arguments.claims is not None else _of_person(facility, arguments)
    _show(told, arguments.json)
    return 1 if "refused" in told or (told["decision"] and not told["decision"]["granted"]) else 0


def _show(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        json.dump(told, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        paint = _paint if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else _plain
        print("\n".join(_lines(told, paint)))


def _explained(facility: Facility, entitlements: Entitlements, arguments: argparse.Namespace) -> dict[str, Any]:
    from afkit.policy.capacity import declared
    from afkit.policy.explain import explanation
    from afkit.policy.offer import offer

    choice: list[tuple[str, str]] | None = arguments.choice
    return explanation(offer(facility, entitlements, declared(facility)), None if choice is None else dict(choice))


def _of_person(facility: Facility, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is told of somebody by name, or by groups (with a colon: claim groups of one issuer)."""
    from afkit.errors import CallError
    from afkit.policy.entitle import entitle

    if arguments.user == "":
        raise CallError("--user is empty.", "Name the person.")
    who = person_in(facility, arguments.user or "", arguments.groups or "")
    notes = _notes(facility, who) if arguments.user else []
    return _explained(facility, entitle(facility, who), arguments) | {"notes": notes}


def _of_claims(facility: Facility, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is told of somebody whom a provider says something of: a refusal, or what they may choose."""
    from afkit.cli.claims_file import read_claims
    from afkit.policy.claims import admit
    from afkit.policy.explain import login, refused_login

    issuer = _issuer(facility, arguments)
    claims, notes = read_claims(arguments.claims), []
    if issuer is not None and issuer.url and "iss" not in claims:
        claims["iss"] = issuer.url
        notes.append(f"The claims do not say which provider they are from (iss); they are read as those of {issuer.name}.")
    admission = admit(facility, claims, issuer.name if issuer else None)
    if admission.refusal is not None or admission.entitlements is None:
        return refused_login(admission) | {"notes": notes}
    granted = replace(admission.entitlements, ignored=admission.ignored)
    return _explained(facility, granted, arguments) | {"login": login(admission), "notes": notes}


def _issuer(facility: Facility, arguments: argparse.Namespace) -> Issuer | None:
    """The issuer that is named, or the only one; ``None``: the claims say it themselves."""
    from afkit.errors import CallError

    issuers = facility.identity.issuers if facility.identity else {}
    if not issuers:
        raise CallError(f"{arguments.file} has no issuer, so nobody logs in with claims.", "Describe one under identity.issuers.")
    if arguments.issuer is not None and arguments.issuer not in issuers:
        raise CallError(f"{arguments.file} has no issuer {arguments.issuer[:80]!a}.", f"It has {', '.join(issuers)}.")
    return issuers.get(arguments.issuer or (next(iter(issuers)) if len(issuers) == 1 else ""))


def _notes(facility: Facility, who: Identity) -> list[str]:
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
    yield f"{told['user'] or 'Somebody'}: in {', '.join(told['groups']) or 'no group'}{admin}"
    if told.get("login"):
        yield f"  login: {_login(told['login'])}"
    for note in told["notes"]:
        yield f"  note: {note}"
    for one in told["ignored"]:
        yield f"  ignored: {one['why']}"
    if "refused" in told:
        yield from _refused(told["refused"], paint)
        return
    yield f"  limits: {_limits(told['limits'])}"
    for profile in told["profiles"]:
        yield ""
        yield from _profile(profile, paint)
    if told["decision"] is not None:
        yield ""
        yield from _decision(told["decision"], paint)


def _login(login: dict[str, Any]) -> str:
    ids = login["run_as"]
    if ids is None:
        return f"of {login['issuer']}, key {login['key']!a}"
    more = f", further groups {', '.join(map(str, ids['groups']))}" if ids["groups"] else ""
    return f"of {login['issuer']}, key {login['key']!a}, runs as user {ids['uid']}, group {ids['gid']}{more}"


def _refused(refused: dict[str, Any], paint: Paint) -> Iterator[str]:
    yield f"{paint('hidden', 'refused')} ({refused['reason']}): {refused['message']}"
    if refused["hint"]:
        yield f"  {refused['hint']}"


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
