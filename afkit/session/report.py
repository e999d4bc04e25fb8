"""What the doctor found: one line for each thing that was looked at."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Finding", "Report", "State"]

State = Literal["ok", "bad", "unknown"]
"""``ok``: it was tried and works. ``bad``: it was tried and does not. ``unknown``: it could not be tried, which is never ``ok``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``name``, ``state``, a sentence, a ``remedy`` where something is to do, and ``details``."""

    name: str
    state: State
    message: str
    remedy: str = ""
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All findings; ``where`` is ``session`` or ``machine``. Shows itself as text, and as a table in a notebook."""

    where: str
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is ``bad``."""
        return not any(finding.state == "bad" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        """A line for each finding, with its remedy and details below it."""
        wide = max((len(finding.name) for finding in self.findings), default=0)
        lines = []
        for finding in self.findings:
            head = f"{finding.state:<7}  {finding.name:<{wide}}  "
            below = " " * len(head)
            lines += textwrap.wrap(finding.message, 120, initial_indent=head, subsequent_indent=below, break_on_hyphens=False)
            lines += textwrap.wrap(finding.remedy, 120, initial_indent=f"{below}→ ", subsequent_indent=f"{below}  ", break_on_hyphens=False)
            for detail in finding.details:
                lines += textwrap.wrap(detail, 120, initial_indent=f"{below}- ", subsequent_indent=f"{below}  ", break_on_hyphens=False)
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(_row(finding) for finding in self.findings)
        return f'<table style="text-align: left"><tr><th></th><th>what</th><th>found</th></tr>{rows}</table>'

    def as_json(self) -> dict[str, Any]:
        """``{"where", "good", "checks": [{"name", "state", "message", "remedy", "details"}]}``."""
        checks = [
            {"name": one.name, "state": one.state, "message": one.message, "remedy": one.remedy, "details": list(one.details)}
            for one in self.findings
        ]
        return {"where": self.where, "good": self.good, "checks": checks}


def _row(finding: Finding) -> str:
    text = html.escape(finding.message)
    if finding.remedy:
        text += f"<br><em>{html.escape(finding.remedy)}</em>"
    if finding.details:
        text += "<ul>" + "".join(f"<li>{html.escape(detail)}</li>" for detail in finding.details) + "</ul>"
    # the state is a word, not a colour alone
    return f"<tr><td><strong>{finding.state}</strong></td><td>{html.escape(finding.name)}</td><td style='text-align: left'>{text}</td></tr>"
