"""What the hub's pages say of the facility: given to every template as ``afkit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afkit.hub.desk import Desk

__all__ = ["Pages"]


class Pages:
    """The facility for templates: read at each page, so a file that was read again shows at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def title(self) -> str:
        """The facility's title."""
        return self._desk.facility.title

    @property
    def contact(self) -> str:
        """Whom to ask."""
        return self._desk.facility.contact

    @property
    def documentation(self) -> str:
        """Address of the facility's documentation."""
        return self._desk.facility.documentation

    @property
    def problems(self) -> list[str]:
        """What is wrong with the facility file as it stands; for administrators."""
        self._desk.source.current()
        return [str(problem) for problem in self._desk.source.problems]

    def ended(self, user: Any, server: str = "") -> Mapping[str, Any] | None:
        """How a person's server ended when nobody had asked it to: ``why``, ``message``, ``lines``, ``at``; else ``None``."""
        if user is None or server not in user.orm_user.orm_spawners:
            return None
        end: Mapping[str, Any] | None = user.spawners[server].end
        return end
