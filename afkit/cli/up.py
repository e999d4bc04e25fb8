"""``afkit up``: run a whole facility on this machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from afkit.up.run import Ready


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``afkit up``."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="facility file (default: the packaged laptop facility)")
    parser.add_argument("--port", type=_port, metavar="N", help="port to listen on (default: 8000, or a free one)")
    parser.add_argument("--state", type=Path, metavar="DIR", help="where homes, passwords and logs are kept")
    parser.add_argument(
        "--user", action="append", default=[], metavar="NAME=GROUP,…", help="add a person with these groups; may stand more than once"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--no-token", action="store_true", help="make no administrator's token")
    parser.add_argument("--proxy", choices=["traefik", "python"], help="which proxy to use (default: traefik where it runs)")


def run(arguments: argparse.Namespace) -> int:
    """Run the facility until Ctrl-C; 0 then."""
    from afkit.up.run import Options, run as run_facility

    options = Options(
        file=arguments.file,
        port=arguments.port,
        state=arguments.state,
        people=arguments.user,
        token=not arguments.no_token,
        proxy=arguments.proxy,
    )
    if sys.stderr.isatty():
        _tell("Starting …")
    run_facility(options, _tell, lambda ready: _greet(ready, browser=not arguments.no_browser))
    _tell("Stopped; nothing is left running.")
    return 0


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 1 to 65535, or 0 for any that is free")
    return int(text)


def _tell(line: str) -> None:
    _say(f"{line}\n", sys.stderr)


def _say(text: str, stream: TextIO) -> None:
    """Print at once. Nobody to read it (a closed pipe, a terminal that is gone) is no reason to end a facility."""
    plain = text.encode(stream.encoding or "utf-8", "replace").decode(stream.encoding or "utf-8")
    try:
        stream.write(plain)
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _greet(ready: Ready, *, browser: bool) -> None:
    from afkit.up.report import greeting

    _say(ready.notes, sys.stderr)
    terminal = sys.stdout.isatty()
    passwords = ready.passwords if terminal else None
    _say(greeting(ready.facility.title, ready.url, passwords, ready.state.facility_json, ready.people), sys.stdout)
    if browser and terminal and _has_display():
        # a session of its own: Ctrl-C here must not end a browser that was started by this
        subprocess.Popen(
            [sys.executable, "-m", "webbrowser", ready.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _has_display() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER"))
