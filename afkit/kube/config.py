"""Where the API server is and how to be let in: a pod's own service account, or a kubeconfig file."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from afkit.errors import KubernetesError
from afkit.kube.credentials import ExecCredential, FileToken, Headers, StaticHeader
from afkit.kube.trust import Trust

__all__ = ["Access", "access", "in_cluster", "kubeconfig"]

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_MOST_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Access:
    """An API server and what opens it. ``server`` is a URL without a slash at its end; ``proxy`` is ``None`` for a direct way.

    ``namespace`` is the one that the configuration is about; ``source`` says where all this was found, for sentences.
    """

    server: str
    credentials: Headers
    tls: Trust | ssl.SSLContext | None = field(default=None, repr=False)
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    namespace: str = "default"
    source: str = ""


def access(path: str | None = None) -> Access:
    """The configuration of a named kubeconfig; without a name that of the pod, else of ``$KUBECONFIG`` or ``~/.kube/config``."""
    if path is None and "KUBERNETES_SERVICE_HOST" in os.environ and Path(SERVICE_ACCOUNT, "token").exists():
        return in_cluster()
    return kubeconfig(path)


def in_cluster(folder: str = SERVICE_ACCOUNT, environment: Mapping[str, str] | None = None) -> Access:
    """The pod's own service account. Proxies of the environment do not count here: the API server is next door."""
    seen = os.environ if environment is None else environment
    host, port = seen.get("KUBERNETES_SERVICE_HOST", ""), seen.get("KUBERNETES_SERVICE_PORT", "443")
    where = f"[{host}]" if ":" in host else host
    namespace, authority = Path(folder, "namespace"), str(Path(folder, "ca.crt"))
    return Access(
        server=f"https://{where}:{port}",
        credentials=FileToken(str(Path(folder, "token"))),
        tls=Trust(lambda: _context(authority_file=authority), (authority,)),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        source="the service account of this pod",
    )


def kubeconfig(path: str | None = None, context: str | None = None) -> Access:
    """The current context of a kubeconfig file; of several files in ``$KUBECONFIG`` the first that has a name counts."""
    files = _files(path)
    name = context or next((data["current-context"] for _, data in files if data.get("current-context")), "")
    _, chosen = _named(files, "contexts", "context", name)
    base, cluster = _named(files, "clusters", "cluster", str(chosen.get("cluster", "")))
    user_base, user = _named(files, "users", "user", str(chosen["user"])) if chosen.get("user") else (base, {})
    server = str(cluster.get("server", "")).rstrip("/")
    return Access(
        server=server,
        credentials=_credentials(user_base, user),
        tls=_trust(base, cluster, user_base, user) if server.startswith("https:") else None,
        server_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url") or _proxy(server),
        namespace=str(chosen.get("namespace") or "default"),
        source=" and ".join(str(one) for one, _ in files),
    )


def _files(path: str | None) -> list[tuple[Path, dict[str, Any]]]:
    """Every kubeconfig that counts, with what it has."""
    named = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one] or [str(Path.home() / ".kube" / "config")]
    paths = [path] if path else [one for one in named if Path(one).exists()]
    if not paths:
        raise _wrong(f"There is no kubeconfig at {' or '.join(named)}, and this is no pod.", "Set KUBECONFIG to kubectl's file.")
    return [(Path(one), _load(Path(one))) for one in paths]


def _wrong(message: str, hint: str = "") -> KubernetesError:
    return KubernetesError(message, hint, reason="Configuration")


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        text = path.read_bytes()
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if len(text) <= _MOST_BYTES else None  # noqa: S506  # safe
    except OSError as error:
        raise _wrong(f"The kubeconfig {path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError:
        # not chained: the parser quotes the file, which has secrets
        raise _wrong(f"The kubeconfig {path} is no YAML.") from None
    if not isinstance(data, dict):
        raise _wrong(f"{path} is no kubeconfig.")
    return data


def _named(files: list[tuple[Path, dict[str, Any]]], plural: str, singular: str, name: str) -> tuple[Path, dict[str, Any]]:
    for path, data in files:
        for entry in data.get(plural) or ():
            if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(singular), dict):
                return path.parent, entry[singular]
    raise _wrong(f"The kubeconfig has no {singular} {name!r}.", "kubectl config get-contexts lists what it has.")


def _credentials(base: Path, user: Mapping[str, Any]) -> Headers:
    if user.get("token"):
        return StaticHeader(f"Bearer {user['token']}")
    if user.get("tokenFile"):
        return FileToken(str(base / user["tokenFile"]))
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        return StaticHeader(f"Basic {base64.b64encode(pair.encode()).decode()}")
    program = user.get("exec")
    if isinstance(program, dict) and program.get("command"):
        environment = {str(one["name"]): str(one["value"]) for one in program.get("env") or ()}
        command = [str(program["command"]), *(str(one) for one in program.get("args") or ())]
        return ExecCredential(command, environment, str(program.get("apiVersion", "client.authentication.k8s.io/v1")))
    return StaticHeader("")


def _proxy(server: str) -> str | None:
    parts = urlsplit(server)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _trust(base: Path, cluster: Mapping[str, Any], user_base: Path, user: Mapping[str, Any]) -> Trust:
    """The context, and the files beside the kubeconfig that it is made from."""
    named = [(base, cluster, "certificate-authority"), (user_base, user, "client-certificate"), (user_base, user, "client-key")]
    files = [folder / data[key] for folder, data, key in named if data.get(key) and not data.get(f"{key}-data")]
    return Trust(lambda: _tls(base, cluster, user_base, user), files)


def _tls(base: Path, cluster: Mapping[str, Any], user_base: Path, user: Mapping[str, Any]) -> ssl.SSLContext:
    context = _context(
        authority_file=str(base / cluster["certificate-authority"]) if cluster.get("certificate-authority") else None,
        authority=_decoded(cluster, "certificate-authority-data"),
        verify=cluster.get("insecure-skip-tls-verify") is not True,
    )
    with _file(user_base, user, "client-certificate") as certificate, _file(user_base, user, "client-key") as key:
        if certificate and key:
            try:
                context.load_cert_chain(certificate, key)
            except (OSError, ssl.SSLError):
                raise _wrong("The client certificate of the kubeconfig cannot be used.") from None
    return context


def _context(*, authority_file: str | None = None, authority: bytes | None = None, verify: bool = True) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority_file, cadata=authority.decode("ascii") if authority else None)
    except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
        raise _wrong("The certificate authority of the API server cannot be read.") from error
    # Kubernetes' own authorities often lack what the strict mode of newer Pythons demands
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _decoded(data: Mapping[str, Any], key: str) -> bytes | None:
    if not data.get(key):
        return None
    try:
        return base64.b64decode(str(data[key]), validate=False)
    except binascii.Error:
        raise _wrong(f"{key} of the kubeconfig is not base64.") from None


@contextlib.contextmanager
def _file(base: Path, data: Mapping[str, Any], key: str) -> Iterator[str]:
    """The path of a file that the kubeconfig names, or has in itself (then for a moment as a file of our own)."""
    content = _decoded(data, f"{key}-data")
    if content is None:
        yield str(base / data[key]) if data.get(key) else ""
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name
