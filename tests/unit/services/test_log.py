"""The log of a service: constant texts with fields."""

from __future__ import annotations

import logging

from afkit.services.log import Fields


def test_fields_stand_behind_the_text_and_stay_on_one_line() -> None:
    record = logging.makeLogRecord({"msg": "namespace made", "user": "ada\n2026 ERROR forged", "namespace": "af-a-b"})
    line = Fields("%(levelname)s %(message)s").format(record)
    assert line.endswith("namespace made user='ada\\n2026 ERROR forged' namespace='af-a-b'")
    assert "\n" not in line
