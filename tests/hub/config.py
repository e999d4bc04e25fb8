"""The jupyterhub_config.py of the tests; what varies is in the file that HUB_UNDER_TEST names."""

import json
import os
from pathlib import Path

c = get_config()  # noqa: F821
settings = json.loads(Path(os.environ["HUB_UNDER_TEST"]).read_text())

exec(settings["before"])

c.JupyterHub.bind_url = settings["url"]
c.JupyterHub.hub_bind_url = settings["hub_url"]
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.last_activity_interval = 5
if settings["proxy"] == "traefik":
    c.JupyterHub.proxy_class = "traefik_file"
    c.TraefikFileProviderProxy.traefik_bin = settings["traefik"]
    c.TraefikFileProviderProxy.traefik_api_url = settings["api_url"]
    c.TraefikFileProviderProxy.static_config_file = "traefik.toml"
    c.TraefikFileProviderProxy.dynamic_config_file = "rules.toml"
else:
    c.ConfigurableHTTPProxy.command = settings["proxy_command"]
    c.ConfigurableHTTPProxy.api_url = settings["api_url"]

c.JupyterHub.services = [{"name": "tests", "api_token": settings["token"]}]
c.JupyterHub.load_roles = [
    {
        "name": "tests",
        "services": ["tests"],
        "scopes": ["admin:users", "admin:servers", "admin:groups", "tokens", "read:metrics", "shares", "proxy", "admin:server_state"],
    },
    {"name": "physics-readers", "groups": ["physicists"], "scopes": ["read:hub"]},
]

import logging  # noqa: E402

# a request for a start waits for it, however busy this machine is
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 60, **c.JupyterHub.get("tornado_settings", {})}

c.EventLogger.handlers = [logging.FileHandler("events.jsonl")]
c.AfkitLocalSpawner.state_dir = settings["state"]
c.AfkitLocalAuthenticator.passwords_file = settings["passwords"]
if settings["plain"]:
    c.JupyterHub.spawner_class = "afkit-local"
    c.JupyterHub.authenticator_class = "afkit-local"
    c.AfkitLocalSpawner.facility_file = settings["facility"]
else:
    from afkit.hub import configure

    configure(c, settings["facility"], mode=settings["mode"], people=settings["people"])

exec(settings["after"])
