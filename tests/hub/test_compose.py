"""afkit beside what an administrator configures: nothing is replaced, whatever comes first; and what stops a hub from starting."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.conftest import MakeHub, running
from tests.hub.harness import Hub, until
from tests.support.secrets import Secrets

HOOKS = """
def _note(what):
    with open("hooks", "a") as file:
        print(what, file=file)

def _pre_spawn(spawner):
    spawner.environment["HOOKED"] = spawner.running.chosen["profile"]
    _note("pre_spawn")

async def _auth_state(spawner, auth_state):
    _note("auth_state")

def _apply(spawner, options):
    _note(f"apply {{options}}")

def _ready(spawner, event):
    _note("ready")
    return event

{0}.pre_spawn_hook = _pre_spawn
{0}.post_stop_hook = lambda spawner: _note("post_stop")
{0}.auth_state_hook = _auth_state
{0}.progress_ready_hook = _ready
{0}.apply_user_options = _apply
{0}.environment = {{"OWN": "mine", "GREETING": "the administrator's"}}
{0}.env_keep = ["KEPT"]
"""

OTHERS = """
from jupyterhub.handlers import BaseHandler

class Own(BaseHandler):
    def get(self):
        self.write("own handler")

c.JupyterHub.extra_handlers = [("/own", Own)]
c.JupyterHub.template_paths = ["templates"]
c.JupyterHub.template_vars = {"announcement": "own announcement"}
c.JupyterHub.tornado_settings = {"headers": {"X-Own": "yes"}, "slow_spawn_timeout": 60}
"""


@pytest.mark.parametrize("when, where", [pytest.param("before", "c.Spawner", marks=pytest.mark.oldest), ("after", "c.AfkitLocalSpawner")])
def test_hooks_pages_and_settings_of_an_administrator_stay(make_hub: MakeHub, when: str, where: str) -> None:
    hub = make_hub(**{when: HOOKS.format(where) + OTHERS})
    templates = hub.folder / "templates"
    templates.mkdir()
    (templates / "logout.html").write_text("own page")
    (templates / "login.html").write_text('{% extends "page.html" %}{% block main %}own login of {{ afkit.title }}{% endblock %}')
    hub.start()
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    environment = hub.processes()[0].environ()
    assert {key: environment.get(key) for key in ("OWN", "GREETING", "HOOKED", "AFKIT_PROFILE")} == {
        "OWN": "mine", "GREETING": "the administrator's", "HOOKED": "analysis", "AFKIT_PROFILE": "analysis",
    }  # fmt: skip
    progress = hub.api("GET", "/users/ada/server/progress").text
    assert '"ready": true' in progress
    hub.stop_server("ada")
    noted = (hub.folder / "hooks").read_text().splitlines()
    assert noted == ["auth_state", "apply {'profile': 'analysis'}", "pre_spawn", "ready", "post_stop"]
    browser = hub.browser()
    assert "own login of Test facility" in browser.get("/hub/login").text
    answer = browser.get("/hub/own")
    assert answer.text == "own handler" and answer.headers["X-Own"] == "yes"
    assert "own announcement" in hub.api("GET", "/../login").text
    # the guards stand all the same
    assert hub.api("POST", "/users/ada/server", content=b"[]").json()["reason"] == "malformed"


@pytest.mark.oldest
def test_plain_traits_do_the_same_as_the_call(make_hub: MakeHub) -> None:
    hub = make_hub(plain=True).start()
    browser = hub.browser("ada")
    page = browser.get("/hub/spawn")
    assert "spawn_form" in page.text and "Test facility" in page.text
    answer = browser.submit("/hub/spawn", {"profile": "training"})
    assert (answer.status_code, answer.headers["X-Afkit-Reason"]) == (403, "not-entitled")
    assert hub.api("POST", "/users/ada/server", content=b"[]").json()["reason"] == "malformed"
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201


@pytest.mark.oldest
def test_a_subclass_of_an_administrator_is_used(make_hub: MakeHub) -> None:
    hub = make_hub(
        before="""
