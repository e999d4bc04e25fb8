"""Every reason of the contract, with what the sentence and the hint have to say."""

from __future__ import annotations

import pytest

from afkit.facility.model import Entry, Facility, Kubernetes, NodeSize
from afkit.policy.capacity import declared
from afkit.policy.model import Inventory, PoolState
from tests.unit.policy.facilities import GI, choice, chosen, facility, gpu_pool, image, option, pool, profile, refused, size

SIZES = (size("small"), size("large", 8000, 32 * GI))
MADE = facility(
    profile(
        "main",
        pools=("cpu", "arm"),
        images=("base", "intel", Entry("own", pools=("cpu",))),
        sizes=("small", Entry("large", pools=("arm",))),
        options=("kind",),
    ),
    profile("shown", allow=("red",), advertise=True),
    profile("hidden", allow=("red",)),
    profile("with-entries", sizes=("small", Entry("large", allow=("red",), advertise=True))),
    pools=(pool("cpu"), pool("arm", "arm64")),
    images=(image("base"), image("intel", ("amd64",)), image("own", match=("r.org/own/**",))),
    sizes=SIZES,
    options=(option("kind", choice("plain"), choice("fancy", images=("base",), pools=("cpu",))),),
)


def test_unknown_option() -> None:
    error = refused(MADE, {"profile": "main", "colour": "blue"})
    assert (error.reason, error.field) == ("unknown-option", "colour")
    assert str(error) == "There is no option 'colour' in Profile main. You may set profile, pool, image, size and kind."
    error = refused(MADE, {"zz": "1", "aa": "2"})
    assert (error.reason, error.field) == ("unknown-option", "aa")
    assert "any profile" in error.message
    assert refused(MADE, {"server": "x"}).reason == "unknown-option"
    assert refused(MADE, {"profile": "with-entries", "kind": "plain"}).reason == "unknown-option", "an option of another profile"


@pytest.mark.parametrize(
    ("raw", "field", "message", "hint"),
    [
        ({"profile": "mian"}, "profile", "There is no profile 'mian'.", "Did you mean main?"),
        ({"profile": "xyz"}, "profile", "There is no profile 'xyz'.", "You may choose main or with-entries."),
        ({"profile": "main", "pool": "cpuu"}, "pool", "There is no pool 'cpuu' in Profile main.", "Did you mean cpu?"),
        ({"profile": "main", "image": "nope"}, "image", "There is no image 'nope' in Profile main.", "You may choose base or intel."),
        ({"profile": "main", "size": ""}, "size", "There is no size '' in Profile main.", "You may choose small or large."),
        ({"profile": "main", "kind": "fany"}, "kind", "There is no choice 'fany' of kind in Profile main.", "Did you mean fancy?"),
        ({"pool": "nope"}, "pool", "There is no pool 'nope' in any profile that you may choose.", "You may choose cpu or arm."),
        (
            {"profile": "main", "image": "r.org/other/x:1"},
            "image",
            "Image 'r.org/other/x:1' may not be typed in Profile main.",
            "It has to match r.org/own/**.",
        ),
        (
            {"profile": "main", "image": "own"},
            "image",
            "Image own is not chosen by its name in Profile main.",
            "Write the whole reference of an image that matches r.org/own/**.",
        ),
    ],
)
def test_unknown_choice(raw: dict[str, str], field: str, message: str, hint: str) -> None:
    error = refused(MADE, raw)
    assert (error.reason, error.field, error.message, error.hint) == ("unknown-choice", field, message, hint)


def test_a_reference_of_an_offered_image_is_not_its_name() -> None:
    assert refused(MADE, {"image": "registry.example.org/base:1"}).reason == "unknown-choice"


def test_not_entitled() -> None:
    error = refused(MADE, {"profile": "shown"})
    assert (error.reason, error.field, error.rule) == ("not-entitled", "profile", ("profiles", "shown", "allow"))
    assert str(error) == "Profile shown is not for you. Ask help@example.org."
    error = refused(MADE, {"profile": "with-entries", "size": "large"})
    assert (error.reason, error.field, error.rule) == ("not-entitled", "size", ("profiles", "with-entries", "sizes", 1, "allow"))
    assert str(error) == "Size large of Profile with-entries is not for you. Ask help@example.org."
    assert chosen(MADE, {"profile": "with-entries", "size": "large"}, "red")["size"] == "large"


