"""Images that new nodes have at once: several nodes use one folder of the cache, and nothing that runs on them changes it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.hub.anyhub import until
from tests.support.rules import missing
from tests.support.tiny import image
from tools.cache import DONE, home
from tools.images import store
from tools.kubernetes import prepared
from tools.kubernetes.commands import Programs
from tools.kubernetes.layout import CONTAINERD_SOCKET
from tools.kubernetes.machine import SBIN, node_programs, reasons_against

NODE = f"""
mount -t tmpfs none /run
mount --bind "$1" /var/lib
shift 1
containerd=$1 ctr="$2 --address {CONTAINERD_SOCKET} --namespace k8s.io" image=$3
shift 3
"$@"
printf 'version = 2\\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\\n' >/run/containerd.toml
"$containerd" --config /run/containerd.toml >/run/log 2>&1 &
until [ -S {CONTAINERD_SOCKET} ]; do kill -0 $! && sleep 0.05; done
$ctr images check "name==$image"
mkdir /run/image
$ctr images mount --rw "$image" /run/image >/run/mounted
echo up
read -r _
cat /run/image/below /run/image/above
echo changed >/run/image/below
chmod 777 /run/image/above
chown 1234 /run/image/folder/kept
setfattr -n trusted.afkit -v changed /run/image/folder/kept 2>/run/no-setfattr || test ! -s "$(command -v setfattr)"
rm -r /run/image/folder
cat /run/image/below
for lent in /var/lib/containerd/{prepared.LAYERS}/*/fs/below /var/lib/containerd/{prepared.BLOBS}/*; do
  case "$lent" in */fs/below) mountpoint -q "${{lent%/fs/below}}" || continue ;; esac  # but its own
  if echo changed 2>/run/refused >"$lent"; then echo "$lent was writable"; else tail -c 22 /run/refused; fi
done
echo changes made
read -r _
"""
"""A node's containerd and nothing else, with a writable container's file system of the image."""


@pytest.fixture(scope="module")
def programs() -> Programs:
    """containerd and what belongs to it; nothing is built."""
    if problems := list(reasons_against(home() / "clusters")):
        missing("a machine that can run a cluster", problems[0])
    tools = node_programs(lambda _: None)
    return Programs({}, tools["containerd"], tools["ctr"], tools["runc"], tools["cni"], f"{tools['containerd'].parent}:{SBIN}")


@pytest.fixture
def cache(programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "afkit"


def everything(folder: Path) -> dict[str, object]:
    """What a folder holds: kind, owner, rights, time, attributes and content of everything."""
    found: dict[str, object] = {}
    for path in sorted((folder / "root").rglob("*")):
        stat = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}
        found[str(path)] = (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime_ns, stat.st_size, content, attributes)
    return found


class Node:
    """A containerd that was lent the folder."""

    def __init__(self, programs: Programs, folder: Path, state: Path, reference: str) -> None:
        state.mkdir()
        lent = prepared.lend(folder, state / "containerd")
        command = [*prepared.MAKE, NODE, "sh", state, programs.containerd, programs.ctr, reference, *lent]
        self.process = subprocess.Popen(
            command, env={"PATH": programs.path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def until(self, last: str) -> list[str]:
        """What it says up to a line."""
        assert self.process.stdout is not None
        said: list[str] = []
        for line in self.process.stdout:
            said.append(line.strip())
            if said[-1] == last:
                return said
        raise AssertionError("\n".join(said))

    def go_on(self) -> None:
        """Let it do the next thing."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def test_two_nodes_have_the_images_at_once_and_change_nothing_of_them(programs: Programs, cache: Path, tmp_path: Path) -> None:
    said: list[str] = []
    made = image(tmp_path / "image", padding=2 * prepared.LARGE)
    folder = prepared.prepare(programs, [made], said.append)
    assert folder is not None, said
    before = everything(folder)
    assert (folder / "root" / prepared.BLOBS / list(made.blobs())[2].removeprefix("sha256:")).stat().st_nlink == 2, "kept once"
    with (
        Node(programs, folder, tmp_path / "one", made.reference) as one,
        Node(programs, folder, tmp_path / "two", made.reference) as two,
    ):
        for node in (one, two):
            (listed,) = [line for line in node.until("up") if made.reference in line]
            assert "complete (3/3)" in listed and listed.endswith("true"), listed
        one.go_on()
        words = one.until("changes made")
        assert "changed" in words and not [line for line in words if "was writable" in line], words
        assert words.count("Read-only file system") == len(list(prepared.parts(folder / "root"))) - 1, words
        # what the first has changed the second does not see
        two.go_on()
        seen = two.until("changes made")
        assert "".join(seen[:2]).replace(" ", "") == "belowabove", seen[:2]
    assert everything(folder) == before
    # it is found again, and not made anew
    assert prepared.prepare(programs, [made], said.append) == folder
    assert len([line for line in said if "preparing" in line]) == 1


