"""What keeps a computation from being faster, from what its scheduler has counted."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.errors import IncompatibleError
from afkit.session.measure import Measurement, limiter

IDLE = {"seconds": 10.0, "tasks": 100, "failed": 0, "threads": 4.0, "busy": 4.0, "waiting": 0.0, "compute": 40.0, "transfer": 0.0}
IDLE |= {"scheduler": 0.1, "cores": 3.9, "network": 0.0, "workers": 4.0, "recomputed": 0, "bytes": 0.0}


@pytest.mark.parametrize(
    ("changes", "name", "figure"),
    [
        ({}, "CPU", "100% of the time"),
        ({"waiting": 40.0}, "too few workers", "40 tasks waited for 4 threads"),
        ({"cores": 1.0, "network": 125e6}, "network", "1.000 Gb/s"),
        ({"cores": 0.0, "waiting": 100.0}, "waiting", "computed only 0%"),
        ({"busy": 1.0, "transfer": 40.0}, "network", "50% of the tasks' time"),
        ({"busy": 1.0}, "too little work", "only 25%"),
        ({"busy": 1.0, "tasks": 10_000}, "chunks too small", "a task took 4 ms"),
        ({"scheduler": 0.95, "tasks": 10_000}, "chunks too small", "busy 95% of the time"),
        ({"scheduler": 0.95}, "scheduler", "busy 95% of the time"),
        ({"tasks": 0}, "nothing", "no task"),
        ({"threads": 0.0, "waiting": 7.0}, "too few workers", "7 tasks waited"),
    ],
)
def test_one_limiter_is_named_with_its_figure(changes: dict[str, Any], name: str, figure: str) -> None:
    found, because = limiter(IDLE | changes)
    assert found == name
    assert figure in because


def test_figures_are_those_of_the_block() -> None:
    asked: list[str | None] = []

    def ask(identifier: str | None) -> Any:
        asked.append(identifier)
        return "one" if identifier is None else IDLE | {"network": 1e6, "recomputed": 2}

    with Measurement(ask) as seen:
        assert repr(seen) == "still measuring"
        assert seen.limiter == "nothing"
    assert asked == [None, "one"]
    assert (seen.seconds, seen.tasks, seen.recomputed, seen.busy, seen.cores) == (10.0, 100, 2, 1.0, 3.9)
    assert (seen.tasks_per_second, seen.bytes, seen.events, seen.events_per_second) == (10.0, 1e7, None, None)
    seen.add({"bytesread": 5_000_000_000, "entries": 1000})
    seen.add(bytes=5e9, events=1000)
    assert (seen.gbits_per_second, seen.events_per_second) == (pytest.approx(8.0), 200.0)
    for text in ("8.000 Gb/s", "2,000 (200 a second)", "2 recomputed", "limiter  CPU"):
        assert text in repr(seen)


def test_a_scheduler_that_cannot_measure_says_so() -> None:
    with pytest.raises(IncompatibleError, match="cannot be measured"), Measurement(lambda _: None):
        pass
