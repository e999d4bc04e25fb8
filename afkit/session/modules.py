"""Finds the modules that this process has imported from beside its notebook or script, and has changed since they were last sent.

Workers in pods have the session's image, not the files that somebody edits now. `SendingClient` sends them before tasks are.
"""

from __future__ import annotations

import logging
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distributed import Client

from afkit.session.inside.afkit_modules import MOST

__all__ = ["SendingClient", "changed", "roots"]

log = logging.getLogger(__name__)


def roots() -> list[str]:
    """Where modules are looked for that go along: the working directory and the script's folder."""
    script = Path(sys.path[0]) if sys.path and sys.path[0] else Path()
    return list(dict.fromkeys(os.path.realpath(place) for place in (Path(), script) if place.is_dir()))


def changed(sent: dict[str, tuple[int, int]], modules: Mapping[str, Any], places: Iterable[str]) -> dict[str, str]:
    """The texts of modules below ``places`` that are not as ``sent`` says (path → time and size), which is brought up to date."""
    found: dict[str, str] = {}
    for name, file in _beside(modules, places).items():
        path = name.replace(".", "/") + ("/__init__.py" if file.endswith("/__init__.py") else ".py")
        try:
            seen = os.stat(file)  # noqa: PTH116 - asked before every computation
            state = (seen.st_mtime_ns, seen.st_size)
            if sent.get(path) != state:
                found[path] = Path(file).read_text(encoding="utf-8")
                sent[path] = state
        except (OSError, ValueError):
            # it is gone, or no text: the task that needs it says so
            continue
    return found


def _beside(modules: Mapping[str, Any], places: Iterable[str]) -> dict[str, str]:
    """Names and files of the modules below ``places`` that nobody has installed."""
    inside, installed = tuple(f"{place}/" for place in places if place != "/"), _installed()
    files = {name: os.path.realpath(file) for name, file in _files(modules).items()}
    return {name: file for name, file in files.items() if file.startswith(inside) and not file.startswith(installed)}


def _files(modules: Mapping[str, Any]) -> dict[str, str]:
    """The modules that are files of Python; a package with compiled parts is of no use without them, so it is left out."""
    files = {name: str(getattr(module, "__file__", None) or "") for name, module in list(modules.items())}
    left_out = {"__main__"} | {name.partition(".")[0] for name, file in files.items() if file and not file.endswith(".py")}
    return {name: file for name, file in files.items() if file and name.partition(".")[0] not in left_out}


def _installed() -> tuple[str, ...]:
    """Folders of installed packages, which the image has too."""
    places = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
    return tuple(f"{os.path.realpath(place)}/" for place in places if place.rstrip("/") not in ("", sys.prefix))


class SendingClient(Client):  # type: ignore[misc]  # Dask's classes have no types here
    """A Dask client that sends changed modules before it sends tasks."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._afkit_sent: dict[str, tuple[int, int]] = {}
        super().__init__(*arguments, **options)

    def _graph_to_futures(self, *arguments: Any, **options: Any) -> Any:
        files = changed(self._afkit_sent, sys.modules, roots())
        if sum(map(len, files.values())) > MOST:
            log.warning("The modules beside this notebook are too many to go along with tasks (more than %d MiB).", MOST >> 20)
        elif files:
            self._send(files)
        return super()._graph_to_futures(*arguments, **options)

    def _send(self, files: dict[str, str]) -> None:
        if self.asynchronous:
            # nothing may block here: tasks that are sent in the same moment may still see the modules as they were
            self.loop.add_callback(self.scheduler.afkit_modules, files=files)
        else:
            self.sync(self.scheduler.afkit_modules, files=files)


SendingClient.__name__ = SendingClient.__qualname__ = "Client"
