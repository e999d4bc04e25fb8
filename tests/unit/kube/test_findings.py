"""How a look ends that cannot be taken: never as `ok`, never as a traceback."""

from __future__ import annotations

import pytest

from afkit.errors import DeadlineError, KubernetesError
from afkit.kube.findings import Found, looked


@pytest.mark.parametrize(
    ("raised", "text"),
    [
        (KubernetesError("forbidden", status=403, kind="Secret", namespace="af"), "you may not read Secret in af"),
        (KubernetesError('User "eve" cannot impersonate resource', status=403, kind="Pod"), "you may not act as the facility's hub"),
        (KubernetesError("not found", status=404, kind="DeviceClass"), "does not know the kind DeviceClass"),
        (KubernetesError("The API server cannot be reached.", status=0), "cannot be reached"),
        (DeadlineError("It took too long."), "It took too long."),
        (KeyError("spec"), "of a form that afkit does not know (KeyError: 'spec')"),
        (TypeError("no mapping"), "of a form that afkit does not know (TypeError: no mapping)"),
    ],
)
async def test_what_cannot_be_looked_at_is_unknown(raised: Exception, text: str) -> None:
    async def look() -> tuple[Found, ...]:
        raise raised

    (found,) = await looked("secrets", look)
    assert (found.name, found.state) == ("secrets", "unknown")
    assert text in found.message
