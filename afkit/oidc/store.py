"""Keeps what issuers have published in a folder, so that a restart while an issuer is away changes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from afkit.oidc.strict import StrictError, read_object

__all__ = ["Published", "Store"]

_log = logging.getLogger(__name__)
_MOST: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """What an issuer published at a time (seconds since the epoch): the description of itself, and its key set."""

    issuer: str
    fetched: float
    metadata: Mapping[str, Any] = field(repr=False)
    keys: Mapping[str, Any] = field(repr=False)


class Store:
    """One file an issuer, 0600. ``folder`` is made when it is missing; ``None``: nothing is kept.

    Whoever can write there decides which keys are believed, so it belongs to the program's user alone.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, issuer: str) -> Published | None:
        """What is kept of an issuer; ``None`` where there is nothing, or nothing that can be read."""
        if self._folder is None:
            return None
        path = self._path(self._folder, issuer)
        try:
            with path.open("rb") as file:
                kept = read_object(file.read(_MOST + 1), _MOST)
        except FileNotFoundError:
            return None
        except (OSError, StrictError) as error:
            _log.warning("What was kept of the issuer %s cannot be read: %s", issuer, error)
            return None
        fetched, metadata, keys = kept.get("fetched"), kept.get("metadata"), kept.get("keys")
        # the clock is written as whole seconds: what reads this refuses everything that is not plain
        if kept.get("issuer") != issuer or type(fetched) is not int or not isinstance(metadata, dict) or not isinstance(keys, dict):
            _log.warning("What was kept of the issuer %s is of another one, or of another version", issuer)
            return None
        return Published(issuer, float(fetched), metadata, keys)

    def save(self, published: Published) -> None:
        """Keep it. A folder that cannot be written is said in the log, and changes nothing else."""
        if self._folder is None:
            return
        content = {
            "issuer": published.issuer,
            "fetched": int(published.fetched),
            "metadata": published.metadata,
            "keys": published.keys,
        }
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self._path(self._folder, published.issuer), json.dumps(content))
        except OSError as error:
            _log.warning("The keys of the issuer %s cannot be kept: %s", published.issuer, error)

    def _path(self, folder: Path, issuer: str) -> Path:
        return folder / f"{hashlib.sha256(issuer.encode()).hexdigest()[:32]}.json"


def _replace(path: Path, text: str) -> None:
    """Write a file so that whoever reads it sees the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
