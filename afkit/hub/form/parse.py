"""From the fields of the form to raw options.

A page without JavaScript shows the fields of every profile at once, so they have names of their own: ``analysis.pool``.
Only those of the chosen profile count. Links, scripts and other pages may send the plain names (``pool``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from afkit.errors import MalformedError

__all__ = ["TYPED", "TYPED_FIELD", "parse"]

TYPED: Final = ":typed"
"""Value of the radio button beside the text field for an image's reference. No name and no reference looks like it."""

TYPED_FIELD: Final = "image:typed"
"""The text field for an image's reference. No option can have this name."""

_FIELD: Final = re.compile(r"[\w.:-]+")
_NO_OPTIONS: Final = frozenset({"_xsrf", "next", "display_name"})


def parse(formdata: Mapping[str, Sequence[object]]) -> dict[str, str]:
    """The raw options of a form's body: values by field, nothing judged but the form's own shape.

    A field that is empty is left open. ``_xsrf``, ``next``, ``display_name`` and uploaded files are no options. A reference
    that was typed is used whatever image is marked. Raises `MalformedError` where one field has two values, where the text
    field is marked and empty, or where an empty field has a name that no form has (a body of another kind looks like that).
    """
    fields = {key: text for key, values in formdata.items() if key not in _NO_OPTIONS and (text := _text(key, values)) is not None}
    profile = fields.get("profile", "")
    raw: dict[str, str] = {}
    for key, text in fields.items():
        owner, dot, field = key.rpartition(".")
        if not dot:
            field = key
        elif owner != profile:
            continue
        if text and raw.setdefault(field, text) != text:
            raise MalformedError(f"{field} has two different values.", "Send each field once.", field=field)
    return _typed(raw)


def _text(key: str, values: Sequence[object]) -> str | None:
    """The one text of a field; ``None`` where it holds no text (an upload)."""
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(values):
        return None
    if len(set(texts)) > 1:
        field = key.rpartition(".")[2]
        raise MalformedError(f"{field} has two different values.", "Send each field once.", field=field)
    if texts == [""] and not _FIELD.fullmatch(key):
        raise MalformedError("This is no choice.", "Send fields such as profile=analysis, or use the REST API.")
    return texts[0] if texts else None


def _typed(raw: dict[str, str]) -> dict[str, str]:
    reference = raw.pop(TYPED_FIELD, "").strip()
    if reference:
        raw["image"] = reference
    elif raw.get("image") == TYPED:
        raise MalformedError("No image was typed.", "Type its whole reference, or choose another image.", field="image")
    return raw
