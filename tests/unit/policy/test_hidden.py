"""A thing that is not advertised does not exist for who may not have it: no sentence, hint or reason tells the difference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given

from afkit.facility.model import Entry, Facility, Profile
from afkit.policy.model import Selection
from tests.unit.policy.facilities import choice as choice_of, facility, image, offered, option, pool, profile, refused, size
from tests.unit.policy.test_properties import answer, made, quick
from tests.unit.policy.worlds import World, worlds


def visible(file: Facility, groups: Iterable[str]) -> Facility:
    """The file without all that is hidden from somebody in these groups."""
    mine = {"everyone", *groups}
    options = {
        name: replace(one, choices={key: choice for key, choice in one.choices.items() if mine.intersection(choice.allow)})
        for name, one in file.options.items()
    }
    options = {name: one for name, one in options.items() if one.choices}
    profiles = {name: _visible(one, mine, options) for name, one in file.profiles.items() if one.advertise or mine.intersection(one.allow)}
    return replace(file, options=options, profiles=profiles)


def _visible(one: Profile, mine: set[str], options: Iterable[str]) -> Profile:
    def left(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        return tuple(entry for entry in entries if entry.advertise or mine.intersection(entry.allow))

    return replace(
        one,
        pools=left(one.pools),
        images=left(one.images),
        sizes=left(one.sizes),
        options=tuple(name for name in one.options if name in options),
    )


@quick
@given(worlds)
def test_the_hidden_might_as_well_not_exist(world: World) -> None:
    person = made(world.file, world.groups, world.inventory, world.usage)
    less = made(visible(world.file, world.groups), world.groups, world.inventory, world.usage)
    for raw in world.requests:
        one, other = answer(person, raw), answer(less, raw)
        if isinstance(one, Selection) and isinstance(other, Selection):
            assert one.user_options() == other.user_options()
        else:
            assert one == other


@quick
@given(worlds)
def test_the_hidden_is_never_named(world: World) -> None:
    person, seen = made(world.file, world.groups, world.inventory, world.usage), visible(world.file, world.groups)
    hidden = _names(world.file) - _names(seen)
    for raw in world.requests:
        result = answer(person, raw)
        if isinstance(result, tuple):
            told = f"{result[1]} {result[2]}"
            assert not [name for name in hidden - {*raw, *raw.values()} if name in told]


def _names(file: Facility) -> set[str]:
    profiles = file.profiles.values()
    entries = {entry.name for one in profiles for entry in (*one.pools, *one.images, *one.sizes)}
    return {*file.profiles, *entries, *(name for one in profiles for name in one.options)}


MADE = facility(
    profile("open", pools=("cpu", Entry("cpv", allow=("red",))), images=("base", Entry("basf", allow=("red",))),
            sizes=("small", Entry("smalk", allow=("red",))), options=("kind", "kinf")),
    profile("opem", allow=("red",), options=("secret",)),
    profile("shown", allow=("red",), advertise=True, sizes=("small", Entry("smalk", allow=("red",)))),
    pools=(pool("cpu"), pool("cpv")),
    images=(image("base"), image("basf")),
    sizes=(size("small"), size("smalk")),
    options=(option("kind", choice_of("plain"), choice_of("plaim", allow=("red",))), option("kinf", choice_of("x", allow=("red",))),
             option("secret", choice_of("y"))),
)  # fmt: skip


def test_a_hidden_name_is_answered_like_one_that_does_not_exist() -> None:
    pairs = [
        ({"profile": "opem"}, {"profile": "opeq"}),
        ({"profile": "open", "pool": "cpv"}, {"profile": "open", "pool": "cpw"}),
        ({"image": "basf"}, {"image": "basg"}),
        ({"profile": "open", "size": "smalk"}, {"profile": "open", "size": "smalq"}),
        ({"profile": "open", "kind": "plaim"}, {"profile": "open", "kind": "plaiq"}),
        ({"kinf": "x"}, {"king": "x"}),
        ({"secret": "y"}, {"secreu": "y"}),
        ({"profile": "opem", "secret": "y"}, {"profile": "opeq", "secret": "y"}),
        ({"profile": "opem", "pool": "nonsense", "z": "z"}, {"profile": "opeq", "pool": "nonsense", "z": "z"}),
        ({"profile": "shown", "size": "smalk"}, {"profile": "shown", "size": "smalq"}),
    ]
    for hidden, missing in pairs:
        one, other = refused(MADE, hidden), refused(MADE, missing)
        assert one.reason == other.reason
        spelled = dict(zip(hidden.values(), missing.values(), strict=True)) | dict(zip(hidden, missing, strict=True))
        text = str(one)
        for name, instead in spelled.items():
            text = text.replace(f"'{name}'", f"'{instead}'")
        assert text == str(other)
        assert type(one) is type(other)


def test_near_matches_are_among_what_is_visible() -> None:
    assert refused(MADE, {"profile": "opeq"}).hint == "Did you mean open?"
    assert "opem" in refused(MADE, {"profile": "opeq"}, "red").hint
    assert "smalk" not in str(refused(MADE, {"profile": "open", "size": "smal"}))
    assert "smalk" in str(refused(MADE, {"profile": "open", "size": "smalq"}, "red"))


def test_administrators_see_the_whole_offer() -> None:
    assert [one.standing for one in offered(MADE).profiles] == ["offered", "hidden", "advertised"]
