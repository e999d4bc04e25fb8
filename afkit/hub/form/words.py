"""Amounts, times and kinds of sharing in plain words, for people who do not think in millicores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from afkit.facility.model import Accelerator, Sharing

__all__ = ["SHARING", "accelerator", "cores", "cpu_line", "duration", "lifetime", "listing", "memory", "memory_line", "of", "worker"]

SHARING: Final[dict[Sharing, tuple[str, str]]] = {
    "exclusive": ("Yours alone", "Nobody else uses it while your server runs."),
    "mig": ("A hardware slice", "Memory, compute and faults are isolated from the other slices of the card."),
    "time-slicing": (
        "Shared in turns",
        "Nothing is isolated: others use the same card, can fill its memory, and a crash of theirs can end your work.",
    ),
    "mps": (
        "Shared at the same time",
        "Memory is capped for each process; compute and faults are not isolated: a crash of others can end your work.",
    ),
}
"""How an accelerator is shared: a short name, and what that isolates and what not.

Source: NVIDIA's device plugin and MIG documentation (time-slicing has neither memory nor fault isolation; MPS caps memory
for each process and has no fault isolation; MIG isolates both in hardware).
"""

_VENDORS: Final = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel"}
_TIMES: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def cores(millicores: int) -> str:
    """``1 core``, ``0.5 cores``, ``64 cores`` for so many millicores."""
    return "1 core" if millicores == 1000 else f"{_number(millicores / 1000)} cores"


def memory(size: int) -> str:
    """``16 GiB``, ``512 MiB``, ``2 GB`` (only where that is exact) for so many bytes; at most two decimals."""
    if size >= 10**9 and size % 10**9 == 0 and size % 2**20:
        return f"{size // 10**9} GB"
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20)):
        if size >= 2**power:
            return f"{_number(size / 2**power)} {unit}"
    return f"{_number(size / 2**10)} KiB" if size else "0 GiB"


def cpu_line(request: int, limit: int | None) -> str:
    """What a server has of the CPU: millicores that it always gets, and the most that it may use (``None``: no limit)."""
    if limit is None:
        return f"{cores(request)}, more when free"
    return cores(request) if limit <= request else f"{cores(request)}, up to {_number(limit / 1000)} when free"


def memory_line(request: int, limit: int | None) -> str:
    """What a server has of the memory: bytes that it always gets, and the most that it may use (``None``: no limit)."""
    if limit is None:
        return f"{memory(request)} memory, more when free"
    return f"{memory(request)} memory" if limit <= request else f"{memory(request)} memory, at most {memory(limit)}"


def duration(seconds: int) -> str:
    """``30 minutes``, ``24 hours``, ``7 days`` for so many seconds. Up to two days people think in hours."""
    for length, unit in _TIMES:
        if seconds and seconds % length == 0 and (unit != "day" or seconds >= 2 * length):
            count = seconds // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def lifetime(idle: int | None, most: int | None) -> str:
    """When a server ends by itself, as a sentence without a full stop; empty where it never does. Seconds; ``None``: no end."""
    if idle is None:
        return "" if most is None else f"Ends after {duration(most)}"
    return f"Ends after {duration(idle)} idle" + ("" if most is None else f", {duration(most)} at most")


def accelerator(unit: Accelerator) -> str:
    """``NVIDIA A100 SXM4 40GB, 40 GiB``: what one unit is, as far as the file says."""
    name = unit.product.replace("-", " ").replace("_", " ") if unit.product else f"{_VENDORS[unit.vendor]} GPU"
    return f"{name}, {memory(unit.memory)}" if unit.memory else name


def worker(millicores: int | None, size: int | None, accelerators: int) -> str:
    """``4 cores, 16 GiB and 1 accelerator``: what the file says of a Dask worker; empty: nothing."""
    said = [cores(millicores)] if millicores else []
    said += [memory(size)] if size else []
    said += [f"{accelerators} accelerator{'' if accelerators == 1 else 's'}"] if accelerators else []
    return listing(said, "and")


def of(now: int, most: int, text: Callable[[int], str]) -> str:
    """``60 of 64 cores``: how much is left of how much, the unit said once where both have the same."""
    left, whole = text(now), text(most)
    number, _, unit = left.rpartition(" ")
    return f"{number} of {whole}" if number and whole.endswith(f" {unit}") else f"{left} of {whole}"


def listing(names: tuple[str, ...] | list[str], last: str = "or") -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
