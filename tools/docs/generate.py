"""Writes the pages of the reference that are made from the code: commands, traits of the hub, events, changes."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def generate(folder: Path) -> None:
    """Write every generated page into ``folder``; files that would not change are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, Callable[[], Iterable[str]]] = {
        "cli": commands,
        "hub": hub_traits,
        "events": events,
        "rights": rights,
        "changelog": changelog,
    }
    for name, lines in pages.items():
        file = folder / f"{name}.md"
        text = "\n".join(lines()) + "\n"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def commands() -> Iterator[str]:
    """Every command with its arguments, as its own parser has them."""
    from afkit.cli.main import COMMANDS, _parser

    for name, line in COMMANDS.items():
        parser = child(_parser(name), name)
        yield f"## `afkit {name}`\n"
        yield f"{line[0].upper()}{line[1:]}.\n"
        yield f"```text\n{usage(parser)}\n```\n"
        rows = [action for action in parser._actions if action.dest != "help"]
        if rows:
            yield from table(("argument", "meaning"), ((spelling(action), action.help or "") for action in rows))


def usage(parser: argparse.ArgumentParser) -> str:
    """The usage of a command, in lines that a page has room for; an option and its value stay together."""
    words = re.findall(r"\[(?:[^\[\]]|\[[^\]]*\])*\]|\([^)]*\)|\S+", " ".join(parser.format_usage().removeprefix("usage: ").split()))
    whole = " ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)
    return textwrap.fill(whole, 72, subsequent_indent="    ", break_on_hyphens=False).replace("\N{NO-BREAK SPACE}", " ")


def child(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found: argparse.ArgumentParser = action.choices[name]
            return found
    raise LookupError(name)


def spelling(action: argparse.Action) -> str:
    """How an argument is written on the command line."""
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None:
        value = "|".join(map(str, action.choices))
    if not action.option_strings:
        return f"`{value}`"
    return f"`{', '.join(action.option_strings)}`" if action.nargs == 0 else f"`{', '.join(action.option_strings)} {value}`"


def hub_traits() -> Iterator[str]:
    """The configurable traits that afkit adds to JupyterHub's own."""
    from afkit.hub.authenticator import AfkitLocalAuthenticator
    from afkit.hub.kubernetes.spawner import AfkitKubeSpawner
    from afkit.hub.oidc.authenticator import AfkitOIDCAuthenticator
    from afkit.hub.spawners import AfkitLocalSpawner

    for owner in (AfkitKubeSpawner, AfkitLocalSpawner, AfkitLocalAuthenticator, AfkitOIDCAuthenticator):
        yield f"## `{owner.__name__}`\n"
        yield f"{str(owner.__doc__).splitlines()[0]}\n"
        traits = {
            name: trait
            for base in reversed(owner.__mro__)
            if base.__module__.startswith("afkit.")
            for name, trait in base.class_own_traits(config=True).items()
        }
        rows = ((f"`c.{owner.__name__}.{name}`", type(trait).__name__, prose(trait.help)) for name, trait in sorted(traits.items()))
        yield from table(("trait", "type", "meaning"), rows)


def events() -> Iterator[str]:
    """The fields of every event, from the JSON schema that the hub registers."""
    folder = resources.files("afkit.hub") / "events"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            yield from event(json.loads(file.read_text(encoding="utf-8")))


def event(schema: dict[str, Any]) -> Iterator[str]:
    """One event: its address, its fields."""
    yield f"## {schema['title']}\n"
    yield f"`{schema['$id']}`, version {schema['version']}. {schema['description']}\n"
    rows = []
    for name, field in schema["properties"].items():
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        words = ", ".join(f"`{word}`" for word in field.get("enum", ()))
        rows.append((f"`{name}`", " or ".join(kinds), ". ".join(filter(None, (field.get("description"), words and f"One of {words}")))))
    yield from table(("field", "type", "meaning"), rows)


def rights() -> Iterator[str]:
    """Who may do what in the cluster, from the roles that are rendered for the example facility."""
    from afkit.facility.load import load_facility
    from afkit.pods.layout import MANIFESTS
    from afkit.pods.namespace import account
    from afkit.render.table import rights_table

    facility = load_facility(ROOT / "hub_config" / "kubernetes" / "facility.yaml")
    rows = [
        (
            f"`{right.identity}`",
            right.place,
            f"`{right.resource}`",
            ", ".join(right.verbs),
            ", ".join(f"`{name}`" for name in right.names) or "all",
        )
        for right in rights_table(facility, MANIFESTS)
    ]
    rows += [(f"`{name}`", "anywhere", "nothing", "", "") for name in ("afkit-proxy", account(facility))]
    yield from table(("service account", "where", "resource", "verbs", "names"), rows)


def changelog() -> Iterator[str]:
    """What has been released, and before it the fragments of what has not."""
    towncrier = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "Not released yet", "--date", "main"]
    drafted = subprocess.run(towncrier, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    yield from (line.replace(" (main)", "") for line in drafted.splitlines())
    released = ROOT / "CHANGELOG.md"
    if released.exists():
        yield released.read_text().partition("<!-- towncrier release notes start -->")[2]


def prose(text: str) -> str:
    """Help of a trait as one paragraph of a table's cell."""
    return " ".join(text.split())


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table of Markdown."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""
