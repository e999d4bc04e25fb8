"""Claims for `identity.run_as` are found where oauthenticator keeps what the provider said."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config

from afkit.errors import AfkitError, NotEntitledError, PlatformError
from afkit.facility.model import IdentityRules, Kubernetes, RunAs
from afkit.hub.people import claims
from tests.unit.pods.test_person import person
from tests.unit.policy.facilities import facility

oauth2 = pytest.importorskip("oauthenticator.oauth2", reason="oauthenticator belongs to the newest axis")
USER = {"preferred_username": "ada", "uid_number": 4711, "posix": {"gid": "4712", "gids": [300, 301]}}


def test_what_the_provider_said_counts() -> None:
    state = oauth2.OAuthenticator().build_auth_state_dict({"access_token": "t", "scope": "openid"}, USER)
    found = claims(state)
    rules = RunAs(uid="uid_number", gid="posix.gid", groups="posix.gids")
    made = person(rules, claims=dict(found))
    assert (made.uid, made.gid, made.groups) == (4711, 4712, (300, 301))
    assert person(RunAs(uid="oauth_user.uid_number"), claims=dict(found)).uid == 4711


def test_what_the_authenticator_notes_itself_comes_first() -> None:
    assert claims({"uid_number": 1, "oauth_user": {"uid_number": 2, "gid": 3}}) == {
        "uid_number": 1,
        "gid": 3,
        "oauth_user": {"uid_number": 2, "gid": 3},
    }


@pytest.mark.parametrize("state", [None, {}, {"oauth_user": None}, {"oauth_user": "text"}])
def test_without_any_the_login_is_refused(state: dict[str, object] | None) -> None:
    with pytest.raises(NotEntitledError, match="no claim 'uid_number'"):
        person(RunAs(uid="uid_number"), claims=dict(claims(state)))


def test_a_hub_that_keeps_no_claims_says_so_when_it_is_configured(tmp_path: Path) -> None:
    from afkit.hub.kubernetes.cluster import cluster_of
    from afkit.hub.kubernetes.spawner import AfkitKubeSpawner

    made = facility(identity=IdentityRules(run_as=RunAs(uid="posix.uid")), kubernetes=Kubernetes(namespace="hub"))
    own = {"AfkitKubeSpawner": {"kubeconfig": str(tmp_path / "missing")}}
    with pytest.raises(PlatformError, match=r"takes ids from the claim 'posix\.uid', and this hub keeps no claims of a login"):
        cluster_of(JupyterHub(config=Config(own)), AfkitKubeSpawner, made)
    kept = JupyterHub(config=Config({**own, "Authenticator": {"enable_auth_state": True}}))
    with pytest.raises(AfkitError, match="missing"):  # what it says next is the cluster
        cluster_of(kept, AfkitKubeSpawner, made)
    numbers = facility(identity=IdentityRules(run_as=RunAs(uid=4711)), kubernetes=Kubernetes(namespace="hub"))
    with pytest.raises(AfkitError, match="missing"):
        cluster_of(JupyterHub(config=Config(own)), AfkitKubeSpawner, numbers)
