"""The definitions of dask-kubernetes' objects, as the installed package has them, unchanged."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Final

from afkit.errors import PlatformError

__all__ = ["dask_definitions"]

_PACKAGE: Final = "dask-kubernetes"
_FOLDER: Final = "dask-kubernetes-operator/crds/"


def dask_definitions() -> str:
    """The text of all definitions, as YAML documents. Raises `PlatformError` where the package is not installed.

    The package is only read: to import it would load Dask, and write a file into the home directory.
    """
    hint = "Install afkit[kubernetes] beside afkit."
    try:
        files = distribution(_PACKAGE).files or []
    except PackageNotFoundError:
        raise PlatformError(f"The definitions of Dask's objects come with {_PACKAGE}, which is not installed here.", hint) from None
    found = sorted((file for file in files if _FOLDER in file.as_posix() and file.suffix == ".yaml"), key=lambda file: file.name)
    if not found:
        raise PlatformError(f"This version of {_PACKAGE} has no definitions of Dask's objects where they are looked for.", hint)
    return "---\n".join(f"{file.read_text(encoding='utf-8').strip().removeprefix('---').lstrip()}\n" for file in found)
