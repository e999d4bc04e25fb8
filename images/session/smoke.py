"""Run inside the image: what a person needs is there and works, and what nobody needs is not. Prints one line of JSON."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from checks import check

IMPORTED = (
    "afkit",
    "awkward",
    "coffea",
    "coffea.nanoevents",
    "distributed",
    "hist",
    "jupyterhub.singleuser",
    "jupyterlab",
    "uproot",
    "vector",
)
ABSENT = ("rfc3987_syntax", "kubespawner")


def main() -> None:
    """Every check; the first that fails ends the program."""
    check(IMPORTED, ABSENT)
    assert Path(sys.prefix, "share/afkit/notebooks/tutorial.ipynb").exists()
    own_packages()
    analyse()
    cluster()
    kernel()
    print(json.dumps({"machine": platform.machine(), "python": platform.python_version(), "lab": round(lab(), 2)}))


def own_packages() -> None:
    """What a person installs is found, after what the image has."""
    import site

    subprocess.run((sys.executable, "-m", "pip", "--version"), check=True, capture_output=True)
    Path(site.getusersitepackages()).mkdir(parents=True)
    said = subprocess.run(
        (sys.executable, "-c", "import sys; print('\\n'.join(sys.path))"), check=True, capture_output=True, text=True
    ).stdout
    assert said.index(f"{sys.prefix}/lib") < said.index(site.getusersitepackages())


def analyse() -> None:
    """Write a tree, read it back, fill a histogram of it."""
    import awkward
    import hist
    import uproot

    with uproot.recreate("/tmp/events.root") as file:
        file["Events"] = {"pt": awkward.Array([20.0, 30.0, 45.0])}
    filled = hist.Hist.new.Reg(5, 0, 50).Double().fill(uproot.open("/tmp/events.root:Events")["pt"].array())
    assert filled.sum() == 3


def cluster() -> None:
    """A Dask scheduler and a worker, in this process."""
    from distributed import Client

    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        assert client.submit(sum, [1, 2, 3]).result(timeout=120) == 6


def kernel() -> None:
    """A kernel computes."""
    from jupyter_client.manager import run_kernel

    with run_kernel(kernel_name="python3") as client:
        reply = client.execute_interactive("assert 1 + 1 == 2", timeout=120, store_history=False)
        assert reply["content"]["status"] == "ok", reply


def lab() -> float:
    """Seconds until JupyterLab answers."""
    began = time.monotonic()
    command = ("jupyter", "lab", "--no-browser", "--port=8899", "--IdentityProvider.token=")
    server = subprocess.Popen(command, cwd="/tmp", stderr=subprocess.DEVNULL)
    try:
        while time.monotonic() < began + 240 and server.poll() is None:
            try:
                with urllib.request.urlopen("http://127.0.0.1:8899/api", timeout=60):
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.05)
    finally:
        server.terminate()
        server.wait()
    raise AssertionError("JupyterLab did not answer")


if __name__ == "__main__":
    main()
