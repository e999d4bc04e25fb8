"""What an answer, or none, says about a CVMFS repository: state, cause and remedy. Nothing is touched here.

A session gets ``/cvmfs`` in one of these shapes, which decides what heals by itself:

- ``whole``: the folder of all repositories, with mount propagation. What the node mounts anew is there again.
- ``closed``: that folder without propagation. Nothing that the node mounts later arrives.
- ``single``: a repository alone. What the node mounts anew in its place does not arrive.
- ``none``: nothing is mounted: a plain folder, or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

__all__ = ["Mount", "Said", "heals", "mounts_of", "shape_of", "words"]

_SUPPORT: Final = "Tell your facility's support."
_AGAIN: Final = "Save your work, stop this server on the hub's page and start it again."


class Mount(NamedTuple):
    """One line of ``/proc/self/mountinfo``: where, of what kind, and whether mounts made elsewhere arrive in it."""

    where: str
    kind: str
    open: bool


class Said(NamedTuple):
    """A cause and a remedy, one sentence or two each."""

    message: str
    remedy: str = ""


def mounts_of(mountinfo: str) -> tuple[Mount, ...]:
    """Read ``/proc/self/mountinfo`` (proc(5)); a later mount covers an earlier one at the same place."""
    found = []
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if dash and len(fields) >= 6:
            where = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
            found.append(Mount(where, after.split(" ")[0], any(word.startswith(("master:", "shared:")) for word in fields[6:])))
    return tuple(found)


def shape_of(mounts: Iterable[Mount], folder: str, repository: str) -> str:
    """``whole``, ``closed``, ``single`` or ``none``."""
    places = {mount.where: mount for mount in mounts}
    top, own = places.get(folder), places.get(f"{folder}/{repository}")
    if own is not None and not (top is not None and own.open):
        return "single"  # also one that is mounted by itself below the folder of all
    if top is None:
        return "none"
    return "whole" if top.open else "closed"


def heals(state: str, shape: str) -> bool:
    """Whether a session in such a state needs no new server when the node is well again."""
    return state in ("EIO", "hang", "unknown") or (shape == "whole" and state != "ELOOP")


def words(state: str, shape: str, folder: str, repository: str) -> Said:
    """Cause and remedy of a state that is not ``ok``."""
    path = f"{folder}/{repository}"
    if state == "hidden":
        return _hidden(shape, folder, path)
    if state == "ENOENT":
        return _absent(shape, path)
    if state in ("ENOTCONN", "hang"):
        return _gone(state, shape, path)
    if state in _PLAIN:
        message, remedy = _PLAIN[state]
        return Said(message.format(path=path, folder=folder), remedy.format(path=path))
    return Said(f"{path} cannot be read: {state}.", _SUPPORT)


def _hidden(shape: str, folder: str, path: str) -> Said:
    if shape == "none":
        return Said(
            f"{path} is an empty folder: nothing is mounted there.", f"{_AGAIN} If it is empty again, tell your facility's support."
        )
    if shape == "closed":
        return Said(
            f"Nothing is to be seen of {path}: {folder} is mounted here without mount propagation; what the node mounts does not arrive.",
            f"{_AGAIN} For the support: the mount of {folder} needs `mountPropagation: HostToContainer`.",
        )
    return Said(f"{path} is empty: the node shows nothing of this repository.", f"Wait a minute and try again. {_SUPPORT}")


def _absent(shape: str, path: str) -> Said:
    if shape == "none":
        return Said(f"There is no {path}: CVMFS is not mounted here.", "Start a server with a profile that has this repository.")
    return Said(
        f"There is no {path}: the node's CVMFS client does not know this repository, or no server that has it can be reached.",
        f"Compare the name. {_SUPPORT} They look at the client's configuration and its proxies.",
    )


def _gone(state: str, shape: str, path: str) -> Said:
    if state == "ENOTCONN":
        message = f"The node's CVMFS client behind {path} has ended."
    else:
        message = f"The node's CVMFS client behind {path} does not answer. Whatever touches it waits, and may be impossible to end."
    if shape == "whole":
        healed = "as soon as the node mounts it again" if state == "ENOTCONN" else "as soon as the client answers or is started anew"
        return Said(message, f"This server heals by itself {healed}: wait a minute. If it stays so, tell your facility's support.")
    if state == "ENOTCONN":
        return Said(message, f"The way it is mounted here, it never comes back in this server. {_AGAIN}")
    return Said(message, f"{_SUPPORT} If they have to start the client anew, this server needs a new start too.")


_PLAIN: Final = {
    "ELOOP": (
        "{path} leads back to itself (ELOOP): {folder} is mounted here without mount propagation, or it is a symbolic link to itself.",
        f"{_SUPPORT} The mount needs `mountPropagation: HostToContainer`; then start a new server.",
    ),
    "EIO": (
        "{path} answers with an input/output error: the node's cache is full, no server can be reached, or its data are damaged.",
        f"Wait a minute and try again. {_SUPPORT} They look at the client's cache, its proxies and its log on this node.",
    ),
    "EACCES": ("{path} may not be read by you: it wants a membership that you have not shown.", _SUPPORT),
    "EPERM": ("{path} may not be read by you: it wants a membership that you have not shown.", _SUPPORT),
    "ENOTDIR": ("{path} is no folder.", _SUPPORT),
    "unknown": ("{path} could not be looked at: this session had no processor time for it.", "Try again when less runs here."),
}
