"""What is filled in where something is left open: in the order profile, pool, image, size, options, looking ahead."""

from __future__ import annotations

import pytest

from afkit.facility.model import Accelerator, Entry, NodeSize
from afkit.policy.model import Inventory, PoolState
from tests.unit.policy.facilities import GI, choice, chosen, facility, gpu_pool, image, option, pool, profile, refused, size

ARM, AMD = pool("arm", "arm64"), pool("amd", "amd64")
ONLY_ARM, ONLY_AMD, BOTH = image("only-arm", ("arm64",)), image("only-amd", ("amd64",)), image("both")
SIZES = (size("small"), size("large", 8000, 32 * GI), size("two", accelerators=2))


def test_the_first_entries_without_a_default() -> None:
    both = facility(profile("one"), profile("two"))
    assert chosen(both, {}) == {"profile": "one", "pool": "cpu", "image": "base", "size": "small"}


def test_a_default_is_taken_wherever_it_stands() -> None:
    one = profile(
        "two",
        pools=("amd", Entry("arm", default=True)),
        images=("only-amd", Entry("both", default=True)),
        sizes=("small", Entry("large", default=True)),
        default=True,
    )
    made = facility(profile("one", pools=("amd",), images=("both",)), one, pools=(AMD, ARM), images=(ONLY_AMD, BOTH), sizes=SIZES)
    assert chosen(made, {}) == {"profile": "two", "pool": "arm", "image": "both", "size": "large"}
    assert chosen(made, {"pool": "amd"}) == {"profile": "two", "pool": "amd", "image": "both", "size": "large"}
    assert chosen(made, {"image": "only-amd"})["pool"] == "amd", "a default that does not fit is passed over"


def test_the_first_of_two_defaults() -> None:
    made = facility(profile("a"), profile("b", default=True), profile("c", default=True))
    assert chosen(made, {})["profile"] == "b"


def test_a_default_that_is_not_mine_is_passed_over() -> None:
    made = facility(
        profile("a", allow=("red",), default=True), profile("b", sizes=("small", Entry("large", allow=("red",), default=True))), sizes=SIZES
    )
    assert chosen(made, {}) == {"profile": "b", "pool": "cpu", "image": "base", "size": "small"}
    assert chosen(made, {"profile": "b"}, "red")["size"] == "large"
    assert chosen(made, {}, "red")["profile"] == "a"


def test_a_pool_is_taken_only_if_an_image_and_a_size_go_with_it() -> None:
    ahead = profile("p", pools=("arm", "amd"), images=("only-amd",))
    assert chosen(facility(ahead, pools=(ARM, AMD), images=(ONLY_AMD,)), {})["pool"] == "amd"
    ahead = profile("p", pools=("arm", "amd"), images=("both",), sizes=(Entry("small", pools=("amd",)),))
    assert chosen(facility(ahead, pools=(ARM, AMD), images=(BOTH,)), {})["pool"] == "amd"


def test_only_images_and_sizes_that_i_may_have_count() -> None:
    ahead = profile("p", pools=("arm", "amd"), images=("only-amd", Entry("only-arm", allow=("red",))))
    made = facility(ahead, pools=(ARM, AMD), images=(ONLY_AMD, ONLY_ARM))
    assert chosen(made, {})["pool"] == "amd"
    assert chosen(made, {}, "red") == {"profile": "p", "pool": "arm", "image": "only-arm", "size": "small"}


def test_filling_looks_at_all_that_was_asked() -> None:
    ahead = profile("p", pools=("amd", "arm"), images=("both", "only-arm"), sizes=("small", Entry("large", pools=("arm",))))
    made = facility(ahead, pools=(AMD, ARM), images=(BOTH, ONLY_ARM), sizes=SIZES)
    assert chosen(made, {})["pool"] == "amd"
    assert chosen(made, {"size": "large"})["pool"] == "arm"
    assert chosen(made, {"image": "only-arm"})["pool"] == "arm"
    assert chosen(made, {"size": "large", "image": "both"}) == {"profile": "p", "pool": "arm", "image": "both", "size": "large"}


def test_a_profile_is_taken_only_if_all_that_was_asked_fits_it() -> None:
    made = facility(
        profile("a", default=True, options=("extra",)),
        profile("b", sizes=("small", "large")),
        options=(option("extra", choice("x")),),
        sizes=SIZES,
    )
    assert chosen(made, {"size": "large"})["profile"] == "b"
    assert chosen(made, {"extra": "x"})["profile"] == "a"
    error = refused(made, {"size": "large", "extra": "x"})
    assert error.reason in ("unknown-choice", "unknown-option")


def test_the_accelerator_that_a_size_needs_chooses_the_pool() -> None:
    ahead = profile("p", pools=("cpu", "gpu"), sizes=("small", "two"))
    made = facility(ahead, pools=(pool("cpu"), gpu_pool("gpu")), sizes=SIZES)
    assert chosen(made, {})["pool"] == "cpu"
    assert chosen(made, {"size": "two"})["pool"] == "gpu"


