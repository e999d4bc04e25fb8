"""What a provider says of a person → their groups in the facility and whether they may log in, CPU of one login.

The claims are those of the tests, one set of each kind of provider, by a facility of seven issuers; ``ten groups`` is an ID token of
INDIGO IAM with as many. ``first``: nothing is kept from an earlier login. The peer of each row is the aim.
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
from benchmarks.table import Row, alternate, show

HERE = Path(__file__).resolve().parents[1] / "tests" / "unit" / "policy" / "claims"
AIM = 20.0
"""Microseconds."""
SETS = ("iam-wlcg", "iam-aarc", "iam-plain", "egi", "cern", "cilogon", "keycloak")


def timed(one: Callable[[], Any], count: int = 2000) -> Callable[[], float]:
    """Microseconds of CPU of one call, after so many others."""
    for _ in range(count):
        one()

    def measure() -> float:
        started = time.process_time()
        for _ in range(count):
            one()
        return (time.process_time() - started) * 1e6 / count

    return measure


def rows() -> list[Row]:
    """One row a provider, one of many groups, and one of a first login."""
    facility = load_facility(HERE / "providers.yaml")
    claims = {name: json.loads((HERE / "sets" / f"{name}.json").read_text()) for name in SETS}
    claims["ten groups"] = claims["iam-wlcg"] | {"wlcg.groups": ["/cms", *(f"/cms/group-{number}" for number in range(9))]}

    def login(name: str) -> Callable[[], Any]:
        return lambda: admit(facility, claims[name])

    def first() -> Any:
        entitlement_group.cache_clear()
        return admit(facility, claims["egi"])

    measured = {f"claims → groups, {name}": timed(login(name)) for name in claims}
    measured["claims → groups, egi, first"] = timed(first)
    return [Row(what, "the aim", "us", alternate(measure, lambda: AIM)[0], AIM, 1.0) for what, measure in measured.items()]


def main() -> None:
    """Print the table."""
    print(show(rows()))
