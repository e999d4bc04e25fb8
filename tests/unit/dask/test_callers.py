"""Who calls the Dask service by a token of the hub, where people log in through providers: their pods say whose they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from afkit.facility.model import Facility, Group, IdentityRules, Issuer, Kubernetes
from afkit.names import FACILITY_LABEL, HUB_ISSUER, OWNER_LABEL, USER_ANNOTATION, owner
from afkit.services.dask.callers import Callers
from tests.unit.policy.facilities import facility


class Hub:
    """Knows ada's token and groups."""

    async def name_of(self, _: str) -> str:
        return "ada"

    async def groups_of(self, _: str) -> list[str]:
        return ["members", "orchestra"]


def pod(digest: str, user: str = "ada", of: str = "test") -> dict[str, Any]:
    return {"metadata": {"labels": {FACILITY_LABEL: of, OWNER_LABEL: digest}, "annotations": {USER_ANNOTATION: user}}}


def site(dialect: str) -> Facility:
    rules = IdentityRules(issuers={"cms": Issuer("cms", dialect, "https://cms.example/")})
    return facility(identity=rules, kubernetes=Kubernetes(namespace="af-system"), groups={"members": Group("members", ("cms:/cms",))})


async def asked(of: Facility, *pods: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Owner and groups of ada, when these pods run."""
    view: Any = SimpleNamespace(pods=SimpleNamespace(objects={("n", str(number)): one for number, one in enumerate(pods)}))
    hub: Any = Hub()
    callers = Callers(view, hub)
    caller = await callers.caller(of, "token a-token-of-the-hub")
    return caller.owner, (await callers.entitlements(of, caller)).groups


async def test_a_person_of_a_provider_owns_what_their_pods_say() -> None:
    made = site("wlcg")
    others = pod("theirs", "bob"), pod("elsewhere", of="another")
    assert await asked(made, *others, pod("hers")) == ("hers", ("everyone", "members"))
    assert (await asked(made, *others))[0] == owner(made.name, HUB_ISSUER, "ada"), "nobody's"


async def test_a_person_of_the_hubs_own_authenticator_is_known_by_name() -> None:
    made = site("hub")
    assert await asked(made, pod("hers")) == (owner(made.name, HUB_ISSUER, "ada"), ("everyone",))
