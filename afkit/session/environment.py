"""The environment of workers on this machine: what an interpreter needs to run and find data, never the session's own.

A session's environment holds tokens and whatever people have exported; none of it reaches a worker unless it stands here or in
``env``. Pointers to credentials (``BEARER_TOKEN_FILE``, ``X509_USER_PROXY``) are passed, credentials themselves are not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from afkit.errors import IncompatibleError

__all__ = ["PASSED", "PASSED_PREFIXES", "SET", "check_python", "worker_environment"]

PASSED = frozenset(
    {
        # who and where
        "HOME", "USER", "LOGNAME", "SHELL", "PATH", "TMPDIR", "TZ", "LANG", "LANGUAGE", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME",
        # what the kernel's own interpreter needs to start (a view on CVMFS, conda, ROOT)
        "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE",
        "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV", "CONDA_PREFIX", "ROOTSYS",
        # where credentials are found, and whom to trust
        "BEARER_TOKEN_FILE", "X509_USER_PROXY", "X509_CERT_DIR", "X509_VOMS_DIR", "KRB5CCNAME", "KRB5_CONFIG",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
        "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
        "CUDA_HOME", "CUDA_PATH",
    }
)  # fmt: skip
"""Variables that workers get as the session has them."""

PASSED_PREFIXES = ("LC_", "DASK_", "XRD_")
PASSED_AFKIT = ("AFKIT_FACILITY", "AFKIT_PROFILE", "AFKIT_POOL", "AFKIT_ARCH")

SET = {
    # as Dask's nanny sets them (distributed.nanny.pre-spawn-environ): a worker's threads are Dask's, not the libraries'
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
"""Variables that every worker gets; ``env`` may say otherwise."""

_PROBE = "import distributed, json, sys; print(json.dumps([sys.version_info[:2], distributed.__version__]))"
_PROBE_SECONDS = 30.0


def worker_environment(session: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """The workers' environment: the passed part of the session's, what is set for all, and ``env`` over it."""
    passed = {name: value for name, value in session.items() if name in PASSED or name.startswith(PASSED_PREFIXES) or name in PASSED_AFKIT}
    # workers are told their scheduler; a setting for people's clients would only mislead a Client() in a task
    passed.pop("DASK_SCHEDULER_ADDRESS", None)
    passed.pop("DASK_SCHEDULER__ADDRESS", None)
    return passed | SET | dict(added)


def check_python(path: str | None, environ: Mapping[str, str], timeout: float = _PROBE_SECONDS) -> str:
    """The workers' interpreter: this process's own, or ``path`` after it has been tried (for ``timeout`` seconds, at most 30).

    Raises `IncompatibleError` for one that does not exist, cannot import ``distributed``, or has another Python or ``distributed``
    than this process (functions and messages could not travel between them).
    """
    if path is None or _same(path, sys.executable):
        if not sys.executable:
            raise IncompatibleError("This process does not know its own interpreter.", 'Write python="/path/to/python".', field="python")
        return sys.executable
    found = shutil.which(str(Path(path).expanduser()), path=environ.get("PATH"))
    if found is None:
        raise IncompatibleError(f"There is no interpreter at {path}.", "Write the path of a Python on this machine.", field="python")
    found = os.path.abspath(found)  # noqa: PTH100 - a link to an interpreter must stay one: it decides the environment
    try:
        probe = subprocess.run(
            [found, "-c", _PROBE], env=dict(environ), capture_output=True, text=True, timeout=min(timeout, _PROBE_SECONDS), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IncompatibleError(f"{path} cannot be run as a Python interpreter.", str(error)[:200], field="python") from error
    if probe.returncode != 0:
        last = (probe.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise IncompatibleError(
            f"The interpreter {path} cannot import distributed: {last[:300]}",
            "Install distributed there, or leave python out.",
            field="python",
        )
    try:
        version, distributed = json.loads(probe.stdout.strip().rpartition("\n")[2])
    except (ValueError, TypeError) as error:
        raise IncompatibleError(f"What {path} says of itself cannot be read: it is no Python.", "", field="python") from error
    _agree(path, tuple(version), distributed)
    return found


def _agree(path: str, version: tuple[int, ...], distributed: str) -> None:
    from importlib.metadata import version as installed

    ours = installed("distributed")
    here = sys.version_info[:2]
    if version != here:
        raise IncompatibleError(
            f"{path} is Python {'.'.join(map(str, version))}, this process {'.'.join(map(str, here))}: no function can travel.",
            "Use an interpreter of the same version.",
            field="python",
        )
    if distributed != ours:
        raise IncompatibleError(
            f"{path} has distributed {distributed}, this process has {ours}.", "Install the same version in both.", field="python"
        )


def _same(path: str, other: str) -> bool:
    # not samefile: the interpreters of two virtual environments are links to one file
    return bool(other) and os.path.abspath(path) == os.path.abspath(other)  # noqa: PTH100 - see check_python
