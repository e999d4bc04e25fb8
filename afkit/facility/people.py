"""``groups`` and ``identity`` → records; files of login names are read here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from afkit.facility import model
from afkit.facility.edge import people
from afkit.facility.extends import Sources
from afkit.facility.report import Report, StopReading
from afkit.facility.source import decode
from afkit.facility.tree import Document

_RUN_AS = model.RunAs(1000, 100, 100, (), False)


@dataclass(slots=True)
class Builder:
    """What the building of people needs beside their model."""

    document: Document
    report: Report
    sources: Sources

    def file(self, path: model.RulePath, name: str) -> Path:
        """A path of the file; a relative one starts at the folder of the file in which it stands."""
        return Path(self.document.place(path)[0]).parent / name

    def identity(self, identity: people.Identity) -> model.IdentityRules:
        """The record of `identity`."""
        local = identity.local
        return model.IdentityRules(
            allow=tuple(identity.allow or ()),
            run_as=_run_as(identity.run_as, _RUN_AS),
            refresh=identity.refresh,
            outage=identity.outage,
            notice=identity.notice,
            issuers={name: self._issuer(name, one) for name, one in identity.issuers.items()},
            local=None if local is None else {name: tuple(user.groups) for name, user in local.users.items()},
        )

    def _issuer(self, name: str, issuer: people.Issuer) -> model.Issuer:
        client = issuer.client
        require = {key: tuple(values) for key, values in issuer.require.model_dump(exclude_none=True).items()}
        return model.Issuer(
            name=name,
            dialect=issuer.dialect,
            url=issuer.url,
            client_id=None if client is None else client.id,
            client_secret=None if client is None or client.secret is None else self._secret(name, client.secret),
            scopes=tuple(issuer.scopes),
            key_claim=issuer.key_claim or (None if issuer.dialect == "aarc" else "sub"),
            username_claim=issuer.username_claim,
            username=issuer.username or "{value}",
            audience=issuer.audience,
            authorities=tuple(issuer.authorities),
            require=require,
            tokens=tuple(model.TokenGrant(one.audience, tuple(one.scopes), one.min_life) for one in issuer.tokens),
            run_as=_run_as(issuer.run_as, model.RunAs()),
        )

    def _secret(self, issuer: str, source: dict[str, str]) -> model.SecretSource:
        if "file" in source:
            return model.SecretSource(file=self.file(("identity", "issuers", issuer, "client", "secret", "file"), source["file"]))
        if "env" in source:
            return model.SecretSource(env=source["env"])
        return model.SecretSource(kubernetes=model.SecretKey(source["secret"], source["key"]))


def _run_as(one: people.RunAs, default: model.RunAs) -> model.RunAs:
    return model.RunAs(
        uid=default.uid if one.uid is None else one.uid,
        gid=default.gid if one.gid is None else one.gid,
        fs_group=default.fs_group if one.fs_group is None else one.fs_group,
        groups=default.groups if one.groups is None else one.groups,
        root=default.root if one.root is None else one.root,
    )


def read_users(builder: Builder, name: str, group: people.Group) -> model.Group:
    """The record of a group, with the login names of its file."""
    users = group.users
    if isinstance(users, people.UsersFile):
        names = frozenset(_names_of(builder, ("groups", name, "users", "file"), users.file))
    else:
        names = frozenset(users.users)
    return model.Group(name, tuple(group.from_), names, group.admin, group.description)


def _names_of(builder: Builder, path: model.RulePath, file: str) -> list[str]:
    source = builder.file(path, file)
    try:
        text = decode(builder.sources.read(source, builder.report, builder.document.place(path)), str(source), builder.report)
    except StopReading:
        return []
    names = []
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        if not name.isprintable() or "/" in name or len(name) > 255:
            builder.report.add("AF217", (str(source), number, 1), "This line is no login name.", "Write one login name a line.")
            continue
        names.append(name)
    return names
