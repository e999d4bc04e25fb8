from __future__ import annotations

import pytest

from afkit.facility.model import Entry, Facility, Layer, Limit, Mount, Storage
from afkit.policy.capacity import declared
from afkit.policy.entitle import entitle, local_identity
from afkit.policy.model import Inventory, Item, Offer, PoolState, ProfileOffer, Usage, Use
from afkit.policy.offer import nothing_to_choose, offer
from tests.unit.policy.facilities import by_name, choice, facility, gpu_pool, image, offered, option, pool, profile, size


def people(made: Facility, name: str) -> Offer:
    return offer(made, entitle(made, local_identity(made, name)), declared(made))


def standings(items: tuple[Item, ...]) -> dict[str, str]:
    return {item.name: item.standing for item in items}


def only(made: Offer) -> ProfileOffer:
    (one,) = made.profiles
    return one


def test_the_example(facility: Facility) -> None:
    ada, grace, root = (people(facility, name) for name in ("ada", "grace", "root-of-all"))
    assert [(one.profile.name, one.standing, one.default) for one in ada.profiles] == [
        ("analysis", "offered", True),
        ("training", "advertised", False),
    ]
    assert standings(ada.profiles[0].sizes) == {"small": "offered", "large": "hidden", "eighth": "hidden"}
    assert standings(ada.profiles[0].images) == {"scientific": "offered", "own": "hidden"}
    assert [one.standing for one in grace.profiles] == ["offered", "offered"]
    assert standings(grace.profiles[0].images) == {"scientific": "offered", "own": "offered"}
    assert [one.profile.name for one in root.visible()] == ["training"], "an administrator has hub rights, no profile"
    assert [item.name for item in grace.profiles[1].pools if item.default] == ["a100"]


def test_a_hidden_thing_is_not_visible() -> None:
    made = facility(profile("a", allow=("red",)), profile("b", allow=("red",), advertise=True), profile("c"))
    offer = offered(made)
    assert [one.profile.name for one in offer.visible()] == ["b", "c"]
    assert [one.standing for one in offer.profiles] == ["hidden", "advertised", "offered"]
    assert [one.default for one in offer.profiles] == [False, False, True]
    denial = offer.profiles[1].denial
    assert denial is not None
    assert (denial.reason, denial.hint) == ("not-entitled", "Ask help@example.org.")


def test_an_entry_of_a_hidden_profile_is_hidden_and_of_an_advertised_one_advertised() -> None:
    entries = ("small", Entry("large", allow=("red",)))
    sizes = (size("small"), size("large"))
    for advertise, expected in ((False, {"small": "hidden", "large": "hidden"}), (True, {"small": "advertised", "large": "hidden"})):
        made = facility(profile("a", allow=("red",), sizes=entries, advertise=advertise), sizes=sizes)
        assert standings(only(offered(made)).sizes) == expected


def test_with_which_others() -> None:
    what = option("what", choice("here", pools=("arm",), images=("base", "only-amd")), choice("any"))
    made = facility(
        profile(
            "p",
            pools=("amd", "arm", Entry("secret", allow=("red",))),
            images=("base", "only-amd", Entry("gone", allow=("red",))),
            sizes=("small", Entry("large", pools=("arm", "secret"))),
            options=("what",),
        ),
        pools=(pool("amd"), pool("arm", "arm64"), pool("secret", "arm64")),
        images=(image("base"), image("only-amd", ("amd64",)), image("gone")),
        sizes=(size("small"), size("large")),
        options=(what,),
    )
    one = only(offered(made))
    by = {item.name: item for item in (*one.pools, *one.images, *one.sizes, *one.options[0].choices)}
    assert (by["amd"].only_images, by["amd"].only_sizes) == (None, ("small",))
    assert (by["arm"].only_images, by["arm"].only_sizes) == (("base",), None)
    assert (by["base"].only_pools, by["only-amd"].only_pools) == (None, ("amd",))
    assert by["large"].only_pools == ("arm",), "a pool that is hidden is not named"
    assert (by["here"].only_pools, by["here"].only_images, by["here"].only_sizes) == (("arm",), None, None)
    assert (by["any"].only_pools, by["any"].only_images) == (None, None)
    assert only(offered(made, "red")).sizes[1].only_pools == ("arm", "secret")


def denial(item: Item | ProfileOffer) -> tuple[str, str]:
    return (item.denial.reason, item.denial.message) if item.denial else ("", "")


def test_what_cannot_run_now_is_shown_with_the_reason() -> None:
    made = facility(
        profile("p", pools=("cpu", "gpu"), images=("base", "ml")),
        pools=(pool("cpu", "arm64"), gpu_pool("gpu")),
        images=(image("base"), image("ml", ("amd64",), cuda=(12,))),
    )
    one = only(offered(made, inventory=Inventory({"gpu": PoolState(False, "This machine has no NVIDIA GPU.")})))
    assert one.standing == "offered"
    assert standings(one.pools) == {"cpu": "offered", "gpu": "advertised"}
    assert denial(one.pools[1]) == ("no-capacity", "This machine has no NVIDIA GPU.")
    assert denial(one.images[1]) == ("no-capacity", "This machine has no NVIDIA GPU."), "its only pool is gone"
    both = Inventory({"gpu": PoolState(False, "No GPU."), "cpu": PoolState(False, "No ARM.")})
    one = only(offered(made, inventory=both))
    assert (one.standing, *denial(one)) == ("advertised", "no-capacity", "No ARM.")
    assert not one.default
    assert not any(item.default for item in (*one.pools, *one.images, *one.sizes))


