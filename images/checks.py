"""What holds for every image with Python in it; beside its smoke test inside the image."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

COMPILERS = ("cc", "gcc", "c++", "g++", "clang", "ld", "as", "make")


def check(imported: Iterable[str], absent: Iterable[str]) -> None:
    """Nothing can be written, nothing compiles C, all Python is compiled; some modules are there, others are not."""
    assert os.getuid() != 0
    assert not os.access(sys.prefix, os.W_OK), "the file system can be written"
    assert not [name for name in COMPILERS if shutil.which(name)], "a compiler is in the image"
    assert not [name for name in absent if importlib.util.find_spec(name)], "something is in the image that nobody needs"
    for name in imported:
        importlib.import_module(name)
    stale = [str(module.__file__) for module in list(sys.modules.values()) if uncompiled(module)]
    assert not stale, f"not compiled: {stale[:5]}"


def uncompiled(module: object) -> bool:
    """Whether a module was read from its source because nothing compiled, or something stale, lies beside it."""
    spec = getattr(module, "__spec__", None)
    if spec is None or not spec.has_location or not str(spec.origin).endswith(".py") or str(spec.origin).startswith("/tmp/"):
        return False
    if spec.name.startswith("_sysconfigdata"):  # a base's own; on no other platform is the same file
        return False
    cached = Path(importlib.util.cache_from_source(spec.origin))
    return not cached.exists() or int.from_bytes(cached.read_bytes()[8:12], "little") != int(Path(spec.origin).stat().st_mtime)
