"""The Dask sidebar of a session in a facility: clusters of the facility's Dask service beside those of kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.server import JupyterServer, execute, until
from tests.session.facility import HUB_TOKEN, Facility
from tests.session.test_facility import environment
from tests.support.secrets import Secrets


@pytest.fixture
def facility(tmp_path: Path, secrets_seen: Secrets) -> Iterator[Facility]:
    secrets_seen.add(HUB_TOKEN)
    (tmp_path / "facility").mkdir()
    made = Facility(tmp_path / "facility")
    yield made
    made.stop()


@pytest.mark.timeout(240)
def test_clusters_of_the_facility_are_shown_and_obey(start_jupyter: Callable[..., JupyterServer], facility: Facility) -> None:
    jupyter = start_jupyter(**environment(facility))
    assert jupyter.clusters() == []
    with jupyter.kernel() as kernel:
        execute(kernel, "import afkit; cluster = afkit.cluster(workers=1, wait=1.0, name='mine')")
        (shown,) = until(lambda: [one for one in jupyter.clusters() if one["workers"] == 1] or None)
        made = facility.clusters["mine"]
        assert (shown["id"], shown["name"]) == (made.raw["id"], "mine")
        assert shown["scheduler_address"] == f"tls://127.0.0.1:{made.port}"
        assert (shown["cores"], shown["memory"]) == (1, "1.00 GiB")
        # its dashboard, by the link of the sidebar and by that of the notebook, which are the same
        path = shown["dashboard_link"].removeprefix("/user/ada/")
        assert path == f"dask/dashboard/{shown['id']}/status"
        page = until(lambda: (answer := jupyter.http.get(path)).status_code == 200 and answer)
        assert "Dask Diagnostic UI" in page.text
        # the cluster's own routes are the facility's
        assert jupyter.http.get(f"dask/dashboard/{shown['id']}/afkit/v1/state").status_code == 401
        address = f"dask/clusters/{shown['id']}"
        jupyter.http.patch(address, json=shown | {"workers": 2}).raise_for_status()
        until(lambda: jupyter.clusters()[0]["workers"] == 2)
        refused = jupyter.http.patch(address, json=shown | {"workers": 1000})
        assert (refused.status_code, refused.json()["reason"]) == (400, "limit-exceeded")
        jupyter.http.patch(address, json=shown | {"adapt": {"minimum": 0, "maximum": 2}}).raise_for_status()
        assert jupyter.clusters()[0]["adapt"] == {"minimum": 0, "maximum": 2}
        # a service that is away for a moment hides nothing, and breaks nothing
        facility.failures += [500]
        assert len(jupyter.clusters()) == 1
        facility.failures.clear()  # where the list was still the one of a moment ago
        assert jupyter.http.delete(address).status_code == 204
        assert jupyter.clusters() == []
        assert made.ended


@pytest.mark.timeout(240)
def test_new_makes_one_in_the_facility(start_jupyter: Callable[..., JupyterServer], facility: Facility) -> None:
    jupyter = start_jupyter(**environment(facility))
    answer = jupyter.http.put("dask/clusters")
    assert answer.status_code == 200, answer.text
    (made,) = facility.clusters.values()
    assert answer.json()["id"] == made.raw["id"]
    assert not made.ended
    # it ends with the server that made it
    jupyter.process.kill()
    jupyter.process.wait()
    until(lambda: bool(made.ended))
