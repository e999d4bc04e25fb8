"""``python -m tools.kubernetes up|down|build|kubectl|enter``: a real Kubernetes on this machine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from afkit.facility.load import load_facility
from afkit.up.state import write_private
from tools.images.build import seldom_changed
from tools.kubernetes.build import BuildError
from tools.kubernetes.cluster import Cluster, ClusterError
from tools.kubernetes.deploy import deploy
from tools.kubernetes.layout import Layout, default_state
from tools.kubernetes.machine import MachineError, ready, reasons_against
from tools.kubernetes.site import people
from tools.kubernetes.start import start
from tools.kubernetes.stop import StopError, held, stop
from tools.suite.debian import PackageError

FACILITY = Path(__file__).resolve().parents[2] / "tests/cluster/facility.yaml"


def main(arguments: list[str]) -> int:
    """Do one of them; what goes wrong is said in a sentence."""
    # what follows ``kubectl`` is kubectl's own, options too
    end = arguments.index("kubectl") + 1 if "kubectl" in arguments else len(arguments)
    options = parser().parse_args(arguments[:end])
    options.kubectl = arguments[end:]
    try:
        return int(options.do(options) or 0)
    except (MachineError, ClusterError, BuildError, StopError, PackageError) as error:
        print("\n".join(f"afkit: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="tools.kubernetes", description=__doc__)
    made.add_argument("--state", type=Path, default=default_state(), help="the cluster's folder (another one is another cluster)")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    up_ = commands.add_parser("up", help="start a cluster with a facility in it")
    up_.add_argument("--facility", type=Path, default=FACILITY, help="the facility file (a small one that fits this machine)")
    up_.add_argument("--bare", action="store_true", help="the cluster with the facility's nodes, without the facility")
    up_.add_argument("--fake", action="append", default=[], metavar="POOL=N", help="so many fake nodes of a pool")
    up_.set_defaults(do=up)
    commands.add_parser("down", help="end it").set_defaults(do=down)
    build_ = commands.add_parser("build", help="build its programs, nothing else")
    build_.add_argument("--where-possible", action="store_true", help="where no cluster can run, say why and build nothing")
    build_.set_defaults(do=build)
    commands.add_parser("kubectl", help="run kubectl with it").set_defaults(do=kubectl)
    enter_ = commands.add_parser("enter", help="run a command inside")
    enter_.add_argument("--mounts", action="store_true", help="with the cluster's mounts and process numbers")
    enter_.add_argument("--names", action="store_true", help="with the cluster's names")
    enter_.add_argument("words", nargs=argparse.REMAINDER)
    enter_.set_defaults(do=enter)
    return made


def up(options: argparse.Namespace) -> None:
    """Start a cluster, deploy the facility, and say how to use them; of what runs already only the changes are deployed."""
    fakes = {name: int(number) for name, _, number in (word.partition("=") for word in options.fake)}
    if held(Layout(options.state.resolve())):
        cluster = Cluster.attach(options.state)
    else:
        images = () if options.bare else seldom_changed()
        cluster = start(options.state, say=say, facility=load_facility(options.facility), fakes=fakes, images=images)
    say(f"KUBECONFIG={cluster.kubeconfig}")
    if not options.bare:
        made = deploy(cluster, options.facility, say=say)
        names = people(made.facility)
        file = cluster.layout.state / "facility.json"
        write_private(file, json.dumps({"url": made.url, "users": dict.fromkeys(names, made.password), "token": made.token}, indent=1))
        # a password is for a person's eyes, not for the log of a job
        where = f"everybody's password is {made.password}" if sys.stdout.isatty() else f"the passwords are in {file}"
        say(f"log in as {' or '.join(names)}; {where}")
        say(made.url)


def down(options: argparse.Namespace) -> None:
    """End a cluster."""
    stop(options.state, say=say)


def build(options: argparse.Namespace) -> None:
    """Make the programs ready."""
    reasons = list(reasons_against(options.state)) if options.where_possible else []
    for reason in reasons:
        say(f"no cluster can run here: {reason}")
    if not reasons:
        ready(options.state, say)


def kubectl(options: argparse.Namespace) -> None:
    """Become kubectl."""
    cluster = Cluster.attach(options.state)
    os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
    os.execv(cluster.kubectl, ["kubectl", *options.kubectl])


def enter(options: argparse.Namespace) -> None:
    """Become a command inside."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    command = Cluster.attach(options.state).enter(words or ["bash"], mounts=options.mounts, names=options.names)
    os.execvp(command[0], command)


def say(line: str) -> None:
    """Print one line."""
    print(f"afkit: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