from afkit.hub import AfkitLocalSpawner

class Own(AfkitLocalSpawner):
    async def start(self):
        self.environment = {**self.environment, "SUBCLASS": "yes"}
        return await super().start()

c.JupyterHub.spawner_class = Own
c.Own.facility_file = settings["facility"]
"""
    ).start()
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    assert hub.processes()[0].environ()["SUBCLASS"] == "yes"


@pytest.mark.oldest
def test_groups_people_and_roles_are_there_before_anybody_logs_in(hub: Hub) -> None:
    stored = hub.stored()
    assert {name for name, *_ in stored["users"]} >= {"ada", "grace", "noor", "root-of-all"}
    assert ("root-of-all", 1) in stored["users"] and ("ada", 0) in stored["users"]
    members = {group["name"]: sorted(group["users"]) for group in hub.api("GET", "/groups").json()}
    assert members["physicists"] == ["ada", "grace"] and members["accelerated"] == ["grace"] and members["secret"] == []
    # a role that names the group opens what ada may not do by herself
    assert hub.api("GET", "/info", token=hub.token_of("ada")).status_code == 200
    assert hub.api("GET", "/info", token=hub.token_of("noor")).status_code == 403


@pytest.fixture(scope="module")
def added_to(tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[Hub]:
    """A hub with a group and a service of the administrator's own, and people of the command line."""
    made = Hub(
        tmp_path_factory.mktemp("hub"),
        before='c.JupyterHub.load_groups = {"orchestra": {"users": ["ada"]}}',
        after='c.JupyterHub.services.append({"name": "dask", "api_token": "d" * 32})',
        people={"tess": ["accelerated"], "ada": ["accelerated"]},
    )
    yield from running(made, secrets_seen)


def test_people_of_the_command_line_are_people_too(added_to: Hub) -> None:
    hub = added_to
    answer = hub.browser("tess").submit("/hub/spawn", {"profile": "training"})
    assert answer.status_code == 302
    until(lambda: (server := hub.server("tess")) and server["ready"], 60, "the server is ready")
    members = {group["name"]: sorted(group["users"]) for group in hub.api("GET", "/groups").json()}
    assert members["accelerated"] == ["ada", "grace", "tess"]
    assert members["physicists"] == ["ada", "grace"]
    hub.stop_server("tess")


@pytest.mark.oldest
def test_an_administrators_own_groups_stay(added_to: Hub) -> None:
    added_to.browser("ada")
    members = {group["name"]: sorted(group["users"]) for group in added_to.api("GET", "/groups").json()}
    assert members["orchestra"] == ["ada"] and members["physicists"] == ["ada", "grace"]


@pytest.mark.oldest
def test_services_of_the_facility_open_to_people_and_servers(added_to: Hub) -> None:
    hub = added_to
    token = hub.token_of("ada")
    scopes = hub.api("GET", "/user", token=token).json()["scopes"]
    assert "access:services!service=dask" in scopes and "access:services!service=tokens" not in scopes
    assert "access:servers!user=ada" in scopes, "what everybody has stays"
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    environment = hub.processes()[0].environ()
    own = hub.api("GET", "/user", token=environment["JUPYTERHUB_API_TOKEN"]).json()["scopes"]
    assert "access:services!service=dask" in own and "users:activity!user=ada" in own
    hub.stop_server("ada")


def fails_to_start(hub: Hub) -> str:
    """What a hub says that cannot start."""
    hub.start(wait=False)
    assert hub.process is not None
    assert hub.process.wait(60) != 0
    hub.process = None
    text = hub.log.read_text()
    assert "Hub API listening" not in text
    return text


