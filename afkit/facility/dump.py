"""Plain data as YAML, as people read it: keys in their order, text of several lines as such, the same bytes from run to run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

__all__ = ["dump"]

try:
    from yaml import CSafeDumper as _Base
except ImportError:  # PyYAML without its C part
    from yaml import SafeDumper as _Base  # type: ignore[assignment]  # another class of the same methods


class _Dumper(_Base):
    """No aliases: a value that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's name
        """Whatever it is."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # a block cannot hold blanks before a line's end
    block = "\n" in text and " \n" not in text and "\t" not in text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if block else None)


def _mapping(dumper: _Dumper, value: Mapping[str, Any]) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items())


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(tuple, _Base.represent_list)


def dump(documents: Iterable[Any]) -> str:
    """One YAML document for each of ``documents``, with ``---`` between them."""
    return "---\n".join(
        yaml.dump(one, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=140) for one in documents
    )
