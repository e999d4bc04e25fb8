"""The facility file changes under a running hub: who may have what follows, running servers and saved choices are not touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hub.conftest import MakeHub
from tests.hub.harness import until

FILE = (Path(__file__).parent / "facility.yaml").read_text()


@pytest.mark.oldest
def test_a_changed_file_counts_at_once_and_a_broken_one_changes_nothing(make_hub: MakeHub) -> None:
    hub = make_hub().start()
    ada, admin = hub.browser("ada"), hub.browser("root-of-all")
    token = hub.token_of("ada")
    assert hub.start_server("ada", {"profile": "analysis"}).status_code == 201
    process = hub.processes()[0]

    # broken: nothing changes, administrators are told, others are not
    hub.facility.write_text(FILE.replace("profiles:", "profils:"))
    page = ada.get("/hub/spawn/grace" if False else "/hub/home")
    assert page.status_code == 200 and "profils" not in page.text
    assert hub.api("POST", "/users/grace/server", json={"profile": "hidden"}).json()["reason"] == "unknown-choice"
    shown = admin.get("/hub/admin").text
    assert "facility.yaml:" in shown and "profils" in shown
    assert "The facility file has errors" in hub.log.read_text()

    # mended, and ada is accelerated now; ben is new
    hub.facility.write_text(
        FILE.replace("ada: {groups: [physicists]}", "ada: {groups: [physicists, accelerated]}\n      ben: {groups: [students]}")
    )
    assert "profils" not in admin.get("/hub/admin").text
    members = {group["name"]: sorted(group["users"]) for group in hub.api("GET", "/groups").json()}
    assert members["accelerated"] == ["ada", "grace"] and members["students"] == ["ben", "noor"]
    passwords = {**hub.passwords, "ben": "password-of-ben"}
    (hub.folder / "passwords.json").write_text(json.dumps(passwords))
    assert hub.browser().log_in("ben", "password-of-ben").status_code == 302
    assert process.is_running(), "running servers are never touched"
    hub.stop_server("ada")
    assert hub.start_server("ada", {"profile": "training"}, token=token).status_code == 201
    hub.stop_server("ada")

    # what ada has saved is hers no longer: said on the form, refused without one, kept as it is
    hub.facility.write_text(FILE)
    answer = hub.api("POST", "/users/ada/server", token=token)
    assert (answer.status_code, answer.json()["reason"]) == (403, "not-entitled")
    page = ada.get("/hub/spawn")
    assert page.status_code == 200 and "Training is not for you." in page.text
    assert hub.saved("ada") == {"profile": "training"}
    hub.facility.write_text(FILE.replace("  training:\n    title: Training", "  learning:\n    title: Training"))
    answer = hub.api("POST", "/users/ada/server", token=token)
    assert (answer.status_code, answer.json()["reason"]) == (400, "unknown-choice")
    page = ada.get("/hub/spawn")
    assert page.status_code == 200 and "&#39;training&#39;" in page.text
    assert hub.saved("ada") == {"profile": "training"}
    assert ada.submit("/hub/spawn", {"profile": "analysis"}).status_code == 302
    until(lambda: (server := hub.server("ada")) and server["ready"], 60, "the server is ready")
    hub.stop_server("ada")

    # ada leaves: no login, no server, by nobody
    hub.facility.write_text(FILE.replace("      ada: {groups: [physicists]}\n", ""))
    assert hub.browser().log_in("ada", hub.passwords["ada"]).status_code == 403
    for by in (token, hub.token):
        answer = hub.api("POST", "/users/ada/server", token=by, json={"profile": "analysis"})
        assert (answer.status_code, answer.json()["reason"]) == (403, "not-entitled")
    answer = ada.get("/hub/spawn")
    assert answer.status_code in (302, 403)
    members = {group["name"]: sorted(group["users"]) for group in hub.api("GET", "/groups").json()}
    assert members["physicists"] == ["grace"]
    assert hub.alive()


def test_named_servers_follow_the_limits(make_hub: MakeHub) -> None:
    file = FILE.replace("  accelerated: {servers: 2, cpu: 4}\n", "")
    hub = make_hub(facility=file).start()
    answer = hub.api("POST", "/users/grace/servers/second", json={"profile": "training"})
    assert answer.status_code == 400 and "Named servers are not enabled" in answer.json()["message"]
    assert hub.browser("grace").submit("/hub/spawn/grace/second", {"profile": "training"}).status_code == 400
    hub.facility.write_text(FILE)
    answer = hub.start_server("grace", {"profile": "training"}, "second")
    assert answer.status_code == 201, answer.text
    assert hub.server("grace", "second") is not None
    hub.stop_server("grace", "second")
