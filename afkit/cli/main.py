"""``afkit``: finds the command's module, runs it, and turns errors into exit codes.

A module of a command has ``configure(parser)``, which adds its arguments, and ``run(arguments) -> int``, the exit code:
0 good, 1 the answer is "no", 2 the facility file or the call is wrong, 3 the platform failed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from afkit.errors import AfkitError

COMMANDS = {
    "up": "run a whole facility on this machine",
    "check": "report every problem of a facility file",
    "schema": "print the JSON schema of the facility file",
    "explain": "what a person may choose, what not, and why",
    "render": "the objects that a facility needs in a cluster",
    "pod": "the objects in Kubernetes that a choice leads to",
    "doctor": "check this session or this machine, and say what to do",
    "clusters": "your own Dask clusters: list them, end one, read its logs",
}
"""Every command and its one line of help; the module is ``afkit.cli.NAME``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors of afkit are printed to standard error as sentences, never as tracebacks."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(words[0] if words and words[0] in COMMANDS else None)
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return 2
    try:
        return int(importlib.import_module(f"afkit.cli.{arguments.command}").run(arguments))
    except AfkitError as error:
        print(f"afkit: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # the reader went away (a pager, head): nothing is left to say, and Python must not complain while it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="afkit", description="An analysis facility from one file.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, line in COMMANDS.items():
        child = commands.add_parser(name, help=line, description=f"{line[0].upper()}{line[1:]}.")
        if name == command:
            importlib.import_module(f"afkit.cli.{name}").configure(child)
    return parser


def _version() -> str:
    from afkit import __version__

    return f"afkit {__version__}"
