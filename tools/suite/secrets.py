"""Looks for the secrets that tests made or were given in everything that a run printed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def leaks(seen: Path, results: Path) -> tuple[str, ...]:
    """Files under ``results`` that contain a secret listed in a file of ``seen``, one line each, without the secret."""
    secrets = {line for file in seen.glob("*") for line in file.read_text().splitlines() if line}
    return tuple(found for file in sorted(results.rglob("*")) if file.is_file() for found in leaks_in(file, secrets))


def leaks_in(file: Path, secrets: Iterable[str]) -> tuple[str, ...]:
    """``FILE:LINE`` of every line that contains one of the secrets."""
    wanted = tuple(secret.encode() for secret in secrets)
    content = file.read_bytes()
    if not any(secret in content for secret in wanted):
        return ()
    lines = enumerate(content.splitlines(), 1)
    return tuple(f"{file}:{number}" for number, line in lines if any(secret in line for secret in wanted))
