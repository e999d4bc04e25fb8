"""What afkit takes for granted in JupyterHub, by name and by behaviour, on every version that is supported.

If one of these fails, JupyterHub has changed below a guard: see `afkit.hub.wiring`, `afkit.hub.gate_rest`,
`afkit.hub.gate_pages` and `afkit.hub.mixin` before anything else.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import jupyterhub
import jupyterhub.spawner
import pytest
from jupyterhub import orm, roles, scopes
from jupyterhub.apihandlers import auth as oauth_handlers, users
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from jupyterhub.user import User
from tornado import web

SIX = int(jupyterhub.__version__.split(".")[0]) >= 6
SOURCES = Path(jupyterhub.__file__).parent


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]  # a function


def in_order(source: str, *parts: str) -> bool:
    places = [source.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


@pytest.mark.parametrize("name", ["session_factory", "handlers", "template_paths", "template_vars", "tornado_settings", "extra_handlers"])
def test_the_application_has_the_traits_that_are_observed_or_set(name: str) -> None:
    assert name in JupyterHub.class_traits()


def test_the_application_is_made_in_the_order_that_the_wiring_needs() -> None:
    assert in_order(
        inspect.getsource(JupyterHub.initialize),
        "load_config_file", "self.spawner_class", "init_eventlog", "init_db", "init_role_creation", "init_users", "init_groups",
        "init_role_assignment", "init_tornado_settings", "init_handlers", "init_tornado_application", "self.init_spawners()",
    )  # fmt: skip
    assert "self.session_factory = " in inspect.getsource(JupyterHub.init_db)
    source = inspect.getsource(JupyterHub.init_handlers)
    assert in_order(source, "self.handlers = ", "self.handlers.extend"), "set once, then added to in place"
    # the mapping of users takes the settings as they are when it is first asked for
    assert re.search(r"UserDict\(.{0,60}settings=self\.tornado_settings", (SOURCES / "app.py").read_text(), re.DOTALL)
    source = inspect.getsource(JupyterHub.init_tornado_settings)
    assert in_order(source, "settings.update(self.tornado_settings)", "self.tornado_settings = settings", "self.users")


def test_every_way_to_a_start_is_spawn_single_user_of_a_guarded_handler() -> None:
    callers = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if "tests" not in path.parts and "self.spawn_single_user(" in path.read_text()
    }
    assert callers == {"apihandlers/users.py", "handlers/pages.py"}
    assert parameters(BaseHandler.spawn_single_user)[:3] == ["self", "user", "server_name"]
    assert "options" in parameters(BaseHandler.spawn_single_user)
    starters = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if "tests" not in path.parts and re.search(r"\buser\.spawn\(", path.read_text())
    }
    assert starters == {"handlers/base.py"}


def test_the_second_gate_is_where_it_was() -> None:
    assert parameters(Spawner._run_apply_user_options) == ["self", "user_options"]
    assert inspect.iscoroutinefunction(Spawner._run_apply_user_options)
    source = inspect.getsource(User.spawn)
    assert in_order(
        source, "spawner.clear_state()", "spawner._start_pending = True", "spawner._run_apply_user_options(spawner.user_options)",
        "spawner.run_pre_spawn_hook()", "spawner.start()", "spawner.orm_spawner.state = spawner.get_state()", "self._wait_up(spawner)",
    )  # fmt: skip


def test_who_counts_a_refused_start_as_a_failure() -> None:
    source = inspect.getsource(BaseHandler.spawn_single_user)
    assert "self.settings['failure_count'] += 1" in source
    assert hasattr(jupyterhub.spawner, "SpawnException") == SIX == ("status == ServerSpawnStatus.error" in source)


@pytest.mark.parametrize("name", ["_spawn_future", "_log_name", "pending", "ready", "active", "poll_and_notify", "get_url", "clear_state"])
def test_the_spawner_has_what_is_read_or_overridden(name: str) -> None:
    assert hasattr(Spawner, name)


@pytest.mark.parametrize("name", ["poll", "stop", "start", "make_preexec_fn", "_signal", "_env_keep_default", "clear_state", "get_state"])
def test_the_local_spawner_has_what_is_overridden(name: str) -> None:
    assert hasattr(LocalProcessSpawner, name) and hasattr(SimpleLocalProcessSpawner, name)


def test_the_local_spawner_starts_as_the_spawner_expects() -> None:
    source = inspect.getsource(LocalProcessSpawner.start)
    assert in_order(
        source, "preexec_fn=self.make_preexec_fn", "start_new_session=True", "popen_kwargs.update(self.popen_kwargs)", "self.pid = "
    )
    assert "self.home_dir" in inspect.getsource(SimpleLocalProcessSpawner.user_env)


def test_the_spawn_page_has_the_methods_that_are_guarded() -> None:
    for name in ("_get", "_post"):
        assert parameters(getattr(SpawnHandler, name))[:3] == ["self", "user_name", "server_name"]
        assert f"self.{name}(" in inspect.getsource(getattr(SpawnHandler, name.strip("_")))
    assert parameters(SpawnHandler._render_form)[:3] == ["self", "for_user", "spawner_options_form"]
    assert parameters(BaseHandler.append_query_parameters) == ["self", "url", "exclude"]
    assert in_order(inspect.getsource(SpawnHandler._get), "spawner.handler = self", "query_arguments", "get_options_form", "_render_form")


def test_the_rest_handler_of_servers_reads_its_body_by_the_methods_that_are_overridden() -> None:
    assert issubclass(users.UserServerAPIHandler, APIHandler)
    changes = users.UserServerAPIHandler.patch is not web.RequestHandler.patch
    assert changes == SIX == hasattr(users.UserServerAPIHandler, "get_server_json_body")
    reader = "self.get_server_json_body()" if SIX else "self.get_json_body()"
    assert reader in inspect.getsource(users.UserServerAPIHandler.post)
    assert ("start:servers" in scopes.scope_definitions) == SIX
    assert oauth_handlers.__name__ == "jupyterhub.apihandlers.auth"
    assert any("oauth2" in route[0] for route in oauth_handlers.default_handlers)


def test_a_handler_checks_who_asks_before_the_guard_looks() -> None:
    assert in_order(
        inspect.getsource(BaseHandler.prepare), "get_current_user", "_resolve_roles_and_scopes", "super().prepare()", "check_xsrf_cookie"
    )


@pytest.mark.parametrize("handler", [APIHandler, BaseHandler])
def test_errors_are_answered_by_write_error_and_take_headers_from_the_exception(handler: type) -> None:
    source = inspect.getsource(handler.write_error)  # type: ignore[attr-defined]  # both have it
    assert "getattr(exception, 'headers', None)" in source
    assert ("jupyterhub_message" in inspect.getsource(BaseHandler.write_error)) and "jupyterhub_html_message" in inspect.getsource(
        BaseHandler.write_error
    )


def test_the_database_has_the_records_that_the_mirror_writes() -> None:
    assert {"name", "admin", "groups", "roles"} <= set(dir(orm.User))
    assert {"state", "user_options", "last_activity", "started", "name"} <= set(dir(orm.Spawner))
    assert parameters(roles.assign_default_roles) == ["db", "entity"]


def test_the_authenticator_has_what_is_overridden() -> None:
    for name in (
        "authenticate",
        "check_allowed",
        "normalize_username",
        "refresh_user",
        "validate_username",
        "any_allow_config",
        "manage_groups",
    ):
        assert hasattr(Authenticator, name)
    assert "self.authenticator.manage_groups and self.load_groups" in inspect.getsource(JupyterHub.init_groups)
