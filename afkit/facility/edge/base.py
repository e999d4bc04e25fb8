"""What all models of the file have in common: nothing unknown, nothing converted, and refusals with a code and a hint."""

from __future__ import annotations

from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError


class Part(BaseModel):
    """A mapping of the file whose keys are known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _note(cls, value: Any, info: ValidationInfo) -> Any:
        # the context notes which model read which mapping, so that an unknown key can be answered with a near one
        if info.context is not None:
            info.context[id(value)] = cls
        return value


def refuse(code: str, message: str, hint: str) -> NoReturn:
    """Refuse the value under validation. ``code`` is one of `afkit.facility.codes`."""
    raise PydanticCustomError(code, "refused", {"message": message, "hint": hint})


def wrong_type(kind: str) -> NoReturn:
    """Refuse the value for its type, as pydantic does: ``string_type``, ``dict_type``, ``list_type``."""
    raise PydanticKnownError(kind)  # type: ignore[arg-type]  # a literal to mypy only


def may(description: str, default: Any = None, *, shown: object = None, examples: list[Any] | None = None) -> Any:
    """A key that may be absent. ``shown`` is the default as the file would write it, or a sentence in parentheses."""
    if shown is None and isinstance(default, str | bool | int | list):
        shown = default
    extra: dict[str, Any] = {} if shown is None else {"shown": shown}
    if isinstance(default, list):
        # pydantic would copy it for every mapping that it reads
        return Field(default_factory=lambda: default, description=description, examples=examples, json_schema_extra=extra)
    return Field(default=default, description=description, examples=examples, json_schema_extra=extra)


def reserved(description: str) -> Any:
    """A key that has no meaning yet: it must not stand."""
    return Field(default=None, description=description, json_schema_extra={"not": {}})


def need(description: str, *, examples: list[Any] | None = None) -> Any:
    """A key that must stand."""
    return Field(description=description, examples=examples)


def several(description: str, *, examples: list[Any] | None = None) -> Any:
    """A mapping that is empty where it is absent."""
    return Field(default_factory=dict, description=description, examples=examples)


def many(description: str, *, examples: list[Any] | None = None) -> Any:
    """A list that is empty where it is absent."""
    return Field(default_factory=list, description=description, examples=examples)
