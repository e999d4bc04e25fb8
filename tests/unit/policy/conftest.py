from __future__ import annotations

import pytest

from afkit.facility.model import Facility
from tests.unit.policy.facilities import example


@pytest.fixture(scope="session")
def facility() -> Facility:
    return example()
