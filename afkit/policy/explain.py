"""Everything that one person sees, what not, and why, as plain data for the command line. Pure.

For administrators: it names what is hidden from the person too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from afkit.errors import RequestError, UnknownChoiceError, UnknownOptionError
from afkit.facility.model import Audience, Facility, RulePath
from afkit.policy.claims import Admission
from afkit.policy.model import Allowance, Denial, Item, Offer, ProfileOffer
from afkit.policy.references import is_typed, matches
from afkit.policy.select import select
from afkit.policy.text import listing

__all__ = ["explanation", "login", "place_of", "refused_login"]


def explanation(offer: Offer, asked: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON of ``afkit explain``: person, groups, profiles with every entry, and the decision on a choice that was asked."""
    entitlements = offer.entitlements
    return {
        "user": entitlements.user or None,
        "groups": list(entitlements.groups),
        "admin": entitlements.admin,
        "ignored": [{"value": one.value, "why": one.why} for one in entitlements.ignored],
        "limits": _limits(offer.allowance),
        "profiles": [_profile(offer, each) for each in offer.profiles],
        "decision": None if asked is None else _decision(offer, asked),
    }


def login(admission: Admission) -> dict[str, Any] | None:
    """Who logs in: issuer, key and ids; ``None`` where the claims do not say."""
    who = admission.login
    if not who.key:
        return None
    ids = who.ids
    run_as = ids and {"uid": ids.uid, "gid": ids.gid, "fs_group": ids.fs_gid, "groups": list(ids.groups), "root": ids.root}
    return {"issuer": who.issuer, "key": who.key, "run_as": run_as}


def refused_login(admission: Admission) -> dict[str, Any]:
    """The JSON of ``afkit explain`` for claims that refuse a login: nothing is offered, what could be read is there."""
    granted, refusal = admission.entitlements, admission.refusal
    return {
        "user": admission.login.name or None,
        "groups": list(granted.groups) if granted else [],
        "admin": False,
        "ignored": [{"value": one.value, "why": one.why} for one in admission.ignored],
        "profiles": [],
        "decision": None,
        "login": login(admission),
        "refused": refusal and {"reason": refusal.reason, "message": refusal.message, "hint": refusal.hint},
    }


def place_of(facility: Facility, rule: RulePath) -> dict[str, Any]:
    """``file`` and ``line`` of a rule: of the value itself, else of what holds it; both ``None`` where no rule decided."""
    while rule:
        place = facility.positions.get(rule)
        if place is not None:
            return {"file": place[0], "line": place[1]}
        rule = rule[:-1]
    return {"file": None, "line": None}


def _limits(allowed: Allowance) -> dict[str, Any]:
    return {
        "servers": allowed.servers,
        "cpu": allowed.cpu,
        "memory": allowed.memory,
        "accelerators": dict(allowed.accelerators),
        "dask": {"clusters": allowed.clusters, "workers": allowed.workers},
    }


def _profile(offer: Offer, each: ProfileOffer) -> dict[str, Any]:
    profile = each.profile
    fields = {"pools": (profile.pools, each.pools), "images": (profile.images, each.images), "sizes": (profile.sizes, each.sizes)}
    above = profile.allow if each.denial and each.denial.rule == ("profiles", profile.name, "allow") else None
    described = {
        field: {item.name: _item(offer, item, entry.allow, above) for entry, item in zip(*pair, strict=True)}
        for field, pair in fields.items()
    }
    options = {
        one.option.name: {item.name: _item(offer, item, one.option.choices[item.name].allow, above) for item in one.choices}
        for one in each.options
    }
    return {
        "name": profile.name,
        "offered": each.standing == "offered",
        "standing": each.standing,
        "why": _why(offer, each.standing, each.denial, profile.allow),
        "reason": each.denial.reason if each.denial else None,
        **_place(offer.facility, each.denial, ("profiles", profile.name)),
        "default": each.default,
        **described,
        "options": options,
        "left_out": list(each.left_out) if each.standing == "offered" else [],
    }


