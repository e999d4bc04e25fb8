"""Facilities built by hand: small ones for single rules, and the example of the contract without its file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from afkit.errors import RequestError
from afkit.facility.model import (
    Accelerator,
    Choice,
    DaskDefaults,
    DaskOffer,
    Entry,
    Facility,
    Group,
    IdentityRules,
    Image,
    Kubernetes,
    Layer,
    Lifetime,
    Limit,
    Mount,
    NodeSize,
    Option,
    Pool,
    Profile,
    Size,
    Storage,
)
from afkit.policy.entitle import from_groups
from afkit.policy.model import Inventory, Offer, Usage
from afkit.policy.offer import offer
from afkit.policy.select import select

GI = 2**30
EVERYBODY = ("everyone",)


def by_name(*things: Any) -> dict[str, Any]:
    return {thing.name: thing for thing in things}


def entries(*names: str | Entry) -> tuple[Entry, ...]:
    return tuple(name if isinstance(name, Entry) else Entry(name) for name in names)


def pool(name: str, arch: Any = "amd64", **more: Any) -> Pool:
    return Pool(name=name, title=more.pop("title", f"Pool {name}"), arch=arch, **more)


def gpu_pool(name: str, *, per_node: int | None = 4, cuda: tuple[int, ...] | None = (12, 8), **more: Any) -> Pool:
    unit = Accelerator(vendor="nvidia", resource="nvidia.com/gpu", per_node=per_node, cuda=cuda)
    return pool(name, accelerator=unit, **more)


def image(name: str, arch: Any = ("amd64", "arm64"), **more: Any) -> Image:
    reference = None if more.get("match") else more.pop("image", f"registry.example.org/{name}:1")
    return Image(name=name, title=more.pop("title", f"Image {name}"), arch=arch, image=reference, **more)


def size(name: str, cpu: int = 1000, memory: int = 2 * GI, **more: Any) -> Size:
    return Size(name=name, title=more.pop("title", f"Size {name}"), cpu=cpu, memory=memory, **more)


def option(name: str, *choices: Choice) -> Option:
    return Option(name=name, title=f"Option {name}", choices=by_name(*choices))


def choice(name: str, **more: Any) -> Choice:
    return Choice(name=name, title=f"Choice {name}", **more)


def profile(
    name: str, pools: Any = ("cpu",), images: Any = ("base",), sizes: Any = ("small",), allow: tuple[str, ...] = EVERYBODY, **more: Any
) -> Profile:
    return Profile(
        name=name,
        title=more.pop("title", f"Profile {name}"),
        allow=allow,
        pools=entries(*pools),
        images=entries(*images),
        sizes=entries(*sizes),
        **more,
    )


def facility(
    *profiles: Profile,
    pools: tuple[Pool, ...] = (),
    images: tuple[Image, ...] = (),
    sizes: tuple[Size, ...] = (),
    options: tuple[Option, ...] = (),
    groups: Mapping[str, Group] | tuple[str, ...] = ("red", "blue", "green"),
    **more: Any,
) -> Facility:
    if not isinstance(groups, Mapping):
        groups = {name: Group(name) for name in groups}
    return Facility(
        name="test",
        title=more.pop("title", "Test Facility"),
        contact=more.pop("contact", "help@example.org"),
        pools=by_name(*(pools or (pool("cpu"),))),
        images=by_name(*(images or (image("base"),))),
        sizes=by_name(*(sizes or (size("small"),))),
        options=by_name(*options),
        profiles=by_name(*(profiles or (profile("main"),))),
        groups=groups,
        **more,
    )


def example() -> Facility:
    """The facility of facility-example.yaml, as far as the resolver sees it."""
    a100 = Accelerator(
        vendor="nvidia", product="NVIDIA-A100-SXM4-40GB", memory=40 * GI, per_node=4, resource="nvidia.com/gpu", cuda=(12, 8)
    )
    part = Accelerator(
        vendor="nvidia",
        product="NVIDIA-A100-SXM4-40GB",
        memory=5 * GI,
        per_node=7,
        sharing="mig",
        resource="nvidia.com/mig-1g.5gb",
        cuda=(12, 8),
    )
    nodes = {
        "cpu": NodeSize(62000, 240 * GI, 400 * GI),
        "arm": NodeSize(78000, 310 * GI, 400 * GI),
        "gpu": NodeSize(60000, 480 * GI, 800 * GI),
    }
    return facility(
        profile(
            "analysis",
            pools=("cpu", "arm"),
            images=("scientific", Entry("own", allow=("accelerated",), pools=("cpu",))),
            sizes=("small", Entry("large", allow=("accelerated",)), Entry("eighth", allow=("accelerated",), pools=("cpu",))),
            allow=("physicists",),
            title="Analysis",
            description="Columnar analysis with Dask.",
            default=True,
            options=("interface",),
            dask=DaskOffer(entries("cpu", "arm"), 50, 4000, 16 * GI),
            layer=Layer(cvmfs=("cms.cern.ch", "sft.cern.ch"), storage=("datasets", "group")),
        ),
        profile(
            "training",
            pools=("a100", "a100-slice"),
            images=("ml",),
            sizes=("small", Entry("large", pools=("a100",))),
            allow=("accelerated",),
            title="Training on a GPU",
            advertise=True,
            dask=DaskOffer(entries("cpu", "a100"), 20, 4000, 16 * GI, 1),
            layer=Layer(cvmfs=("cms.cern.ch",), storage=("datasets",)),
        ),
        pools=(
            pool("cpu", title="AMD64 nodes", node=nodes["cpu"], nodes=(2, 20)),
            pool("arm", "arm64", title="ARM64 nodes", node=nodes["arm"], nodes=(8, 8)),
            pool(
                "a100",
                title="NVIDIA A100",
                node=nodes["gpu"],
                nodes=(0, 2),
                accelerator=a100,
                layer=Layer(lifetime=Lifetime(7200, 86400)),
                taints=({"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"},),
            ),
            pool("a100-slice", title="Slice of an NVIDIA A100", node=nodes["gpu"], nodes=(1, 1), accelerator=part),
        ),
        images=(
            image("scientific", title="Scientific Python"),
            image("ml", ("amd64",), title="Machine learning (CUDA 12.4)", cuda=(12, 4)),
            image("own", ("amd64",), title="An image of your group", match=("registry.example.org/groups/**",)),
        ),
        sizes=(
            size("small", 1000, 2 * GI, cpu_limit=2000, memory_limit=4 * GI, title="Small"),
            size("large", 8000, 32 * GI, shm=8 * GI, title="Large"),
            Size("eighth", "An eighth of a node", share=Fraction(1, 8)),
        ),
        options=(
            Option(
                "interface",
                "Interface",
                choices=by_name(
                    Choice("lab", "JupyterLab", default=True, layer=Layer(default_url="/lab")),
                    Choice("code", "VS Code", images=("scientific",), layer=Layer(default_url="/vscode/?folder=/home/jovyan")),
                ),
            ),
        ),
        groups={
            "physicists": Group("physicists", ("cms:/cms", "egi:vo.example.org")),
            "accelerated": Group("accelerated", ("cms:/cms/ml", "egi:vo.example.org/gpu;role=user"), frozenset({"grace"})),
            "admins": Group("admins", ("cms:/cms/af-admins",), admin=True),
        },
        title="Example Analysis Facility",
        contact="af-support@example.org",
        identity=IdentityRules(local={"ada": ("physicists",), "grace": ("physicists", "accelerated"), "root-of-all": ("admins",)}),
        session=Layer(lifetime=Lifetime(86400, 604800), env={"TZ": "Europe/Zurich", "PIXI_HOME": "/scratch/{username}/.pixi"}),
        storage=Storage(
            home=Mount("home", "/home/jovyan", size=20 * GI),
            shared=by_name(
                Mount("datasets", "/data", claim="datasets", allow=("physicists", "accelerated", "admins")),
                Mount("group", "/group", volume={"nfs": {"server": "nfs.example.org", "path": "/group"}}, workers=False),
            ),
        ),
        limits={
            "everyone": Limit(servers=1, cpu=4000, memory=16 * GI, clusters=1, workers=4),
            "physicists": Limit(servers=2, cpu=64000, memory=256 * GI, clusters=2, workers=50),
            "accelerated": Limit(servers=2, cpu=64000, memory=256 * GI, accelerators={"a100": 2, "a100-slice": 1}, clusters=2, workers=20),
        },
        dask=DaskDefaults(1000, 4 * GI, ("cpu",)),
        kubernetes=Kubernetes(namespace="af-system"),
    )


def offered(facility: Facility, *groups: str, inventory: Inventory | None = None, usage: Usage | None = None) -> Offer:
    """The offer for somebody in these groups."""
    return offer(facility, from_groups(facility, "ada", groups), inventory, usage)


def chosen(facility: Facility, raw: object, *groups: str, **more: Any) -> dict[str, str]:
    """The whole choice that ``raw`` leads to for somebody in these groups."""
    return select(offered(facility, *groups, **more), raw).user_options()


def refused(facility: Facility, raw: object, *groups: str, **more: Any) -> RequestError:
    """The refusal of ``raw``; fails where it is granted."""
    with pytest.raises(RequestError) as caught:
        select(offered(facility, *groups, **more), raw)
    return caught.value
