"""Looks at a pod from the inside, with the machine's own Python: in its network, or in its mounts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tools.kubernetes.api import Object

CONNECT = """if True:
    import json, socket, sys
    from concurrent.futures import ThreadPoolExecutor

    def one(place):
        try:
            with socket.create_connection(tuple(place), seconds) as made:
                made.settimeout(seconds)
                return f"open {made.recv(64).decode().strip()}"
        except TimeoutError:
            return "closed"
        except OSError as error:
            return type(error).__name__

    seconds, places = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(places)) as pool:
        print(json.dumps(list(pool.map(one, places))))
"""


def processes_of(pod: Object) -> Iterator[int]:
    """The processes of a running pod, by their numbers on the machine."""
    uid = pod["metadata"]["uid"]
    for group in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):
            if uid in group.read_text().replace("_", "-"):
                yield int(group.parent.name)


def process_of(pod: Object) -> int:
    """One of them."""
    for process in processes_of(pod):
        return process
    raise LookupError(f"no process of {pod['metadata']['name']} runs")


def in_network(pod: Object, *command: str, seconds: float = 30) -> str:
    """What a command of the machine prints in the network of a pod."""
    entered = ["nsenter", "--target", str(process_of(pod)), "--net", "--", *command]
    return subprocess.run(entered, capture_output=True, text=True, check=True, timeout=seconds).stdout.strip()


def connects(pod: Object, places: Sequence[tuple[str, int]], seconds: float = 1.5) -> list[str]:
    """Of each host and port ``open`` and what was read first, ``closed`` (nobody answered in time), or the error; all asked at once."""
    answers: list[str] = json.loads(in_network(pod, sys.executable, "-I", "-c", CONNECT, json.dumps([seconds, places])))
    return answers


def connect(pod: Object, host: str, port: int, seconds: float = 1.5) -> str:
    """`connects` of one."""
    return connects(pod, [(host, port)], seconds)[0]


def listening(*ports: int) -> list[str]:
    """The command of a pod that says the number of the port to whoever connects to one of these."""
    return ["sh", "-c", "".join(f"nc -ll -p {port} -e /bin/echo {port} & " for port in ports) + "sleep 3600"]
