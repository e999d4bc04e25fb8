"""Arguments that several commands share: who is asked about, and what they choose."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

__all__ = ["add_choice", "pair", "split_groups", "twice"]


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
