"""A cluster on this machine beside Dask's own ``LocalCluster``: two workers ready, the round trip of a task, close.

Both are whole scripts, run in turn in fresh interpreters; ``LocalCluster`` needs the ``__main__`` guard. Both have their dashboards.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.table import Row

ROUNDS = 7

OURS = """
import time
began = time.perf_counter()
import afkit
cluster = afkit.cluster(workers=2, cores=1, memory="1GiB", wait=1, where="local")
client = cluster.client
"""

PEER = """
import time
if __name__ == "__main__":
    began = time.perf_counter()
    from distributed import Client, LocalCluster
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GiB")
    client = Client(cluster)
    client.wait_for_workers(2)
"""

MEASURE = """
    import json
    figures = {"ready": time.perf_counter() - began}
    def one(i):
        return i
    client.submit(one, -1).result()
    # afkit loads the dashboard now, LocalCluster has
    time.sleep(1.5)
    times = []
    for i in range(100):
        t = time.perf_counter(); client.submit(one, i).result(); times.append(time.perf_counter() - t)
    figures["trip"] = sorted(times)[50]
    t = time.perf_counter(); client.gather(client.map(one, range(2_000), pure=False)); figures["many"] = time.perf_counter() - t
    t = time.perf_counter(); client.close(); cluster.close(); figures["close"] = time.perf_counter() - t
    t = time.perf_counter()
    again = AGAIN
    figures["again"] = time.perf_counter() - t
    again.close()
    print(json.dumps(figures))
"""

OUR_AGAIN = 'afkit.cluster(workers=2, cores=1, memory="1GiB", wait=1, where="local")'
PEER_AGAIN = 'LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="1GiB")'


def once(code: str) -> dict[str, float]:
    """Run one script; returns its figures in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(code)
        environ = os.environ | {"JUPYTER_RUNTIME_DIR": folder, "CPU_LIMIT": "2"}
        done = subprocess.run([sys.executable, script], env=environ, capture_output=True, text=True, check=True, timeout=120)
        figures: dict[str, float] = json.loads(done.stdout)
        return figures


def rows() -> list[Row]:
    """Medians of scripts that are run in turn; the first of each is thrown away (it may compile)."""
    ours = OURS + "if True:\n" + MEASURE.replace("AGAIN", OUR_AGAIN)
    peer = PEER + MEASURE.replace("AGAIN", PEER_AGAIN)
    once(ours)
    once(peer)
    pairs = [(once(ours), once(peer)) for _ in range(ROUNDS)]
    wanted = (
        ("two workers ready, from a bare interpreter", "ready", "s", 1.1),
        ("two workers ready, once more", "again", "s", 1.1),
        ("round trip of one task", "trip", "s", 1.1),
        ("2,000 tasks", "many", "s", 1.2),
        ("close", "close", "s", None),
    )
    found = []
    for what, key, unit, aim in wanted:
        afkit, other = (statistics.median(pair[side][key] for pair in pairs) for side in (0, 1))
        found.append(Row(what, "LocalCluster", unit, afkit, other, aim))
    return found


def main() -> None:
    """Print the table."""
    from benchmarks.table import show

    print(show(rows()))
