"""``afkit clusters``: lists the analyst's own Dask clusters, on this machine and in the facility, ends one, shows what it has logged."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afkit.session.cluster import ClusterInfo

__all__ = ["configure", "run"]

_COLUMNS = ("NAME", "WHERE", "WORKERS", "CORES", "MEMORY", "SCHEDULER")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``afkit clusters``."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="`stop NAME` or `logs NAME`; left out, the clusters are listed")
    stop = actions.add_parser("stop", help="end a cluster, whoever uses it", description="End a cluster, whoever uses it.")
    stop.add_argument("name", metavar="NAME", help="the cluster's name")
    logs = actions.add_parser("logs", help="what a cluster has logged", description="What a cluster's scheduler and workers have logged.")
    logs.add_argument("name", metavar="NAME", help="the cluster's name")
    for action in (stop, logs):
        # after the action too, where people write it; unset here, for the first may have set it
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """List, end or show; a name that there is not is a refusal (1)."""
    if arguments.action == "stop":
        return _stop(arguments.name, arguments.json)
    if arguments.action == "logs":
        return _logs(arguments.name, arguments.json)
    return _list(arguments.json)


def _list(as_json: bool) -> int:
    from afkit.session.cluster import clusters

    found = clusters()
    if as_json:
        print(json.dumps({"clusters": [asdict(one) | {"where": _where(one)} for one in found]}, indent=2))
        return 0
    if not found:
        print("There is no Dask cluster.")
        return 0
    rows = [_COLUMNS, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _row(one: ClusterInfo) -> tuple[str, ...]:
    from afkit.session.left import show_memory, whole

    workers = f"{one.workers} of {one.adaptive[0]} to {one.adaptive[1]}" if one.adaptive else str(one.workers)
    return one.name, _where(one), workers, f"{one.cores:g}", show_memory(whole(one.memory)), one.scheduler


def _where(one: ClusterInfo) -> str:
    return "this machine" if one.pid else "facility"


def _stop(name: str, as_json: bool) -> int:
    from afkit.session.cluster import clusters, unknown

    found = clusters()
    one = next((one for one in found if one.name == name), None)
    if one is None:
        raise unknown(name, [one.name for one in found])
    one.shutdown()
    print(json.dumps({"stopped": name}) if as_json else f"The cluster {name} ends.")
    return 0


def _logs(name: str, as_json: bool) -> int:
    from afkit.session.cluster import connect

    cluster = connect(name)
    try:
        found = {str(where): str(text) for where, text in cluster.logs().items()}
    finally:
        cluster.close()
    if as_json:
        print(json.dumps({"logs": found}, indent=2, ensure_ascii=False))
        return 0
    for where, text in found.items():
        print(f"== {where}\n{text.rstrip()}\n")
    return 0
