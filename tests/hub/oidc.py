"""A hub whose people come from three providers on this machine, and what a browser does at a login."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from afkit.testing import Authority, Client, Provider
from tests.hub.anyhub import Browser
from tests.hub.harness import Hub

FACILITY = """
version: 1
facility: {{name: hubtest, title: Test facility, contact: help@example.org}}
identity:
  allow: [members, operators]
  local: {{users: {{lena: {{groups: [operators]}}}}}}
  issuers:
    cms:
      {{url: "{cms}", dialect: wlcg, username: "{{value}}", client: {{id: hub, secret: {{env: CMS_SECRET}}}}}}
    cern:
      {{url: "{cern}", dialect: keycloak, username: "{{value}}-cern", client: {{id: hub, secret: {{env: CERN_SECRET}}}}}}
    school:
      {{url: "{school}", dialect: plain, username: "{{local}}-school", client: {{id: hub, secret: {{env: SCHOOL_SECRET}}}}}}
groups:
  members: {{from: ["cms:/cms", "cern:default-role", "school:physics"]}}
  uscms: {{from: ["cms:/cms/uscms"]}}
  operators: {{from: ["cern:admins", "cms:/cms/operators"], users: [chief], admin: true}}
pools: {{amd64: {{arch: amd64}}, arm64: {{arch: arm64}}}}
images: {{scientific: {{image: "registry.example.org/scientific:1", arch: [amd64, arm64]}}}}
sizes: {{small: {{cpu: 1, memory: 1Gi}}}}
profiles: {{analysis: {{allow: [members], pools: [amd64, arm64], images: [scientific], sizes: [small]}}}}
"""
OIDC = 'c.JupyterHub.authenticator_class = "afkit.hub.AfkitOIDCAuthenticator"\n'
SECRETS = {name: f"the-secret-of-the-client-at-{name}" for name in ("cms", "cern", "school")}
WLCG = {"wlcg.ver": "1.0"}
PEOPLE: dict[str, dict[str, dict[str, Any]]] = {
    "cms": {
        "c-ada": {**WLCG, "preferred_username": "ada", "wlcg.groups": ["/cms", "/cms/uscms"]},
        "c-mallory": {**WLCG, "preferred_username": "ada", "wlcg.groups": ["/cms"]},
        "c-tom": {**WLCG, "preferred_username": "tom", "wlcg.groups": ["/atlas", "/cms/uscms"]},
        "c-eve": {**WLCG, "preferred_username": "eve"},
        "c-lena": {**WLCG, "preferred_username": "lena", "wlcg.groups": ["/cms"]},
        "c-zoe": {**WLCG, "preferred_username": "zoe", "wlcg.groups": ["/cms/operators"]},
        "c-squatter": {**WLCG, "preferred_username": "chief", "wlcg.groups": ["/cms"]},
        "c-text": {**WLCG, "preferred_username": "text", "wlcg.groups": "/cms"},
        "c-renamed": {**WLCG, "preferred_username": "before", "wlcg.groups": ["/cms"]},
        "c-old": {"preferred_username": "old", "wlcg.groups": ["/cms"]},
        "c-Ada": {**WLCG, "preferred_username": "Ada", "wlcg.groups": ["/cms"]},
        "same": {**WLCG, "preferred_username": "sam", "wlcg.groups": ["/cms"]},
    },
    "cern": {
        "mcurie": {"preferred_username": "mcurie", "resource_access": {"hub": {"roles": ["default-role", "admins"]}}},
        "same": {"preferred_username": "sam", "resource_access": {"hub": {"roles": ["default-role"]}}},
    },
    "school": {"s-1": {"preferred_username": "kim@school.example", "groups": ["physics"]}},
}


@dataclass
class Site:
    """A hub, and its providers by the names of their issuers."""

    hub: Hub
    providers: dict[str, Provider]
    authority: Authority
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(verify=self.authority.client(), trust_env=False)
        for name, provider in self.providers.items():
            back = f"{self.hub.url}/hub/oauth_callback/{name}"
            provider.clients = {"hub": Client(SECRETS[name], redirects=(back,)), "other": Client("secret-of-another-client", (back,))}

    def begin(self, browser: Browser, name: str, next_url: str = "") -> str:
        """The provider's address that the hub sends a browser to."""
        answer = browser.get(f"/hub/oauth_login/{name}", params={"next": next_url} if next_url else {})
        assert answer.status_code == 302, answer.text[-2000:]
        return answer.headers["location"]

    def back(self, address: str, subject: str) -> str:
        """The hub's address that the provider sends the browser back to, once it knows who it is."""
        answer = self.client.get(f"{address}&as={subject}")
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    def log_in(self, name: str, subject: str, browser: Browser | None = None, next_url: str = "") -> httpx.Response:
        """A whole login."""
        browser = browser or self.hub.browser()
        return browser.get(self.back(self.begin(browser, name, next_url), subject))

    def user(self, name: str) -> dict[str, Any]:
        """What the hub has of a user."""
        answer = self.hub.api("GET", f"/users/{name}")
        return answer.json() if answer.status_code == 200 else {}


def refused(answer: httpx.Response, status: int, reason: str, text: str = "") -> None:
    """A page that says no, with the reason."""
    assert (answer.status_code, answer.headers.get("x-afkit-reason")) == (status, reason), answer.text[-3000:]
    assert text in answer.text


def file_of(providers: dict[str, Provider]) -> str:
    """The facility file with these providers."""
    return FACILITY.format(**{name: provider.issuer for name, provider in providers.items()})
