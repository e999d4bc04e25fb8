"""Arguments that several commands share: who is asked about, and what they choose."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afkit.facility.model import Facility
    from afkit.policy.model import Identity

__all__ = ["add_choice", "pair", "person_in", "split_groups", "twice"]


def pair(text: str) -> tuple[str, str]:
    """KEY and VALUE of ``KEY=VALUE``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def add_choice(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--set``; ``what`` says what becomes of the choice."""
    help_ = f"{what}, such as size=large"
    parser.add_argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", type=pair, dest="choice", help=help_)


def twice(pairs: Iterable[tuple[str, str]] | None) -> bool:
    """Whether a key stands twice."""
    keys = [key for key, _ in pairs or ()]
    return len(set(keys)) < len(keys)


def split_groups(text: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Facility groups, claim groups (those with a colon) and the issuers of these, of groups with commas between them."""
    names = list(filter(None, map(str.strip, text.split(","))))
    claims = tuple(name for name in names if ":" in name)
    issuers = tuple(sorted({claim.partition(":")[0] for claim in claims}))
    return tuple(name for name in names if ":" not in name), claims, issuers


def person_in(facility: Facility, name: str, text: str, issuer: str = "", key: str = "") -> Identity:
    """The person of this name (it may be empty) in the groups of ``text``: the facility's own, or of one issuer.

    The issuer is the one that is asked for, else that of the groups, else ``local``. Raises `CallError` for groups of several.
    """
    from afkit.errors import CallError
    from afkit.policy.entitle import local_identity
    from afkit.policy.model import Identity

    groups, claims, issuers = split_groups(text)
    if len(issuers) > 1:
        raise CallError(f"--groups: a person has one issuer, and these are of {' and '.join(issuers)}.", "Name the groups of one of them.")
    issuer = issuer or "".join(issuers) or "local"
    return local_identity(facility, name, groups) if issuer == "local" else Identity(name, issuer, key or name, claims, groups)
