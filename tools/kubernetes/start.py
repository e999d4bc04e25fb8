"""Starts a cluster: configuration, holder, programs, nodes. It is Ready in a few seconds once the programs are built."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from afkit.facility.model import Facility, Pool
from tools.cache import home
from tools.images.store import Image
from tools.kubernetes import certificates, configuration, images as archives, machine, nodes, objects, prepared, standins
from tools.kubernetes.api import ApiError
from tools.kubernetes.build import Say
from tools.kubernetes.cluster import Cluster, ClusterError, programs_facts
from tools.kubernetes.commands import Programs, commands, import_images
from tools.kubernetes.guardian import ROOT
from tools.kubernetes.layout import API_PORT, CONTAINERD_ROOT, CONTAINERD_SOCKET, NODE, NODE_ADDRESS, PAUSE, Layout
from tools.kubernetes.stop import held, stop

FIRST = ("etcd", "containerd", "kube-apiserver")
PATIENCE = 120.0
"""Seconds for each step of a start, on a machine that is busy with other work."""


def start(
    state: Path,
    *,
    say: Say,
    facility: Facility | None = None,
    fakes: Mapping[str, int] | None = None,
    stages: Path | None = None,
    bound: bool = False,
    images: Sequence[Image] = (),
) -> Cluster:
    """Start a cluster with its state in ``state``, and return it once its node is Ready.

    The nodes are those of the facility's pools; ``fakes`` says how many fake nodes a pool has where that is not the usual number;
    ``stages`` replaces how kwok plays pods. ``bound``: the cluster ends with this process, and its state goes too. ``images``: what
    the node has from the beginning. Raises ``ClusterError`` or ``MachineError``.
    """
    layout = Layout(state.resolve())
    with only_one():
        if held(layout):
            raise ClusterError(f"a cluster runs with {layout.state} already: make kube-down ends it")
        stop(layout.state, say=lambda _: None)  # what a killed one left
        programs = machine.ready(layout.state, say)
        ready_images = prepared.prepare(programs, images, say)
        began = time.monotonic()
        layout.make()
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
            write_files(layout, programs, listener.getsockname()[1])
            guard(layout, bound=bound)
            cluster = Cluster.attach(layout.state)
            try:
                cluster.ask({"do": "forward", "host": NODE_ADDRESS, "port": API_PORT}, listener.fileno())
                if ready_images is not None:
                    lend(cluster, ready_images, say)
                run_programs(cluster, commands(layout, programs, stages=stages), say, began)
                standins.start(cluster, tuple(facility.cvmfs.repositories) if facility and facility.cvmfs else ())
                add_nodes(cluster, tuple(facility.pools.values()) if facility else (), fakes or {}, say, began)
            except BaseException:
                stop(layout.state, say=lambda _: None, keep_logs=True)
                raise
    return cluster


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """One start at a time: two with the same state folder would meet, and two at once would only be slower."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_files(layout: Layout, programs: Programs, port: int) -> None:
    """Everything that the programs read."""
    certificates.write(layout, port)
    for file, content in configuration.files(layout, cni=programs.cni, runc=programs.runc).items():
        file.write_text(content)
    pause = {"pause": programs.built["pause"].read_bytes()}
    archives.archive(layout.etc / "pause.tar", PAUSE, pause, command=["/pause"])
    layout.facts.write_text(json.dumps({"programs": programs_facts(programs)}))


def guard(layout: Layout, *, bound: bool) -> None:
    """Start the guardian, which starts the holder; returns once the holder takes requests."""
    lifeline, _ours = os.pipe() if bound else (-1, -1)
    command = [sys.executable, "-m", "tools.kubernetes.guardian", str(layout.state), *([str(lifeline)] if bound else [])]
    with (layout.logs / "holder.log").open("ab") as log:
        guardian = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[lifeline] if bound else [],
            start_new_session=True,
        )
    if bound:
        os.close(lifeline)  # the other end stays open as long as this process lives
    assert guardian.stdout is not None
    with guardian.stdout:
        if guardian.stdout.readline() != b"ready\n":
            raise ClusterError(f"no namespaces could be made:\n{tail(layout.logs / 'holder.log')}")


