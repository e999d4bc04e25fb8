"""What a verified token allows by the WLCG profile: capabilities in its scope, else groups. Pure.

Source: WLCG Common JWT Profiles 1.3: ``storage.*`` need a path, which is absolute and normalised (RFC 3986, section 6) and covers
whole components; a token with any capability is judged by these, and its groups are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.oidc.reasons import refusal

__all__ = ["Capability", "capabilities", "covers", "groups"]

_STORAGE: Final = frozenset(f"storage.{what}" for what in ("read", "create", "modify", "stage", "poll"))
_COMPUTE: Final = frozenset(f"compute.{what}" for what in ("read", "modify", "create", "cancel"))
_SET: Final = "wlcg.capabilityset"
_HOST: Final = "host.auth"
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]+(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*)?", re.ASCII)
_GROUP: Final = re.compile(r"(?:/[a-zA-Z0-9][a-zA-Z0-9_.-]*)+", re.ASCII)
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability: ``storage.read`` with an absolute path, ``wlcg.capabilityset`` with a group, others without (``""``)."""

    name: str
    path: str = ""


def capabilities(claims: Mapping[str, Any]) -> tuple[Capability, ...]:
    """The capabilities of a token's scope, in its order; other scopes are left out.

    Raises `IdentityError` (``malformed``) for a capability that is not written as the profile has it: without its path, with ``..``
    in it, with percent-encoding. Nothing is put right: what could be read in two ways is refused.
    """
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise refusal("malformed", "The scope of the token is no text.")
    words = scope.split(" ")
    if len(words) > _MOST:
        raise refusal("malformed", f"The token has more than {_MOST} scopes.")
    return tuple(found for word in words if (found := _capability(word)) is not None)


def groups(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The groups of a token (``/cms/uscms``), in its order; none where it has any capability.

    Raises `IdentityError` for a claim that is no list of groups.
    """
    if capabilities(claims):
        return ()
    value = claims.get("wlcg.groups", [])
    if not isinstance(value, list) or len(value) > _MOST or not all(isinstance(one, str) and len(one) <= 255 for one in value):
        raise refusal("malformed", "The groups of the token (wlcg.groups) are no list of texts.")
    if any(_GROUP.fullmatch(one) is None for one in value):
        raise refusal("malformed", "The groups of the token (wlcg.groups) are not written as the WLCG profile has it.")
    return tuple(dict.fromkeys(value))


def covers(capability: Capability, name: str, path: str) -> bool:
    """Whether a capability allows ``name`` for ``path``: ``/foo`` covers ``/foo`` and ``/foo/bar``, never ``/foobar``.

    A path that is not normalised is covered by nothing.
    """
    if capability.name != name or not _is_normal(path):
        return False
    return path == capability.path or path.startswith(f"{capability.path.rstrip('/')}/")


def _capability(word: str) -> Capability | None:
    name, colon, path = word.partition(":")
    if name in _STORAGE or name == _SET:
        if not (_GROUP.fullmatch(path) if name == _SET else _is_normal(path)):
            raise refusal("malformed", f"The capability {name!r} of the token has no absolute, normalised path.")
        return Capability(name, path)
    if name in _COMPUTE or name == _HOST:
        if colon:
            raise refusal("malformed", f"The capability {name!r} of the token has a path, and takes none.")
        return Capability(name)
    return None


def _is_normal(path: str) -> bool:
    return _PATH.fullmatch(path) is not None and not {".", ".."} & set(path.split("/"))
