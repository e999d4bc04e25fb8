"""A server whose CVMFS repositories do not answer is not handed over, and its page says why."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.hubs import HubInPod
from tools.kubernetes import standins
from tools.kubernetes.standins import Cvmfs

pytestmark = [
    pytest.mark.timeout(300, func_only=True),
    pytest.mark.slow("repositories are looked at more than once before a server is refused"),
]
REPOSITORY = "cms.example.org"


@pytest.fixture
def cvmfs(hub: HubInPod) -> Iterator[Cvmfs]:
    """The node's CVMFS; well again afterwards, so that no process of a pod hangs."""
    hub.stop_all()
    node = standins.cvmfs(hub.cluster)
    yield node
    node.mend()
    hub.stop_all()


def test_dead_repositories_are_a_sentence_and_no_server(hub: HubInPod, cvmfs: Cvmfs) -> None:
    cvmfs[REPOSITORY].kill()
    answer = hub.start("ada", {"profile": "analysis"})
    assert answer.status_code == 424, answer.text
    assert f"CVMFS does not answer ({REPOSITORY})" in answer.json()["message"]
    assert hub.pods("ada") == []
    cvmfs.mend()
    assert hub.start("ada", {"profile": "analysis"}).status_code == 201


def test_repositories_that_hang_are_refused_too(hub: HubInPod, cvmfs: Cvmfs) -> None:
    cvmfs[REPOSITORY].say("holding")
    answer = hub.start("ada", {"profile": "analysis"})
    assert answer.status_code == 424, answer.text
    assert "CVMFS does not answer" in answer.json()["message"]
    assert hub.server("ada") is None


def test_a_profile_without_repositories_does_not_mind(hub: HubInPod, cvmfs: Cvmfs) -> None:
    cvmfs[REPOSITORY].kill()
    assert hub.start("ada", {"profile": "plain"}).status_code == 201
    assert hub.stop("ada").status_code == 204
