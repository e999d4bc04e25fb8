from __future__ import annotations

import pytest

from afkit.errors import LimitExceededError
from afkit.facility.model import Limit
from afkit.policy.entitle import from_groups
from afkit.policy.limits import allowance, remaining
from afkit.policy.model import Allowance, Usage, Use
from tests.unit.policy.facilities import GI, chosen, facility, gpu_pool, pool, profile, refused, size


def allowed(limits: dict[str, Limit], *groups: str) -> Allowance:
    made = facility(limits=limits)
    return allowance(made, from_groups(made, "ada", groups))


def test_without_limits_one_server_of_any_size() -> None:
    assert allowed({}) == Allowance(servers=1)


def test_field_by_field_the_largest() -> None:
    limits = {
        "everyone": Limit(servers=1, cpu=4000),
        "red": Limit(servers=3, memory=8 * GI, accelerators={"a": 1, "b": 4}, clusters=1),
        "blue": Limit(cpu=2000, memory=16 * GI, accelerators={"a": 2}, workers=5),
    }
    assert allowed(limits) == Allowance(1, 4000)
    assert allowed(limits, "red", "blue") == Allowance(3, 4000, 16 * GI, {"a": 2, "b": 4}, 1, 5)
    assert allowed(limits, "blue").servers == 1
    assert allowed(limits, "green") == allowed(limits)


def test_none_is_the_largest_of_all() -> None:
    limits = {"red": Limit(servers=None, cpu=None, accelerators={"a": None}), "blue": Limit(servers=9, cpu=1, accelerators={"a": 1})}
    assert allowed(limits, "red", "blue") == Allowance(None, None, None, {"a": None})


def test_zero_is_a_value() -> None:
    assert allowed({"red": Limit(servers=0, cpu=0)}, "red") == Allowance(0, 0)
    assert allowed({"red": Limit(servers=0), "everyone": Limit(servers=2)}, "red").servers == 2


USAGE = Usage(
    (
        Use("server", "", 2000, 4 * GI, "gpu", 1),
        Use("scheduler", "c1", 1000, 2 * GI, "cpu"),
        Use("worker", "c1-0", 4000, 8 * GI, "gpu", 2),
        Use("worker", "c1-1", 4000, 8 * GI, "cpu"),
    ),
    clusters=1,
)


def test_what_runs_counts_together() -> None:
    most = Allowance(2, 16000, 32 * GI, {"gpu": 4, "other": 1}, 2, 10)
    assert remaining(most, USAGE) == Allowance(1, 5000, 10 * GI, {"gpu": 1, "other": 1}, 1, 8)


def test_never_less_than_nothing() -> None:
    assert remaining(Allowance(0, 1, 1, {"gpu": 1}, 0, 1), USAGE) == Allowance(0, 0, 0, {"gpu": 0}, 0, 0)
    assert remaining(Allowance(None), USAGE) == Allowance(None)


MADE = facility(
    profile("p", pools=("cpu", "gpu"), sizes=("small", "large", "two")),
    pools=(pool("cpu"), gpu_pool("gpu")),
    sizes=(size("small", 1000, 2 * GI), size("large", 8000, 32 * GI), size("two", 1000, 2 * GI, accelerators=2)),
    limits={
        "everyone": Limit(servers=1, cpu=4000, memory=16 * GI, accelerators={"gpu": 1}),
        "red": Limit(servers=2, cpu=16000, memory=64 * GI),
        "blue": Limit(accelerators={"gpu": 0}, servers=0),
        "green": Limit(servers=2, accelerators={"gpu": 2}),
    },
)


def test_a_limit_refuses_and_says_what_is_left() -> None:
    error = refused(MADE, {"size": "large"})
    assert isinstance(error, LimitExceededError)
    assert (error.field, error.rule) == ("size", ("limits", "everyone", "cpu"))
    assert str(error) == "This asks for 8 CPU, and your limits leave 4. Choose less."
    assert chosen(MADE, {"size": "large"}, "red")["size"] == "large"


def test_what_runs_already_counts() -> None:
    usage = Usage((Use("worker", "w", 4000, 48 * GI, "cpu"),))
    error = refused(MADE, {"size": "large"}, "red", usage=usage)
    assert str(error) == "This asks for 32Gi memory, and your limits leave 16Gi of 64Gi. Choose less, or stop something first."
    assert error.rule == ("limits", "red", "memory")
    assert chosen(MADE, {}, "red", usage=usage)["size"] == "small"


def test_servers() -> None:
    one = Usage((Use("server", "a"),))
    error = refused(MADE, {}, usage=one)
    assert (error.reason, error.field, error.rule) == ("limit-exceeded", "", ("limits", "everyone", "servers"))
    assert str(error) == "You have 1 server already, and that is all that you may have. Stop one of them first."
    assert chosen(MADE, {}, "red", usage=one)
    made = facility(limits={"everyone": Limit(servers=0)})
    assert str(refused(made, {})) == "You may not start servers. Your limit of servers is 0."


def test_accelerators() -> None:
    assert chosen(MADE, {"pool": "gpu"})["pool"] == "gpu"
    error = refused(MADE, {"size": "two"})
    assert error.rule == ("limits", "everyone", "accelerators", "gpu")
    assert error.message == "This asks for 2 accelerators of pool gpu, and your limits leave 1."
    assert chosen(MADE, {"size": "two"}, "green")["pool"] == "gpu"


def test_zero_forbids() -> None:
    made = facility(
        profile("p", pools=("cpu", "gpu")), pools=(pool("cpu"), gpu_pool("gpu")), limits={"everyone": Limit(accelerators={"gpu": 0})}
    )
    assert refused(made, {"pool": "gpu"}).reason == "limit-exceeded"
    assert chosen(made, {})["pool"] == "cpu"


@pytest.mark.parametrize("groups", [(), ("red",)])
def test_limits_never_change_what_is_filled_in(groups: tuple[str, ...]) -> None:
    made = facility(
        profile("p", sizes=("large", "small")), sizes=(size("large", 8000), size("small")), limits={"everyone": Limit(cpu=4000)}
    )
    assert refused(made, {}, *groups).reason == "limit-exceeded", "nothing is clamped or silently replaced"
    assert chosen(made, {"size": "small"}, *groups)["size"] == "small"
