"""What runs in the pods of a facility's cluster: real schedulers and workers with TLS, and the two routes that the Dask service asks."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, wait
from tornado.httpclient import HTTPClientError

from afkit.session.inside import afkit_versions
from tests.session.facility import Facility, Made
from tests.session.harness import until


@pytest.fixture
def facility(tmp_path: Path) -> Iterator[Facility]:
    made = Facility(tmp_path)
    yield made
    made.stop()


def started(facility: Facility, *groups: dict[str, Any], **more: Any) -> Made:
    raw = {"name": "c", "id": str(uuid.uuid4()), "groups": list(groups), "life": "detached", "client": {"name": "afkit-x"}} | more
    return facility.make(raw)


def connected(facility: Facility, made: Made, name: str = "somebody") -> Client:
    """A client, once the scheduler is there."""
    found: list[Client] = []

    def tried() -> bool:
        try:
            found.append(Client(f"tls://127.0.0.1:{made.port}", security=facility.security, timeout=2, name=name))
        except OSError:
            return False
        return True

    until(tried, 60)
    return found[0]


def group(number: int, high: int | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "default", "low": number, "high": number if high is None else high} | more


def counted(file: Path) -> Any:
    # made here it travels by value
    def result(number: int) -> bytes:
        with file.open("a") as marks:
            marks.write("x")
        return bytes([number]) * 100_000

    return result


def there(client: Client) -> int:
    return len(client.scheduler_info(n_workers=-1)["workers"])


@pytest.mark.slow("again and again workers come and go, as real processes")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scalings", [25, pytest.param(100, marks=pytest.mark.full)])
def test_no_result_is_computed_twice_however_often_a_cluster_is_scaled(facility: Facility, tmp_path: Path, scalings: int) -> None:
    facility.tick = 0.02
    made = started(facility, group(3))
    with connected(facility, made) as client:
        client.wait_for_workers(3, timeout=60)
        held = client.map(counted(tmp_path / "marks"), range(80), pure=False)
        wait(held)
        chance = random.Random(7)
        names: set[str] = set()
        for _ in range(scalings):
            number = chance.randint(1, 5)
            facility.change(made, [{"name": "default", "low": number, "high": number}])
            # some are overtaken by the next
            time.sleep(chance.uniform(0, 1.5))
            names |= made.workers.keys()
        until(lambda: len(made.workers) == number and there(client) == number, 60)
        assert len(names) > 0.4 * scalings
        assert [value[0] for value in client.gather(held)] == list(range(80))
    assert len((tmp_path / "marks").read_text()) == 80


def test_a_worker_that_works_ends_its_task_before_it_goes(facility: Facility, tmp_path: Path) -> None:
    made = started(facility, group(2))
    marks = tmp_path / "marks"

    def slow(number: int) -> int:
        with marks.open("a") as file:
            file.write("x")
        time.sleep(1)
        return number

    with connected(facility, made) as client:
        client.wait_for_workers(2, timeout=60)
        futures = client.map(slow, range(6), pure=False)
        until(lambda: marks.exists() and len(marks.read_text()) >= 2)
        facility.change(made, [{"name": "default", "low": 1, "high": 1}])
        assert client.gather(futures) == list(range(6))
        until(lambda: there(client) == 1)
    assert len(marks.read_text()) == 6


def test_a_worker_whose_pod_ends_hands_its_results_over(facility: Facility, tmp_path: Path) -> None:
    made = started(facility, group(2))
    with connected(facility, made) as client:
        client.wait_for_workers(2, timeout=60)
        held = client.map(counted(tmp_path / "marks"), range(20), pure=False)
        wait(held)
        name, (_, process) = next(iter(made.workers.items()))
        process.terminate()
        process.wait(30)
        # another takes its place, and nothing is computed anew
        until(lambda: name not in made.workers and there(client) == 2, 60)
        assert [value[0] for value in client.gather(held)] == list(range(20))
    assert len((tmp_path / "marks").read_text()) == 20


def test_the_last_holder_of_results_stays(facility: Facility) -> None:
    made = started(facility, group(2))
    with connected(facility, made) as client:
        client.wait_for_workers(2, timeout=60)
        held = client.map(lambda number: bytes(100_000 + number), range(10), pure=False)
        wait(held)
        facility.change(made, [{"name": "default", "low": 0, "high": 0}])
        until(lambda: there(client) == 1 and made.state()["notes"], 60)
        assert [len(value) for value in client.gather(held)] == [100_000 + number for number in range(10)]
        del held
        until(lambda: there(client) == 0, 60)


def test_only_the_group_that_can_do_the_work_grows(facility: Facility) -> None:
    made = started(facility, group(0, 3), {"name": "gpu", "low": 0, "high": 2, "gpus": 1})
    with connected(facility, made) as client:
        futures = [client.submit(abs, -i, resources={"GPU": 1}, pure=False) for i in range(200)]
        slow = [client.submit(time.sleep, 2, resources={"GPU": 1}, pure=False) for _ in range(8)]
        until(lambda: sum(home == "gpu" for home, _ in made.workers.values()) == 2, 10)
        wait([*futures, *slow], timeout=90)
        assert all(home == "gpu" for home, _ in made.workers.values())


def test_the_creating_connection_is_watched(facility: Facility) -> None:
    started(facility, group(0), life="kernel")
    made = facility.clusters["c"]
    with connected(facility, made, "somebody-else"):
        assert facility.ask_inside("c", "state")["client"] == {"seen": False, "connected": 0, "gone_s": None}
        with connected(facility, made, "afkit-x"):
            until(lambda: facility.ask_inside("c", "state")["client"] == {"seen": True, "connected": 1, "gone_s": None})
            assert facility.ask_inside("c", "state")["clients"] == 2
        until(lambda: (facility.ask_inside("c", "state")["client"]["gone_s"] or 0) > 0.5)
        until(lambda: bool(made.ended))


def test_the_routes_want_the_token_and_take_what_they_know(facility: Facility) -> None:
    made = started(facility, group(0))
    with connected(facility, made):
        for token in ("", "x" * 32):
            for route, body in (("state", None), ("retire", {"workers": []})):
                with pytest.raises(HTTPClientError) as refused:
                    facility.ask_inside("c", route, body, token)
                assert refused.value.code == 401
        for body in ([], {}, {"workers": "all"}, {"workers": [1]}, {"workers": [], "busy": "kill"}, {"workers": [], "seconds": 1e9}):
            with pytest.raises(HTTPClientError) as refused:
                facility.ask_inside("c", "retire", body)
            assert refused.value.code == 400
        assert facility.ask_inside("c", "retire", {"workers": ["nobody"]}) == {"retired": [], "kept": {"nobody": "unknown"}}


def test_a_worker_of_another_environment_is_kept_out_and_says_why(facility: Facility) -> None:
    versions = afkit_versions.versions() | {"numpy": "1.0.0"}
    made = started(facility, group(1), client={"name": "afkit-x", "versions": versions}, cvmfs=["nowhere.example.org"])
    with connected(facility, made) as client:
        until(lambda: bool(made.seen.get("refused")), 60)
        (said,) = made.seen["refused"].values()
        here = afkit_versions.versions()["numpy"]
        assert f"numpy {here} instead of 1.0.0" in said["message"]
        assert "image" in said["hint"]
        assert there(client) == 0


@pytest.mark.parametrize(
    ("session", "worker", "wrong"),
    [
        ({"python": "3.11.7"}, {"python": "3.11.9"}, []),
        ({"python": "3.11.7"}, {"python": "3.12.1"}, ["Python 3.12.1 instead of 3.11.7"]),
        ({"dask": "1"}, {}, ["no dask"]),
        ({"numpy": "1"}, {}, []),
        ({}, {"numpy": "1"}, []),
        ({"numpy": "1"}, {"numpy": "2"}, ["numpy 2 instead of 1"]),
    ],
)
def test_what_has_to_be_the_same(session: dict[str, str], worker: dict[str, str], wrong: list[str]) -> None:
    assert afkit_versions.differences(session, worker) == wrong
