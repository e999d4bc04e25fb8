"""Facilities whose profile lists are looked at, and the groups of those who choose."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
FILES = {
    "example": (HERE.parent / "pods" / "example.yaml", ("physicists", "accelerated")),
    "list": (HERE / "list.yaml", ("staff",)),
}