def test_without_any_profile() -> None:
    made = facility(profile("a", allow=("red",)), profile("b", allow=("red",), advertise=True), contact="")
    for raw in ({}, {"profile": "a"}, {"profile": "nope"}, {"x": "y"}, {"pool": "cpu"}):
        error = refused(made, raw)
        assert (error.reason, str(error)) == (
            "not-entitled",
            "No profile of this facility is for you. Ask the administrators of Test Facility.",
        )
    assert refused(made, {"profile": "b"}).message == "Profile b is not for you."
    assert refused(made, None).reason == "malformed"


@pytest.mark.parametrize(
    ("raw", "field", "message", "hints"),
    [
        (
            {"pool": "arm", "image": "intel"},
            "image",
            "Image intel is built for amd64, and the nodes of pool arm are arm64.",
            ["You may choose image base.", "With image intel you may choose pool cpu."],
        ),
        (
            {"pool": "cpu", "size": "large"},
            "size",
            "Profile main does not have size large on pool cpu.",
            ["You may choose size small.", "With size large you may choose pool arm."],
        ),
        (
            {"image": "intel", "size": "large"},
            "size",
            "No pool of Profile main that you may have takes both image intel and size large.",
            ["You may choose size small.", "With size large you may choose image base."],
        ),
        (
            {"pool": "arm", "kind": "fancy"},
            "kind",
            "Kind fancy is not offered with pool arm.",
            ["You may choose kind plain.", "With kind fancy you may choose pool cpu."],
        ),
        (
            {"pool": "arm", "image": "r.org/own/a:1"},
            "image",
            "Profile main does not have image own on pool arm.",
            ["You may choose image base.", "With image 'r.org/own/a:1' you may choose pool cpu."],
        ),
        (
            {"size": "large", "kind": "fancy"},
            "kind",
            "Kind fancy is not offered with size large.",
            ["With kind fancy you may choose size small."],
        ),
    ],
)
def test_incompatible(raw: dict[str, str], field: str, message: str, hints: list[str]) -> None:
    error = refused(MADE, {"profile": "main"} | raw)
    assert (error.reason, error.field, error.message) == ("incompatible", field, message)
    for hint in hints:
        assert hint in error.hint
    assert error.rule


def test_incompatible_in_an_open_profile() -> None:
    assert refused(MADE, {"pool": "arm", "image": "intel"}).message.startswith("Image intel is built for amd64")


def test_one_part_that_fits_nothing() -> None:
    made = facility(profile("p", images=("base", "arm")), images=(image("base"), image("arm", ("arm64",))))
    error = refused(made, {"image": "arm"})
    assert (error.reason, error.field, error.rule) == ("incompatible", "image", ("profiles", "p", "images", 1))
    assert error.hint == "You may choose image base."


def test_nothing_left_of_a_profile() -> None:
    made = facility(profile("p", sizes=(Entry("small", allow=("red",)),)))
    error = refused(made, {})
    assert (error.reason, str(error)) == ("not-entitled", "Nothing of Profile p that you may have fits together. Ask help@example.org.")


