"""What a session asks of the facility's Dask service is what the service reads: both sides' own code."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.policy.cluster_ask import parse_cluster, parse_numbers
from afkit.session.ask import ask
from afkit.session.cluster import _DEFAULTS
from afkit.session.groups import Group, parse_request
from afkit.session.inside import afkit_versions


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"workers": 3, "life": "detached", "name": "mine", "image": "scientific", "env": {"A": "b"}, "cvmfs": ["cms.cern.ch"]},
        {"workers": (0, 50), "cores": 0.5, "memory": "2GiB", "groups": {"gpu": Group((0, 2), gpus=1, pool="gpu", tags=["fast"])}},
        {"life": "server", "python": "/cvmfs/sft.cern.ch/view/bin/python"},
    ],
)
def test_a_request_arrives_as_it_was_meant(arguments: dict[str, Any]) -> None:
    request = parse_request(_DEFAULTS | arguments)
    asked = ask(request, request.idle, {"JUPYTERHUB_SERVER_NAME": "gpu"}, dry_run=True)
    read = parse_cluster(asked.body)
    assert (read.name, read.id, read.client, read.life, read.server, read.dry_run) == (
        asked.name, asked.id, asked.client, request.life, "gpu", True,
    )  # fmt: skip
    assert (read.image, read.python, read.cvmfs, read.env) == (request.image, asked.body["python"], request.cvmfs, request.env)
    assert read.idle == request.idle
    assert read.versions == afkit_versions.versions()
    for theirs, ours in zip(read.groups, request.groups, strict=True):
        for name in ("name", "low", "high", "cores", "memory", "gpus", "pool", "tags"):
            assert getattr(theirs, name) == getattr(ours, name), name


def test_numbers_arrive() -> None:
    (read,) = parse_numbers({"groups": [{"name": "gpu", "low": 0, "high": 3}]})
    assert (read.name, read.low, read.high) == ("gpu", 0, 3)