MAKES = """
import sys
from pathlib import Path
from tests.support.tiny import image
from tools.images import store
from tools.kubernetes import prepared
from tools.kubernetes.commands import Programs

def half(images, out):
    out.write(b"half")
    out.flush()
    print("half", flush=True)
    sys.stdin.read()

store.write = half
prepared.prepare(Programs({}, *map(Path, sys.argv[2:6]), sys.argv[6]), [image(Path(sys.argv[1]))], print)
"""


def test_a_maker_that_is_killed_leaves_nothing_half(programs: Programs, cache: Path, tmp_path: Path) -> None:
    places = [programs.containerd, programs.ctr, programs.runc, programs.cni]
    command = [sys.executable, "-c", MAKES, tmp_path / "theirs", *places, programs.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        while maker.stdout.readline() != "half\n":
            assert maker.poll() is None
        maker.kill()
    (left,) = [folder for folder in (cache / prepared.KIND).iterdir() if folder.is_dir()]
    assert not (left / DONE).exists()
    assert prepared.taken(left) is None
    until(lambda: not [process for process in psutil.process_iter(["cmdline"]) if str(left) in (process.info["cmdline"] or ())], 10, "none")
    made = image(tmp_path / "ours")
    folder = prepared.prepare(programs, [made], lambda _: None)
    assert folder == left
    with Node(programs, folder, tmp_path / "node", made.reference) as node:
        node.until("up")


def test_what_cannot_be_prepared_is_imported_later(programs: Programs, cache: Path, tmp_path: Path) -> None:
    made = image(tmp_path / "image")
    *_, layer = made.blobs()
    store.blob(layer).write_bytes(b"something else")
    said: list[str] = []
    assert prepared.prepare(programs, [made], said.append) is None
    assert "the images have to be imported" in said[-1]
    assert prepared.prepare(programs, [], said.append) is None


@pytest.fixture
def used(programs: Programs, cache: Path, tmp_path: Path) -> Iterator[Path]:
    """The oldest folder, which somebody uses."""
    folder = prepared.prepare(programs, [image(tmp_path / "used", "used")], lambda _: None)
    assert folder is not None
    descriptor = prepared.taken(folder)
    assert descriptor is not None
    yield folder
    os.close(descriptor)


def test_old_images_go_but_for_those_that_a_node_uses(programs: Programs, used: Path, tmp_path: Path) -> None:
    folders = [used]
    for number in range(prepared.KEPT + 1):
        os.utime(folders[-1], (number, number))
        made = prepared.prepare(programs, [image(tmp_path / f"{number}", f"image-{number}")], lambda _: None)
        assert made is not None and made not in folders
        folders.append(made)
    assert [folder.exists() for folder in folders] == [True, False, True, True]
    # a cache that is cleared by hand, too
    (folders[-1] / DONE).unlink()
    assert prepared.taken(folders[-1]) is None
    assert prepared.taken(tmp_path / "nothing") is None
