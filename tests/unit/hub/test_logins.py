"""What is decided and kept of logins through providers, without a hub."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import Session
from traitlets.config import Config

from afkit.errors import IdentityError, NotEntitledError, PlatformError
from afkit.facility.model import IdentityRules, Issuer, Kubernetes, SecretKey, SecretSource
from afkit.hub.known import Known, standing
from afkit.hub.logins import Logins
from afkit.hub.people import identity
from afkit.policy.entitle import hubs_issuers
from tests.unit.policy.facilities import facility

OIDC = pytest.mark.skipif(importlib.util.find_spec("oauthenticator") is None, reason="oauthenticator belongs to the newest axis")
ADA = Known("ada", "cms", "https://cms.example/", "key-1", ("cms:/cms",), 100.0, renews=True)
CMS = Issuer("cms", "wlcg", "https://cms.example/", "af-hub", SecretSource(env="CMS_SECRET_OF_A_TEST"))


@pytest.fixture
def db(tmp_path: Path) -> Session:
    return Session(sa.create_engine(f"sqlite:///{tmp_path}/hub.sqlite"))


def test_a_name_belongs_to_the_first_key_for_ever(db: Session) -> None:
    logins = Logins(db)
    logins.note(ADA)
    for other in (
        replace(ADA, key="key-2"),
        replace(ADA, url="https://other.example/"),
        replace(ADA, key="key-1 "),
    ):
        with pytest.raises(IdentityError) as caught:
            logins.note(other)
        assert caught.value.reason == "name-taken"
    # nor has one person two names
    with pytest.raises(IdentityError):
        logins.note(replace(ADA, name="ada2"))
    logins.note(replace(ADA, issuer="renamed", groups=("cms:/cms/uscms",), verified=200.0))
    again = Logins(db)
    assert again.find("ada") == again.of(ADA.url, "key-1") == replace(ADA, issuer="renamed", groups=("cms:/cms/uscms",), verified=200.0)
    assert again.find("ADA") is None and again.of(ADA.url, "key-2") is None


def test_keys_and_addresses_do_not_run_into_each_other() -> None:
    assert replace(ADA, url="https://a.example/", key="x").person != replace(ADA, url="https://a.example/x", key="").person


@pytest.mark.parametrize(
    ("age", "renews", "worth"),
    [
        (0, True, "good"),
        (360, True, "good"),
        (361, True, "old"),
        (361, False, "good"),
        (43_200, True, "old"),
        (43_201, False, "over"),
        (-400, True, "old"),
    ],
)
def test_what_a_login_is_worth(age: float, renews: bool, worth: str) -> None:
    assert standing(replace(ADA, verified=1e9 - age, renews=renews), IdentityRules(), 1e9) == worth


def test_a_login_that_the_provider_has_ended_is_over() -> None:
    assert standing(replace(ADA, verified=0.0), IdentityRules(), 1e9) == "over"


def test_people_of_providers_are_nobody_else(db: Session) -> None:
    logins = Logins(db)
    logins.note(ADA)
    rules = IdentityRules(allow=("everyone",), issuers={"cms": CMS}, local={"ada": ("admins",), "lena": ("admins",)})
    made = facility(identity=rules)
    assert identity(made, "ada", logins=logins).claim_groups == ("cms:/cms",)
    assert identity(made, "ada", logins=logins).groups == ()
    moved = facility(identity=replace(rules, issuers={"cms": replace(CMS, url="https://another.example/")}))
    closed = facility(identity=replace(rules, allow=("admins",)))
    for name, of in (("lena", made), ("nobody", made), ("ada", facility(identity=IdentityRules())), ("ada", moved), ("ada", closed)):
        with pytest.raises(NotEntitledError):
            identity(of, name, logins=logins)


@OIDC
def test_the_authenticator_is_chosen_where_an_issuer_needs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from afkit.hub import configuration

    chosen: dict[str, Any] = {}
    for dialect, before in (("wlcg", None), ("wlcg", "dummy"), ("wlcg", "own.Authenticator"), ("hub", None), ("hub", "dummy")):
        issuer = replace(CMS, dialect=dialect)
        made = facility(
            identity=IdentityRules(issuers={"cms": issuer}), kubernetes=Kubernetes(namespace="af"), url="https://af.example.org/"
        )
        c = Config()
        if before:
            c.JupyterHub.authenticator_class = before
        configuration._on_kubernetes(c, tmp_path / "facility.yaml", made)
        chosen[f"{dialect} {before}"] = c.JupyterHub.get("authenticator_class")
    ours = "afkit.hub.AfkitOIDCAuthenticator"
    theirs = "own.Authenticator"
    assert chosen == {"wlcg None": ours, "wlcg dummy": ours, f"wlcg {theirs}": theirs, "hub None": None, "hub dummy": "dummy"}


@OIDC
def test_another_authenticator_with_the_files_providers_is_refused() -> None:
    from afkit.hub.kubernetes.cluster import cluster_of
    from afkit.hub.kubernetes.spawner import AfkitKubeSpawner

    made = facility(identity=IdentityRules(issuers={"cms": CMS}), kubernetes=Kubernetes(namespace="hub"))
    with pytest.raises(PlatformError, match=r"authenticator is .*, and the facility file names providers that it does not know"):
        cluster_of(JupyterHub(config=Config({"JupyterHub": {"authenticator_class": "dummy"}})), AfkitKubeSpawner, made)


@OIDC
def test_the_entry_point() -> None:
    (found,) = (each for each in entry_points(group="jupyterhub.authenticators") if each.name == "afkit-oidc")
    assert found.load().__name__ == "AfkitOIDCAuthenticator"


@OIDC
def test_a_clients_secret_is_read_where_the_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from afkit.hub.oidc.secret import client_secret

    monkeypatch.setenv("CMS_SECRET_OF_A_TEST", "one-secret\n")
    assert client_secret(CMS).reveal() == "one-secret"
    file = tmp_path / "secret"
    file.write_text("another-secret\n")
    of_file = replace(CMS, client_secret=SecretSource(file=file))
    assert client_secret(of_file).reveal() == "another-secret" and "another" not in repr(client_secret(of_file))
    monkeypatch.setenv("AFKIT_CLIENT_SECRET_CMS_TWO", "third-secret")
    assert (
        client_secret(replace(CMS, name="cms-two", client_secret=SecretSource(kubernetes=SecretKey("login", "cms")))).reveal()
        == "third-secret"
    )
    file.write_text(" \n")
    for source in (of_file.client_secret, None, SecretSource(env="NOT_SET_ANYWHERE")):
        with pytest.raises(PlatformError):
            client_secret(replace(CMS, client_secret=source))
    file.unlink()
    with pytest.raises(PlatformError, match="cannot be read from"):
        client_secret(of_file)


@OIDC
def test_claims_are_of_one_person_and_the_signed_ones_count_first() -> None:
    from afkit.hub.oidc.deciding import merged

    login = {"sub": "s", "preferred_username": "ada", "aud": "af-hub"}
    assert merged(CMS, login, {"sub": "s", "preferred_username": "eve", "wlcg.groups": []}, {}) == {**login, "wlcg.groups": []}
    roles = {"sub": "s", "resource_access": {"hub": {"roles": ["x"]}}, "scope": "storage.read:/"}
    assert merged(replace(CMS, dialect="keycloak"), login, {}, roles) == {**login, "resource_access": {"hub": {"roles": ["x"]}}}
    assert merged(CMS, login, {}, {}) == login
    for userinfo, access in (({"sub": "t"}, {}), ({}, {"sub": "t"}), ({"name": "no sub"}, {})):
        with pytest.raises(IdentityError) as caught:
            merged(CMS, login, userinfo, access)
        assert caught.value.reason == "other-subject"


@OIDC
def test_what_is_asked_for() -> None:
    from afkit.hub.oidc.deciding import scopes_of, trusted_of

    assert scopes_of(CMS) == ("openid", "profile", "email", "offline_access", "wlcg.groups")
    assert scopes_of(replace(CMS, scopes=("wlcg.groups:/cms/uscms",))) == ("openid", "wlcg.groups:/cms/uscms")
    assert trusted_of(CMS).wlcg and trusted_of(CMS).longest == 6 * 3600
    assert not trusted_of(replace(CMS, dialect="plain")).wlcg


def test_issuers_of_the_hubs_own_authenticator_are_none_of_ours() -> None:
    made = facility(identity=IdentityRules(issuers={"cms": CMS, "site": Issuer("site", "hub")}))
    assert list(hubs_issuers(made)) == ["cms"] and hubs_issuers(facility()) == {}


def test_a_login_that_has_begun_and_its_cookie() -> None:
    from afkit.hub.oidc.pending import MOST, begin, cookie_of, from_cookie, superfluous

    one = begin("cms", "/hub/spawn", 100.5)
    assert from_cookie(one.cookie().encode()) == one and one.begun == 100 and len(one.challenge) == 43
    assert not any(secret in repr(one) for secret in (one.state, one.nonce, one.verifier))
    assert from_cookie(None) is from_cookie(b"") is from_cookie(b"[]") is from_cookie(b'{"issuer": "x"}') is None
    assert begin("cms", "/" + "x" * 5000, 0).next == ""
    assert cookie_of("a") != cookie_of("b")
    known: list[tuple[str, Any]] = [(f"c{number}", begin("cms", "", number)) for number in range(MOST + 3)]
    assert superfluous(known) == ["c0", "c1", "c2", "c3"]
    assert superfluous([*known[:2], ("bad", None)]) == ["bad"] and superfluous([]) == []
