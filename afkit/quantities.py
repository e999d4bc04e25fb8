"""Amounts as Kubernetes writes them, durations, and what "not written" and "no limit" are.

Inside afkit every amount is a whole number in its smallest unit: CPU in millicores, memory in bytes, time in seconds.

``UNSET`` means that a value was not written; ``None`` means that it was written as ``none``: no limit. The two are never
the same by accident.

Source of the grammar: Kubernetes' ``resource.Quantity`` (binary suffixes ``Ki`` … ``Ei``, decimal ``n`` … ``E``, exponents).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final, Literal

__all__ = [
    "UNSET",
    "QuantityError",
    "Unset",
    "format_cpu",
    "format_duration",
    "format_memory",
    "parse_cpu",
    "parse_duration",
    "parse_memory",
]


class _Unset(enum.Enum):
    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = _Unset.UNSET
Unset = Literal[_Unset.UNSET]

_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_SUFFIXES: Final = {s: Decimal(10) ** power for s, power in _DECIMAL.items()} | {s: Decimal(2) ** power for s, power in _BINARY.items()}
_UNITS: Final = {suffix: int(_SUFFIXES[suffix]) for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "E", "P", "T", "G", "M", "k")}
_QUANTITY: Final = re.compile(
    r"(?P<number>[0-9]{1,80}(?:\.[0-9]{0,80})?|\.[0-9]{1,80})"
    r"(?:(?P<suffix>n|u|m|k|Ki|[MGTPE]i?)|[eE](?P<exponent>[+-]?[0-9]{1,3}))?",
    re.ASCII,
)
_LOOSE: Final = re.compile(r"([0-9]{1,20})([kKmMgGtTpP])i?[bB]?", re.ASCII)
_POWERS: Final = {suffix: f"2^{power}" for suffix, power in _BINARY.items()} | {suffix: f"10^{power}" for suffix, power in _DECIMAL.items()}
_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]{1,3})$", re.ASCII)
_MOST_UNITS: Final = 2**63 - 1
_MOST: Final = Decimal(_MOST_UNITS)
# the longest number has 160 digits, the widest exponent 999: nothing may be rounded before it is judged
_EXACT: Final = Context(prec=1200)


class QuantityError(ValueError):
    """A text is no amount; ``hint`` says what to write instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def _parse(value: object, what: str, example: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QuantityError(f"{what} is no amount", f"Write it as Kubernetes does: {example}.")
    text = _text(value)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        shown = text[:40]
        if text.strip() != text or text.startswith(("-", "+")):
            raise QuantityError(f"{shown!r} is no amount of {what}", f"An amount has no sign and no space: {example}.")
        raise QuantityError(f"{shown!r} is no amount of {what}", _hint_for(text, what) or f"Write it as Kubernetes does: {example}.")
    scale = _SUFFIXES[match["suffix"] or ""] if match["exponent"] is None else Decimal(10) ** int(match["exponent"])
    return _EXACT.multiply(Decimal(match["number"]), scale)


def _hint_for(text: str, what: str) -> str:
    """What somebody who wrote ``2GB`` or ``512mb`` may mean."""
    loose = _LOOSE.fullmatch(text) if what == "memory" else None
    if loose is None:
        return ""
    binary, decimal = f"{loose[2].upper()}i", "k" if loose[2] in "kK" else loose[2].upper()
    return f"Write {loose[1]}{binary} ({_POWERS[binary]}) or {loose[1]}{decimal} ({_POWERS[decimal]})."


def _text(value: str | int | float) -> str:
    # a whole number of more than 4,300 digits cannot even be written out
    return str(value) if not isinstance(value, int) or abs(value) < 10**60 else "9" * 60


def _whole(value: object, amount: Decimal, what: str, unit: Decimal, format_: Callable[[int], str]) -> int:
    """The amount in whole units. Raises `QuantityError`, with the rounded value, for what Kubernetes would round or cannot count."""
    units = _EXACT.divide(amount, unit)
    if units > _MOST:
        raise QuantityError(f"{_text_of(value)} is larger than Kubernetes can count", f"Write at most {format_(_MOST_UNITS)}.")
    whole = int(units.to_integral_value(ROUND_CEILING))
    exponent = _EXPONENT.search(str(value)[:60])
    if exponent is not None and not -9 <= int(exponent[1]) <= 18:
        raise QuantityError(f"{_text_of(value)} has an exponent that Kubernetes does not take", f"Write {format_(whole)}.")
    if whole != units:
        raise QuantityError(f"{_text_of(value)} is {what}", f"Write {format_(whole)}.")
    return whole


def _text_of(value: object) -> str:
    return repr(_text(value)[:40]) if isinstance(value, str | int | float) else "This"


def parse_cpu(value: object) -> int:
    """Millicores of a Kubernetes CPU quantity (``500m``, ``2``, ``1.5``); zero is returned as 0.

    Raises `QuantityError` for anything else, and for what is finer than ``1m`` (the hint has the rounded value).
    """
    amount = _parse(value, "CPU", "500m, 2 or 1.5")
    return _whole(value, amount, "finer than 1m", Decimal("0.001"), format_cpu)


def parse_memory(value: object) -> int:
    """Bytes of a Kubernetes memory quantity (``512Mi``, ``16Gi``, ``2G`` = 2 · 10⁹, or plain bytes); zero is returned as 0.

    Raises `QuantityError` for anything else, and for parts of a byte (the hint has the rounded value).
    """
    amount = _parse(value, "memory", "512Mi, 16Gi or 2G")
    return _whole(value, amount, "no whole number of bytes", Decimal(1), format_memory)


def parse_duration(value: object) -> int:
    """Seconds of a duration: ``90s``, ``30m``, ``24h``, ``7d``. Raises `QuantityError` for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            raise QuantityError(f"{value} has no unit", f'Write "{value}s" for seconds, "{value}m" for minutes.')
        raise QuantityError(f"{str(value)[:40]!r} is no duration", "Write a whole number and one unit: 90s, 30m, 24h or 7d.")
    return int(match[1]) * _SECONDS[match[2]]


def format_cpu(millicores: int) -> str:
    """The shortest Kubernetes text of so many millicores: ``500m``, ``2``."""
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def format_memory(size: int) -> str:
    """The shortest exact Kubernetes text of so many bytes: ``16Gi``, ``2G``, or plain bytes; of two as short, the binary one."""
    texts = [f"{size // unit}{suffix}" for suffix, unit in _UNITS.items() if size and size % unit == 0]
    return min([*texts, str(size)], key=len)


def format_duration(seconds: int) -> str:
    """The shortest exact text of so many seconds: ``90s``, ``30m``, ``24h``, ``7d``."""
    for unit in ("d", "h", "m"):
        # 24h stays 24h: below two days people think in hours
        if seconds and seconds % _SECONDS[unit] == 0 and (unit != "d" or seconds >= 2 * _SECONDS["d"]):
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"