def test_choices_restrict_what_is_filled() -> None:
    what = option("what", choice("here", pools=("arm",)), choice("big", sizes=("large",)), choice("only", images=("only-arm",)))
    ahead = profile("p", pools=("amd", "arm"), images=("both", "only-arm"), sizes=("small", "large"), options=("what",))
    made = facility(ahead, pools=(AMD, ARM), images=(BOTH, ONLY_ARM), sizes=SIZES, options=(what,))
    assert chosen(made, {"what": "here"})["pool"] == "arm"
    assert chosen(made, {"what": "big"})["size"] == "large"
    assert chosen(made, {"what": "only"}) == {"profile": "p", "pool": "arm", "image": "only-arm", "size": "small", "what": "only"}


def test_an_option_takes_the_first_choice_that_fits() -> None:
    what = option(
        "what", choice("here", pools=("arm",), default=True), choice("secret", allow=("red",)), choice("any"), choice("last", default=True)
    )
    made = facility(profile("p", pools=("amd", "arm"), options=("what",)), pools=(AMD, ARM), options=(what,))
    assert chosen(made, {})["what"] == "last", "defaults first, in the order of the file"
    assert chosen(made, {"pool": "arm"})["what"] == "here"


def test_an_option_of_which_nothing_fits_is_left_out() -> None:
    what = option("what", choice("here", pools=("arm",)), choice("secret", allow=("red",)))
    other = option("other", choice("x"))
    made = facility(profile("p", pools=("amd", "arm"), options=("what", "other")), pools=(AMD, ARM), options=(what, other))
    assert chosen(made, {}) == {"profile": "p", "pool": "amd", "image": "base", "size": "small", "other": "x"}
    assert chosen(made, {}, "red")["what"] == "secret"
    assert refused(made, {"pool": "amd", "what": "here"}).reason == "incompatible"


def test_a_typed_reference_takes_the_first_entry_that_fits() -> None:
    images = (
        image("named"),
        image("mine", ("amd64",), match=("r.org/mine/*",)),
        image("wide", ("amd64", "arm64"), match=("r.org/**",)),
    )
    ahead = profile("p", pools=("amd", "arm"), images=(Entry("mine", allow=("red",)), Entry("wide", default=True), "named"))
    made = facility(ahead, pools=(AMD, ARM), images=images)
    assert chosen(made, {})["image"] == "named", "a match entry fills nothing"
    typed = {"image": "r.org/mine/x:1"}
    for groups, raw, entry in ((("red",), typed, "mine"), ((), typed, "wide"), (("red",), typed | {"pool": "arm"}, "wide")):
        from afkit.policy.select import select
        from tests.unit.policy.facilities import offered

        selection = select(offered(made, *groups), raw)
        assert (selection.image.name, selection.reference) == (entry, "r.org/mine/x:1")
        assert selection.user_options()["image"] == "r.org/mine/x:1"


def test_where_everything_has_to_be_typed_nothing_is_filled() -> None:
    images = (image("typed", match=("r.org/**",)), image("base"))
    made = facility(profile("p", images=("typed",), default=True), profile("q"), images=images)
    assert chosen(made, {})["profile"] == "q"
    error = refused(made, {"profile": "p"})
    assert (error.reason, error.field) == ("incompatible", "image")
    assert "r.org/**" in error.hint


@pytest.mark.parametrize("state", [PoolState(False, "This machine is no ARM64 machine."), PoolState(False)])
def test_a_pool_that_is_not_there_is_never_a_default(state: PoolState) -> None:
    made = facility(profile("p", pools=(Entry("arm", default=True), "amd")), pools=(ARM, AMD))
    assert chosen(made, {})["pool"] == "arm"
    assert chosen(made, {}, inventory=Inventory({"arm": state}))["pool"] == "amd"


def test_a_profile_without_a_pool_now_is_never_a_default() -> None:
    made = facility(profile("p", pools=("arm",), default=True), profile("q", pools=("amd",)), pools=(ARM, AMD))
    assert chosen(made, {}, inventory=Inventory({"arm": PoolState(False)}))["profile"] == "q"


def test_a_full_pool_is_passed_over() -> None:
    gpus = (gpu_pool("one"), gpu_pool("two"))
    made = facility(profile("p", pools=("one", "two"), sizes=("small", "two")), pools=gpus, sizes=SIZES)
    free = Inventory({"one": PoolState(free=1), "two": PoolState(free=2)})
    assert chosen(made, {}, inventory=free)["pool"] == "one"
    assert chosen(made, {"size": "two"}, inventory=free)["pool"] == "two"


def test_a_larger_node_is_found() -> None:
    pools = (pool("little", node=NodeSize(4000, 8 * GI)), pool("big", node=NodeSize(16000, 64 * GI)))
    made = facility(profile("p", pools=("little", "big"), sizes=("small", "large")), pools=pools, sizes=SIZES)
    assert chosen(made, {"size": "large"})["pool"] == "big"


def test_the_cuda_of_an_image_chooses_the_pool() -> None:
    pools = (
        gpu_pool("old", cuda=(11, 8)),
        gpu_pool("new", cuda=(12, 8)),
        pool("radeon", accelerator=Accelerator("amd", resource="amd.com/gpu")),
    )
    made = facility(profile("p", pools=("radeon", "old", "new"), images=("ml",)), pools=pools, images=(image("ml", cuda=(12, 4)),))
    assert chosen(made, {})["pool"] == "new"
