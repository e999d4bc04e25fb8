"""When an end of a session is warned of: the clock and the activity are arguments, so every second can be tried."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, strategies as st

from afkit.session.lab.lifetime import NO_END, WARN, Lifetime, lifetime_of, next_look, warnings

START = 1_700_000_000.0


def kinds(lifetime: Lifetime, now: float, active: float = START) -> list[str]:
    return [one.kind for one in warnings(lifetime, now=START + now, active=active)]


def test_a_session_that_nobody_ends_is_never_warned_of() -> None:
    assert warnings(NO_END, now=START + 1e9, active=0) == ()
    assert next_look(NO_END, now=START, active=START) is None


def test_ten_minutes_before_the_longest_life() -> None:
    life = Lifetime(longest=8 * 3600, ends=START + 8 * 3600)
    assert kinds(life, 8 * 3600 - WARN - 1) == []
    assert kinds(life, 8 * 3600 - WARN) == ["max"]
    (one,) = warnings(life, now=START + 8 * 3600 - 600, active=START)
    assert one.left == 600
    assert one.message == "This session ends in 10 minutes, after 8h, the longest allowed. Save your work; files stay."


def test_ten_minutes_before_it_has_been_idle_too_long_and_activity_takes_it_back() -> None:
    life = Lifetime(idle=3600)
    assert kinds(life, 2999) == []
    assert kinds(life, 3000) == ["idle"]
    assert kinds(life, 3000, active=START + 2990) == []
    (one,) = warnings(life, now=START + 3541, active=START)
    assert "less than a minute" in one.message


def test_a_short_idle_limit_is_warned_of_at_half() -> None:
    life = Lifetime(idle=300)
    assert kinds(life, 149) == []
    assert kinds(life, 150) == ["idle"]


def test_both_ends_at_once_are_two_warnings() -> None:
    assert kinds(Lifetime(idle=1200, longest=1300, ends=START + 1300), 1100) == ["idle", "max"]


SAID = [(59, "less than a minute"), (60, "1 minute"), (61, "2 minutes"), (599, "10 minutes"), (7200, "2 hours")]


@pytest.mark.parametrize(("seconds", "text"), SAID)
def test_the_time_that_is_left_is_said_as_people_say_it(seconds: float, text: str) -> None:
    (one,) = warnings(Lifetime(ends=START + seconds), now=START, active=START, before=1e6)
    assert f"ends in {text}." in one.message


def test_a_message_fits_into_jupyterlabs_140_characters_with_the_time_behind_it() -> None:
    for one in warnings(Lifetime(idle=300, longest=31_536_007, ends=START + 59), now=START + 299, active=START, before=1e9):
        assert len(one.message) <= 140 - len(" (31/12/2026 23:59)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, NO_END),
        ("null", NO_END),
        ("{", NO_END),
        ("[1]", NO_END),
        ('{"idle": "soon", "max": true}', NO_END),
        ('{"idle": 60, "max": null, "started": 5, "ends": null}', Lifetime(idle=60)),
        ('{"idle": null, "max": 100, "started": 5, "ends": 105}', Lifetime(longest=100, ends=105)),
        ('{"idle": null, "max": 100, "started": 5}', Lifetime(longest=100, ends=105)),
        ('{"max": Infinity, "started": 5}', NO_END),
    ],
)
def test_what_the_hub_writes(text: str | None, expected: Lifetime) -> None:
    assert lifetime_of({} if text is None else {"AFKIT_LIFETIME": text}) == expected


times = st.floats(0, 1e5)


@given(idle=st.none() | st.integers(1, 10**5), longest=st.none() | st.integers(1, 10**5), now=times, active=times)
def test_the_next_look_is_never_after_a_warning_begins(idle: int | None, longest: int | None, now: float, active: float) -> None:
    life = Lifetime(idle, longest, None if longest is None else START + longest)
    look = next_look(life, now=START + now, active=START + active)
    if look is None:
        assert life == NO_END
        return
    assert 1 <= look <= 60
    # whoever looks at these times sees every warning less than a second and a look after it begins
    before = kinds(life, now, START + active)
    if not before and look > 1:
        assert kinds(life, now + math.nextafter(look - 1e-3, 0), START + active) == []


@given(text=st.text(max_size=40) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_nonsense_is_no_limit_and_no_error(text: str) -> None:
    assert isinstance(lifetime_of({"AFKIT_LIFETIME": text}), Lifetime)