def lend(cluster: Cluster, folder: Path, say: Say) -> None:
    """Give the node prepared images, before its containerd starts; the folder stays in the cache as long as the cluster runs."""
    descriptor = prepared.taken(folder)
    if descriptor is None:
        say("the images have to be imported: somebody has cleared the cache")
        return
    try:
        cluster.ask({"do": "keep"}, descriptor)
    finally:
        os.close(descriptor)
    cluster.run(prepared.lend(folder, cluster.outside(CONTAINERD_ROOT)), mounts=True)


def run_programs(cluster: Cluster, planned: Mapping[str, Sequence[str | Path]], say: Say, began: float) -> None:
    """Start every program as soon as what it needs answers."""
    for name in FIRST:
        cluster.start_program(name, planned[name])
    socket_file = cluster.outside(Path(CONTAINERD_SOCKET))
    until(cluster, "containerd", socket_file.exists)
    cluster.run(import_images(cluster.programs, cluster.layout.etc / "pause.tar"), mounts=True)
    until(cluster, "kube-apiserver", lambda: answers(cluster))
    say(f"API server ready after {time.monotonic() - began:.1f} s")
    for name, command in planned.items():
        if name not in FIRST:
            cluster.start_program(name, command)
    for path, body in objects.dns().items():
        cluster.api.apply(path, body)


def answers(cluster: Cluster) -> bool:
    """Whether the API server is ready."""
    try:
        cluster.api.request("GET", "/readyz", timeout=5)
    except ApiError:
        return False
    return True


def until(cluster: Cluster, program: str, condition: Callable[[], bool]) -> None:
    """Wait for something that a program does and nobody announces. Raises where the program ends first."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if cluster.program_state()[program]["code"] is not None or time.monotonic() > deadline:
            raise ClusterError(f"{program} did not start:\n{tail(cluster.log(program))}")
        time.sleep(0.05)


def add_nodes(cluster: Cluster, pools: Sequence[Pool], fakes: Mapping[str, int], say: Say, began: float) -> None:
    """Post the fake nodes, label the real one, and wait until all are Ready."""
    real = nodes.real_node(pools, nodes.architecture())
    made = nodes.fake_nodes(pools, real, fakes)
    for node in made:
        cluster.api.request("POST", "/api/v1/nodes", node)
    for plural, one in nodes.device_objects(pools, made):
        cluster.api.apply(f"/apis/{nodes.RESOURCE_API}/{plural}/{one['metadata']['name']}", one)
    place = f"/api/v1/nodes/{NODE}"
    with told(cluster, "kubelet"):
        cluster.api.until(place, lambda node: node is not None, PATIENCE)
        cluster.api.merge(place, {"metadata": {"labels": dict(real.labels)}})
        offer(cluster, real.resources)
        cluster.api.until(place, objects.node_ready, PATIENCE)
    say(f"{NODE} is Ready after {time.monotonic() - began:.1f} s; pools on it: {', '.join(real.pools) or 'none'}")
    with told(cluster, "kwok"):
        for node in made:
            cluster.api.until(f"/api/v1/nodes/{node['metadata']['name']}", objects.node_ready, PATIENCE)
    if made:
        say(f"{len(made)} fake nodes are Ready after {time.monotonic() - began:.1f} s")


def offer(cluster: Cluster, resources: Mapping[str, str], node: str = NODE) -> None:
    """Let a node report extended resources; a kubelet that is started anew forgets them."""
    if resources:
        cluster.api.merge(f"/api/v1/nodes/{node}/status", {"status": {"capacity": dict(resources), "allocatable": dict(resources)}})


@contextlib.contextmanager
def told(cluster: Cluster, program: str) -> Iterator[None]:
    """Say what a program printed last where waiting for it was in vain."""
    try:
        yield
    except TimeoutError as error:
        raise ClusterError(f"{error}\n{program} says:\n{tail(cluster.log(program))}") from error


def tail(file: Path, lines: int = 12) -> str:
    """The end of a log."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else "(nothing)"