def _item(offer: Offer, item: Item, allow: Audience, above: Audience | None) -> dict[str, Any]:
    """One entry. ``above``: the groups of the profile, where these are why the person has none of it."""
    only = {"pools": item.only_pools, "images": item.only_images, "sizes": item.only_sizes}
    barred = above is not None and item.denial is not None and item.denial.rule[:1] == ("profiles",) and len(item.denial.rule) == 3
    return {
        "offered": item.standing == "offered",
        "standing": item.standing,
        "why": "the profile is not for this person" if barred else _why(offer, item.standing, item.denial, allow),
        "reason": item.denial.reason if item.denial else None,
        **_place(offer.facility, item.denial, item.entry),
        "default": item.default,
        "only": {field: list(names) for field, names in only.items() if names is not None},
    }


def _why(offer: Offer, standing: str, denial: Denial | None, allow: Audience) -> str:
    if denial is None:
        return f"for {listing((group for group in allow if group in offer.entitlements.groups), 'and')}"
    if denial.rule[-1:] != ("allow",):
        return denial.message
    shown = "" if standing == "advertised" else ", and not advertised"
    return f"only for {listing(allow, 'and')}{shown}"


def _place(facility: Facility, denial: Denial | None, rule: RulePath) -> dict[str, Any]:
    return place_of(facility, denial.rule if denial and denial.rule else rule)


def _decision(offer: Offer, asked: Mapping[str, str]) -> dict[str, Any]:
    try:
        selection = select(offer, asked)
    except RequestError as error:
        return _refusal(offer, asked, error)
    rule = ("profiles", selection.profile.name)
    return {
        "granted": True,
        "reason": None,
        "message": "Granted.",
        "hint": "",
        "selection": selection.user_options(),
        **place_of(offer.facility, rule),
        "rule": _path(rule),
        "field": "",
        "hidden": False,
    }


def _refusal(offer: Offer, asked: Mapping[str, str], error: RequestError) -> dict[str, Any]:
    """``hidden``: the person is told that there is no such thing, and in truth it is hidden from them by ``rule``."""
    hidden = _hidden(offer, asked, error)
    rule = hidden or error.rule
    return {
        "granted": False,
        "reason": error.reason,
        "message": error.message,
        "hint": error.hint,
        "selection": {},
        **place_of(offer.facility, rule),
        "rule": _path(rule),
        "field": error.field,
        "hidden": bool(hidden),
    }


def _hidden(offer: Offer, asked: Mapping[str, str], error: RequestError) -> RulePath:
    """The rule that hides what was asked for from this person; empty where it really does not exist."""
    if not isinstance(error, UnknownChoiceError | UnknownOptionError):
        return ()
    for each in offer.profiles:
        if asked.get("profile", each.profile.name) == each.profile.name:
            rule = _hiding(offer.facility, each, asked, error)
            if rule:
                return rule
    return ()


def _hiding(facility: Facility, each: ProfileOffer, asked: Mapping[str, str], error: RequestError) -> RulePath:
    """The rule of one profile that hides what was asked for."""
    if error.field == "profile":
        return each.denial.rule if each.denial else ()
    whole = isinstance(error, UnknownOptionError)
    for item in _items(each, error.field):
        named = whole or item.name == asked[error.field] or _takes(facility, error.field, item.name, asked)
        if named and item.standing == "hidden" and item.denial:
            return item.denial.rule
    return ()


def _items(each: ProfileOffer, field: str) -> Iterable[Item]:
    fields = {"pool": each.pools, "image": each.images, "size": each.sizes}
    options = {one.option.name: one.choices for one in each.options}
    return (fields | options).get(field, ())


def _takes(facility: Facility, field: str, name: str, asked: Mapping[str, str]) -> bool:
    return field == "image" and is_typed(asked["image"]) and matches(asked["image"], facility.images[name].match)


def _path(rule: RulePath) -> str:
    """A place as people write it: ``profiles.analysis.images[1].allow``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rule)
    return text.removeprefix(".")
