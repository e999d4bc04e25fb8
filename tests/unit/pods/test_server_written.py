"""A Pod as the bytes that are sent: from the second server of a kind on, and the same Pod."""

from __future__ import annotations

import json

import pytest

from afkit.pods.server import ServerObjects, server_objects
from afkit.pods.site import stock_site
from afkit.policy.capacity import declared
from afkit.policy.entitle import entitle
from afkit.policy.offer import offer
from afkit.policy.select import select
from tests.unit.pods.asking import ada, identity, loaded


@pytest.mark.parametrize("name", ["ada", 'Gräce "quoted" \\ \ud800', "x" * 200])
def test_the_second_server_of_a_kind_is_written_at_once_and_is_the_same(name: str) -> None:
    facility = loaded("example.yaml")
    group = next(iter(facility.groups))
    who = identity(facility, group, name=name)
    selection = select(offer(facility, entitle(facility, who), declared(facility)), {})

    def made(*, written: bool) -> ServerObjects:
        return server_objects(facility, selection, ada(facility, group, name=name), "", stock_site(name), written=written)

    made(written=True)
    sent, data = made(written=True), made(written=False)
    assert sent.body is not None and data.body is None
    assert json.loads(sent.body) == data.pod
    assert sent.pod == {"apiVersion": "v1", "kind": "Pod", "metadata": data.pod["metadata"]}
    assert (sent.claims, sent.owned, sent.secret) == (data.claims, data.owned, data.secret)
