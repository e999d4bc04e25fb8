"""``facility``, ``groups``, ``identity``, ``limits``: who people are and how much they may have."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from afkit.facility.edge.base import Part, many, may, need, refuse, reserved, several, wrong_type
from afkit.facility.edge.types import (
    CountOrNone,
    CpuLimit,
    Duration,
    FacilityName,
    Groups,
    HttpsUrl,
    Line,
    MemoryLimit,
    Name,
    Names,
    WebUrl,
)
from afkit.quantities import UNSET

_TEMPLATE = re.compile(r"\{([^{}]*)\}")
_SOURCE = re.compile(r"([^:]+):(.+)", re.DOTALL)


class FacilitySection(Part):
    """What the facility is called and whom to ask."""

    name: FacilityName = need("Short name, at most 20 characters; it stands in object names.", examples=["example"])
    title: Line | None = may("Name for people.", shown="(the name)", examples=["Example Analysis Facility"])
    contact: str = may("Whom to ask; shown in refusals.", "", examples=["support@example.org"])
    documentation: WebUrl | None = may("Address of the users' documentation.", examples=["https://docs.example.org"])
    notice: Any = reserved("Reserved.")
    url: HttpsUrl | None = may("The hub's public address with its base path.", examples=["https://af.example.org/"])


def _users(value: Any) -> Any:
    if isinstance(value, list):
        return UsersHere(users=_logins(value))
    if isinstance(value, dict):
        if set(value) == {"file"} and isinstance(value["file"], str) and value["file"]:
            return UsersFile(file=value["file"])
        refuse("AF203", "The users are a list, or one file.", "Write [ada, grace], or {file: PATH} with one name a line.")
    return wrong_type("list_type")


def _logins(values: list[Any]) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            refuse("AF203", "A login name is a text.", "Write every name in quotes that looks like a number.")
        if not value or not value.isprintable() or "/" in value:
            refuse("AF217", f"{value[:60]!r} is no login name.", "Write the name as JupyterHub has it.")
    return values


def _source(text: str) -> str:
    match = _SOURCE.fullmatch(text)
    if match is None or not text.isprintable():
        refuse("AF217", f"{text[:80]!r} is no group of an issuer.", "Write ISSUER:GROUP, for example cms:/cms/uscms, or ISSUER:*.")
    return text


class UsersHere(Part):
    """Login names that stand in the file."""

    users: list[str]


class UsersFile(Part):
    """A file with one login name a line; it is read again when it changes."""

    file: str


Users = Annotated[
    UsersHere | UsersFile,
    PlainValidator(_users),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string"}},
                {"type": "object", "properties": {"file": {"type": "string"}}, "required": ["file"], "additionalProperties": False},
            ]
        }
    ),
]
Source = Annotated[str, AfterValidator(_source)]


class Group(Part):
    """A facility group: a user is in it when any entry of `from` or `users` matches."""

    from_: list[Source] = many("Canonical claim groups: ISSUER:GROUP.", examples=[["cms:/cms/uscms"]])
    users: Users = may("Login names, or {file: PATH} with one name a line.", UsersHere(users=[]), shown=[], examples=[["ada"]])
    admin: bool = may("Members administrate the hub; it gives no profile, pool or limit.", False)
    description: str = may("What the group is for.", "")

    model_config = Part.model_config | {"alias_generator": lambda name: name.rstrip("_")}


def _claim_or(number: bool, word: bool, numbers: bool) -> Any:
    def parse(value: Any) -> Any:
        if isinstance(value, dict):
            if set(value) == {"claim"} and isinstance(value["claim"], str) and value["claim"]:
                return value["claim"]
            refuse("AF203", "This does not name one claim.", "Write {claim: NAME}, or the number itself.")
        if word and value == "none":
            return "none"
        if numbers and (isinstance(value, list) or value == "none"):
            return () if value == "none" else tuple(_id(one) for one in value)
        if number:
            return _id(value)
        return wrong_type("list_type")

    return parse


def _id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        refuse("AF203", "An id is a whole number.", "Write a number such as 1000, without quotes, or {claim: NAME}.")
    if not 0 <= value < 2**31:
        refuse("AF216", "An id is out of range.", "Write a number from 0 to 2147483647.")
    return value


_CLAIM_SCHEMA = {"type": "object", "properties": {"claim": {"type": "string"}}, "required": ["claim"], "additionalProperties": False}
_ID_SCHEMA = {"type": "integer", "minimum": 0}
Id = Annotated[int | str, PlainValidator(_claim_or(True, False, False)), WithJsonSchema({"anyOf": [_ID_SCHEMA, _CLAIM_SCHEMA]})]
FsGroup = Annotated[
    int | str, PlainValidator(_claim_or(True, True, False)), WithJsonSchema({"anyOf": [_ID_SCHEMA, _CLAIM_SCHEMA, {"const": "none"}]})
]
Ids = Annotated[
    tuple[int, ...] | str,
    PlainValidator(_claim_or(False, False, True)),
    WithJsonSchema({"anyOf": [{"type": "array", "items": _ID_SCHEMA}, _CLAIM_SCHEMA, {"const": "none"}]}),
]


class RunAs(Part):
    """As whom servers, schedulers and workers run."""

    uid: Id | None = may("User id, or the claim that has it: `{claim: uid}`, further down `{claim: posix.uid}`.", shown=1000)
    gid: Id | None = may("Group id, or the claim that has it.", shown=100)
    fs_group: FsGroup | None = may("Group of volumes, or the claim that has it; `none`: none.", shown=100)
    groups: Ids | None = may("Further groups, or the claim that has them.", shown=[])
    root: bool | None = may("The container starts as root and drops to the ids itself.", shown=False)


def _secret(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        refuse("AF208", "A secret is never written in the file.", "Write {env: NAME}, {file: PATH} or {secret: NAME, key: KEY}.")
    if set(value) not in ({"env"}, {"file"}, {"secret", "key"}) or not all(isinstance(part, str) and part for part in value.values()):
        refuse(
            "AF209", "This does not say where the secret is read from.", "Write one of {env: NAME}, {file: PATH}, {secret: NAME, key: KEY}."
        )
    if "env" in value and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value["env"]):
        refuse("AF209", "This is no name of an environment variable.", "Write the variable's name; its value is the secret.")
    return value


Secret = Annotated[
    dict[str, str],
    PlainValidator(_secret),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("env", "file", "secret", "key")},
            "oneOf": [{"required": ["env"]}, {"required": ["file"]}, {"required": ["secret", "key"]}],
            "additionalProperties": False,
        }
    ),
]


class Client(Part):
    """The hub as the provider knows it."""

    id: Line = need("Client id.", examples=["af-hub"])
    secret: Secret | None = may("Where the client secret is read from.", shown="(a public client)", examples=[{"env": "CLIENT_SECRET"}])


def _username(text: str) -> str:
    for match in _TEMPLATE.finditer(text):
        if match[1] not in ("value", "local"):
            refuse("AF210", f"There is no placeholder {match[0][:60]} in a login name.", "There are {value} and {local}.")
    if not _TEMPLATE.search(text):
        refuse("AF217", "Everybody would have the same login name.", 'Write {value} or {local} in it, for example "{local}-fnal".')
    return text


class Require(Part):
    """What a login must have: every key, by any of its values."""

    acr: Names | None = may("Authentication contexts.", examples=[["https://refeds.org/profile/mfa"]])
    assurance: Names | None = may("Values of eduperson_assurance.")
    idp: Names | None = may("Home organisations.")
    domain: Names | None = may("What stands after @ in the username claim.", examples=[["example.org"]])


class Token(Part):
    """An audience for which sessions may get access tokens."""

    audience: Line = need("Audience.")
    scopes: Names = many("Scopes beyond the audience.")
    min_life: Duration | None = may("What a token must still live.", shown="(20m, or half the life)")


def _token(value: Any) -> Any:
    return {"audience": value} if isinstance(value, str) else value


class Issuer(Part):
    """An OpenID provider; with dialect `hub`, JupyterHub's own authenticator."""

    url: WebUrl | None = may(
        "Address of the provider.", shown="(required unless hub)", examples=["https://aai.example.org/auth/realms/egi"]
    )
    dialect: Literal["wlcg", "aarc", "keycloak", "cilogon", "plain", "hub"] = need("How it writes groups.", examples=["wlcg"])
    client: Client | None = may("The hub as the provider knows it.", shown="(required unless hub)")
    scopes: Names = many("Scopes that are asked for at login.", examples=[["openid", "offline_access"]])
    key_claim: Line | None = may("Claim that tells people apart for ever.", shown="(sub; aarc: voperson_id, else sub)")
    username_claim: Line = may("Claim of the login name; where it is missing, the key.", "preferred_username")
    username: Annotated[str, AfterValidator(_username)] | None = may(
        "Template of the login name.", shown="{value}", examples=["{local}-fnal"]
    )
    audience: Line | None = may("Audience of this hub.")
    authorities: Names = many("Accepted AARC authorities and namespaces.")
    require: Require = may("What a login must have.", Require(), shown={})
    tokens: list[Annotated[Token, BeforeValidator(_token, json_schema_input_type=str | Token)]] = many(
        "Audiences for which sessions may get access tokens."
    )
    run_as: RunAs = may("As whom people of this issuer run, field by field over `identity.run_as`.", RunAs(), shown={})