def gpus(*, capacity: str = "closed", **more: object) -> Facility:
    return facility(
        profile("p", pools=("gpu", "cpu"), sizes=("one", "two")),
        pools=(gpu_pool("gpu", nodes=(0, 2)), pool("cpu")),
        sizes=(size("one"), size("two", accelerators=2)),
        kubernetes=Kubernetes(capacity=capacity),  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def test_no_capacity_says_why_and_what_instead() -> None:
    made = gpus()
    gone = Inventory({"gpu": PoolState(False, "This machine has no NVIDIA GPU.")})
    error = refused(made, {"pool": "gpu"}, inventory=gone)
    assert (error.reason, error.field, error.rule) == ("no-capacity", "pool", ("pools", "gpu"))
    assert str(error) == "This machine has no NVIDIA GPU. You may choose pool cpu now. Ask help@example.org."
    assert refused(made, {"size": "two"}, inventory=gone).hint == "Ask help@example.org."


@pytest.mark.parametrize(("free", "size", "granted"), [(0, "one", False), (1, "one", True), (1, "two", False), (2, "two", True)])
def test_free_accelerators(free: int, size: str, granted: bool) -> None:
    inventory = Inventory({"gpu": PoolState(free=free)})
    raw = {"pool": "gpu", "size": size}
    if granted:
        assert chosen(gpus(), raw, inventory=inventory)["size"] == size
    else:
        error = refused(gpus(), raw, inventory=inventory)
        assert error.reason == "no-capacity"
        assert "free accelerator" in error.message
        assert "help@example.org" in error.hint


@pytest.mark.parametrize(("most", "granted"), [(2, True), (1, False), (None, True)])
def test_what_is_free_has_to_be_free_on_one_node(most: int | None, granted: bool) -> None:
    inventory = Inventory({"gpu": PoolState(free=4, most=most)})
    if granted:
        assert chosen(gpus(), {"pool": "gpu", "size": "two"}, inventory=inventory)["size"] == "two"
    else:
        error = refused(gpus(), {"pool": "gpu", "size": "two"}, inventory=inventory)
        assert error.reason == "no-capacity"
        assert error.message == "Pool gpu has 4 free accelerators now, but no node of it more than 1, and this asks for 2 on one."
        assert chosen(gpus(), {"pool": "gpu", "size": "one"}, inventory=inventory)["size"] == "one"


def test_unknown_free_accelerators() -> None:
    assert refused(gpus(), {"pool": "gpu"}).reason == "no-capacity"
    assert refused(gpus(), {"pool": "gpu"}).rule == ("kubernetes", "capacity")
    assert chosen(gpus(), {})["pool"] == "cpu", "unknown counts for accelerators only"
    assert chosen(gpus(capacity="open"), {})["pool"] == "gpu"
    assert chosen(gpus(), {}, inventory=declared(gpus()))["pool"] == "gpu"


def test_declared_capacity() -> None:
    pools = (
        gpu_pool("a", nodes=(0, 3), per_node=4),
        gpu_pool("b", nodes=None),
        gpu_pool("c", nodes=(1, 1), per_node=None),
        pool("d", nodes=(0, 0)),
    )
    made = facility(profile("p", pools=("a", "b", "c", "d")), pools=pools)
    assert declared(made) == Inventory({"a": PoolState(free=12), "d": PoolState(False, "Pool d has no nodes now.", 0)})


def test_a_size_that_fits_no_node() -> None:
    made = facility(profile("p", sizes=("small", "large")), pools=(pool("cpu", node=NodeSize(4000, 64 * GI)),), sizes=SIZES)
    error = refused(made, {"pool": "cpu", "size": "large"})
    assert (error.message, error.rule) == ("Size large has 8 CPU, and a node of pool cpu has 4.", ("sizes", "large"))


@pytest.mark.parametrize(
    "text",
    ["\n", "\0", "\x1b[31m", "\u202e", "\ud800", "{userid.__class__}", "{0}", "{{", "%s", "сpu", "x" * 1000, "../..", "<script>", "'\"\\"],
)
def test_hostile_names_are_unknown_and_shown_escaped(text: str) -> None:
    for raw in ({"profile": text}, {"pool": text}, {"profile": "main", "image": text}, {"size": text}, {"kind": text}, {text: "x"}):
        error = refused(MADE, raw)
        assert error.reason in ("unknown-choice", "unknown-option", "malformed")
        assert f"{error.message}{error.hint}".replace("…", "").isascii()
        assert str(error).isprintable()
        assert len(str(error)) < 400


def test_what_only_an_advertised_profile_has_is_refused_with_that_profile() -> None:
    made = facility(
        profile("mine"),
        profile("shown", pools=("cpu", "other"), allow=("red",), advertise=True),
        pools=(pool("cpu"), pool("other")),
    )
    error = refused(made, {"pool": "other"})
    assert (error.reason, error.field, error.message) == ("not-entitled", "profile", "Profile shown is not for you.")


def test_a_pool_on_which_every_image_has_to_be_typed() -> None:
    images = (image("base", ("amd64",)), image("own", ("arm64",), match=("r.org/**",)))
    made = facility(profile("p", pools=("cpu", "arm"), images=("base", "own")), pools=(pool("cpu"), pool("arm", "arm64")), images=images)
    error = refused(made, {"pool": "arm"})
    assert (error.reason, error.field) == ("incompatible", "pool")
    assert error.hint == "You may choose pool cpu. It goes with a typed image that matches r.org/**."
    assert chosen(made, {"pool": "arm", "image": "r.org/a:1"})["pool"] == "arm"


def test_a_typed_image_that_does_not_run_on_a_pool_is_named_as_it_was_typed() -> None:
    images = (image("base"), image("own", ("amd64",), match=("r.org/**",)))
    made = facility(profile("p", pools=("cpu", "arm"), images=("base", "own")), pools=(pool("cpu"), pool("arm", "arm64")), images=images)
    error = refused(made, {"pool": "arm", "image": "r.org/a:1"})
    assert error.message == "Image 'r.org/a:1' is built for amd64, and the nodes of pool arm are arm64."
    assert error.rule == ("images", "own", "arch")


def test_long_text_is_cut_and_says_so() -> None:
    assert "'" + "x" * 80 + "…'" in refused(MADE, {"profile": "x" * 81}).message
    assert "'" + "x" * 80 + "'" in refused(MADE, {"profile": "x" * 80}).message
    assert "…'" in refused(MADE, {"profile": "\u202e" * 80}).message
