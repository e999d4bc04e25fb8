"""What a token allows by the WLCG profile (attack 23 and 24): paths that lead elsewhere allow nothing, capabilities leave no groups."""

from __future__ import annotations

import pytest

pytest.importorskip("jwt", reason="signatures belong to the newest axis")

from afkit.errors import IdentityError
from afkit.oidc import Capability, capabilities, groups
from afkit.oidc.capabilities import covers


def test_the_capabilities_of_a_scope_in_its_order() -> None:
    scope = "openid storage.read:/store compute.create storage.stage:/ wlcg.capabilityset:/cms/uscms host.auth storage.readx:/ wlcg.groups"
    assert capabilities({"scope": scope}) == (
        Capability("storage.read", "/store"),
        Capability("compute.create"),
        Capability("storage.stage", "/"),
        Capability("wlcg.capabilityset", "/cms/uscms"),
        Capability("host.auth"),
    )
    assert capabilities({}) == capabilities({"scope": ""}) == capabilities({"scope": "openid"}) == ()


@pytest.mark.parametrize(
    "scope",
    [
        "storage.read", "storage.read:", "storage.read:home", "storage.read:/home/alice/..",
        "storage.read:/home/./alice", "storage.read:/home/%2e%2e/x", "storage.read:/home//alice",
        "storage.read:/home/alice/", "storage.read://", "storage.read:/a\\b", "storage.read:/a?b", "storage.read:/a#b",
        "storage.read:/a\x00b", "storage.modify:/..", "storage.create:/é", "wlcg.capabilityset:cms",
        "wlcg.capabilityset", "compute.read:/x", "storage.read:/a\n", 7, ["storage.read:/"], None,
        " ".join(f"storage.read:/{i}" for i in range(2000)),
    ],
)  # fmt: skip
def test_23_capabilities_that_could_be_read_in_two_ways(scope: object) -> None:
    with pytest.raises(IdentityError) as caught:
        capabilities({"scope": scope})
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    ("path", "asked", "covered"),
    [
        ("/john", "/john", True), ("/john", "/john/x/y", True), ("/john", "/johnny", False), ("/john", "/joh", False),
        ("/john", "/", False), ("/", "/", True), ("/", "/anything/at/all", True), ("/john", "/john/../jane", False),
        ("/", "/%2e%2e", False), ("/john", "/john/", False), ("/john", "/John", False), ("/", "", False),
        ("/john", "john", False), ("/", "/a/./b", False),
    ],
)  # fmt: skip
def test_23_a_path_covers_whole_components(path: str, asked: str, covered: bool) -> None:
    assert covers(Capability("storage.read", path), "storage.read", asked) is covered
    assert not covers(Capability("storage.read", path), "storage.modify", asked)
    assert not covers(Capability("storage.stage", path), "storage.read", asked), "staging reads nothing since 1.3"


def test_24_a_token_with_a_capability_has_no_groups() -> None:
    assert groups({"wlcg.groups": ["/cms", "/cms/uscms", "/cms"]}) == ("/cms", "/cms/uscms")
    assert groups({"wlcg.groups": ["/cms"], "scope": "openid wlcg.groups"}) == ("/cms",)
    assert groups({"wlcg.groups": ["/cms"], "scope": "openid storage.read:/"}) == ()
    assert groups({}) == ()


@pytest.mark.parametrize(
    "value", ["/cms", {"/cms": 1}, 7, ["/cms", 7], ["cms"], ["//cms"], ["/cms/"], ["/cms/../atlas"], ["/cms\x00"], ["/cms"] * 1001, None]
)
def test_groups_that_are_none(value: object) -> None:
    with pytest.raises(IdentityError):
        groups({"wlcg.groups": value})
