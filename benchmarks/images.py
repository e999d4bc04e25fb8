"""From exec to JupyterLab's first answer: the session image beside the same base with plain ``pip install jupyterlab``.

Both are file systems of images on the same base, entered the same way; the peer is filled by pip in that base, at the
versions of the constraints, and started as its documentation says. As root on Debian.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks.table import Row, alternate, show
from tools.images import apart, bases, buildah, store
from tools.images.build import base_image, build
from tools.images.settings import secrets

ROOT = Path(__file__).resolve().parent.parent
PEER = """\
ARG BASE
FROM ${BASE}
COPY constraints.txt pip.py /
RUN --mount=type=secret,id=packages --mount=type=secret,id=authorities python3 /pip.py
"""
PIP = """\
import os, subprocess, venv
lines = (line.partition("=") for line in open("/run/secrets/packages").read().splitlines())
os.environ.update({name: value for name, _, value in lines})
venv.create("/opt/peer", with_pip=True)
subprocess.run(["/opt/peer/bin/pip", "install", "-q", "--no-cache-dir", "-c", "/constraints.txt", "jupyterlab"], check=True)
"""
CLOCK = """\
import os, subprocess, sys, time, urllib.request
began = time.perf_counter()
command = [*sys.argv[2:], "--no-browser", "--port=8899", "--IdentityProvider.token="]
server = subprocess.Popen(command, cwd="/tmp", stderr=subprocess.DEVNULL)
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:8899/lab", timeout=60).read()
        break
    except OSError:
        assert server.poll() is None and time.perf_counter() < began + 120, "no answer"
        time.sleep(0.005)
took = time.perf_counter() - began
server.terminate()
_, _, used = os.wait4(server.pid, 0)
print(took if sys.argv[1] == "wall" else used.ru_utime + used.ru_stime)
"""
SETUP = 'ip link set lo up; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; shift; exec "$@"'


def rows() -> list[Row]:
    """Seconds of wall time until the page is there, and of processor time; the first start of each is thrown away."""
    if os.geteuid() != 0 or not shutil.which("buildah") or not shutil.which("mmdebstrap"):
        print("NOT MEASURED: images are built as root, with buildah and mmdebstrap")
        return []
    ours = build("session", say=print)
    with tempfile.TemporaryDirectory() as folder:
        theirs = peer(Path(folder))
    with store.mounted(ours) as one, buildah.mounted(theirs) as two:
        start(one, "/opt/afkit", "wall")
        start(two, "/opt/peer", "wall")
        wall, cpu = (pair(one, two, what) for what in ("wall", "cpu"))
    name = "same base, plain pip install jupyterlab"
    return [Row("image, exec to JupyterLab's page", name, "s", *wall, aim=0.6), Row("image, processor time of that", name, "s", *cpu)]


def pair(one: Path, two: Path, what: str) -> tuple[float, float]:
    """One figure of both, taken in turn."""
    return alternate(lambda: start(one, "/opt/afkit", what), lambda: start(two, "/opt/peer", what), rounds=5)


def start(root: Path, prefix: str, what: str) -> float:
    """Start JupyterLab of an environment in an image's file system, in a home of its own, and end it."""
    (root / "tmp/clock.py").write_text(CLOCK)
    home = Path(tempfile.mkdtemp(dir=root / "tmp"))
    os.chown(home, 4242, 4242)
    namespaces = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private")
    setting = ("/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", f"HOME=/tmp/{home.name}")
    command = (f"{prefix}/bin/python", "/tmp/clock.py", what, f"{prefix}/bin/jupyter", "lab")
    place = apart.inside(root)
    entered = ("sh", "-c", SETUP, "sh", place, "chroot", "--userspec=4242:4242", "--groups=", place, *setting, *command)
    return float(subprocess.run(apart.enter_mounts([*namespaces, *entered]), capture_output=True, text=True, check=True).stdout)


def peer(folder: Path) -> str:
    """The peer's image, built where it is not there yet."""
    (folder / "Containerfile").write_text(PEER)
    (folder / "pip.py").write_text(PIP)
    shutil.copy(ROOT / "constraints.txt", folder)
    image = "localhost/afkit-plain-pip"
    with buildah.only_one("peer"), secrets() as handed:
        base = base_image("python", bases.native(), print)
        arguments = (*handed, "--build-arg", f"BASE={base}")
        buildah.build(folder / "Containerfile", folder, image, arch=bases.native(), arguments=arguments, log=buildah.folder() / "peer.log")
    return image


def main() -> None:
    """Print the table."""
    print(show(rows()))
