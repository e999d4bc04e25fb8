"""Who has logged in through a provider: which key each login name belongs to, for ever, and what the provider said last.

A table of its own in the hub's database. The hub is the only one who writes it, so all of it is in memory too.
"""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa

from afkit.errors import IdentityError
from afkit.hub.known import Known

__all__ = ["Logins"]

_TABLE: Final = sa.Table(
    "afkit_logins",
    sa.MetaData(),
    sa.Column("name", sa.Unicode(255), primary_key=True),
    sa.Column("person", sa.Unicode(64), nullable=False, unique=True),
    sa.Column("issuer", sa.Unicode(64), nullable=False),
    sa.Column("url", sa.UnicodeText, nullable=False),
    sa.Column("key", sa.UnicodeText, nullable=False),
    sa.Column("groups", sa.UnicodeText, nullable=False),
    sa.Column("verified", sa.Float, nullable=False),
    sa.Column("renews", sa.Boolean, nullable=False),
)
"""``person`` is a digest of address and key, which are too long for an index."""


class Logins:
    """The people of a hub's providers. ``db`` is the hub's own session."""

    def __init__(self, db: Any) -> None:
        self.db = db
        _TABLE.create(db.get_bind(), checkfirst=True)
        self._by_name: dict[str, Known] = {}
        self._by_person: dict[str, Known] = {}
        for row in db.execute(sa.select(_TABLE)).mappings():
            groups = tuple(json.loads(row["groups"]))
            self._keep(Known(row["name"], row["issuer"], row["url"], row["key"], groups, row["verified"], row["renews"]))

    def find(self, name: str) -> Known | None:
        """Whose a login name is; ``None``: nobody's yet."""
        return self._by_name.get(name)

    def of(self, url: str, key: str) -> Known | None:
        """What is known of the person with this key among the people of the provider at ``url``."""
        return self._by_person.get(Known("", "", url, key).person)

    def note(self, known: Known) -> None:
        """Keep what the provider says now; a name that is new belongs to this key from here on.

        Raises `IdentityError` (``name-taken``) where the name is somebody else's, or the person has another one already.
        """
        owner, before = self._by_name.get(known.name), self._by_person.get(known.person)
        if (owner is not None and owner.person != known.person) or (before is not None and before.name != known.name):
            raise name_taken(known.name)
        values = {
            "issuer": known.issuer,
            "url": known.url,
            "key": known.key,
            "groups": json.dumps(known.groups),
            "verified": known.verified,
            "renews": known.renews,
        }
        if owner is None:
            self.db.execute(sa.insert(_TABLE).values(name=known.name, person=known.person, **values))
        else:
            self.db.execute(sa.update(_TABLE).where(_TABLE.c.name == known.name).values(**values))
        self.db.commit()
        self._keep(known)

    def _keep(self, known: Known) -> None:
        self._by_name[known.name] = self._by_person[known.person] = known


def name_taken(name: str) -> IdentityError:
    """The refusal of a login name that belongs to somebody else."""
    shown = name[:80].encode("unicode_escape").decode("ascii")
    message = f"The login name {shown!r} belongs to somebody else here."
    return IdentityError(message, "Ask the administrators: names are never given to a second person.", reason="name-taken")
