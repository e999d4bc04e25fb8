"""In a notebook: a real kernel, what it shows, the dashboard behind a hub's proxy, coffea."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

import afkit
from afkit.session import dashboard
from tests.session.harness import Place, until


class Kernel:
    """A kernel as JupyterLab runs it."""

    def __init__(self, place: Place) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(place.temporary / "k"))
        self.manager.kernel_spec.argv[0] = sys.executable
        self.manager.start_kernel(env=place.environ, cwd=str(place.home))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    def run(self, code: str, timeout: float = 60) -> tuple[str, list[dict[str, Any]]]:
        """What a cell prints, and the bundles that it displays."""
        printed, shown, failed = [], [], []

        def output(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] in {"display_data", "execute_result"}:
                shown.append(content["data"])
            elif message["msg_type"] == "error":
                failed.append("\n".join(content["traceback"]))

        reply = self.client.execute_interactive(textwrap.dedent(code), timeout=timeout, output_hook=output)
        assert not failed, failed[0]
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed), shown

    def stop(self) -> None:
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(place: Place) -> Iterator[Kernel]:
    made = Kernel(place)
    yield made
    made.stop()


@pytest.mark.oldest
def test_cells(kernel: Kernel, place: Place) -> None:
    printed, shown = kernel.run(
        """
        import afkit
        cluster = afkit.cluster(workers=2, wait=1)
        cluster
        """
    )
    assert printed == ""
    assert "AfkitCluster" in shown[-1]["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in shown[-1]
    printed, _ = kernel.run("def twice(x):\n    return 2 * x\nprint(cluster.client.gather(cluster.client.map(twice, range(3))))")
    assert printed == "[0, 2, 4]\n"
    printed, _ = kernel.run("async with afkit.cluster(workers=1) as second:\n    print(await second.client.submit(twice, 4))")
    assert printed == "8\n"
    printed, shown = kernel.run("afkit.plan(workers=1)")
    assert "default: 1 × 1 core, 2GiB" in shown[-1]["text/plain"]
    # what tasks print belongs to the workers' logs, not into whichever cell runs
    printed, _ = kernel.run("print(cluster.client.submit(lambda: print('from a task')).result())\nlogs = cluster.logs()")
    assert printed == "None\n"
    printed, _ = kernel.run("print([text for name, text in logs.items() if 'from a task' in text] != [])\ncluster.close()")
    assert printed == "True\n"
    until(lambda: not list(place.temporary.glob("afkit-*")))


@pytest.mark.parametrize("how", [pytest.param("killed", marks=pytest.mark.oldest), "restarted", "shut down"])
def test_the_kernel_s_end_is_the_cluster_s(kernel: Kernel, place: Place, how: str) -> None:
    kernel.run(
        "import afkit\ncluster = afkit.cluster(workers=2, wait=1)\nfutures = cluster.client.map(__import__('time').sleep, [600] * 4)"
    )
    workers = [process for process in place.processes() if process.pid != kernel.pid]
    assert len(workers) == 3
    if how == "killed":
        kernel.manager.autorestart = False
        os.kill(kernel.pid, signal.SIGKILL)
    elif how == "restarted":
        kernel.manager.restart_kernel(now=True)
    else:
        kernel.manager.shutdown_kernel(now=False)
    until(lambda: not any(process.is_running() for process in workers), 5)
    until(lambda: not list(place.temporary.glob("afkit-*")), 5)


def test_an_interrupted_cell_leaves_the_cluster(kernel: Kernel) -> None:
    kernel.run("import afkit\ncluster = afkit.cluster(workers=1, wait=1)")
    # an error aborts what waits behind it for a moment, and with that the cell that comes next
    message = kernel.client.execute("cluster.client.submit(__import__('time').sleep, 600).result()", stop_on_error=False)
    until(lambda: kernel.client.get_iopub_msg(timeout=20)["msg_type"] == "execute_input")
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=20)
    assert reply["parent_header"]["msg_id"] == message
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    printed, _ = kernel.run("cluster.scale(2)\ncluster.wait_for_workers(2, timeout=30)\nprint(cluster.client.submit(abs, -1).result())")
    assert printed == "1\n"


def test_it_is_shown_without_ipywidgets(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    InteractiveShell.instance()
    cluster = afkit.cluster(workers=1, wait=1)
    with capture_output() as captured:
        cluster._ipython_display_()
    assert "AfkitCluster" in captured.outputs[0].data["text/plain"]
    assert "Dashboard" in captured.outputs[0].data["text/html"]
    InteractiveShell.clear_instance()


# the dashboard


@pytest.mark.oldest
def test_the_dashboard_is_there_as_soon_as_somebody_looks(here: Place) -> None:
    cluster = afkit.cluster(workers=1)
    assert cluster.dashboard_link.startswith("http://127.0.0.1:")
    for page in ("status", "workers", ""):
        with urllib.request.urlopen(cluster.dashboard_link.replace("status", page), timeout=60) as answer:
            assert answer.status == 200
            assert b"Dask" in answer.read()
    cluster.close()
    assert cluster.dashboard_link == ""


def test_links() -> None:
    assert dashboard.link("127.0.0.1", 1234, {}) == "http://127.0.0.1:1234/status"
    assert dashboard.link("127.0.0.1", 1234, {"JUPYTERHUB_SERVICE_PREFIX": "/base/user/ada/"}) == "/base/user/ada/proxy/1234/status"
    public = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/ada/"}
    assert dashboard.link("127.0.0.1", 1234, public) == "https://hub.example/user/ada/proxy/1234/status"
    with dask.config.set({"distributed.dashboard.link": "https://site.example/{port}"}):
        assert dashboard.link("127.0.0.1", 1234, public) == "https://site.example/1234"


def test_without_bokeh_it_works_too(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "installed", lambda: False)
    for name in [name for name in sys.modules if name.split(".")[0] == "bokeh" or name.startswith("distributed.dashboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bokeh", None)
    import distributed

    monkeypatch.delattr(distributed, "dashboard", raising=False)
    with afkit.cluster(workers=1) as cluster:
        assert cluster.client.submit(abs, -1).result() == 1
        with urllib.request.urlopen(cluster.dashboard_link, timeout=20) as answer:
            assert b"bokeh" in answer.read().lower()


# coffea


@pytest.mark.oldest
def test_coffea(here: Place, tmp_path: Path) -> None:
    import awkward as ak
    import numpy as np
    import uproot
    from coffea import processor

    path = tmp_path / "sample.root"
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 4, 2_000)
    muons = ak.zip({"pt": ak.unflatten(rng.exponential(30, counts.sum()).astype("float32"), counts)})
    with uproot.recreate(path) as file:
        tree = file.mktree("Events", {"run": "uint32", "Muon": muons.type.content})
        tree.extend({"run": np.ones(2_000, dtype="uint32"), "Muon": muons})

    def made() -> Any:
        class Count(processor.ProcessorABC):  # type: ignore[misc]
            def process(self, events: Any) -> dict[str, Any]:
                import awkward

                return {"events": len(events), "muons": int(awkward.sum(awkward.num(events.Muon_pt)))}

            def postprocess(self, result: Any) -> Any:
                return result

        return Count()

    from coffea.nanoevents import BaseSchema

    with afkit.cluster(workers=2, wait=1, memory="1GiB") as cluster:
        run = processor.Runner(executor=cluster.executor(status=False, retries=0), schema=BaseSchema, chunksize=500)
        result = run({"sample": {"files": {str(path): "Events"}}}, processor_instance=made())
    assert result == {"events": 2_000, "muons": int(counts.sum())}
