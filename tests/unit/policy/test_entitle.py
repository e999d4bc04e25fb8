from __future__ import annotations

from itertools import permutations

from afkit.facility.model import Group, IdentityRules
from afkit.policy.entitle import entitle, from_groups, local_identity
from afkit.policy.model import Identity
from tests.unit.policy.facilities import facility

FACILITY = facility(
    groups={
        "staff": Group("staff", ("cms:/cms", "egi:vo.example.org")),
        "named": Group("named", users=frozenset({"ada"})),
        "all-cms": Group("all-cms", ("cms:*",)),
        "bosses": Group("bosses", ("cms:/cms/bosses",), admin=True),
    },
    identity=IdentityRules(local={"ada": ("staff", "bosses"), "eve": ()}),
)


def groups(**identity: object) -> tuple[str, ...]:
    return entitle(FACILITY, Identity(**{"name": "x", "issuer": "local"} | identity)).groups  # type: ignore[arg-type]


def test_everyone_is_in_everyone_and_in_nothing_else() -> None:
    assert groups() == ("everyone",)


def test_claim_groups_are_compared_exactly() -> None:
    assert groups(issuer="cms", claim_groups=("cms:/cms",)) == ("everyone", "staff", "all-cms")
    for other in ("cms:/cms/", "cms:/CMS", "cms:/cms/sub", "cms:/", " cms:/cms", "cms:/cms\n"):
        assert "staff" not in groups(issuer="cms", claim_groups=(other,)), other


def test_the_same_group_of_another_issuer_is_another_group() -> None:
    assert groups(issuer="egi", claim_groups=("egi:/cms",)) == ("everyone",)


def test_everybody_of_an_issuer() -> None:
    assert groups(issuer="cms") == ("everyone", "all-cms")
    assert groups(issuer="cms2") == ("everyone",)
    assert groups(issuer="local", claim_groups=("cms:*",)) == ("everyone", "all-cms"), "a claim that says so is compared as text"


def test_login_names_and_local_groups() -> None:
    assert groups(name="ada") == ("everyone", "named")
    assert groups(name="Ada") == ("everyone",)
    assert entitle(FACILITY, local_identity(FACILITY, "ada")).groups == ("everyone", "staff", "named", "bosses")
    assert entitle(FACILITY, local_identity(FACILITY, "eve", ["staff"])).groups == ("everyone", "staff")
    assert entitle(FACILITY, local_identity(FACILITY, "nobody")).groups == ("everyone",)


def test_only_the_order_of_the_file_counts() -> None:
    claims = ("cms:/cms/bosses", "cms:/cms", "cms:/other")
    assert len({entitle(FACILITY, Identity("ada", "cms", claim_groups=order)) for order in permutations(claims)}) == 1
    assert len({from_groups(FACILITY, "ada", order) for order in permutations(("bosses", "staff", "named", "other"))}) == 1
    assert from_groups(FACILITY, "ada", ("bosses", "staff")).groups == ("everyone", "staff", "bosses")


def test_administrators() -> None:
    assert entitle(FACILITY, local_identity(FACILITY, "ada")).admin
    assert not entitle(FACILITY, local_identity(FACILITY, "eve")).admin
    assert from_groups(FACILITY, "x", ["bosses"]).admin


def test_what_counts_for_nothing_is_said() -> None:
    ignored = entitle(
        FACILITY, Identity("x", "egi", claim_groups=("egi:b", "egi:a", "egi:vo.example.org"), groups=("ghosts", "staff"))
    ).ignored
    assert [one.value for one in ignored] == ["egi:a", "egi:b", "ghosts"]
    assert ignored[0].why == "no group of this facility has 'egi:a' in its 'from'"
    assert ignored[2].why == "this facility has no group 'ghosts'"
    assert entitle(FACILITY, Identity("x", "cms", claim_groups=("cms:/whatever",))).ignored == (), "cms:* takes it"
    assert from_groups(FACILITY, "x", ["everyone"]).ignored == ()


def test_a_hostile_group_cannot_break_a_line() -> None:
    (one,) = entitle(FACILITY, Identity("x", "egi", claim_groups=("egi:\n\x1b[31m" + "x" * 500,))).ignored
    assert one.why.isprintable()
    assert len(one.why) < 200
