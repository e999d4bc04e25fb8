"""The things that the doctor looks at, one function each: environment → `Finding`, or ``None`` where there is nothing to look at."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from afkit.names import architecture
from afkit.quantities import format_cpu, format_duration
from afkit.session.cvmfs import checkup
from afkit.session.report import Finding, State

__all__ = ["cvmfs", "dask", "gpu", "hub", "lifetime", "limits", "not_applied", "ports", "proxy", "session", "space"]

_SUPPORT = "Ask your facility's support."
_GIB = 1024**3


def session(environment: Mapping[str, str]) -> Finding:
    """Whose session this is, and whether it runs on the architecture that was chosen."""
    names = [f"{word} {environment[key]}" for word, key in (("profile", "AFKIT_PROFILE"), ("pool", "AFKIT_POOL")) if environment.get(key)]
    text = ", ".join([f"Facility {environment.get('AFKIT_FACILITY', '')}", *names]) + "."
    chosen, here = environment.get("AFKIT_ARCH", ""), architecture(platform.machine())
    if chosen and chosen != here:
        return Finding("session", "bad", f"{text} The pool is {chosen}, but this machine is {here}.", _SUPPORT)
    return Finding("session", "ok", text)


def hub(environment: Mapping[str, str]) -> Finding:
    """Whether the hub answers, and knows this session by its token."""
    url, token = environment.get("JUPYTERHUB_API_URL"), environment.get("JUPYTERHUB_API_TOKEN")
    if not url or not token:
        return Finding(
            "hub",
            "unknown",
            "This process has no address of the hub, or no token.",
            "Run it in the session's own terminal.",
        )
    request = urllib.request.Request(f"{url.rstrip('/')}/user", headers={"Authorization": f"token {token}"})  # noqa: S310  # the hub's own address
    # the hub is inside the facility: a proxy for the way out is the wrong way, and must not see the token
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            name = json.load(answer).get("name")
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return Finding(
                "hub",
                "bad",
                f"The hub refuses this session's token ({error.code}).",
                "Stop the server on the hub's page and start it again.",
            )
        return Finding("hub", "bad", f"The hub answers with an error ({error.code}).", _SUPPORT)
    except (OSError, ValueError) as error:
        return Finding("hub", "bad", f"The hub does not answer ({type(error).__name__}).", "Wait a minute and try again. " + _SUPPORT)
    return Finding("hub", "ok", f"The hub answers, and knows this session as {name}'s.")


def limits(environment: Mapping[str, str]) -> Finding:
    """What this session may use."""
    cores, memory = _number(environment.get("CPU_LIMIT")), _number(environment.get("MEM_LIMIT"))
    if cores is None and memory is None:
        return Finding("limits", "unknown", "Nobody told this session its limits.", _SUPPORT)
    parts = [f"{cores:g} cores"] if cores is not None else ["no limit of cores"]
    parts.append(f"{memory / _GIB:.1f} GiB of memory" if memory is not None else "no limit of memory")
    text = f"This session may use {parts[0]} and {parts[1]}."
    if "AFKIT_NOT_APPLIED" in environment:
        text += " On this machine that is advice: nothing stops a program that takes more."
    have = os.cpu_count() or 1
    if cores is not None and cores > have:
        return Finding("limits", "bad", f"{text} The machine has only {have} cores.", "Choose a smaller size.")
    return Finding("limits", "ok", text)


def lifetime(environment: Mapping[str, str]) -> Finding:
    """When this session ends, if nobody does anything, and at the latest."""
    from afkit.session.lab.lifetime import WARN, lifetime_of

    if "AFKIT_LIFETIME" not in environment:
        return Finding("lifetime", "unknown", "Nobody told this session how long it may live.", _SUPPORT)
    life = lifetime_of(environment)
    parts = [f"It ends after {format_duration(life.idle)} in which nothing happens."] if life.idle else []
    if life.ends is not None:
        left = life.ends - time.time()
        parts.append(f"At the latest it ends at {datetime.fromtimestamp(life.ends).astimezone():%Y-%m-%d %H:%M %Z}.")
        if left < WARN:
            return Finding("lifetime", "bad", " ".join(parts), "Save your work now; you can start a new session at once.")
    return Finding("lifetime", "ok", " ".join(parts) or "Nobody ends this session.")


def dask(environment: Mapping[str, str]) -> Finding | None:
    """Whether a Dask cluster can be had: one of a single small worker is started, computes one task and is closed."""
    if _json(environment, "AFKIT_DASK", {}) is None:
        return Finding("dask", "ok", "The profile of this session gives no Dask.")
    try:
        versions = f"Dask {version('dask')}, distributed {version('distributed')}"
    except PackageNotFoundError:
        return Finding("dask", "bad", "Dask is not installed in this environment.", "Install it: pip install 'afkit[session]'.")
    details = tuple(_clusters())
    try:
        done = subprocess.run(
            [sys.executable, "-m", "afkit.session.trial"], capture_output=True, text=True, timeout=90, env=dict(environment), check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "dask", "bad", f"{versions}: a small cluster did not compute anything in 90 s.", "Look at this machine's load.", details
        )
    said = _last_line(done.stdout)
    if "seconds" in said:
        return Finding("dask", "ok", f"{versions}: a small cluster computed its first task after {said['seconds']:.1f} s.", "", details)
    # a refusal says nothing about whether Dask works: the limits leave nothing to try it with
    state: State = "unknown" if said.get("refused") else "bad"
    text = said.get("message") or f"The trial ended with code {done.returncode}."
    return Finding("dask", state, f"{versions}: {text}", said.get("hint") or _SUPPORT, details)


def _clusters() -> list[str]:
    from afkit.session import registry

    return [f"cluster {entry.name}: {entry.workers} workers, {format_cpu(entry.cores)} cores" for entry in registry.entries()]


def cvmfs(environment: Mapping[str, str]) -> Finding | None:
    """Whether each CVMFS repository that this session was given (``AFKIT_CVMFS``) answers."""
    if not environment.get("AFKIT_CVMFS"):
        return None
    seen = checkup(environment)
    bad = seen.bad
    if not bad:
        return Finding("cvmfs", "ok", f"The repositories below {seen.folder} answer: {', '.join(one.repository for one in seen)}.")
    state: State = "unknown" if {one.state for one in bad} == {"unknown"} else "bad"
    if not bad[0].repository:  # the folder itself
        return Finding("cvmfs", state, bad[0].message, bad[0].remedy)
    text = f"{len(bad)} of {len(seen.repositories)} repositories below {seen.folder} do not answer."
    remedies = dict.fromkeys(one.remedy for one in bad)
    return Finding("cvmfs", state, text, " ".join(remedies), tuple(f"{one.repository}: {one.state}: {one.message}" for one in bad))


def gpu(environment: Mapping[str, str]) -> Finding | None:
    """Whether the GPUs that this session was given can be seen."""
    plan = _json(environment, "AFKIT_DASK", None)
    promised = int(plan.get("accelerators") or 0) if isinstance(plan, dict) else 0
    found = _gpus()
    if found:
        return Finding("gpu", "ok", f"{len(found)} GPU{'s' if len(found) > 1 else ''} can be seen.", "", tuple(found))
    if promised:
        return Finding("gpu", "bad", f"This session has {promised} GPU{'s' if promised > 1 else ''}, but none can be seen.", _SUPPORT)
    if _gpu_files():
        return Finding("gpu", "unknown", "There is a GPU, but no tool here that says whether it works.", "Install the driver's tools.")
    return Finding("gpu", "ok", "This session has no GPU." if "AFKIT_FACILITY" in environment else "This machine has no GPU.")


def _gpus() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    # "GPU 0: NVIDIA A100-SXM4-40GB (UUID: …)": the identifier is nobody's business
    return [line.split(" (UUID")[0].strip() for line in done.stdout.splitlines() if line.strip().startswith(("GPU", "MIG"))]


def _gpu_files() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def space(environment: Mapping[str, str]) -> Finding:
    """Whether the home can be written, and what is left there."""
    home = Path(environment.get("HOME") or Path.home())
    trial = home / f".afkit-doctor-{os.getpid()}"
    try:
        trial.write_bytes(b"x")
        trial.unlink()
        free = shutil.disk_usage(home).free
    except OSError as error:
        return Finding("space", "bad", f"The home {home} cannot be written: {error.strerror}.", "Delete what you do not need. " + _SUPPORT)
    text = f"{free / _GIB:.1f} GiB are free in {home}."
    if free < _GIB:
        return Finding(
            "space",
            "bad",
            text,
            "Delete what you do not need: on a full disk no notebook can be saved.",
        )
    return Finding("space", "ok", text)


def not_applied(environment: Mapping[str, str]) -> Finding | None:
    """What of the facility file does not hold here, because this is one machine and not a cluster."""
    sentences = _json(environment, "AFKIT_NOT_APPLIED", None)
    if not isinstance(sentences, list):
        return None
    if not sentences:
        return Finding("not applied", "ok", "All of the facility file holds on this machine.")
    return Finding("not applied", "ok", "On one machine this of the facility file does not hold:", "", tuple(map(str, sentences)))


def proxy(_environment: Mapping[str, str]) -> Finding:
    """What a facility on this machine would be reached through."""
    if find_spec("jupyterhub") is None:
        return Finding("proxy", "unknown", "No JupyterHub is installed, so no facility can run here.", "pip install 'afkit[laptop]'")
    beside = Path(sys.prefix, "bin")
    if shutil.which("traefik", path=str(beside)) and find_spec("jupyterhub_traefik_proxy"):
        return Finding("proxy", "ok", "afkit up uses traefik.")
    if find_spec("configurable_http_proxy"):
        return Finding("proxy", "ok", "afkit up uses configurable-http-proxy: pages do not stream, and files over 100 MiB do not pass.")
    return Finding("proxy", "bad", "There is no proxy that afkit up could use.", "pip install 'afkit[laptop]'")


def ports(_environment: Mapping[str, str]) -> Finding:
    """Whether a server can listen on this machine's own address."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            free = server.getsockname()[1]
        with socket.socket() as usual:
            taken = usual.connect_ex(("127.0.0.1", 8000)) == 0
    except OSError as error:
        return Finding("ports", "bad", f"Nothing can listen on 127.0.0.1: {error.strerror}.", "Look at the firewall of this machine.")
    text = f"Servers can listen on 127.0.0.1 (port {free} was tried)."
    return Finding("ports", "ok", text + (" Port 8000 is taken; afkit up takes another." if taken else ""))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _json(environment: Mapping[str, str], key: str, absent: object) -> Any:
    if key not in environment:
        return absent
    try:
        return json.loads(environment[key])
    except ValueError:
        return absent


def _last_line(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return said if isinstance(said, dict) else {}