def test_what_the_limits_do_not_leave_is_shown_with_the_reason() -> None:
    made = facility(
        profile("p", sizes=("large", "small")), sizes=(size("large", 8000), size("small")), limits={"everyone": Limit(servers=1, cpu=4000)}
    )
    one = only(offered(made))
    assert standings(one.sizes) == {"large": "advertised", "small": "offered"}
    assert denial(one.sizes[0])[0] == "limit-exceeded"
    assert one.sizes[0].default, "limits do not change what is filled in"
    full = only(offered(made, usage=Usage((Use("server", "other"),))))
    assert (full.standing, full.denial and full.denial.reason) == ("advertised", "limit-exceeded")
    assert only(offered(made)).standing == "offered", "what was kept for one person is not shown to another"


def test_what_goes_with_nothing_is_shown_with_the_reason() -> None:
    made = facility(
        profile("p", pools=("cpu", "arm"), images=(Entry("arm-image", allow=("red",)), "base")),
        pools=(pool("cpu"), pool("arm", "arm64")),
        images=(image("base", ("amd64",)), image("arm-image", ("arm64",))),
    )
    one = only(offered(made))
    assert denial(one.pools[1]) == ("incompatible", "Nothing of Profile p that you may have goes with pool arm.")
    assert only(offered(made, "red")).pools[1].standing == "offered"
    nothing = facility(profile("p", images=(Entry("base", allow=("red",)),)))
    assert denial(only(offered(nothing))) == ("not-entitled", "Nothing of Profile p that you may have fits together.")


def test_choices_that_are_not_mine_are_hidden() -> None:
    what = option("what", choice("secret", allow=("red",)), choice("any"))
    made = facility(profile("p", options=("what",)), options=(what,))
    assert standings(only(offered(made)).options[0].choices) == {"secret": "hidden", "any": "offered"}
    assert [item.default for item in only(offered(made, "red")).options[0].choices] == [True, False]


def test_mounts_that_are_left_out_are_told() -> None:
    shared = by_name(Mount("data", "/data", claim="d", allow=("red",)), Mount("other", "/other", claim="o", allow=("blue",)))
    made = facility(profile("p", layer=Layer(storage=("data",))), storage=Storage(shared=shared))
    assert only(offered(made)).left_out == ("data",)
    assert only(offered(made, "red")).left_out == ()
    assert only(offered(facility(profile("p"), storage=Storage(shared=shared)))).left_out == (), "nobody listed it"


@pytest.mark.parametrize(
    ("made", "nothing"),
    [
        (facility(), True),
        (facility(profile("a"), profile("b")), False),
        (facility(profile("a"), profile("b", allow=("red",), advertise=True)), True),
        (facility(profile("a", pools=("x", "y")), pools=(pool("x"), pool("y"))), False),
        (facility(profile("a", pools=("x", Entry("y", allow=("red",), advertise=True))), pools=(pool("x"), pool("y"))), True),
        (facility(profile("a", sizes=("small", "big")), sizes=(size("small"), size("big"))), False),
        (facility(profile("a", images=("base", "typed")), images=(image("base"), image("typed", match=("**",)))), False),
        (facility(profile("a", images=("typed",)), images=(image("typed", match=("**",)),)), False),
        (facility(profile("a", options=("o",)), options=(option("o", choice("x")),)), True),
        (facility(profile("a", options=("o",)), options=(option("o", choice("x"), choice("y")),)), False),
        (facility(profile("a", options=("o",)), options=(option("o", choice("x"), choice("y", allow=("red",))),)), True),
        (facility(profile("a", allow=("red",))), False),
        (facility(limits={"everyone": Limit(servers=0)}), False),
    ],
)
def test_nothing_to_choose(made: Facility, nothing: bool) -> None:
    assert nothing_to_choose(offered(made)) is nothing


def test_people_of_the_same_groups_share_what_they_see(facility: Facility) -> None:
    first, second = (
        people(facility, "ada"),
        offer(facility, entitle(facility, local_identity(facility, "bob", ["physicists"])), declared(facility)),
    )
    assert all(one is other for one, other in zip(first.profiles, second.profiles, strict=True))


def test_there_is_a_choice_where_the_limits_do_not_leave_the_default() -> None:
    sizes = (size("large", 8000), size("small"))
    for order, nothing in ((("large", "small"), False), (("small", "large"), True)):
        assert nothing_to_choose(offered(facility(profile("p", sizes=order), sizes=sizes, limits={"everyone": Limit(cpu=4000)}))) is nothing


def test_people_with_other_limits_see_other_offers() -> None:
    made = facility(
        profile("p", pools=("cpu", "gpu")),
        pools=(pool("cpu"), gpu_pool("gpu")),
        limits={"everyone": Limit(accelerators={"gpu": 0}), "red": Limit(accelerators={"gpu": 1})},
    )
    assert standings(only(offered(made)).pools) == {"cpu": "offered", "gpu": "advertised"}
    assert standings(only(offered(made, "red")).pools) == {"cpu": "offered", "gpu": "offered"}
    full = Usage((Use("worker", "w", pool="gpu", accelerators=1),))
    assert standings(only(offered(made, "red", usage=full)).pools) == {"cpu": "offered", "gpu": "advertised"}
    assert standings(only(offered(made, "red")).pools) == {"cpu": "offered", "gpu": "offered"}


def test_the_reason_is_that_of_the_person_who_looks() -> None:
    limits = {"red": Limit(accelerators={"gpu": 0}), "blue": Limit(accelerators={"gpu": 0})}
    made = facility(profile("p", pools=("gpu",)), pools=(gpu_pool("gpu"),), limits=limits)
    for group in ("red", "blue"):
        found = only(offered(made, group)).denial
        assert found is not None
        assert found.rule == ("limits", group, "accelerators", "gpu")
