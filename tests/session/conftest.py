"""Sessions of their own for the tests of `afkit.cluster`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest

from tests.session.harness import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty session; whatever was started in it is killed at the end."""
    with tempfile.TemporaryDirectory(prefix="ses") as temporary:
        made = Place(tmp_path, Path(temporary))
        yield made
        made.end()


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The same for clusters that the test makes in its own process; at the end nothing of them may be left."""
    from afkit.session import live

    for name in (
        "JUPYTERHUB_SERVICE_PREFIX",
        "JUPYTERHUB_PUBLIC_URL",
        "AFKIT_DASK",
        "AFKIT_POOL",
        "AFKIT_ARCH",
        "AFKIT_PROFILE",
        "DASK_SCHEDULER_ADDRESS",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in place.environ.items():
        if name not in {"PATH", "LANG", "CI", "PYTHONPATH", "HOME"}:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(place.temporary))
    yield place
    for cluster in list(live._live.values()):
        cluster.close()
    assert dask.config.get("scheduler-address", None) is None
    assert dask.config.get("scheduler", None) is None
    ours = {process.pid for process in place.processes()}
    assert not ours, ours
    assert place.clean()
