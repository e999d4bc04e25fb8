"""Who a user of the hub is to the facility."""

from __future__ import annotations

import pytest

from afkit.errors import NotEntitledError
from afkit.facility.model import Facility, Group, IdentityRules, Issuer
from afkit.hub.people import entitlements, identity
from afkit.policy.model import Identity
from tests.unit.policy.facilities import facility


def of(*issuers: Issuer) -> Facility:
    rules = IdentityRules(allow=("everyone",), issuers={each.name: each for each in issuers}, local={"ada": ("keepers",)})
    return facility(groups={"keepers": Group("keepers", admin=True), "course": Group("course", ("school:course-1",))}, identity=rules)


def test_the_facility_s_own_people() -> None:
    assert identity(of(), "ada") == Identity("ada", "local", "ada", groups=("keepers",))
    assert entitlements(of(), "ada", only_local=True).admin
    with pytest.raises(NotEntitledError, match="'eve'"):
        identity(of(), "eve", only_local=True)


def test_nobody_whom_jupyterhub_lets_in_is_one_of_them_by_name() -> None:
    """`identity.local` is for one machine; somebody elsewhere may well be called the same."""
    school = of(Issuer("school", "hub"))
    assert identity(school, "ada", lambda: ["course-1"]) == Identity("ada", "school", "ada", ("school:course-1",))
    assert entitlements(school, "ada", lambda: ["course-1"]).groups == ("everyone", "course")
    assert not entitlements(school, "ada").admin
    assert entitlements(school, "ada", only_local=True).admin, "where the hub lets in its own people only"
