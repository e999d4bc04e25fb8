"""The public names are fixed: one can be added here, none renamed."""

from __future__ import annotations

import pytest

import afkit
from afkit.cli.main import COMMANDS

PUBLIC = {"Group", "__version__", "cluster", "clusters", "connect", "cvmfs", "doctor", "errors", "load_facility", "plan"}


def test_the_public_names_of_afkit_are_these() -> None:
    assert set(afkit.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(afkit, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="clutser"):
        afkit.clutser  # noqa: B018


def test_the_errors_are_one_tree() -> None:
    from afkit import errors

    for name in errors.__all__:
        kind = getattr(errors, name)
        assert name in {"AfkitError", "Problem"} or issubclass(kind, errors.AfkitError)


def test_the_commands_are_these() -> None:
    assert set(COMMANDS) == {"up", "check", "schema", "explain", "render", "pod", "doctor", "clusters"}


def test_the_hub_is_configured_by_one_call() -> None:
    from afkit.hub import configure

    assert callable(configure)
