"""Amounts and times in plain words."""

from __future__ import annotations

import pytest

from afkit.facility.model import Accelerator
from afkit.hub.form import words

GI = 2**30


@pytest.mark.parametrize(
    ("millicores", "text"), [(1000, "1 core"), (500, "0.5 cores"), (1500, "1.5 cores"), (64000, "64 cores"), (0, "0 cores")]
)
def test_cores(millicores: int, text: str) -> None:
    assert words.cores(millicores) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (2 * GI, "2 GiB"),
        (GI // 2, "512 MiB"),
        (2 * 10**9, "2 GB"),
        (3 * 2**40 // 2, "1.5 TiB"),
        (1024, "1 KiB"),
        (0, "0 GiB"),
        (GI * 10 // 3, "3.33 GiB"),
    ],
)
def test_memory(size: int, text: str) -> None:
    assert words.memory(size) == text


def test_requests_and_limits() -> None:
    assert words.cpu_line(1000, 1000) == "1 core"
    assert words.cpu_line(1000, 2000) == "1 core, up to 2 when free"
    assert words.cpu_line(8000, None) == "8 cores, more when free"
    assert words.memory_line(2 * GI, 2 * GI) == "2 GiB memory"
    assert words.memory_line(2 * GI, 4 * GI) == "2 GiB memory, at most 4 GiB"
    assert words.memory_line(2 * GI, None) == "2 GiB memory, more when free"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (90, "90 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (1800, "30 minutes"),
        (86400, "24 hours"),
        (172800, "2 days"),
        (604800, "7 days"),
        (3601, "3601 seconds"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    assert words.duration(seconds) == text


def test_lifetimes() -> None:
    assert words.lifetime(None, None) == ""
    assert words.lifetime(1800, None) == "Ends after 30 minutes idle"
    assert words.lifetime(None, 86400) == "Ends after 24 hours"
    assert words.lifetime(1800, 86400) == "Ends after 30 minutes idle, 24 hours at most"


def test_accelerators() -> None:
    assert words.accelerator(Accelerator("nvidia", "NVIDIA-A100-SXM4-40GB", 40 * GI)) == "NVIDIA A100 SXM4 40GB, 40 GiB"
    assert words.accelerator(Accelerator("amd")) == "AMD GPU"


def test_what_is_left() -> None:
    assert words.of(60000, 64000, words.cores) == "60 of 64 cores"
    assert words.of(1000, 64000, words.cores) == "1 core of 64 cores"
    assert words.of(GI // 2, 4 * GI, words.memory) == "512 MiB of 4 GiB"
    assert words.of(1, 2, str) == "1 of 2"


def test_listings() -> None:
    assert words.listing([]) == ""
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"], "and") == "a, b and c"


def test_workers() -> None:
    assert words.worker(4000, 16 * GI, 1) == "4 cores, 16 GiB and 1 accelerator"
    assert words.worker(None, 16 * GI, 2) == "16 GiB and 2 accelerators"
    assert words.worker(None, None, 0) == ""
