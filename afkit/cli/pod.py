"""``afkit pod``: the objects that a choice leads to, as they are sent to Kubernetes."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from afkit.cli.asked import add_choice, pair, person_in, split_groups, twice

if TYPE_CHECKING:
    from afkit.facility.model import Facility
    from afkit.policy.model import Identity


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="the facility file")
    parser.add_argument("--user", metavar="NAME", required=True, help="login name of the person whose server it is")
    parser.add_argument(
        "--groups", metavar="G,…", default="", help="groups that come with the login: the facility's own, or of an issuer (cms:/cms)"
    )
    parser.add_argument("--issuer", metavar="NAME", help="who logs the person in (by default the issuer of the groups, or the only one)")
    parser.add_argument("--key", metavar="KEY", help="the key that tells the person apart for ever (by default the login name)")
    parser.add_argument(
        "--claim",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        type=pair,
        default=[],
        help="a claim that run_as names, such as uid=4711",
    )
    parser.add_argument("--server", metavar="NAME", default="", help="name of the server (by default the default server)")
    add_choice(parser, "the choice")
    parser.add_argument("--json", action="store_true", help="print one JSON object, a Kubernetes List")


def run(arguments: argparse.Namespace) -> int:
    """Print the objects; 1: the choice is refused, 2: the call or the file is wrong."""
    from afkit.errors import CallError, RequestError
    from afkit.facility.load import load_facility

    if twice(arguments.choice) or twice(arguments.claim):
        raise CallError("A key is set twice.", "Write each once.")
    facility = load_facility(arguments.file)
    if facility.kubernetes is None or not facility.kubernetes.namespace:
        raise CallError(f"{arguments.file} describes no facility on Kubernetes.", "Write the section `kubernetes` with a `namespace`.")
    try:
        items = _objects(facility, arguments)
    except RequestError as error:
        _show({"reason": error.reason, "message": error.message, "hint": error.hint}, arguments)
        return 1
    _show({"apiVersion": "v1", "kind": "List", "items": items}, arguments)
    return 0


def _objects(facility: Facility, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Everything that the hub makes for the choice, in its order."""
    from afkit.pods.layers import session_of
    from afkit.pods.person import person_of
    from afkit.pods.placeholders import fill_all
    from afkit.pods.server import server_objects
    from afkit.pods.site import stock_site
    from afkit.policy.capacity import declared
    from afkit.policy.entitle import entitle
    from afkit.policy.offer import offer
    from afkit.policy.select import select

    who = _person(facility, arguments)
    entitlements = entitle(facility, who)
    selection = select(offer(facility, entitlements, declared(facility)), dict(arguments.choice or ()))
    person = person_of(facility, who, entitlements, {name: _value(value) for name, value in arguments.claim})
    traits = fill_all(session_of(facility, selection).kubespawner, person.names(arguments.server))
    site = stock_site(who.name, arguments.server, traits)
    return list(server_objects(facility, selection, person, arguments.server, site).all())


def _person(facility: Facility, arguments: argparse.Namespace) -> Identity:
    from afkit.errors import CallError

    if not arguments.user:
        raise CallError("--user is empty.", "Name the person.")
    issuer = _issuer(facility, arguments, split_groups(arguments.groups)[2])
    return person_in(facility, arguments.user, arguments.groups, issuer, arguments.key or "")


def _issuer(facility: Facility, arguments: argparse.Namespace, named: tuple[str, ...]) -> str:
    """The one that is asked for, else that of the groups, else whoever knows the person, else the only one."""
    from afkit.errors import CallError
    from afkit.facility.model import IdentityRules

    known = facility.identity or IdentityRules()
    wanted: str = arguments.issuer or "".join(named[:1])
    if wanted:
        if wanted != "local" and wanted not in known.issuers:
            raise CallError(f"The facility has no issuer {wanted!r}.", "Name one of identity.issuers.")
        return wanted
    if arguments.user in (known.local or {}) or len(known.issuers) != 1:
        return "local"
    return next(iter(known.issuers))


def _value(text: str) -> Any:
    """A claim's value: JSON where it is any (4711, [1, 2]), else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show(what: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.json:
        json.dump(what, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        from afkit.facility.dump import dump

        print(dump([what]), end="")
