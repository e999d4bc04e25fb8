"""Loading a facility file of 300 profiles, with every check, beside PyYAML's `safe_load` of the same text, which checks nothing."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import yaml

from afkit.facility.load import check_facility
from benchmarks.table import Row, alternate, show

PROFILES = 300
MOST_MILLISECONDS = 200.0

HEAD = """version: 1
facility: {name: large, title: A facility of many profiles}
groups:
"""
PARTS = """pools:
  cpu: {arch: amd64, node: {cpu: 62, memory: 240Gi}}
  arm: {arch: arm64, node: {cpu: 78, memory: 310Gi}}
  gpu:
    arch: amd64
    node: {cpu: 60, memory: 480Gi}
    accelerator: {vendor: nvidia, resource: nvidia.com/gpu, per_node: 4, cuda: "12.8"}
sizes:
  small: {cpu: 1, memory: 2Gi, cpu_limit: 2, memory_limit: 4Gi}
  large: {cpu: 8, memory: 32Gi}
  eighth: {share: 1/8}
options:
  interface:
    choices:
      lab: {default: true, default_url: /lab}
      code: {default_url: /code}
images:
"""
PROFILE = """  profile-{number}:
    title: Profile {number}
    description: What group {number} works with
    allow: [group-{number}]
    pools: [cpu, arm, {{name: gpu, allow: [group-{number}]}}]
    images: [image-{number}]
    sizes: [small, {{name: large, pools: [cpu, gpu]}}, {{name: eighth, pools: [cpu]}}]
    options: [interface]
    env: {{GROUP: "group-{number}"}}
    lifetime: {{idle: 2h, max: 24h}}
    dask: {{pools: [cpu], max_workers: 50, worker: {{cpu: 4, memory: 16Gi}}}}
"""


def facility_text(profiles: int = PROFILES) -> str:
    """A facility file with so many profiles, each with a group and an image of its own."""
    numbers = range(profiles)
    groups = "".join(f"  group-{number}: {{users: [user-{number}]}}\n" for number in numbers)
    reference = "registry.example.org/image-{number}:1@sha256:" + 64 * "0"
    images = "".join(f'  image-{n}: {{image: "{reference.format(number=n)}", arch: [amd64, arm64], cuda: "12.4"}}\n' for n in numbers)
    return HEAD + groups + PARTS + images + "profiles:\n" + "".join(PROFILE.format(number=number) for number in numbers)


def _milliseconds(work: object) -> float:
    assert callable(work)
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def rows() -> list[Row]:
    """Milliseconds of wall time for one load of a warm process."""
    text = facility_text()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "facility.yaml"
        file.write_text(text)
        facility, problems = check_facility(file)
        assert facility is not None, problems[:3]
        ours, theirs = alternate(lambda: _milliseconds(lambda: check_facility(file)), lambda: _milliseconds(lambda: yaml.safe_load(text)))
    what = f"load {PROFILES} profiles ({text.count(chr(10))} lines)"
    return [
        Row(what, "yaml.safe_load", "ms", ours, theirs, 1.0),
        Row(what, "the limit", "ms", ours, MOST_MILLISECONDS, 1.0),
    ]


def main() -> None:
    """Print the table."""
    print(show(rows()))


if __name__ == "__main__":
    main()
