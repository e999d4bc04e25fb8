"""Which Kubernetes is needed and which is tested: the documentation, the doctor and the test cluster say the same."""

from __future__ import annotations

import re
from pathlib import Path

from afkit.kube.doctor import OLDEST
from tools.kubernetes.build import KUBERNETES

ROOT = Path(__file__).parents[2]
TESTED = ".".join(KUBERNETES.split(".")[:2])


def test_the_how_to_says_what_the_doctor_wants_and_what_is_tested() -> None:
    said = (ROOT / "docs/how-to/kubernetes.md").read_text()
    assert re.search(r"\(Kubernetes (\S+) or newer; tested with (\S+)\)", said).groups() == (f"{OLDEST[0]}.{OLDEST[1]}", TESTED)  # type: ignore[union-attr]


def test_the_table_of_what_is_real_names_the_version_that_is_built() -> None:
    assert f"| Kubernetes {TESTED} and etcd" in (ROOT / "tests/cluster/README.md").read_text()
    wanted = (ROOT / "tools/kubernetes/modules/kubernetes/go.mod").read_text()
    assert f"k8s.io/kubernetes v{KUBERNETES}" in wanted
