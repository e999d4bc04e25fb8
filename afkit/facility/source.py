"""Reads the bytes of a file that somebody names, whatever it is, without waiting and without more memory than 1 MiB."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from afkit.facility.report import Report
from afkit.facility.tree import Place

MOST_BYTES: Final = 2**20
"""Largest file that is read (facility-file.md: a file over 1 MiB is refused unread)."""

_CONTROL: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffe\U00010000-\U0010ffff]")
_BOM: Final = b"\xef\xbb\xbf"


def read_bytes(path: Path, report: Report, place: Place) -> bytes:
    """The content of a plain file. Adds AF101 or AF102 at ``place`` and raises `StopReading` where that is not possible."""
    name = str(path)
    try:
        # a FIFO without a writer, or a device, must not make anybody wait
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            content, wrong = _content(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "the name is no path"
        raise report.stop("AF101", place, f"{name!r} cannot be read: {why}.", "Name a file that exists and may be read.") from error
    if wrong:
        raise report.stop("AF101", place, f"{name!r} cannot be read: it is {wrong}.", "Name a plain file.")
    if content is None:
        raise report.stop("AF102", place, f"{name!r} is larger than 1 MiB.", "Split it with `extends`, or name another file.")
    return content


def _content(descriptor: int) -> tuple[bytes | None, str]:
    """The bytes of an open file (``None``: too many), and what it is where it is no plain file."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None, "a folder" if stat.S_ISDIR(status.st_mode) else "no plain file"
    if status.st_size > MOST_BYTES:
        return None, ""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        content = file.read(MOST_BYTES + 1)
    return (None if len(content) > MOST_BYTES else content), ""


def decode(content: bytes, file: str, report: Report) -> str:
    """The text of ``content``. Adds AF103 where the first wrong byte stands and raises `StopReading`."""
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise report.stop("AF103", (file, 1, 1), "The file is UTF-16, not UTF-8.", "Save it as UTF-8.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(errors="replace")
        raise report.stop("AF103", _after(before, file), "The file is no UTF-8 text here.", "Save it as UTF-8.") from error
    wrong = _CONTROL.search(text)
    if wrong is not None:
        message = f"The file has the control character U+{ord(wrong[0]):04X} here."
        raise report.stop("AF103", _after(text[: wrong.start()], file), message, "Remove it, or write it as an escape in double quotes.")
    return text


def _after(text: str, file: str) -> Place:
    line = text.count("\n") + 1
    return (file, line, len(text) - (text.rfind("\n") + 1) + 1)
