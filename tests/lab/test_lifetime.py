"""What a real Jupyter server counts as activity, and when it warns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx

from tests.lab.server import JupyterServer, execute, until

Start = Callable[..., JupyterServer]


def life(**limits: float | None) -> str:
    return json.dumps({"idle": None, "max": None, "started": time.time(), "ends": None} | limits)


def test_without_a_limit_nothing_is_warned_of_and_the_browser_need_not_ask_again(jupyter: JupyterServer) -> None:
    assert jupyter.http.get("afkit/lifetime").json() == {"warnings": [], "next": None}


def test_the_packages_own_files_enable_the_extension_and_switch_daskss_server_half_off(jupyter: JupyterServer) -> None:
    assert "afkit.session.lab | extension was successfully loaded" in jupyter.log()
    assert "dask_labextension | extension was successfully" not in jupyter.log()


def test_only_who_is_logged_in_is_told(jupyter: JupyterServer) -> None:
    for path in ("afkit/lifetime", "dask/clusters", "dask/dashboard-check/http%3A%2F%2F127.0.0.1%3A1"):
        assert httpx.get(jupyter.url + path).status_code == 403
    assert httpx.put(jupyter.url + "dask/clusters").status_code == 403


def test_the_longest_life_is_warned_of_in_the_log_once(start_jupyter: Start) -> None:
    server = start_jupyter(AFKIT_LIFETIME=life(max=3600, ends=time.time() + 500))
    assert server.warnings() == ["max"]
    answer = server.http.get("afkit/lifetime").json()
    assert 400 < answer["warnings"][0]["left"] < 500
    assert answer["next"] == 10
    until(lambda: "This session ends in 9 minutes, after 60m" in server.log() or "after 1h" in server.log())
    assert server.log().count("This session ends in") == 1


def test_an_open_page_does_not_keep_a_session_alive_and_a_person_does(start_jupyter: Start) -> None:
    server = start_jupyter(AFKIT_LIFETIME=life(idle=6))

    def untouched() -> bool:
        # what an open JupyterLab asks for all the time
        for path in ("api/kernels", "api/sessions", "api/terminals", "api/contents", "api/kernelspecs", "dask/clusters", "api/me"):
            assert server.http.get(path).status_code == 200
        server.http.put("lab/api/workspaces/default", json={"data": {}, "metadata": {"id": "default"}})
        return server.warnings() == ["idle"]

    until(untouched, within=20, every=0.3)
    assert server.http.post("afkit/lifetime").json()["warnings"] == []
    until(untouched, within=20, every=0.3)
    server.http.put("api/contents/note.txt", json={"type": "file", "format": "text", "content": "x"}).raise_for_status()
    assert server.warnings() == []


def test_a_dashboard_that_is_left_open_does_not_keep_a_session_alive(start_jupyter: Start) -> None:
    server = start_jupyter(AFKIT_LIFETIME=life(idle=6), JUPYTERHUB_SERVICE_PREFIX="/user/ada/")
    with server.kernel() as client:
        link = execute(client, "import afkit; cluster = afkit.cluster(workers=1, life='kernel'); print(cluster.dashboard_link)").strip()
        assert link.startswith("/user/ada/proxy/")
        path = link.removeprefix("/user/ada/")
        until(lambda: server.http.get(path).status_code == 200)

        def open_in_a_tab() -> bool:
            assert server.http.get(path).status_code == 200
            # what no cluster listens on is jupyter-server-proxy's own, and activity
            return server.warnings() == ["idle"]

        until(open_in_a_tab, within=20, every=0.3)
        assert server.http.get("proxy/9/").status_code >= 500
        assert server.warnings() == []


def test_a_cell_that_computes_in_silence_is_activity(start_jupyter: Start) -> None:
    server = start_jupyter(AFKIT_LIFETIME=life(idle=4))
    with server.kernel() as client:
        client.execute("import time; time.sleep(7)")
        until(lambda: server.http.get("api/kernels").json()[0]["execution_state"] == "busy")
        seen = []
        end = time.monotonic() + 6
        while time.monotonic() < end:
            seen += server.warnings()
            time.sleep(0.2)
        assert seen == []
        until(lambda: server.warnings() == ["idle"], within=20)


def test_a_cluster_that_computes_for_nobody_is_activity(start_jupyter: Start) -> None:
    server = start_jupyter(AFKIT_LIFETIME=life(idle=5))
    with server.kernel() as client:
        code = "import afkit, time; cluster = afkit.cluster(workers=1); future = cluster.client.submit(time.sleep, 9, pure=False)"
        execute(client, code)
        seen = []
        end = time.monotonic() + 7
        while time.monotonic() < end:
            seen += server.warnings()
            time.sleep(0.2)
        assert seen == []
        until(lambda: server.warnings() == ["idle"], within=30)
