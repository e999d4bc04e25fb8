"""What a rendering is made of beside the facility: the text of its files, and what only the installation knows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from afkit import __version__

__all__ = ["Files", "Settings"]


@dataclass(frozen=True, slots=True)
class Files:
    """The facility file's name and the text of it and of all that it is read from, by path relative to its folder."""

    main: str
    texts: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """References of the two images, and the storage class of the hub's database (empty: the cluster's default)."""

    hub_image: str = f"afkit-hub:{__version__}"
    proxy_image: str = f"afkit-proxy:{__version__}"
    hub_storage_class: str = ""
