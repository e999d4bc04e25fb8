"""What a provider says of a person → who it is, in which groups of the facility, and whether they may log in: CPU of one login.

The claims are those of the tests, one set of each kind of provider, by a facility of seven issuers; ``ten groups`` is an ID token of
INDIGO IAM with as many. ``first``: nothing is kept of an earlier login. The peer of each row is the aim. Of each the least of many
rounds counts: whatever else the machine does only adds to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afkit.facility.load import load_facility
from afkit.policy.claims import admit
from afkit.policy.claims.aarc import entitlement_group
from afkit.policy.claims.text import ignored
from benchmarks.table import Row, show

HERE = Path(__file__).resolve().parents[1] / "tests" / "unit" / "policy" / "claims"
AIM = 20.0
"""Microseconds."""
SETS = ("iam-wlcg", "iam-aarc", "iam-plain", "egi", "cern", "cilogon", "keycloak")
ROUNDS, COUNT = 60, 200


def least(one: Callable[[], Any]) -> float:
    """Microseconds of CPU of one call, in the round in which the least else went on."""

    def measure() -> float:
        started = time.process_time()
        for _ in range(COUNT):
            one()
        return (time.process_time() - started) * 1e6 / COUNT

    return min(measure() for _ in range(ROUNDS))


def rows() -> list[Row]:
    """One row a provider, one of many groups, and one of a first login."""
    facility = load_facility(HERE / "providers.yaml")
    claims = {name: json.loads((HERE / "sets" / f"{name}.json").read_text()) for name in SETS}
    claims["ten groups"] = claims["iam-wlcg"] | {"wlcg.groups": ["/cms", *(f"/cms/group-{number}" for number in range(9))]}

    def login(name: str) -> Callable[[], Any]:
        return lambda: admit(facility, claims[name])

    def first() -> Any:
        entitlement_group.cache_clear()
        ignored.cache_clear()
        return admit(facility, claims["egi"])

    measured = {name: login(name) for name in claims}
    made = [Row(f"claims → groups, {name}", "the aim", "us", least(one), AIM, 1.0) for name, one in measured.items()]
    return [*made, Row("claims → groups, egi, first", "the aim of the others", "us", least(first), AIM)]


def main() -> None:
    """Print the table."""
    print(show(rows()))
