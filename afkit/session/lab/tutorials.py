"""Puts the tutorial notebooks into a new home, once."""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

__all__ = ["place", "shipped"]

log = logging.getLogger(__name__)


def shipped() -> Path:
    """Where this environment keeps the notebooks."""
    return Path(sys.prefix, "share", "afkit", "notebooks")


def place(home: Path, source: Path | None = None) -> None:
    """Copy the notebooks to ``home/tutorials``, unless that exists: what a person has changed or thrown away stays so.

    A home that cannot be written is left alone, with a line in the log.
    """
    folder, source = home / "tutorials", source or shipped()
    if not source.is_dir():
        return
    try:
        folder.mkdir()
        for notebook in sorted(source.glob("*.ipynb")):
            shutil.copyfile(notebook, folder / notebook.name)
    except FileExistsError:
        return
    except OSError as error:
        log.warning("The tutorials were not put into %s: %s", home, error.strerror)
