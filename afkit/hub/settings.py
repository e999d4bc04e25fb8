"""What the configuration of a hub gives its traits, before anything of them exists."""

from __future__ import annotations

from typing import Any

from jupyterhub.app import JupyterHub
from traitlets.config import Configurable
from traitlets.config.loader import DeferredConfig, LazyConfigValue

__all__ = ["configured"]


def configured(app: JupyterHub, cls: type[Configurable], name: str) -> Any:
    """The value that the configuration gives a trait of ``cls``; its default where it gives none."""
    trait = cls.class_traits()[name]
    for section in reversed(cls.section_names()):
        if name in app.config.get(section, {}):
            value = app.config[section][name]
            if isinstance(value, DeferredConfig):
                value = value.get_value(trait)
            return value.get_value(trait.default()) if isinstance(value, LazyConfigValue) else value
    return trait.default()
