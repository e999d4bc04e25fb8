"""A JupyterHub that shows every page in every state, for looking at them: its people are states, and nothing real is started.

``ada``, ``grace`` … see the form with an offer of their own; ``slow`` waits for ever on the pending page, ``unlucky``'s
server fails, ``idle`` stops slowly. Started by tests/browser/gallery.py.
"""

import asyncio
import os
import sys
from pathlib import Path

from jupyterhub._version import __version__
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from markupsafe import escape
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from traitlets import default

sys.path.insert(0, str(Path(__file__).parents[2]))
from afkit.hub.form import parse, routes, template_path, template_vars
from tests.unit.form import states

STEPS = (
    (10, "Your choice is granted: Analysis on AMD64 nodes, Small."),
    (30, "Home directory is ready."),
    (60, "Starting the server: 1 core, 2 GiB memory."),
)


LOG = """Traceback (most recent call last):
  File "/opt/conda/bin/jupyterhub-singleuser", line 4, in <module>
ModuleNotFoundError: No module named 'jupyterlab'"""


class NoProxy(Proxy):
    """The hub is looked at directly."""

    should_start = False

    async def add_route(self, routespec, target, data):
        self.routes = getattr(self, "routes", {}) | {routespec: {"routespec": routespec, "target": target, "data": data}}

    async def delete_route(self, routespec):
        getattr(self, "routes", {}).pop(routespec, None)

    async def get_all_routes(self):
        return getattr(self, "routes", {})


class Answer(RequestHandler):
    """A server that is up, as the hub sees it."""

    def get(self):
        self.set_header("X-JupyterHub-Version", __version__)


class Gallery(Spawner):
    """Waits, fails or runs for ever; starts no process."""

    running = False

    @default("options_form")
    def _form(self):
        state = states.states().get(self.user.name)
        return state.form if state else ""

    def options_from_form(self, formdata):
        return parse(formdata)

    async def start(self):
        if self.user.name == "unlucky":
            await asyncio.sleep(1.5)
            error = RuntimeError("ended")
            error.jupyterhub_html_message = (
                f"<p>The server ended with exit code 1 before it answered.</p><pre class='af-log' tabindex='0'>{escape(LOG)}</pre>"
            )
            raise error
        self.running = True
        if self.user.name == "idle":
            server = HTTPServer(Application([(".*", Answer)]))
            sockets = bind_sockets(0, "127.0.0.1")
            server.add_sockets(sockets)
            return f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        await asyncio.sleep(3600)
        return ""

    async def stop(self, now=False):
        self.running = False

    async def poll(self):
        return None if self.running else 0

    async def progress(self):
        for progress, message in STEPS:
            yield {"progress": progress, "message": message}
            await asyncio.sleep(0.2)
        await asyncio.sleep(3600)


def afkit_vars(user):
    problems = ["facility.yaml:31:5: AF204 There is no image scientifc. Did you mean scientific?"] if user and user.admin else []
    return {
        "title": "Example Analysis Facility",
        "contact": "af-support@example.org",
        "documentation": "https://docs.example.org/af",
        "problems": problems,
    }


c = get_config()  # noqa: F821
c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = os.environ["GALLERY_URL"]
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret_file = str(Path.cwd() / "cookie_secret")
c.JupyterHub.spawner_class = Gallery
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "gallery"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"root-of-all"}
c.JupyterHub.template_paths = [template_path()]
c.JupyterHub.template_vars = {"afkit": afkit_vars, **template_vars()}
c.JupyterHub.extra_handlers = routes()
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 3
c.JupyterHub.log_level = "WARN"
c.Spawner.start_timeout = 3600
c.JupyterHub.init_spawners_timeout = 1
