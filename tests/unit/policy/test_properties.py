"""What holds for every facility, every person and every request."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from hypothesis import given, settings, strategies as st

from afkit.errors import RequestError
from afkit.facility.model import Facility
from afkit.policy.entitle import from_groups
from afkit.policy.model import Inventory, Item, Offer, ProfileOffer, Selection, Usage
from afkit.policy.offer import nothing_to_choose, offer
from afkit.policy.select import select
from tests.unit.policy.oracle import Person
from tests.unit.policy.worlds import REFERENCES, World, odd_requests, worlds

REASONS = {"malformed", "unknown-option", "unknown-choice", "not-entitled", "incompatible", "limit-exceeded", "no-capacity"}
quick = settings(max_examples=120, deadline=None)


def answer(offer: Offer, raw: object) -> Selection | tuple[str, str, str, str]:
    """The selection, or all that a person sees of the refusal."""
    try:
        return select(offer, raw)
    except RequestError as error:
        return error.reason, error.message, error.hint, error.field


def made(file: Facility, groups: list[str], inventory: Inventory | None = None, usage: Usage | None = None) -> Offer:
    return offer(file, from_groups(file, "ada", groups), inventory, usage)


@quick
@given(worlds, st.lists(odd_requests, min_size=4, max_size=4))
def test_a_selection_or_a_reason_and_nothing_else(world: World, odd: list[object]) -> None:
    person = made(world.file, world.groups, world.inventory, world.usage)
    for raw in (*odd, *world.requests):
        result = answer(person, raw)
        if isinstance(result, tuple):
            reason, message, hint, _ = result
            assert reason in REASONS
            assert message.endswith(".")
            assert message.isprintable()
            assert hint.isprintable()
            assert len(message) < 500
        else:
            assert result.user == "ada"


@quick
@given(worlds)
def test_the_contract_read_literally(world: World) -> None:
    person = made(world.file, world.groups, world.inventory, world.usage)
    oracle = Person(world.file, frozenset(world.groups), world.inventory)
    for raw in world.requests:
        expected, result = oracle.fill(raw), answer(person, raw)
        if isinstance(result, Selection):
            assert result.user_options() == expected
        else:
            assert expected is None or result[0] == "limit-exceeded"


def offered(items: tuple[Item, ...]) -> set[str]:
    return {item.name for item in items if item.standing == "offered"}


@quick
@given(worlds)
def test_a_selection_is_inside_the_offer_and_is_its_own_answer(world: World) -> None:
    person = made(world.file, world.groups, world.inventory, world.usage)
    for raw in world.requests:
        result = answer(person, raw)
        if not isinstance(result, Selection):
            continue
        profile = next(one for one in person.profiles if one.profile.name == result.profile.name)
        assert profile.standing == "offered"
        assert result.pool.name in offered(profile.pools)
        assert result.image.name in offered(profile.images)
        assert result.size.name in offered(profile.sizes)
        choices = {one.option.name: offered(one.choices) for one in profile.options}
        assert all(choice.name in choices[option.name] for option, choice in result.choices)
        whole = result.user_options()
        assert select(person, whole) == result
        assert raw.items() <= whole.items()


@quick
@given(worlds)
def test_an_absent_key_is_its_default(world: World) -> None:
    person = made(world.file, world.groups, world.inventory)
    for raw in world.requests:
        result = answer(person, raw)
        if isinstance(result, Selection):
            whole = result.user_options()
            for count in range(2 ** len(whole)):
                more = {key: value for bit, (key, value) in enumerate(whole.items()) if count >> bit & 1}
                assert select(person, raw | more) == result


@quick
@given(worlds)
def test_defaults_of_the_offer_are_what_is_filled_in(world: World) -> None:
    person = made(world.file, world.groups, world.inventory)
    for profile in person.profiles:
        filled = Person(world.file, frozenset(world.groups), world.inventory).fill({"profile": profile.profile.name}) or {}
        for field, items in (("pool", profile.pools), ("image", profile.images), ("size", profile.sizes)):
            assert [item.name for item in items if item.default] == ([filled[field]] if filled else [])
    first = Person(world.file, frozenset(world.groups), world.inventory).fill({})
    assert [one.profile.name for one in person.profiles if one.default] == ([first["profile"]] if first else [])


@quick
@given(worlds)
def test_more_groups_never_mean_fewer_choices(world: World) -> None:
    few = made(world.file, world.groups, world.inventory, world.usage)
    many = made(world.file, [*world.groups, *world.others], world.inventory, world.usage)
    for raw in world.requests:
        result = answer(few, raw)
        if isinstance(result, Selection):
            whole = result.user_options()
            assert whole.items() <= select(many, whole).user_options().items()
    for one, other in zip(few.profiles, many.profiles, strict=True):
        assert _standing(one) <= _standing(other)
        for field in ("pools", "images", "sizes"):
            assert offered(getattr(one, field)) <= offered(getattr(other, field))


def _standing(one: ProfileOffer) -> int:
    return ("hidden", "advertised", "offered").index(one.standing)


@quick
@given(worlds, st.lists(odd_requests, min_size=2, max_size=2))
def test_only_the_order_of_the_file_counts(world: World, odd: list[object]) -> None:
    person = made(world.file, world.groups, world.inventory)
    turned = made(world.file, world.groups[::-1], Inventory(dict(reversed(world.inventory.pools.items()))))
    for raw in (*odd, *world.requests):
        other = dict(reversed(raw.items())) if isinstance(raw, Mapping) else raw
        assert answer(turned, other) == answer(person, raw)


@quick
@given(worlds)
def test_what_is_offered_can_be_had(world: World) -> None:
    person = made(world.file, world.groups, world.inventory, world.usage)
    for profile in person.profiles:
        had: dict[str, set[str]] = {"pool": set(), "image": set(), "size": set()}
        for choice in _combinations(world.file, profile):
            result = answer(person, choice)
            if isinstance(result, Selection):
                for field, name in (("pool", result.pool.name), ("image", result.image.name), ("size", result.size.name)):
                    had[field].add(name)
        typed = {item.name for item in profile.images if world.file.images[item.name].match}
        for field, items in (("pool", profile.pools), ("image", profile.images), ("size", profile.sizes)):
            assert offered(items) - typed == had[field] - typed
        assert (profile.standing == "offered") == bool(offered(profile.pools))
    if nothing_to_choose(person):
        assert isinstance(answer(person, {}), Selection)


def _combinations(file: Facility, profile: ProfileOffer) -> list[dict[str, str]]:
    """Every pool with every size and every image; of patterns every reference that one may take."""
    images = [item.name for item in profile.images if not file.images[item.name].match]
    if len(images) < len(profile.images):
        images += REFERENCES
    return [
        {"profile": profile.profile.name, "pool": pool.name, "image": image, "size": size.name}
        for pool in profile.pools
        for image in images
        for size in profile.sizes
    ]


@quick
@given(worlds)
def test_with_which_others_it_goes(world: World) -> None:
    """``only_pools`` … of the offer agree with the judge: what they rule out is refused, and they name only what is visible."""
    person = made(world.file, world.groups, world.inventory)
    for profile in person.visible():
        visible = {item.name for item in chain(profile.pools, profile.images, profile.sizes) if item.standing != "hidden"}
        for item in chain(profile.pools, profile.images, profile.sizes):
            for names in (item.only_pools, item.only_images, item.only_sizes):
                assert names is None or set(names) <= visible
        for pool in profile.pools:
            for size in profile.sizes:
                if pool.standing == size.standing == "offered" and size.only_pools is not None and pool.name not in size.only_pools:
                    result = answer(person, {"profile": profile.profile.name, "pool": pool.name, "size": size.name})
                    assert isinstance(result, tuple)
                    assert result[0] == "incompatible"
