"""Run inside the image: the hub, its spawner and the services are there, and nothing of a session is. Prints one line of JSON."""

from __future__ import annotations

import json
import platform
import subprocess

from checks import check

IMPORTED = ("afkit.hub", "afkit.services.namespaces", "jupyterhub.app", "kubespawner", "oauthenticator")
ABSENT = ("rfc3987_syntax", "jupyterlab", "coffea", "pip")


def main() -> None:
    """Every check; the first that fails ends the program."""
    check(IMPORTED, ABSENT)
    for command in (("jupyterhub", "--version"), ("afkit", "--version")):
        subprocess.run(command, check=True, capture_output=True)
    print(json.dumps({"machine": platform.machine(), "python": platform.python_version()}))


if __name__ == "__main__":
    main()
