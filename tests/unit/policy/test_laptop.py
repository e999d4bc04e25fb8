from __future__ import annotations

from typing import Any

import pytest

from afkit.facility.model import Cvmfs, Facility, IdentityRules, Issuer, Kubernetes, Layer, Mount, SecretKey, Storage
from afkit.policy.laptop import not_applied
from tests.unit.policy.facilities import choice, facility, option, profile

PLAIN = {"session": Layer(env={"TZ": "UTC"}, default_url="/lab", cvmfs=("a.b.c",)), "cvmfs": Cvmfs("directory", path="/cvmfs")}


def test_only_the_images_of_a_file_that_was_written_for_a_laptop() -> None:
    assert not_applied(facility(identity=IdentityRules(local={"ada": ()}), **PLAIN)) == (
        "Images are not applied: servers run in the Python environment of this machine.",
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"identity": IdentityRules(issuers={"cms": Issuer("cms", "wlcg")})}, "through cms"),
        ({"positions": {("identity", "run_as"): ("facility.yaml", 3, 3)}}, "`run_as`"),
        ({"storage": Storage(home=Mount("home", "/home"))}, "(home)"),
        ({"storage": Storage(shared={"data": Mount("data", "/data")})}, "(data)"),
        ({"cvmfs": Cvmfs("csi")}, "`csi`"),
        ({"session": Layer(env={"KEY": SecretKey("s", "k")})}, "KEY is not set"),
        ({"session": Layer(files={"/a": "b"})}, "`files`"),
        ({"session": Layer(pod={"spec": {}})}, "`pod`"),
        ({"session": Layer(kubespawner={"cmd": []})}, "`kubespawner`"),
        ({"kubernetes": Kubernetes()}, "`kubernetes`"),
    ],
)
def test_each_thing_that_is_not_applied_is_said_once(more: dict[str, Any], words: str) -> None:
    sentences = not_applied(facility(**more))
    assert len(sentences) == 2
    assert words in sentences[1]


def test_every_layer_is_looked_at() -> None:
    layer = Layer(pod={"spec": {"hostname": "x"}})
    assert any("`pod`" in one for one in not_applied(facility(profile("p", layer=layer))))
    assert any("`pod`" in one for one in not_applied(facility(options=(option("o", choice("c", layer=layer)),))))


def test_the_example(facility: Facility) -> None:
    assert all(sentence.endswith(".") for sentence in not_applied(facility))
