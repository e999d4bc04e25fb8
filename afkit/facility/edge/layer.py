"""The keys of ``session``, which pools, images, profiles and choices have too, and where secrets are read from."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from afkit.facility.edge.base import Part, may, refuse, several, wrong_type
from afkit.facility.edge.types import (
    AbsolutePath,
    DurationOrNone,
    EnvName,
    Names,
    check_placeholders,
)
from afkit.facility.model import REMOVED, Removed, SecretKey
from afkit.quantities import UNSET

_RESERVED = ("BEARER_TOKEN_FILE", "NB_UID", "NB_GID", "NVIDIA_VISIBLE_DEVICES")
_RESERVED_STARTS = ("AFKIT_", "JUPYTERHUB_", "JPY_", "CPU_", "MEM_", "JUPYTER_IMAGE")


def is_reserved(name: str) -> bool:
    """Whether the facility sets this environment variable itself (facility-file.md, ``session``)."""
    return name in _RESERVED or (name.startswith(_RESERVED_STARTS) and name != "JUPYTERHUB_SINGLEUSER_APP")


def _free_env_name(text: str) -> str:
    if is_reserved(text):
        refuse("AF401", f"The facility sets {text[:60]} itself.", "Leave it out; run_as, sizes and images say what is in it.")
    return text


def _env_value(value: Any) -> str | SecretKey | Removed:
    if value is None:
        return REMOVED
    if isinstance(value, str):
        if "\0" in value:
            refuse("AF217", "An environment variable holds no NUL character.", "Remove it.")
        return check_placeholders(value)
    if isinstance(value, dict):
        if set(value) == {"secret", "key"} and all(isinstance(part, str) and part for part in value.values()):
            return SecretKey(**value)
        refuse("AF209", "This does not name one key of one Secret.", "Write {secret: NAME, key: KEY}, or a text.")
    return wrong_type("string_type")


def _file_text(value: Any) -> str | Removed:
    if value is None:
        return REMOVED
    return value if isinstance(value, str) else wrong_type("string_type")


def _default_url(value: Any) -> str | Removed:
    if value is None:
        return REMOVED
    if not isinstance(value, str):
        wrong_type("string_type")
    if not value.startswith("/") or not value.isprintable():
        refuse("AF212", "A default_url is a path of the server.", "Begin with /, for example /lab.")
    return check_placeholders(value)


FreeEnvName = Annotated[EnvName, AfterValidator(_free_env_name)]
EnvValue = Annotated[
    str | SecretKey | Removed,
    PlainValidator(_env_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "null"]},
                {
                    "type": "object",
                    "properties": {"secret": {"type": "string"}, "key": {"type": "string"}},
                    "required": ["secret", "key"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
FileText = Annotated[str | Removed, PlainValidator(_file_text), WithJsonSchema({"type": ["string", "null"]})]
DefaultUrl = Annotated[Any, PlainValidator(_default_url), WithJsonSchema({"type": ["string", "null"], "pattern": "^/"})]


class Lifetime(Part):
    """How long a server may be idle, and live at all."""

    idle: DurationOrNone = may("Longest time without activity; `none`: no end.", UNSET, shown="none", examples=["24h"])
    max: DurationOrNone = may("Longest life; `none`: no end.", UNSET, shown="none", examples=["7d"])


class LayerKeys(Part):
    """The keys of `session`, here laid over those of earlier layers: session, pool, image, profile, choices."""

    env: dict[FreeEnvName, EnvValue] = several(
        "Environment variables: a text, or one key of a Kubernetes Secret.", examples=[{"TZ": "UTC"}]
    )
    files: dict[AbsolutePath, FileText] = several("Read-only files of servers and workers: path and text.")
    lifetime: Lifetime = may("Longest idle time and life of a server; of several layers the shorter counts.", Lifetime(), shown="none")
    default_url: DefaultUrl = may("Where the browser goes in a new server.", UNSET, shown="(the server's own)", examples=["/lab"])
    storage: Names | None = may("Shared mounts, by name.", None, shown="(what no pool, image or choice names)", examples=[["datasets"]])
    cvmfs: Names | None = may("CVMFS repositories; none: /cvmfs is not mounted.", None, shown=[], examples=[["cms.cern.ch"]])
    pod: dict[str, Any] = several("Part of a Pod as Kubernetes writes it: metadata.labels, metadata.annotations, spec.")
    kubespawner: dict[str, Any] = several(
        "Traits of KubeSpawner that are one server's and not in a Pod, with their values: `cmd`, `args`, `port`, `ip`, `http_timeout`, "
        "`poll_interval`, `delete_grace_period`, `debug`, `disable_user_config`.",
        examples=[{"http_timeout": 60}],
    )


class Session(LayerKeys):
    """What every server gets; Dask schedulers and workers too, but for lifetime, default_url and kubespawner."""
