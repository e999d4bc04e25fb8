from __future__ import annotations

from afkit.facility.model import Layer, Lifetime, Mount, Storage
from afkit.policy.layers import mounts, shortest
from afkit.policy.select import select
from tests.unit.policy.facilities import by_name, choice, facility, image, offered, option, pool, profile


def test_the_shortest_lifetime() -> None:
    layers = [Layer(lifetime=Lifetime(100, None)), Layer(), Layer(lifetime=Lifetime(200, 50)), Layer(lifetime=Lifetime(None, 70))]
    assert shortest(layers) == Lifetime(100, 50)
    assert shortest([]) == Lifetime()


def test_null_takes_a_lifetime_away() -> None:
    first = Layer(lifetime=Lifetime(10, 20))
    assert shortest([first, Layer(removed=frozenset({"lifetime"}))]) == Lifetime()
    assert shortest([first, Layer(removed=frozenset({"lifetime.idle"}))]) == Lifetime(None, 20)
    assert shortest([first, Layer(removed=frozenset({"lifetime"}), lifetime=Lifetime(30, 40))]) == Lifetime(30, 40)


SHARED = Storage(shared=by_name(*(Mount(name, f"/{name}", claim=name) for name in "abcdef")))


def listed(session: Layer, profile: Layer, pool: Layer = Layer(), image: Layer = Layer(), *choices: Layer) -> str:  # noqa: B008
    made = facility(storage=SHARED)
    return "".join(mounts(made, (session, pool, image, profile, *choices), frozenset())[0])


def lists(*names: str) -> Layer:
    return Layer(storage=tuple(names))


NONE = Layer()


def test_the_profile_else_the_session_else_all() -> None:
    assert listed(NONE, NONE) == "abcdef"
    assert listed(lists("b", "a"), NONE) == "ab"
    assert listed(lists("a"), lists("c")) == "c"
    assert listed(lists("a"), lists()) == ""


def test_pools_images_and_choices_add_theirs() -> None:
    assert listed(lists("a"), NONE, lists("b"), lists("c"), lists("d"), lists("e")) == "abcde"
    assert listed(NONE, lists("f"), lists("b")) == "bf"


def test_what_another_layer_names_is_not_for_all() -> None:
    made = facility(
        profile("p", pools=("x", "y"), options=("o",)),
        pools=(pool("x", layer=lists("a")), pool("y")),
        images=(image("base", layer=lists("b")),),
        options=(option("o", choice("one", layer=lists("c")), choice("two")),),
        storage=SHARED,
    )
    assert select(offered(made), {"pool": "x"}).storage == ("a", "b", "c", "d", "e", "f")
    assert select(offered(made), {"pool": "y", "o": "two"}).storage == ("b", "d", "e", "f")


def test_null_takes_the_earlier_lists_away() -> None:
    gone = frozenset({"storage"})
    assert listed(lists("a"), NONE, Layer(storage=("b",), removed=gone)) == "abcdef"
    assert listed(lists("a"), Layer(storage=("c",), removed=gone), lists("b")) == "c"


def test_mounts_that_are_not_mine_are_left_out() -> None:
    shared = by_name(Mount("data", "/data", claim="d", allow=("red",)), Mount("free", "/free", claim="f"))
    made = facility(profile("p", layer=lists("data", "free")), storage=Storage(shared=shared))
    selection = select(offered(made), {})
    assert (selection.storage, selection.left_out) == (("free",), ("data",))
    selection = select(offered(made, "red"), {})
    assert (selection.storage, selection.left_out) == (("data", "free"), ())
    unlisted = facility(storage=Storage(shared=shared))
    assert select(offered(unlisted), {}).left_out == ()
