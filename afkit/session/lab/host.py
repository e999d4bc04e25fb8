"""A process that holds one Dask cluster for the sidebar's New: ``python -m afkit.session.lab.host``.

It prints one line of JSON, ``{"id": …}`` or ``{"message", "hint", "reason"}``, and stays until the cluster is closed or until
its standard input ends, which is when the Jupyter server that started it is gone.
"""

from __future__ import annotations

import json
import sys
import threading

import afkit
from afkit.errors import AfkitError, RequestError

__all__ = ["main"]


def main() -> int:
    """Make the cluster, say so, and wait; returns the exit code."""
    try:
        # New means a new one, also where an address of another is configured
        cluster = afkit.cluster(where="local" if "://" in afkit.plan().where else "auto")
    except AfkitError as error:
        _say({"message": error.message, "hint": error.hint, "reason": error.reason if isinstance(error, RequestError) else ""})
        return error.exit_code
    _say({"id": cluster.id})
    alone = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(alone,), daemon=True).start()
    while not alone.wait(0.5):
        if cluster.status.name != "running":
            break
    cluster.close()
    return 0


def _wait_for_the_end(alone: threading.Event) -> None:
    sys.stdin.buffer.read()
    alone.set()


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