def test_a_facility_file_with_errors_stops_the_hub_before_it_listens(make_hub: MakeHub) -> None:
    text = fails_to_start(make_hub(facility=(Path(__file__).parent / "facility.yaml").read_text().replace("profiles:", "profils:")))
    assert "facility.yaml:" in text and "profils" in text and "profiles" in text


WITHOUT_KUBESPAWNER = "Servers on Kubernetes need KubeSpawner, which is not installed here."
"""What a hub says first where the extra ``kubernetes`` is missing, as in the environment of the oldest versions."""


def refused_on_kubernetes(sentence: str) -> str:
    """The sentence with which a hub refuses to start here."""
    return sentence if importlib.util.find_spec("kubespawner") else WITHOUT_KUBESPAWNER


def test_kubernetes_is_refused_with_a_sentence(make_hub: MakeHub) -> None:
    text = fails_to_start(make_hub(mode="kubernetes"))
    assert refused_on_kubernetes("The facility file does not say where in the cluster the facility is.") in text


def test_people_of_one_machine_alone_are_refused_on_kubernetes(make_hub: MakeHub) -> None:
    file = (Path(__file__).parent / "facility.yaml").read_text().replace("{name: hubtest,", "{name: hubtest, url: https://af.example.org/,")
    text = fails_to_start(make_hub(mode="kubernetes", facility=file + "storage: {home: none}\nkubernetes: {namespace: af-system}\n"))
    assert refused_on_kubernetes("A hub on Kubernetes has no people of its own") in text


WRONG = (
    ("http_timeuot: 60", "AF407 KubeSpawner has no trait 'http_timeuot'."),
    ("http_timeout: soon", "AF408 KubeSpawner refuses this value of http_timeout:"),
    ("image: x:1", "AF409 The trait 'image' belongs to another key of the file."),
    ("slug_scheme: safe", "AF412 The trait 'slug_scheme' is the same for all servers of a hub."),
)


@pytest.mark.skipif(importlib.util.find_spec("kubespawner") is None, reason="KubeSpawner belongs to the newest axis")
@pytest.mark.parametrize(
    ("plain", "trait", "sentence"),
    [
        *(pytest.param(False, *wrong, id=f"call-{wrong[0]}") for wrong in WRONG),
        # by the same lines; one of them says that they are reached
        *(
            pytest.param(True, *wrong, id=f"traits-{wrong[0]}", marks=pytest.mark.full if number else ())
            for number, wrong in enumerate(WRONG)
        ),
    ],
)
def test_a_wrong_trait_stops_a_hub_on_kubernetes(make_hub: MakeHub, plain: bool, trait: str, sentence: str) -> None:
    file = (Path(__file__).parent / "facility.yaml").read_text().replace("\nsession:\n", f"\nsession:\n  kubespawner:\n    {trait}\n")
    lines = "c.JupyterHub.spawner_class = 'afkit'\nc.AfkitKubeSpawner.facility_file = settings['facility']\n"
    hub = make_hub(plain=True, after=lines, facility=file) if plain else make_hub(mode="kubernetes", facility=file)
    text = fails_to_start(hub)
    number = file[: file.index(trait)].count("\n") + 1
    assert f"facility.yaml:{number}:" in text
    assert sentence in text


def test_a_spawner_that_asks_nobody_is_refused(make_hub: MakeHub) -> None:
    text = fails_to_start(make_hub(after='c.JupyterHub.spawner_class = "simple"'))
    assert "The hub's spawner is SimpleLocalProcessSpawner, which asks nobody who may start what." in text


def test_the_hubs_help_lists_the_traits() -> None:
    shown = subprocess.run([sys.executable, "-m", "jupyterhub", "--help-all"], capture_output=True, text=True, check=True).stdout
    for trait in (
        "AfkitLocalSpawner.facility_file",
        "AfkitLocalSpawner.state_dir",
        "AfkitLocalSpawner.people",
        "AfkitLocalAuthenticator.passwords_file",
    ):
        assert f"--{trait}=" in shown
