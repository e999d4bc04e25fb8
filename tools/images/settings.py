"""What uv, pip and npm of a build stage need to reach packages as this machine does: handed in as secrets, never in a layer."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.environment import pip_settings, uv_environment

INSIDE = "/run/secrets"
"""Where a build stage sees its secrets."""
AUTHORITIES = ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
"""Variables that name a file of certificates of authorities."""
OWN = ("PIP_", "UV_", "NPM_CONFIG_", "npm_config_")
"""How variables begin that are settings of package tools."""
ELSEWHERE = frozenset({"UV_FIND_LINKS", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "UV_PYTHON", "UV_CACHE_DIR", "PIP_CACHE_DIR"})
"""Settings that name places of this machine, which a build stage does not see."""


@contextlib.contextmanager
def secrets(beside: Path | None = None) -> Iterator[list[str]]:
    """The builder's arguments that hand this machine's settings in; the files are gone afterwards.

    ``beside``: the folder in which they lie meanwhile.
    """
    with tempfile.TemporaryDirectory(dir=beside, prefix="secrets-") as folder:
        packages = Path(folder, "packages")
        packages.touch(mode=0o600)
        authorities = next((os.environ[name] for name in AUTHORITIES if os.environ.get(name)), "")
        chosen = settings(os.environ, own_settings(), authorities=bool(authorities))
        packages.write_text("".join(f"{name}={value}\n" for name, value in sorted(chosen.items())), encoding="utf-8")
        files = {"packages": packages, "authorities": Path(authorities), "npmrc": npmrc()}
        yield [word for name, file in files.items() if file.is_file() for word in ("--secret", f"id={name},src={file}")]


def settings(environment: Mapping[str, str], found: Mapping[str, str], *, authorities: bool) -> dict[str, str]:
    """The variables for a build stage: what this environment says, then what the tools' own files say."""
    own = {name: value for name, value in environment.items() if name.startswith(OWN) and name not in ELSEWHERE}
    for name, value in found.items():
        own.setdefault(name, value)
    if authorities:
        # as a file of its own, so that it is there whatever the base holds
        own |= dict.fromkeys(AUTHORITIES, f"{INSIDE}/authorities")
    own["NPM_CONFIG_USERCONFIG"] = f"{INSIDE}/npmrc"
    return own


def own_settings() -> dict[str, str]:
    """What pip's and npm's files say on this machine, as variables that uv, pip and npm read."""
    files = pip_settings(Path(sys.executable))
    found = {name: value for name, value in uv_environment({}, files).items() if name not in ELSEWHERE}
    found |= {f"PIP_{key.upper().replace('-', '_')}": value for key, value in files.items() if key in {"index-url", "extra-index-url"}}
    if npm := shutil.which("npm"):
        said = subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, check=False)
        if said.returncode == 0 and said.stdout.startswith("http"):
            found["NPM_CONFIG_REGISTRY"] = said.stdout.strip()
    return found


def npmrc() -> Path:
    """The person's file of npm's settings (where a private registry's token is)."""
    return Path(os.environ.get("NPM_CONFIG_USERCONFIG") or Path.home() / ".npmrc")
