"""The Kubernetes API with plain data in and out: one method a verb, one error class, no models."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from afkit.errors import KubernetesError
from afkit.kube.config import access
from afkit.kube.deadline import Deadline
from afkit.kube.kinds import kind_of, path_of
from afkit.kube.transport import ANYTHING, METADATA, Call, Transport, decode, encode, without_managed_fields

__all__ = ["Kubernetes"]

PatchType = Literal["merge", "strategic", "json", "apply"]
_PATCHES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_MANAGER = "afkit"
_PAGE = 500
_LONGEST_LOG = 256 << 10
_UNSURE = frozenset(("Timeout", "Disconnected"))


class Kubernetes:
    """One API server. One instance a process and server, used as an asynchronous context manager or closed with `close`.

    Every method raises `KubernetesError` (status 0: no answer); with a ``deadline`` also `DeadlineError`. Without one a call takes
    at most the ``timeout`` that `connect` was given, its repetitions included.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @classmethod
    async def connect(cls, kubeconfig: str | None = None, *, timeout: float = 10.0) -> Kubernetes:  # noqa: ASYNC109  # of each call, not of this one
        """Read the configuration (``None``: the pod's own, else ``$KUBECONFIG``, else ``~/.kube/config``). Asks nothing yet."""
        return cls(Transport(access(kubeconfig), timeout))

    def acting_as(self, user: str) -> Kubernetes:
        """The same API server with the rights of another identity, for whoever may act as it; to be closed by itself."""
        return Kubernetes(Transport(self.transport.access, self.transport.timeout, user))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; watches on them end."""
        await self.transport.close()

    async def get(self, kind: str, name: str, namespace: str = "", *, deadline: Deadline | None = None) -> dict[str, Any]:
        """One object; status 404 where there is none."""
        call = Call("read", "GET", path_of(kind_of(kind), namespace, name), kind, namespace, name, repeatable=True)
        return decode(await self.transport.send(call, deadline), call)

    async def find(self, kind: str, name: str, namespace: str = "", *, deadline: Deadline | None = None) -> dict[str, Any] | None:
        """One object, or ``None`` where there is none."""
        try:
            return await self.get(kind, name, namespace, deadline=deadline)
        except KubernetesError as error:
            if error.status == 404:
                return None
            raise

    async def list(
        self, kind: str, namespace: str = "", *, labels: str = "", fields: str = "", deadline: Deadline | None = None
    ) -> dict[str, Any]:
        """A whole list (of all namespaces without one), read page by page. ``labels`` and ``fields`` are selectors as kubectl has them."""
        query = _said(labelSelector=labels, fieldSelector=fields)
        items: list[dict[str, Any]] = []
        following = ""
        while True:
            paged = query | _said(limit=str(_PAGE), **{"continue": following})
            try:
                page = await self._page(kind, namespace, paged, deadline)
            except KubernetesError as error:
                if error.status != 410 or not following:
                    raise
                # the pages are too old to go on with: once more, all at once
                items, page = [], await self._page(kind, namespace, query, deadline)
            items += page.get("items") or ()
            following = page.get("metadata", {}).get("continue") or ""
            if not following:
                # the items of a list do not say what they are
                about = {"apiVersion": kind_of(kind).api_version, "kind": kind}
                return {**page, "items": [{**about, **item} for item in items]}

    async def _page(self, kind: str, namespace: str, query: Mapping[str, str], deadline: Deadline | None) -> dict[str, Any]:
        call = Call("list", "GET", path_of(kind_of(kind), namespace), kind, namespace, query=query, repeatable=True)
        return decode(await self.transport.send(call, deadline), call)

    async def create(
        self,
        obj: Mapping[str, Any],
        *,
        body: bytes | None = None,
        whole: bool = True,
        dry_run: bool = False,
        deadline: Deadline | None = None,
    ) -> dict[str, Any]:
        """Create an object, once: when the answer is lost, what came of it is looked up, and the object returned if this call made it.

        ``body``: the object's JSON, where it is there already; ``obj`` has to say only what it is called then. Without ``whole`` the
        answer is asked for its ``metadata`` alone.
        """
        manager = f"{_MANAGER}-{secrets.token_hex(4)}"
        call = _written(obj, "create", "POST", {"fieldManager": manager, **({"dryRun": "All"} if dry_run else {})}, body, whole)
        try:
            return decode(without_managed_fields(await self.transport.send(call, deadline)), call)
        except KubernetesError as error:
            if error.reason not in _UNSURE or not call.name:
                raise
            return await self._created(call, manager, error, deadline)

    async def _created(self, call: Call, manager: str, failure: KubernetesError, deadline: Deadline | None) -> dict[str, Any]:
        try:
            return decode(await self.transport.send(call, deadline), call)
        except KubernetesError as error:
            if error.status != 409:
                raise failure from error
            found = await self.get(call.kind, call.name, call.namespace, deadline=deadline)
            if any(entry.get("manager") == manager for entry in found["metadata"].get("managedFields") or ()):
                return found
            raise

    async def replace(self, obj: Mapping[str, Any], *, deadline: Deadline | None = None) -> dict[str, Any]:
        """Replace an object; with its ``resourceVersion`` only if nobody changed it since (else status 409)."""
        call = _written(obj, "replace", "PUT", {"fieldManager": _MANAGER})
        return decode(await self.transport.send(call, deadline), call)

    async def patch(
        self,
        kind: str,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType = "merge",
        dry_run: bool = False,
        deadline: Deadline | None = None,
    ) -> dict[str, Any]:
        """Change an object; ``apply`` is server-side apply (creates it when missing, and takes over what others set of it)."""
        query = {"fieldManager": _MANAGER, **({"force": "true"} if type == "apply" else {}), **({"dryRun": "All"} if dry_run else {})}
        call = Call(
            "change",
            "PATCH",
            path_of(kind_of(kind), namespace, name, _version(patch)),
            kind,
            namespace,
            name,
            query=query,
            body=encode(patch),
            content_type=_PATCHES[type],
            repeatable=type != "json",
        )
        return decode(await self.transport.send(call, deadline), call)

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str = "",
        *,
        grace: int | None = None,
        uid: str = "",
        propagation: str = "",
        deadline: Deadline | None = None,
    ) -> None:
        """Ask for deletion; returns when the server has noted it. That there is none (with ``uid``: not this one) is fine."""
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        if propagation:
            options["propagationPolicy"] = propagation
        path = path_of(kind_of(kind), namespace, name)
        call = Call("delete", "DELETE", path, kind, namespace, name, body=encode(options), repeatable=bool(uid))
        try:
            await self.transport.send(call, deadline)
        except KubernetesError as error:
            if error.status != 404 and not (uid and error.status == 409):
                raise

    async def log(
        self, name: str, namespace: str, container: str = "", *, lines: int = 50, previous: bool = False, deadline: Deadline | None = None
    ) -> str:
        """The last lines that a container printed (``previous``: the one before its restart)."""
        query = {"tailLines": str(lines), "limitBytes": str(_LONGEST_LOG), **({"container": container} if container else {})}
        if previous:
            query["previous"] = "true"
        path = path_of(kind_of("Pod"), namespace, name) + "/log"
        call = Call("read the log of", "GET", path, "Pod", namespace, name, query, repeatable=True)
        return (await self.transport.send(call, deadline)).decode("utf-8", "replace")

    async def review(self, token: str, audience: str, *, deadline: Deadline | None = None) -> Mapping[str, Any]:
        """The status of a TokenReview: ``authenticated``, ``user``, ``audiences``; whose token this is, for this audience."""
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        return await self._asked(asked, deadline)

    async def allowed(
        self, verb: str, kind: str, namespace: str = "", name: str = "", *, subresource: str = "", deadline: Deadline | None = None
    ) -> bool:
        """Whether these credentials may do that (SelfSubjectAccessReview); without a namespace: in all of them."""
        known = kind_of(kind)
        attributes = {"verb": verb, "group": known.group, "resource": known.plural, "namespace": namespace, "name": name}
        if subresource:
            attributes["subresource"] = subresource
        spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
        return await self.may("SelfSubjectAccessReview", spec, deadline=deadline)

    async def may(self, kind: str, spec: Mapping[str, Any], *, deadline: Deadline | None = None) -> bool:
        """The answer to an access review of this kind and spec: whether that identity may do that."""
        asked = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        return (await self._asked(asked, deadline)).get("allowed") is True

    async def whoami(self, *, deadline: Deadline | None = None) -> Mapping[str, Any]:
        """Who these credentials are to the API server: ``username``, ``groups``."""
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        found: Mapping[str, Any] = (await self._asked(asked, deadline)).get("userInfo", {})
        return found

    async def version(self, *, deadline: Deadline | None = None) -> tuple[int, int]:
        """The API server's major and minor version."""
        call = Call("tell its version", "GET", "/version", "version", repeatable=True)
        said = decode(await self.transport.send(call, deadline), call)
        major, minor = (str(said.get(key, "")).rstrip("+") for key in ("major", "minor"))
        return (int(major) if major.isdecimal() else 0, int(minor) if minor.isdecimal() else 0)

    async def _asked(self, review: Mapping[str, Any], deadline: Deadline | None) -> Mapping[str, Any]:
        kind = review["kind"]
        call = Call("answer", "POST", path_of(kind_of(kind)), kind, body=encode(review), repeatable=True)
        status: Mapping[str, Any] = decode(await self.transport.send(call, deadline), call).get("status") or {}
        return status


def _said(**query: str) -> dict[str, str]:
    """A query without what is empty."""
    return {key: value for key, value in query.items() if value}


def _version(obj: Any) -> str:
    version = obj.get("apiVersion") if isinstance(obj, Mapping) else None
    return version if isinstance(version, str) else ""


def _written(
    obj: Mapping[str, Any], verb: str, method: str, query: Mapping[str, str], body: bytes | None = None, whole: bool = True
) -> Call:
    metadata = obj.get("metadata") or {}
    kind, namespace = str(obj.get("kind", "")), str(metadata.get("namespace") or "")
    name = str(metadata.get("name") or "")
    known = kind_of(kind)
    path = path_of(known, namespace, "" if method == "POST" else name, _version(obj))
    accept = ANYTHING if whole else METADATA
    return Call(verb, method, path, kind, namespace, name, query=query, body=encode(obj) if body is None else body, accept=accept)
