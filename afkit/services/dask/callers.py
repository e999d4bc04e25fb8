"""Who calls: a person by a token of the hub, or one of their pods by its projected token; both lead to the same person."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.errors import NotEntitledError
from afkit.facility.model import Facility
from afkit.names import AUDIENCE, FACILITY_LABEL, HUB_ISSUER, OWNER_LABEL, USER_ANNOTATION, owner, user_namespace
from afkit.pods.layout import one_namespace
from afkit.pods.namespace import account
from afkit.policy.entitle import entitle, from_groups, hub_identity, hubs_issuers
from afkit.policy.model import Entitlements
from afkit.services.dask.hub import Hub
from afkit.services.dask.records import is_over, is_server
from afkit.services.dask.refusal import CallerError
from afkit.services.dask.view import View

__all__ = ["Caller", "Callers"]

logger = logging.getLogger("afkit.services.dask")

_POD_NAME: Final = "authentication.kubernetes.io/pod-name"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
_FRESH: Final = 10.0
_MOST: Final = 4096
_ACCOUNT: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls. ``pod`` is the pod that does (``None``: a hub token, which names none)."""

    name: str
    owner: str
    namespace: str
    pod: Mapping[str, Any] | None = None


class Callers:
    """Tells who calls by what the call has with it."""

    def __init__(self, view: View, hub: Hub) -> None:
        self._view = view
        self._hub = hub
        self._reviewed: OrderedDict[str, tuple[float, Mapping[str, Any]]] = OrderedDict()

    async def caller(self, facility: Facility, header: str) -> Caller:
        """Whoever has sent this ``Authorization``. Raises `CallerError`."""
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() not in ("bearer", "token") or not token or len(token) > 8192 or not token.isascii():
            raise CallerError(401, "token", "The call has no token.", "Send Authorization: Bearer with the token of the session.")
        return await (self._by_pod(facility, token) if token.count(".") == 2 else self._by_hub(facility, token))

    async def entitlements(self, facility: Facility, caller: Caller) -> Entitlements:
        """The facility groups of a caller as they are now."""
        groups = await self._hub.groups_of(caller.name)
        if hubs_issuers(facility):
            # the hub has read the claims, and its groups are what followed from them
            return from_groups(facility, caller.name, groups)
        try:
            return entitle(facility, hub_identity(facility, caller.name, lambda: groups))
        except NotEntitledError as error:
            raise CallerError(403, error.reason, error.message, error.hint) from error

    async def _by_hub(self, facility: Facility, token: str) -> Caller:
        name = await self._hub.name_of(token)
        digest = self._owner_of(facility, name) if hubs_issuers(facility) else owner(facility.name, HUB_ISSUER, name)
        return Caller(name, digest, one_namespace(facility) or user_namespace(facility.name, digest))

    def _owner_of(self, facility: Facility, name: str) -> str:
        """The digest of a person of a provider: their key is the hub's alone, and their pods have what follows from it.

        Whoever has no pod has nothing here; they get a digest that is nobody's.
        """
        for pod in self._view.pods.objects.values():
            about = pod["metadata"]
            labels, notes = about.get("labels") or {}, about.get("annotations") or {}
            if labels.get(FACILITY_LABEL) == facility.name and notes.get(USER_ANNOTATION) == name and labels.get(OWNER_LABEL):
                return str(labels[OWNER_LABEL])
        return owner(facility.name, HUB_ISSUER, name)

    async def _by_pod(self, facility: Facility, token: str) -> Caller:
        status = await self._review(token)
        user = status.get("user") or {}
        namespace, _, name = str(user.get("username", "")).removeprefix(_ACCOUNT).partition(":")
        if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
            raise CallerError(401, "token", "The token is not valid, or not for this audience.", "Read it anew from its file.")
        pod = self._live(namespace, user.get("extra") or {})
        if pod is None or name != account(facility):
            raise CallerError(401, "token", "The token is of no pod of this facility that runs.", "")
        return self._of_pod(facility, namespace, pod)

    def _live(self, namespace: str, extra: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The pod that a token is bound to, while it lives."""
        name, uid = ((extra.get(key) or [""])[0] for key in (_POD_NAME, _POD_UID))
        pod = self._view.pods.objects.get((namespace, name))
        return pod if pod is not None and pod["metadata"].get("uid") == uid and not is_over(pod) else None

    def _of_pod(self, facility: Facility, namespace: str, pod: Mapping[str, Any]) -> Caller:
        about = pod["metadata"]
        labels, notes = about.get("labels") or {}, about.get("annotations") or {}
        digest, user = labels.get(OWNER_LABEL, ""), notes.get(USER_ANNOTATION, "")
        place = one_namespace(facility) or user_namespace(facility.name, digest)
        if labels.get(FACILITY_LABEL) != facility.name or not digest or not user or namespace != place:
            logger.warning("a pod that is nobody's called", extra={"pod": about["name"], "namespace": namespace})
            raise CallerError(403, "not-entitled", "This pod belongs to nobody of this facility.")
        return Caller(user, digest, namespace, pod)

    async def _review(self, token: str) -> Mapping[str, Any]:
        key = hashlib.sha256(token.encode()).hexdigest()
        now = time.monotonic()
        known = self._reviewed.get(key)
        if known is not None and now - known[0] < _FRESH:
            return known[1]
        status = await self._view.kube.review(token, AUDIENCE)
        self._reviewed[key] = (now, status)
        while len(self._reviewed) > _MOST:
            self._reviewed.popitem(last=False)
        return status


def server_of(view: View, facility: Facility, caller: Caller, asked: str) -> Mapping[str, Any]:
    """The pod of the server that asks: the calling pod itself, or of the caller's servers the one of that name.

    Raises `NotEntitledError` where there is none: what a cluster is made of is the choice of a server that runs.
    """
    if caller.pod is not None and is_server(caller.pod, facility.name):
        return caller.pod
    found = view.servers((OWNER_LABEL, caller.owner)) if caller.pod is None else []
    for pod in found:
        if (pod["metadata"].get("annotations") or {}).get("hub.jupyter.org/servername", "") == asked:
            return pod
    message = "A Dask cluster is made from a server that runs, and you have none of that name."
    if caller.pod is not None:
        message = "A Dask cluster is made from a server, not from inside another cluster."
    raise NotEntitledError(message, "Start a server, and make the cluster in it.", field="server")