class LocalUser(Part):
    """A person of a laptop or workshop facility."""

    groups: Groups = may("Their facility groups.", [], shown=[], examples=[["physicists"]])


class Local(Part):
    """People known without an issuer, where the hub runs without Kubernetes."""

    users: dict[Line, LocalUser] = several("Login names and their groups.", examples=[{"ada": {"groups": ["physicists"]}}])


class Identity(Part):
    """Who may log in, and as whom servers run."""

    allow: Groups | None = may("Groups whose members may log in; required with issuers.", examples=[["physicists"]])
    run_as: RunAs = may("As whom servers, schedulers and workers run.", RunAs(), shown={})
    refresh: Duration = may("How old groups and tokens may be.", 300, shown="5m")
    outage: Duration = may("How long logins live on while the provider is down.", 43200, shown="12h")
    notice: Duration = may("Time before a server that is no longer allowed is stopped.", 900, shown="15m")
    issuers: dict[Name, Issuer] = several("OpenID providers, by a short name.")
    local: Local | None = may("People of a laptop or workshop facility.")


class DaskLimit(Part):
    """How much Dask at once."""

    clusters: CountOrNone = may("Clusters.", UNSET, shown="none")
    workers: CountOrNone = may("Workers of all clusters.", UNSET, shown="none")


class Limit(Part):
    """How much at once, for the members of one group; a person has the largest of their groups."""

    servers: CountOrNone = may("Servers.", UNSET, shown=1)
    cpu: CpuLimit = may("CPU requests of servers, schedulers and workers.", UNSET, shown="none", examples=[64])
    memory: MemoryLimit = may("Memory requests of servers, schedulers and workers.", UNSET, shown="none", examples=["256Gi"])
    accelerators: dict[str, CountOrNone] = several("Accelerators, by pool.", examples=[{"a100": 2}])
    dask: DaskLimit = may("Dask clusters and workers.", DaskLimit(), shown={})
    per: Any = reserved("Reserved for quotas over time.")
