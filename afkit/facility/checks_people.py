"""Checks of people: groups that nobody can be in, profiles that nobody can see, limits that leave nothing, issuers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from afkit.facility.checks_profiles import ProfileChecks, offered_in, sees
from afkit.facility.fit import Amounts
from afkit.facility.model import Audience, Entry, Group, Issuer, Limit, Profile
from afkit.names import EVERYONE
from afkit.quantities import UNSET, format_cpu, format_memory


def check_people(checks: ProfileChecks) -> None:
    """Check groups, profiles' audiences, limits and issuers."""
    nobody = _empty_groups(checks)
    for name in nobody:
        hint = "Add `from` or `users`, or name it in `identity.local.users`."
        checks.add("AF507", ("groups", name), f"Nobody can be in the group {name!r}.", hint)
    if checks.parsed.whole("groups"):
        _check_audiences(checks, set(nobody))
    _check_limits(checks)
    if checks.parsed.whole("identity") and checks.facility.identity is not None:
        _check_issuers(checks, dict(checks.facility.identity.issuers))


def _empty_groups(checks: ProfileChecks) -> list[str]:
    if not checks.parsed.whole("identity", "local"):
        return []
    identity = checks.facility.identity
    local: set[str] = set()
    for groups in (identity.local or {}).values() if identity is not None else ():
        local.update(groups)
    return [group.name for group in checks.facility.groups.values() if group.name not in local and _is_empty(checks, group)]


def _is_empty(checks: ProfileChecks, group: Group) -> bool:
    # a file of users may be empty now and have somebody in it tomorrow
    has_file = checks.document.node(("groups", group.name, "users", "file")) is not None
    return not (group.sources or group.users or has_file) and checks.parsed.whole("groups", group.name)


def _check_audiences(checks: ProfileChecks, nobody: set[str]) -> None:
    known = {EVERYONE, *checks.facility.groups}
    for name, profile in checks.facility.profiles.items():
        if not checks.parsed.whole("profiles", name) or profile.advertise:
            continue
        audiences = (profile.allow, *(_any_of(entries) for entries in (profile.pools, profile.images, profile.sizes) if entries))
        if any(all(group in known and group in nobody for group in audience) for audience in audiences):
            hint = "Name a group that somebody can be in, or `everyone`."
            checks.add("AF508", ("profiles", name), f"Nobody can see the profile {name!r}.", hint)


def _any_of(entries: tuple[Entry, ...]) -> Audience:
    """Everybody who may have one of the entries."""
    return tuple(group for entry in entries for group in entry.allow)


def _smallest(checks: ProfileChecks, profile: Profile, group: str) -> list[Amounts]:
    facility = checks.facility
    pools = {entry.name: facility.pools[entry.name] for entry in profile.pools if sees(entry.allow, (group,))}
    sizes = [entry for entry in profile.sizes if sees(entry.allow, (group,))]
    checks.spend(len(pools) * len(sizes))
    found = [checks.amounts(facility.sizes[entry.name], pool) for entry in sizes for pool in offered_in(entry, pools)]
    return [one for one in found if one is not None]


def _check_limits(checks: ProfileChecks) -> None:
    facility = checks.facility
    for group, limit in facility.limits.items():
        if not checks.parsed.whole("limits", group) or group not in {EVERYONE, *facility.groups}:
            continue
        checks.spend(len(facility.profiles))
        seen = [profile for profile in facility.profiles.values() if sees(profile.allow, (group,))]
        if all(checks.whole(profile.name) for profile in seen):
            offers = [one for profile in seen for one in _smallest(checks, profile, group)]
            _check_amounts(checks, group, limit, offers)
            _check_units(checks, group, limit, seen)


def _check_amounts(checks: ProfileChecks, group: str, limit: Limit, offers: list[Amounts]) -> None:
    if not offers:
        return
    for key, most, least, show in (
        ("cpu", limit.cpu, min(one.cpu for one in offers), format_cpu),
        ("memory", limit.memory, min(one.memory for one in offers), format_memory),
    ):
        # 0 forbids, and is meant
        if most is not UNSET and most is not None and 0 < most < least:
            message = f"The limit is below the smallest size of every profile that the group {group!r} sees, {show(least)}."
            checks.add("AF509", ("limits", group, key), message, f"Write at least {show(least)}, or 0 to forbid.")


def _check_units(checks: ProfileChecks, group: str, limit: Limit, profiles: list[Profile]) -> None:
    for pool, most in limit.accelerators.items():
        found = list(_units(checks, group, pool, profiles))
        if most and found and most < min(found):
            message = f"The limit is below the smallest size that the group {group!r} can have on the pool {pool!r}, {min(found)}."
            checks.add("AF509", ("limits", group, "accelerators", pool), message, f"Write at least {min(found)}, or 0 to forbid.")


def _units(checks: ProfileChecks, group: str, pool: str, profiles: list[Profile]) -> Iterator[int]:
    for profile in profiles:
        if not any(entry.name == pool and sees(entry.allow, (group,)) for entry in profile.pools):
            continue
        for entry in profile.sizes:
            fits = sees(entry.allow, (group,)) and (entry.pools is None or pool in entry.pools)
            one = checks.amounts(checks.facility.sizes[entry.name], checks.facility.pools[pool]) if fits else None
            if one is not None:
                yield one.accelerators


def _check_issuers(checks: ProfileChecks, issuers: dict[str, Issuer]) -> None:
    for name, issuer in issuers.items():
        if issuer.url is not None and issuer.url.lower().startswith("http:"):
            message = f"The issuer {name!r} is reached by http, so anybody on the way could be anybody."
            checks.add("AF511", ("identity", "issuers", name, "url"), message, "Write https://.")
    if len(issuers) > 1:
        _check_usernames(checks, issuers)
    by_url: dict[str, list[Issuer]] = {}
    for issuer in issuers.values():
        if issuer.url is not None:
            by_url.setdefault(issuer.url.rstrip("/"), []).append(issuer)
    for sharing in by_url.values():
        for one, other in combinations(sharing, 2):
            checks.spend()
            if not _told_apart(one, other):
                message = f"The issuers {one.name!r} and {other.name!r} share an address, and nothing tells their people apart."
                hint = "Give both a `require` with one key that has no value in common, for example `domain`."
                checks.add("AF513", ("identity", "issuers", other.name, "url"), message, hint)


def _check_usernames(checks: ProfileChecks, issuers: dict[str, Issuer]) -> None:
    first: dict[str, str] = {}
    for name, issuer in issuers.items():
        path = ("identity", "issuers", name, "username")
        hint = f'Write a template of its own, for example "{{local}}-{name}".'
        if checks.document.node(path) is None:
            message = f"Of several issuers each needs `username`; {name!r} has none."
            checks.add("AF512", path[:-1], message, hint)
        elif issuer.username in first:
            message = f"The issuers {first[issuer.username]!r} and {name!r} give the same login names."
            checks.add("AF512", path, message, hint)
        first.setdefault(issuer.username, name)


def _told_apart(one: Issuer, other: Issuer) -> bool:
    return any(not set(values) & set(other.require[key]) for key, values in one.require.items() if key in other.require)
