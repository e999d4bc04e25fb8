"""The analyst's tutorial, executed from the first cell to the last on its own sample and on real collision data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.notebooks.running import images, printed, run

PEAK = re.compile(r"^(.+): m = ([\d.]+) ± ([\d.]+) GeV, width ([\d.]+) ± ([\d.]+) GeV$", re.MULTILINE)


def peaks(text: str) -> dict[str, float]:
    return {name: float(mass) for name, mass, *_ in PEAK.findall(text)}


@pytest.mark.slow("starts workers that import coffea, on busy cores")
def test_the_sample_ends_in_the_z_peak(tmp_path: Path) -> None:
    notebook = run("tutorial", tmp_path)
    text = printed(notebook)
    found = peaks(text)
    assert set(found) == {"NanoAOD", "sample-ntuple.root"}
    assert found["NanoAOD"] == pytest.approx(91.19, abs=0.3)
    assert found["sample-ntuple.root"] == pytest.approx(91.19, abs=0.3)
    assert "20,000 events" in text
    assert "limit-exceeded: " in text
    assert len(images(notebook)) == 2
    assert sorted(path.name for path in tmp_path.glob("*.root")) == ["sample-nano.root", "sample-ntuple.root"]


@pytest.mark.slow("starts workers that import coffea, on busy cores")
def test_real_files_give_their_peaks_their_events_and_their_leading_jets(tmp_path: Path, real_data: Path) -> None:
    files = [real_data / name for name in ("nanoAOD_2015_CMS_Open_Data_ttbar.root", "uproot-Zmumu.root", "uproot-HZZ.root")]
    notebook = run("tutorial", tmp_path, AFKIT_TUTORIAL_FILES=" ".join(map(str, files)))
    text = printed(notebook)
    found = peaks(text)
    assert found["uproot-Zmumu.root"] == pytest.approx(91, abs=1)
    assert found["uproot-HZZ.root"] == pytest.approx(91, abs=1)
    # W + jets: no dimuon peak, 200 events, and 159 of them have a jet over 15 GeV
    assert re.search(r"^200 events$", text, re.MULTILINE)
    assert "NanoAOD: too few muon pairs" in text
    assert len(images(notebook)) == 2
    assert not list(tmp_path.glob("*.root"))
