"""Starts the smallest Dask cluster, lets it compute one task, closes it: ``python -m afkit.session.trial``, for the doctor.

The last line it prints is JSON: ``{"seconds": …}`` until the first result, or ``{"message", "hint", "refused"}``.
"""

from __future__ import annotations

import json
import sys
import time

import afkit
from afkit.errors import AfkitError, RequestError

__all__ = ["main"]


def main() -> int:
    """Try it; returns the exit code."""
    began = time.monotonic()
    try:
        with afkit.cluster(workers=1, wait=1.0, timeout="60s", name="doctor") as cluster:
            cluster.client.submit(abs, -1).result(timeout=30)
            said: dict[str, object] = {"seconds": round(time.monotonic() - began, 2)}
    except AfkitError as error:
        said = {"message": error.message, "hint": error.hint, "refused": isinstance(error, RequestError)}
    sys.stdout.write(json.dumps(said) + "\n")
    return 0 if "seconds" in said else 1


if __name__ == "__main__":
    sys.exit(main())
