"""The kinds of values of a facility file: names, audiences, amounts, durations, placeholders, addresses, paths."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from afkit.facility.edge.base import refuse, wrong_type
from afkit.names import EVERYONE, NAME_RULE, is_name
from afkit.quantities import QuantityError, Unset, parse_cpu, parse_duration, parse_memory

PLACEHOLDERS: Final = ("username", "escaped_username", "unescaped_username", "servername", "initial", "uid", "gid")
"""The placeholders of ``storage`` and of the keys of ``session`` (facility-file.md, Rules for the whole file)."""

PLACEHOLDER_HINT: Final = f"There are {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}."
"""What to write instead of a placeholder that does not exist."""

_WORD: Final = re.compile(r"(?<!\$)\{(\w+)\}")
_VERSION: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}", re.ASCII)
_ENV: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_DNS: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LABEL: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)


def _name(text: str) -> str:
    if not is_name(text):
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()[:60]).strip("-")[:40].strip("-")
        better = f"Write {slug!r}." if is_name(slug) else "Begin with a letter."
        refuse("AF207", f"{text[:60]!r} is no name: at most 40 of a to z, 0 to 9 and - inside.", better)
    return text


def _facility_name(text: str) -> str:
    _name(text)
    if len(text) > 20:
        refuse(
            "AF207", f"{text!r} has {len(text)} characters; the facility's name stands in object names and has at most 20.", "Shorten it."
        )
    return text


def _audience(value: Any) -> Any:
    if isinstance(value, str):
        if value != EVERYONE:
            refuse("AF203", "Groups are a list of names, or `everyone` alone.", f"Write [{value[:60]}].")
        return [value]
    return value


def unique(values: list[Any]) -> list[Any]:
    """Refuse a list that has something twice."""
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            refuse("AF218", f"{str(value)[:60]!r} stands twice in this list.", "Remove one of them.")
        seen.add(value)
    return values


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME_RULE}$"})]
FacilityName = Annotated[
    str, AfterValidator(_facility_name), WithJsonSchema({"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?$"})
]
Names = Annotated[list[str], AfterValidator(unique)]
Groups = Annotated[
    list[str],
    BeforeValidator(_audience),
    AfterValidator(unique),
    WithJsonSchema({"anyOf": [{"const": EVERYONE}, {"type": "array", "items": {"type": "string"}, "uniqueItems": True}]}),
]


def _amount(value: object, parse: Callable[[object], int], code: str, zero: str | None) -> int:
    if isinstance(value, bool | dict | list):
        refuse("AF203", "This is no amount.", "Write one value: a number with its unit.")
    try:
        amount = parse(value)
    except QuantityError as error:
        refuse(code, f"{error.message}.", error.hint)
    if amount == 0 and zero is not None:
        refuse(code, "Nothing at all makes no sense here.", zero)
    return amount


def _or_none(parse: Callable[[Any], int]) -> Callable[[Any], int | None]:
    def parse_or_none(value: Any) -> int | None:
        return None if value == "none" else parse(value)

    return parse_or_none


def _cpu(value: Any) -> int:
    return _amount(value, parse_cpu, "AF205", "Write at least 1m.")


def _cpu_or_zero(value: Any) -> int:
    return _amount(value, parse_cpu, "AF205", None)


def _memory(value: Any) -> int:
    return _amount(value, parse_memory, "AF205", "Write an amount such as 2Gi.")


def _memory_or_zero(value: Any) -> int:
    return _amount(value, parse_memory, "AF205", None)


def _duration(value: Any) -> int:
    return _amount(value, parse_duration, "AF206", "Write a time such as 30m, or `none` where the end is to be lifted.")


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        wrong_type("int_type")
    if not 0 <= value < 2**31:
        refuse("AF216", f"{value if abs(value) < 10**12 else 'This'} is out of range.", "Write a whole number from 0 to 2147483647.")
    return value


def _positive(value: Any) -> int:
    if _count(value) == 0:
        refuse("AF216", "0 makes no sense here.", "Write at least 1, or leave the key out.")
    return int(value)


_QUANTITY_SCHEMA: Final[dict[str, Any]] = {"type": ["string", "number"], "pattern": "^[0-9.]+([eE][-+]?[0-9]+|[numkKMGTPE]i?)?$"}
_DURATION_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": "^[0-9]+[smhd]$"}
_COUNT_SCHEMA: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_NONE: Final[dict[str, Any]] = {"const": "none"}

Cpu = Annotated[int, PlainValidator(_cpu), WithJsonSchema(_QUANTITY_SCHEMA | {"examples": ["500m", 2, 1.5]})]
Memory = Annotated[int, PlainValidator(_memory), WithJsonSchema(_QUANTITY_SCHEMA | {"examples": ["512Mi", "16Gi"]})]
MemoryOrZero = Annotated[int, PlainValidator(_memory_or_zero), WithJsonSchema(_QUANTITY_SCHEMA)]
Duration = Annotated[int, PlainValidator(_duration), WithJsonSchema(_DURATION_SCHEMA | {"examples": ["90s", "30m", "24h", "7d"]})]
Count = Annotated[int, PlainValidator(_count), WithJsonSchema(_COUNT_SCHEMA)]
Positive = Annotated[int, PlainValidator(_positive), WithJsonSchema(_COUNT_SCHEMA | {"minimum": 1})]
CpuOrNone = Annotated[int | Unset | None, PlainValidator(_or_none(_cpu)), WithJsonSchema({"anyOf": [_NONE, _QUANTITY_SCHEMA]})]
MemoryOrNone = Annotated[int | Unset | None, PlainValidator(_or_none(_memory)), WithJsonSchema({"anyOf": [_NONE, _QUANTITY_SCHEMA]})]
CpuLimit = Annotated[int | Unset | None, PlainValidator(_or_none(_cpu_or_zero)), WithJsonSchema({"anyOf": [_NONE, _QUANTITY_SCHEMA]})]
MemoryLimit = Annotated[int | Unset | None, PlainValidator(_or_none(_memory_or_zero)), WithJsonSchema({"anyOf": [_NONE, _QUANTITY_SCHEMA]})]
DurationOrNone = Annotated[int | Unset | None, PlainValidator(_or_none(_duration)), WithJsonSchema({"anyOf": [_NONE, _DURATION_SCHEMA]})]
CountOrNone = Annotated[int | Unset | None, PlainValidator(_or_none(_count)), WithJsonSchema({"anyOf": [_NONE, _COUNT_SCHEMA]})]
PositiveOrNone = Annotated[int | Unset | None, PlainValidator(_or_none(_positive)), WithJsonSchema({"anyOf": [_NONE, _COUNT_SCHEMA]})]


def _absolute(text: str) -> str:
    parts = text.split("/")
    if not text.startswith("/") or ".." in parts or ":" in text or len(text) > 1000:
        refuse("AF212", f"{text[:80]!r} is no path inside a container.", "Begin with /, without .. and without a colon.")
    return text


def _relative(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/") or not text:
        refuse("AF212", f"{text[:80]!r} is no path below the mount's root.", "Write a path without a leading / and without ..")
    return text


def _https(text: str) -> str:
    return _url(text, ("https",))


def _web(text: str) -> str:
    return _url(text, ("https", "http"))


def _url(text: str, schemes: tuple[str, ...]) -> str:
    url = _split(text)
    if url is None or url.scheme not in schemes:
        refuse("AF211", f"This is no {schemes[0]} address.", f"Write {schemes[0]}://, a host, and a path.")
    if url.username is not None or url.password is not None:
        # the value may hold a password, so it is not repeated
        refuse("AF208", "An address must not hold a name or password.", "Remove everything before the @.")
    if url.query or url.fragment:
        refuse("AF211", "This address has a query or a fragment.", "Remove everything from the ? or # on.")
    return text


def _split(text: str) -> SplitResult | None:
    """The parts of an address, or ``None`` where it has no host, a wrong port or a character that no address has."""
    try:
        url = urlsplit(text)
        good = bool(url.hostname) and url.port != 0
    except ValueError:
        return None
    return url if good and text.isprintable() and " " not in text else None


def _env_name(text: str) -> str:
    if not _ENV.fullmatch(text) or len(text) > 200:
        refuse("AF217", f"{text[:60]!r} is no name of an environment variable.", "Use letters, digits and _, and no digit in front.")
    return text


def _version(text: Any) -> tuple[int, ...]:
    if not isinstance(text, str):
        wrong_type("string_type")
    if not _VERSION.fullmatch(text):
        refuse("AF217", f"{text[:40]!r} is no version.", 'Write numbers and points in quotes: "12.4".')
    return tuple(int(part) for part in text.split("."))


def check_placeholders(text: str) -> str:
    """Refuse every ``{word}`` that is no placeholder and has no ``$`` before it (AF210)."""
    wrong = unknown_placeholder(text)
    if wrong is not None:
        refuse("AF210", f"There is no placeholder {wrong}.", PLACEHOLDER_HINT)
    return text


def unknown_placeholder(text: str) -> str | None:
    """The first ``{word}`` of a text that is no placeholder and has no ``$`` before it."""
    return next((match[0][:60] for match in _WORD.finditer(text) if match[1] not in PLACEHOLDERS), None)


def _object_name(text: str) -> str:
    if not _DNS.fullmatch(text) or len(text) > 253:
        refuse("AF217", f"{text[:80]!r} is no name of a Kubernetes object.", "Use a to z, 0 to 9, - and points inside.")
    return text


def _namespace(text: str) -> str:
    if not _DNS.fullmatch(text) or len(text) > 63 or "." in text:
        refuse("AF217", f"{text[:80]!r} is no name of a namespace.", "Use at most 63 of a to z, 0 to 9 and - inside.")
    return text


def _label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if (slash and (not _DNS.fullmatch(prefix) or len(prefix) > 253)) or not name or not _LABEL.fullmatch(name):
        refuse(
            "AF217",
            f"{text[:80]!r} is no key of a label.",
            "Write NAME or DOMAIN/NAME, NAME with at most 63 letters, digits, - _ and points.",
        )
    return text


def _label_value(text: str) -> str:
    if not _LABEL.fullmatch(text):
        refuse("AF217", f"{text[:80]!r} is no value of a label.", "Use at most 63 letters, digits, - _ and points inside.")
    return text


def _line(text: str) -> str:
    if not text or not text.isprintable():
        refuse("AF217", "This text is empty, or has a line break or a control character.", "Write one line.")
    return text


Line = Annotated[str, AfterValidator(_line)]
AbsolutePath = Annotated[str, AfterValidator(_absolute), WithJsonSchema({"type": "string", "pattern": "^/"})]
RelativePath = Annotated[str, AfterValidator(_relative)]
HttpsUrl = Annotated[str, AfterValidator(_https), WithJsonSchema({"type": "string", "pattern": "^https://"})]
WebUrl = Annotated[str, AfterValidator(_web), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
EnvName = Annotated[str, AfterValidator(_env_name), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})]
Version = Annotated[
    tuple[int, ...],
    PlainValidator(_version),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "examples": ["12.4"]}),
]
Filled = Annotated[str, AfterValidator(check_placeholders)]
ObjectName = Annotated[str, AfterValidator(_object_name)]
Namespace = Annotated[str, AfterValidator(_namespace)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
