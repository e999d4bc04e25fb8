"""A hub on this machine without `afkit up`; README.md beside it says how to start it."""

from pathlib import Path

from afkit.hub import configure

here = Path(__file__).parent
c = get_config()  # noqa: F821  # JupyterHub puts it there
c.JupyterHub.bind_url = "http://127.0.0.1:8000/"
c.JupyterHub.proxy_class = "traefik_file"
c.AfkitLocalAuthenticator.passwords_file = str(here / "passwords.json")
c.AfkitLocalSpawner.state_dir = str(here / "state")
configure(c, here / "facility.yaml", mode="local")
