"""`afkit.cvmfs.check` before real mounts that die, hang, fail and heal, in the shapes in which a session may have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.session.harness import until
from tests.support.rules import missing
from tools.kubernetes.standins.cvmfs import Cvmfs, Entered, lacking

NAME = "cms.example.org"
ROOT = Path(__file__).resolve().parents[2]


class Node:
    """Mount and process namespaces with a CVMFS, and sessions that see it as pods do."""

    def __init__(self, work: Path) -> None:
        self.work = work
        # whatever ends this process ends the node
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "-m",
            "-p",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ]
        inside = "mount --make-rshared / && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen([*command, "sh", "-c", inside], stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        self._holder.stdout.close()
        pid = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()[0]
        self.enter = ("nsenter", "-t", pid, "-m", "-p")
        self.cvmfs = Cvmfs(work, Entered(self.enter))
        self.cvmfs.add(NAME, {"hello": "hello\n", "folder/file": "x"})

    def session(self, name: str, mounts: str) -> Session:
        """A mount namespace below the node's; ``mounts``: what the kubelet does, with ``$NODE`` and ``$HERE`` for the two folders."""
        here = self.work / name / "cvmfs"
        here.mkdir(parents=True)
        environment = {**os.environ, "NODE": str(self.cvmfs.path), "HERE": str(here)}
        command = [*self.enter, "unshare", "-m", "--propagation", "slave", "sh", "-e", "-c", f"{mounts}\necho $$\nexec sleep infinity"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        pid = process.stdout.readline().strip()
        process.stdout.close()
        return Session(self, pid, here)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()


class Session:
    """What runs in one, and what it sees at ``folder``."""

    def __init__(self, node: Node, pid: str, folder: Path) -> None:
        self.folder = folder
        # the number counts inside of the node's process namespace, so the node is entered first
        self._enter = (*node.enter, "nsenter", "-t", pid, "-m")

    def python(self, *arguments: str, code: int | None = 0, within: float = 30) -> str:
        """Run Python inside; at most so many seconds. Its output is a pipe, which nothing that hangs may hold open."""
        began = time.monotonic()
        done = subprocess.run(
            [*self._enter, sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        took = time.monotonic() - began
        assert code is None or done.returncode == code, done.stderr
        assert took < within, f"{took:.1f} s"
        return done.stdout

    def state(self, repository: str = NAME) -> dict[str, object]:
        """What is found of a repository. The check itself takes 5 s at most; the rest is Python's start and this machine's load."""
        code = f"import afkit; print(__import__('json').dumps(afkit.cvmfs.check({repository!r}, folder={str(self.folder)!r}).as_json()))"
        found: dict[str, object] = json.loads(self.python("-c", code))
        return found


WHOLE = "mount --rbind $NODE $HERE; mount --make-rslave $HERE"
CLOSED = "mount --rbind $NODE $HERE; mount --make-rprivate $HERE"
SINGLE = f"mkdir -p $HERE/{NAME}; mount --bind $NODE/{NAME} $HERE/{NAME}; mount --make-private $HERE/{NAME}"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    if lacks := list(lacking()):
        missing(", ".join(lacks), "As root on Linux: apt-get install libfuse2.")
    place = Node(tmp_path_factory.mktemp("node"))
    yield place
    place.close()


@pytest.fixture(scope="module")
def sessions(node: Node) -> dict[str, Session]:
    return {name: node.session(name, mounts) for name, mounts in (("whole", WHOLE), ("closed", CLOSED), ("single", SINGLE))}


@pytest.fixture
def well(node: Node) -> Iterator[Cvmfs]:
    yield node.cvmfs
    node.cvmfs.mend()


@pytest.fixture
def whole(sessions: dict[str, Session]) -> Session:
    return sessions["whole"]


def test_a_repository_that_is_well_says_of_itself_what_it_knows(well: Cvmfs, sessions: dict[str, Session]) -> None:
    for session in sessions.values():
        found = session.state()
        assert found["state"] == "ok"
        assert found["attributes"] == found["attributes"] | {"fqrn": NAME, "revision": "7", "proxy": "http://proxy.example.org:3128"}


def test_attributes_that_a_client_keeps_for_itself_are_no_fault(well: Cvmfs, whole: Session) -> None:
    well[NAME].say("secret")
    assert (whole.state()["state"], whole.state()["attributes"]) == ("ok", {})


@pytest.mark.parametrize(
    ("word", "state", "said"), [("empty", "hidden", "the node shows nothing"), ("failing", "EIO", "input/output error")]
)
def test_a_repository_that_answers_wrongly(well: Cvmfs, whole: Session, word: str, state: str, said: str) -> None:
    well[NAME].say(word)
    found = whole.state()
    assert (found["state"], found["heals"]) == (state, True)
    assert said in str(found["message"])


def test_names_that_lead_nowhere(well: Cvmfs, whole: Session) -> None:
    assert whole.state("none.example.org")["state"] == "ENOENT"
    (well.path / "loop.example.org").symlink_to("loop.example.org")
    found = whole.state("loop.example.org")
    assert found["state"] == "ELOOP"
    assert "HostToContainer" in str(found["remedy"])


def test_a_client_that_is_stopped_is_a_hang_and_said_in_time(well: Cvmfs, whole: Session) -> None:
    well[NAME].stop()
    found = whole.state()
    assert (found["state"], found["heals"]) == ("hang", True)


def test_a_client_that_took_the_question_and_does_not_answer_holds_nobody_but_the_child(well: Cvmfs, whole: Session) -> None:
    well[NAME].say("holding")
    out = whole.python("-m", "afkit.session.cvmfs", "--folder", str(whole.folder), NAME, code=1)
    assert json.loads(out)["repositories"] == {NAME: "hang"}
    held = [process for process in Path("/proc").glob("[0-9]*") if _probes(process, whole.folder)]
    assert held, "the child could be killed: this file system did not hold it"
    well[NAME].say("healthy")
    until(lambda: not any(_probes(process, whole.folder) for process in held))
    assert whole.state()["state"] == "ok"


def test_a_kernel_that_asks_again_and_again_is_never_held(well: Cvmfs, whole: Session) -> None:
    well[NAME].say("holding")
    code = f"""if True:
        import afkit, time
        for _ in range(2):
            began = time.monotonic()
            assert afkit.cvmfs.check({NAME!r}, folder={str(whole.folder)!r}).state == "hang"
            assert time.monotonic() - began < 5
    """
    whole.python("-c", code, within=40)


def test_after_the_clients_end_the_advice_is_what_happens(well: Cvmfs, sessions: dict[str, Session]) -> None:
    well[NAME].kill()
    before = {shape: session.state() for shape, session in sessions.items()}
    assert {one["state"] for one in before.values()} == {"ENOTCONN"}
    assert {shape: one["heals"] for shape, one in before.items()} == {"whole": True, "closed": False, "single": False}
    well[NAME].mount()
    after = {shape: session.state()["state"] for shape, session in sessions.items()}
    assert after == {"whole": "ok", "closed": "ENOTCONN", "single": "ENOTCONN"}


def test_what_is_mounted_later_arrives_only_with_propagation(well: Cvmfs, node: Node) -> None:
    late = {name: node.session(f"late-{name}", mounts) for name, mounts in (("whole", WHOLE), ("closed", CLOSED))}
    well.add("late.example.org", {"file": "x"})
    assert late["whole"].state("late.example.org")["state"] == "ok"
    found = late["closed"].state("late.example.org")
    assert (found["state"], found["heals"]) == ("hidden", False)
    assert "without mount propagation" in str(found["message"])


def test_the_doctor_says_it_too(well: Cvmfs, whole: Session) -> None:
    well[NAME].say("failing")
    code = f"import afkit; print(afkit.doctor({{'AFKIT_FACILITY': 'x', 'AFKIT_DASK': 'null', 'AFKIT_CVMFS': {str(whole.folder)!r}}}))"
    said = whole.python("-c", code, within=40)
    assert f"{NAME}: EIO:" in said


def _probes(process: Path, folder: Path) -> bool:
    try:
        return f"cvmfs_probe.py\0{folder}\0" in (process / "cmdline").read_text()
    except OSError:
        return False
