"""Answers of the API server that are no success, as `KubernetesError`: a plain sentence, and never a secret."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from afkit.errors import KubernetesError

__all__ = ["no_answer", "refused"]

_SECRET_KINDS: Final = frozenset(("Secret", "TokenReview"))
_RIGHTS: Final = 'is forbidden: User "'
_QUOTA: Final = "is forbidden: exceeded quota: "
_MOST_TEXT: Final = 2000
_HINTS: Final = {
    401: "The credentials are not valid (any more): renew the kubeconfig or the pod's token.",
    403: "`afkit doctor FILE` says which rights are missing.",
    429: "The API server is busy: try again in a minute.",
}


def refused(verb: str, kind: str, namespace: str, name: str, status: int, body: bytes) -> KubernetesError:
    """The error of an answer with this HTTP status. What the server says about secrets stays unsaid."""
    said = _status(body)
    reason = str(said.get("reason") or "")
    what = _object(kind, namespace, name)
    if status == 404:
        message = f"There is no {what}."
    else:
        refuses = "could not" if status >= 500 or status == 429 else "refuses to"
        text = _said(kind, status, str(said.get("message") or ""))
        message = f"The API server {refuses} {verb} {what} ({reason or status}){text}."
    return KubernetesError(message, _HINTS.get(status, ""), status=status, reason=reason, kind=kind, namespace=namespace, name=name)


def _said(kind: str, status: int, text: str) -> str:
    """What the server says, where it cannot quote a secret."""
    if not text or (kind in _SECRET_KINDS and not (status == 403 and any(plain in text for plain in (_RIGHTS, _QUOTA)))):
        return ""
    return f": {text[:_MOST_TEXT].strip().rstrip('.')}"


def no_answer(verb: str, kind: str, namespace: str, name: str, error: BaseException, server: str) -> KubernetesError:
    """The error where no answer came. ``reason``: ``Unreachable`` (nothing was sent), ``Untrusted``, ``Timeout`` or ``Disconnected``."""
    reason, why = _why(error)
    message = f"The API server at {server} {why}, asked to {verb} {_object(kind, namespace, name)}."
    return KubernetesError(message, "Is it running and reachable from here?", reason=reason, kind=kind, namespace=namespace, name=name)


def _why(error: BaseException) -> tuple[str, str]:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "Untrusted", "has a certificate that the configured authority did not sign"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return "Unreachable", f"cannot be reached ({os.strerror(number) if number and number > 0 else 'its name or address is wrong'})"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "Unreachable", "cannot be reached (no connection in time)"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return "Timeout", "did not answer in time"
    return "Disconnected", "broke the connection off"


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        # no Kubernetes spoke here (a proxy in between): what it says is nobody's business
        return {}
    return said if isinstance(said, dict) and said.get("kind") == "Status" else {}


def _object(kind: str, namespace: str, name: str) -> str:
    place = "/".join(part for part in (namespace, name) if part)
    return f"{kind} {place}" if place else kind
