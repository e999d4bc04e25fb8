"""Amounts and durations: Kubernetes' grammar, exact, and what is refused comes with what to write instead."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from afkit.quantities import (
    UNSET,
    QuantityError,
    format_cpu,
    format_duration,
    format_memory,
    parse_cpu,
    parse_duration,
    parse_memory,
)

MOST = 2**63 - 1


@pytest.mark.parametrize(
    ("text", "millicores"),
    [("500m", 500), ("2", 2000), ("1.5", 1500), (2, 2000), (1.5, 1500), ("0", 0), (".5", 500), ("2.", 2000), ("1e3", 10**6), ("1k", 10**6),
     ("1000000u", 1000), ("1000000n", 1), ("0.001", 1), ("1E-3", 1), ("1Ki", 1024_000)],
)  # fmt: skip
def test_cpu(text: object, millicores: int) -> None:
    assert parse_cpu(text) == millicores


@pytest.mark.parametrize(
    ("text", "size"),
    [("512Mi", 512 * 2**20), ("16Gi", 2**34), ("2G", 2 * 10**9), ("2147483648", 2**31), (4096, 4096), ("1.5Gi", 3 * 2**29), ("1e6", 10**6),
     ("1E", 10**18), ("7Ei", 7 * 2**60), ("1000m", 1), ("0", 0), (1e9, 10**9), ("0.5Ki", 512)],
)  # fmt: skip
def test_memory(text: object, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("0s", 0)])
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("parse", "value", "hint"),
    [
        (parse_cpu, "0.0005", "Write 1m."),
        (parse_cpu, 0.0015, "Write 2m."),
        (parse_cpu, "1n", "Write 1m."),
        (parse_cpu, "1e-10", "Write 1m."),
        (parse_cpu, "1." + "0" * 39 + "1", "Write 1001m."),
        (parse_cpu, "1e17", f"Write at most {MOST}m."),
        (parse_memory, "1.5", "Write 2."),
        (parse_memory, "1.1Ki", "Write 1127."),
        (parse_memory, "1500m", "Write 2."),
        (parse_memory, "8Ei", f"Write at most {MOST}."),
        (parse_memory, str(MOST + 1), f"Write at most {MOST}."),
        (parse_memory, 10**100, f"Write at most {MOST}."),
        (parse_memory, "1e999", f"Write at most {MOST}."),
        (parse_memory, "1e-999", "Write 1."),
        (parse_memory, "2GB", "Write 2Gi (2^30) or 2G (10^9)."),
        (parse_memory, "512mb", "Write 512Mi (2^20) or 512M (10^6)."),
        (parse_memory, "4K", "Write 4Ki (2^10) or 4k (10^3)."),
        (parse_duration, 30, 'Write "30s" for seconds, "30m" for minutes.'),
    ],
)  # fmt: skip
def test_the_hint_has_what_to_write(parse, value: object, hint: str) -> None:  # type: ignore[no-untyped-def]  # any of the three
    with pytest.raises(QuantityError) as caught:
        parse(value)
    assert caught.value.hint == hint
    assert len(caught.value.message) < 100


@pytest.mark.parametrize("parse", [parse_cpu, parse_memory, parse_duration])
@pytest.mark.parametrize(
    "value",
    ["-1", "+1", " 1", "1 ", "1 Gi", "1gi", "1KI", "1GB", "1mi", "", "m", ".", "nan", "inf", "1e", "1e5000", "0x10", "١", "1Gi1", "1\n",
     "none", True, False, None, [], {}, b"1", Decimal(1), float("nan"), float("inf"), -1, -0.5, object()],
)  # fmt: skip
def test_what_is_no_amount(parse, value: object) -> None:  # type: ignore[no-untyped-def]  # any of the three
    with pytest.raises(QuantityError):
        parse(value)


@pytest.mark.parametrize("value", ["1", "1.5h", "1h30m", "h", "-1h", "1w", "1H", "1000000000s", "1 h", 0.5])
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(QuantityError):
        parse_duration(value)


def test_a_number_that_python_cannot_write_out() -> None:
    with pytest.raises(QuantityError):
        parse_memory(10**100_000)


def test_the_largest_amounts_are_taken() -> None:
    assert parse_memory(str(MOST)) == MOST
    assert parse_cpu(f"{MOST}m") == MOST


@given(st.integers(0, MOST))
def test_cpu_comes_back(millicores: int) -> None:
    assert parse_cpu(format_cpu(millicores)) == millicores


ROUND = st.builds(lambda a, b: a * 2**b, st.integers(1, 7), st.integers(0, 60))


@given(st.integers(0, MOST) | ROUND | ROUND.map(lambda n: n - 1))
def test_memory_comes_back(size: int) -> None:
    assert parse_memory(format_memory(size)) == size


@given(st.integers(0, 10**9 - 1))
def test_durations_come_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text(max_size=20) | st.floats() | st.integers())
def test_anything_is_an_amount_or_an_error(value: object) -> None:
    for parse in (parse_cpu, parse_memory, parse_duration):
        try:
            assert 0 <= parse(value) <= MOST
        except QuantityError as error:
            assert error.message
            assert error.hint


@given(st.decimals(0, 10**12, places=9))
def test_nothing_is_rounded_down(number: Decimal) -> None:
    """What the hint says is the next amount above."""
    try:
        millicores = parse_cpu(format(number, "f"))
    except QuantityError as error:
        millicores = parse_cpu(error.hint.removeprefix("Write ").removesuffix("."))
        assert number * 1000 < millicores < number * 1000 + 1
    else:
        assert Decimal(millicores) == number * 1000


def test_short_texts() -> None:
    assert [format_cpu(n) for n in (0, 1, 500, 1000, 1500, 62_000)] == ["0", "1m", "500m", "1", "1500m", "62"]
    sizes = (0, 1, 1024, 2**34, 2 * 10**9, 1000, 10**18, 2**60)
    assert [format_memory(n) for n in sizes] == ["0", "1", "1Ki", "16Gi", "2G", "1k", "1E", "1Ei"]
    assert [format_duration(n) for n in (0, 90, 1800, 3600, 86400, 172800, 604800)] == ["0s", "90s", "30m", "1h", "24h", "2d", "7d"]


def test_unset_is_one_thing_and_false() -> None:
    assert not UNSET
    assert repr(UNSET) == "UNSET"
    assert copy.deepcopy(UNSET) is UNSET
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
