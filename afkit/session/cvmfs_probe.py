"""Looks at one CVMFS repository, in a process that may hang.

Run by its path (``python -I -S cvmfs_probe.py FOLDER [REPOSITORY]``) by any Python 3, with the standard library only. Each
line that it writes is JSON: ``{"step"}`` before something is asked that may never be answered, at last what was found:
``{"names"}`` of the folder, ``{"error", "step"}``, or ``{"entries", "attributes"}`` of the repository. A line is written at
once, so that whoever reads knows where it hangs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys

ATTRIBUTES = ("fqrn", "revision", "version", "host", "proxy", "nioerr", "ncleanup24")
"""What a client says of itself in extended attributes (``user.…``) of a repository's first folder."""

MOST = 64


def main(arguments: list[str]) -> None:
    """Look, and write what is seen."""
    folder, repository = [*arguments, ""][:2]
    try:
        if repository:
            found = _repository(os.path.join(folder, repository))  # noqa: PTH118  # pathlib takes time to load
        else:
            _step("list")
            found = {"names": sorted(os.listdir(folder))}  # noqa: PTH208  # pathlib takes time to load
    except OSError as error:
        found = {"error": errno.errorcode.get(error.errno or 0, "EIO"), "folder": _folder(folder)}
    _say(found)


def _repository(path: str) -> dict[str, object]:
    _step("list")
    with os.scandir(path) as entries:  # opening it mounts it where an automounter watches
        first = [entry for entry, _ in zip(entries, range(MOST), strict=False)]
    _step("attributes")
    attributes = _attributes(path)
    _step("read")
    for entry in first:
        if _read(entry):
            break
    return {"entries": len(first), "attributes": attributes}


def _attributes(path: str) -> dict[str, str]:
    if not hasattr(os, "getxattr"):
        return {}
    found = {}
    for name in ATTRIBUTES:
        try:
            found[name] = os.getxattr(path, f"user.{name}").decode("utf-8", "replace").strip()
        except OSError as error:
            # a plain tree has none, and a client may keep them for itself
            if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM, errno.EACCES):
                raise
    return found


def _read(entry: os.DirEntry[str]) -> bool:
    """Read one byte of a file; false where it is none, or not for everybody."""
    with contextlib.suppress(PermissionError):
        if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            with open(entry.path, "rb") as file:  # noqa: PTH123  # pathlib takes time to load
                file.read(1)
            return True
    return False


def _folder(folder: str) -> str:
    """``there``, ``empty`` or ``absent``: the folder of all repositories."""
    _step("folder")
    try:
        return "there" if os.listdir(folder) else "empty"  # noqa: PTH208  # pathlib takes time to load
    except OSError:
        return "absent"


def _step(name: str) -> None:
    _say({"step": name})


def _say(found: dict[str, object]) -> None:
    os.write(1, json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
