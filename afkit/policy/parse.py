"""Raw user options → a flat mapping of text to text, or a refusal. The first thing that looks at what people send.

Nothing here depends on the facility or on the order of keys in a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from afkit.errors import MalformedError
from afkit.policy.references import is_reference, is_typed
from afkit.policy.text import quoted

__all__ = ["CHOOSABLE", "parse_options"]

CHOOSABLE: Final = ("profile", "pool", "image", "size")
"""What every choice may say beside the options of its profile."""
_LONGEST: Final = 1024
_EXAMPLE: Final = 'Send an object of names, for example {"profile": "analysis", "size": "small"}; everything may be left out.'


def parse_options(raw: object) -> dict[str, str]:
    """``raw`` as text → text: profile, pool, image, size first, then the other keys in the order of the alphabet.

    Raises `MalformedError` for everything that is no flat object of text, for text of more than 1,024 characters, and for
    an image reference that no container runtime can read. Whether the names exist is not looked at.
    """
    if not isinstance(raw, Mapping):
        raise MalformedError(f"A choice is an object, not {_kind(raw)}.", _EXAMPLE)
    if not all(isinstance(key, str) for key in raw):
        raise MalformedError("Every key of a choice is text.", _EXAMPLE)
    others = raw.keys() - CHOOSABLE
    options = {key: _text(key, raw[key]) for key in CHOOSABLE if key in raw}
    options |= {str(key): _text(key, raw[key]) for key in (sorted(others) if len(others) > 1 else others)}
    if "image" in options:
        _check_image(options["image"])
    return options


def _check_image(image: str) -> None:
    if is_typed(image) and not is_reference(image):
        hint = "Write it as registry.example.org/group/name:tag, or choose a name."
        raise MalformedError(f"{quoted(image)} is no image reference.", hint, field="image")


def _text(key: str, value: object) -> str:
    if type(value) is str and len(value) <= _LONGEST:
        return value
    if not isinstance(value, str):
        hint = "Leave the key out to take the default." if value is None else "Every value is a name."
        raise MalformedError(f"The value of {quoted(key)} is {_kind(value)}, not text.", hint, field=key)
    if len(value) > _LONGEST:
        raise MalformedError(f"The value of {quoted(key)} is longer than {_LONGEST} characters.", "Every value is a name.", field=key)
    # a subclass of str with methods of its own ends here
    return str(value)


def _kind(value: object) -> str:
    """The JSON word for a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (str, "text"),
        ((int, float), "a number"),
        (Mapping, "an object"),
        ((list, tuple, set, frozenset), "a list"),
    )
    return next((word for types, word in kinds if isinstance(value, types)), "something else")
