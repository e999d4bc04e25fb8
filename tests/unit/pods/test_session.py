from __future__ import annotations

import copy

from afkit.facility.model import REMOVED, Cvmfs, Facility, Layer, Lifetime, Mount, SecretKey, Storage
from afkit.pods.layers import Session, session_of
from afkit.policy.capacity import declared
from afkit.policy.entitle import from_groups
from afkit.policy.offer import offer
from afkit.policy.select import select
from tests.unit.policy.facilities import by_name, choice, example, facility, image, offered, option, pool, profile


def session(made: Facility, raw: object = None, *groups: str) -> Session:
    return session_of(made, select(offered(made, *groups), raw or {}))


def layered(name: str, **keys: object) -> Facility:
    """A facility that gives each layer one of five values of a key."""
    values = dict(zip(("session", "pool", "image", "profile", "first", "second"), keys["values"], strict=True))  # type: ignore[call-overload]
    layers = {place: Layer(**{name: value}) for place, value in values.items()}
    return facility(
        profile("p", options=("one", "two"), layer=layers["profile"]),
        pools=(pool("cpu", layer=layers["pool"]),),
        images=(image("base", layer=layers["image"]),),
        options=(option("one", choice("x", layer=layers["first"])), option("two", choice("y", layer=layers["second"]))),
        session=layers["session"],
        cvmfs=Cvmfs("csi", repositories={"a": {}, "b": {}, "c": {}}),
    )


def test_later_layers_win_key_by_key() -> None:
    env = [
        {"A": "session", "B": "session"},
        {"B": "pool"},
        {"C": "image"},
        {"A": "profile"},
        {"D": "first"},
        {"D": "second", "C": "second"},
    ]
    assert session(layered("env", values=env)).env == {"A": "profile", "B": "pool", "C": "second", "D": "second"}
    files = [{"/a": "1"}, {}, {"/b": "2"}, {"/a": "3"}, {}, {}]
    assert session(layered("files", values=files)).files == {"/a": "3", "/b": "2"}


def test_null_removes_and_a_later_layer_sets_again() -> None:
    env = [{"A": "1", "B": "1"}, {"A": REMOVED}, {}, {"A": "2", "B": REMOVED}, {}, {"C": REMOVED}]
    assert session(layered("env", values=env)).env == {"A": "2"}


def test_a_secret_is_one_value() -> None:
    secret = SecretKey("s", "k")
    env = [{"A": "text", "B": secret}, {"A": secret}, {"B": "text"}, {}, {}, {}]
    assert session(layered("env", values=env)).env == {"A": secret, "B": "text"}


def test_a_trait_is_one_value() -> None:
    traits = [{"extra": {"a": 1, "b": [1]}, "cmd": ["x"]}, {"extra": {"c": 2}}, {}, {"http_timeout": 5}, {"cmd": None}, {}]
    assert session(layered("kubespawner", values=traits)).kubespawner == {"extra": {"c": 2}, "http_timeout": 5}


def test_the_last_default_url() -> None:
    from afkit.quantities import UNSET

    assert session(layered("default_url", values=["/lab", UNSET, "/tree", UNSET, UNSET, UNSET])).default_url == "/tree"
    assert session(layered("default_url", values=["/lab", UNSET, UNSET, REMOVED, UNSET, UNSET])).default_url == ""
    assert session(layered("default_url", values=[UNSET] * 6)).default_url == ""


def test_repositories_join_in_the_order_of_the_file() -> None:
    from afkit.quantities import UNSET

    assert session(layered("cvmfs", values=[("c",), UNSET, ("a", "c"), ("b",), UNSET, UNSET])).cvmfs == ("a", "b", "c")
    assert session(layered("cvmfs", values=[UNSET] * 6)).cvmfs == ()


def test_the_shortest_lifetime() -> None:
    lifetimes = [Lifetime(100, 1000), Lifetime(None, 500), Lifetime(), Lifetime(200, 2000), Lifetime(50, None), Lifetime()]
    assert session(layered("lifetime", values=lifetimes)).lifetime == Lifetime(50, 500)


def test_pods_are_laid_over_each_other() -> None:
    pods = [
        {"spec": {"containers": [{"name": "notebook", "env": [{"name": "A", "value": "1"}]}]}},
        {"spec": {"containers": [{"name": "side", "image": "x"}]}},
        {},
        {"spec": {"containers": [{"name": "notebook", "env": [{"name": "B", "value": "2"}]}]}},
        {"metadata": {"labels": {"a": "b"}}},
        {},
    ]
    assert session(layered("pod", values=pods)).pod == {
        "metadata": {"labels": {"a": "b"}},
        "spec": {
            "containers": [
                {"name": "notebook", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                {"name": "side", "image": "x"},
            ]
        },
    }


def test_null_removes_a_whole_key() -> None:
    first = Layer(
        env={"A": "1"},
        files={"/a": "1"},
        cvmfs=("a",),
        pod={"spec": {"hostname": "x"}},
        kubespawner={"cmd": ["x"]},
        lifetime=Lifetime(1, 2),
    )
    gone = Layer(env={"B": "2"}, removed=frozenset({"env", "files", "cvmfs", "pod", "kubespawner", "lifetime"}))
    made = facility(profile("p", layer=gone), session=first)
    assert session(made) == Session(env={"B": "2"})


def test_choices_in_the_order_of_the_profile() -> None:
    one, two = option("one", choice("x", layer=Layer(env={"A": "one"}))), option("two", choice("y", layer=Layer(env={"A": "two"})))
    for order in (("one", "two"), ("two", "one")):
        made = facility(profile("p", options=order), options=(one, two))
        assert session(made, {"one": "x", "two": "y"}).env["A"] == order[-1]


def test_equal_choices_share_a_session_and_nothing_is_changed() -> None:
    made = example()
    before = copy.deepcopy(made.session)
    person = offer(made, from_groups(made, "grace", ["physicists", "accelerated"]), declared(made))
    first = session_of(made, select(person, {"profile": "training"}))
    assert session_of(made, select(person, {"profile": "training"})) is first
    assert session_of(made, select(person, {"profile": "training", "pool": "a100-slice"})) is not first
    assert (first.lifetime, first.storage, first.cvmfs) == (Lifetime(7200, 86400), ("datasets",), ("cms.cern.ch",))
    assert made.session == before


def test_two_people_with_other_mounts_have_other_sessions() -> None:
    shared = by_name(Mount("data", "/data", claim="d", allow=("red",)), Mount("free", "/free", claim="f"))
    made = facility(storage=Storage(shared=shared))
    assert session(made).storage == ("free",)
    assert session(made, {}, "red").storage == ("data", "free")
