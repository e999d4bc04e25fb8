"""The hub's configuration under `afkit up`; its settings are in the file that AFKIT_UP_SETTINGS names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from afkit.hub import configure
from afkit.up.processes import MARK
from afkit.up.watch import watch_supervisor

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821  # traitlets puts it there
settings = json.loads(Path(os.environ.pop("AFKIT_UP_SETTINGS")).read_text(encoding="utf-8"))

watch_supervisor(settings["supervisor"], settings["mark"])

c.JupyterHub.bind_url = settings["url"]
c.JupyterHub.hub_bind_url = settings["hub_url"]
c.JupyterHub.db_url = "sqlite:///hub.sqlite"  # the hub runs in the state directory, whatever signs its path has
c.JupyterHub.upgrade_db = True
c.JupyterHub.cookie_secret_file = "cookie_secret"  # noqa: S105  # a file's name

proxy = settings["proxy"]
if proxy["kind"] == "traefik":
    import bcrypt  # comes with jupyterhub-traefik-proxy

    c.JupyterHub.proxy_class = "traefik_file"
    c.TraefikFileProviderProxy.should_start = False
    c.TraefikFileProviderProxy.traefik_api_url = proxy["api"]
    c.TraefikFileProviderProxy.traefik_api_username = "hub"
    c.TraefikFileProviderProxy.traefik_api_password = proxy["password"]
    # traefik computes the hash at each request of the hub: bcrypt's usual cost takes 0.3 s, a whole second at the start of
    # every server, and protects nothing here, as nobody guesses 256 random bits
    hashed = bcrypt.hashpw(proxy["password"].encode(), bcrypt.gensalt(rounds=4))
    c.TraefikFileProviderProxy.traefik_api_hashed_password = hashed.decode()
    c.TraefikFileProviderProxy.dynamic_config_file = proxy["rules"]
else:
    c.JupyterHub.proxy_class = "afkit.hub.routes.QuietProxy"
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = proxy["api"]
    c.ConfigurableHTTPProxy.auth_token = proxy["token"]
    c.JupyterHub.last_activity_interval = 10  # this proxy forgets all routes when it is started again; the hub then looks

if settings["service"]:
    # a name of its own for each run: the hub forgets services that are no longer configured, and their tokens with them
    c.JupyterHub.services.append({"name": settings["service"], "api_token": settings["token"]})
    c.JupyterHub.load_roles.append({"name": "admin", "services": [settings["service"]]})

c.Spawner.env_keep.extend([MARK, "JUPYTER_CONFIG_PATH"])
c.AfkitLocalSpawner.state_dir = settings["state"]
c.AfkitLocalAuthenticator.passwords_file = settings["passwords"]

configure(c, settings["file"], mode="local", people=settings["people"])
