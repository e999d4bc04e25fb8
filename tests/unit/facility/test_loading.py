"""All problems at once, where they stand; ``extends``; nulls; files of users; what the records have where nothing is written."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from afkit.errors import FacilityError
from afkit.facility.load import check_facility, load_facility
from afkit.facility.model import REMOVED, DaskDefaults, Layer, Lifetime, RunAs, SecretKey, SecretSource
from afkit.quantities import UNSET

if TYPE_CHECKING:
    from tests.unit.facility.conftest import Checker

WRONG_EVERYWHERE = """\
version: 1
facility: {name: Wrong}
groups:
  a: {form: [x]}
session:
  env: {AFKIT_X: y}
pools:
  cpu: {arch: amd46}
  gpu: {arch: amd64}
images:
  base: {image: "registry.example.org/base:latest", arch: [arm64]}
sizes:
  small: {cpu: 1, memory: much}
  big: {cpu: 1, memory: 1Gi}
profiles:
  one: {allow: [b], pools: [cpu], images: [base], sizes: [small]}
  two: {allow: [b, a], pools: [gpu], images: [base], sizes: [big]}
  three: {allow: everyone, pools: [gpuu], images: [base], sizes: [big]}
limits:
  everyone: {servers: many}
"""


def test_all_problems_come_at_once_in_the_order_of_the_file(check: Checker) -> None:
    facility, problems = check(WRONG_EVERYWHERE, alone=True)
    assert facility is None
    assert [(problem.line, problem.code) for problem in problems] == [
        (2, "AF207"),
        (4, "AF201"),
        (6, "AF401"),
        (8, "AF204"),
        (11, "AF702"),
        (13, "AF205"),
        (16, "AF301"),  # nothing about the combinations of `one`: its pool and its size have problems of their own
        (17, "AF501"),
        (17, "AF301"),
        (18, "AF302"),
        (20, "AF203"),
    ]


def test_load_raises_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "facility.yaml"
    file.write_text(WRONG_EVERYWHERE)
    with pytest.raises(FacilityError) as caught:
        load_facility(file)
    assert len(caught.value.problems) == 11
    assert caught.value.exit_code == 2
    assert f"{file}:2:18: AF207" in str(caught.value)


def test_a_hint_names_what_was_meant(check: Checker) -> None:
    _, problems = check(
        "profiles: {analysis: {imagess: [base]}}\npools: {cpu: {spot: on}}\nsizes: {small: {cpu: 0.0005}}\nfacility: {title: 2026}\n"
    )
    hints = {problem.code + str(problem.line): problem.hint for problem in problems}
    assert hints == {
        "AF2013": "Did you mean 'images'?",
        "AF2034": "Write true.",
        "AF2055": "Write 1m.",
        "AF2036": 'Write "2026".',
    }


def test_a_word_in_capitals_is_near(check: Checker) -> None:
    _, problems = check("pools: {cpu: {arch: AMD64}}\nkubernetes: {pod_security: BASELINE}\nStorage: {}\n")
    assert {problem.hint for problem in problems if problem.code in ("AF204", "AF201")} == {
        "Did you mean 'amd64'?",
        "Did you mean 'baseline'?",
        "Did you mean 'storage'?",
    }


def test_extends_lays_one_file_over_the_other(check: Checker, tmp_path: Path) -> None:
    facility, problems = check(
        "pools:\n  arm: {arch: arm64}\n  cpu: {title: Here}\nsizes: {small: {memory: 4Gi}, more: {cpu: 2, memory: 8Gi}}\n"
        "profiles: {analysis: {sizes: [more, small]}}\n"
    )
    assert problems == []
    assert facility is not None
    assert list(facility.pools) == ["cpu", "arm"]
    assert (facility.pools["cpu"].title, facility.pools["cpu"].node.cpu) == ("Here", 8000)
    assert (facility.sizes["small"].cpu, facility.sizes["small"].memory) == (1000, 4 * 2**30)
    assert [entry.name for entry in facility.profiles["analysis"].sizes] == ["more", "small"]
    assert [source.name for source in facility.sources] == ["facility.yaml", "base.yaml"]
    assert facility.positions["sizes", "small", "cpu"][0] == str(tmp_path / "base.yaml")
    assert facility.positions["sizes", "small", "memory"] == (str(tmp_path / "facility.yaml"), 6, 25)


def test_null_in_a_file_with_extends_removes(check: Checker) -> None:
    facility, problems = check(
        "sizes: {small: null, other: {cpu: 1, memory: 1Gi}}\nprofiles: {analysis: {sizes: [other]}}\npools: {cpu: {node: null}}\n"
    )
    assert problems == []
    assert facility is not None
    assert list(facility.sizes) == ["other"]
    assert facility.pools["cpu"].node.cpu is None


def test_a_problem_names_the_file_in_which_the_value_stands(check: Checker, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text((tmp_path / "base.yaml").read_text().replace("memory: 2Gi", "memory: 2GB"))
    _, problems = check("pools: {cpu: {arch: arm}}\n")
    assert [(Path(problem.file).name, problem.line, problem.code) for problem in problems] == [
        ("facility.yaml", 3, "AF204"),
        ("base.yaml", 9, "AF205"),
    ]


@pytest.mark.parametrize(
    ("base", "over", "kept"),
    [
        ("secret: {file: a}", "secret: {env: A}", SecretSource(env="A")),
        ("secret: {secret: s, key: k}", "id: other", SecretSource(kubernetes=SecretKey("s", "k"))),
    ],
)
def test_a_secret_is_one_value_when_files_are_merged(base: str, over: str, kept: SecretSource, check: Checker, tmp_path: Path) -> None:
    issuer = 'identity: {{allow: everyone, issuers: {{lab: {{url: "https://a.example.org", dialect: wlcg, client: {{id: hub, {}}}}}}}}}\n'
    (tmp_path / "base.yaml").write_text((tmp_path / "base.yaml").read_text() + issuer.format(base))
    facility, problems = check(f"identity: {{issuers: {{lab: {{client: {{{over}}}}}}}}}\n")
    assert problems == []
    assert facility is not None
    assert facility.identity is not None
    assert facility.identity.issuers["lab"].client_secret == kept


def test_volumes_and_traits_and_env_are_one_value_when_files_are_merged(check: Checker, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        (tmp_path / "base.yaml").read_text()
        + "session: {env: {A: {secret: s, key: k}}, kubespawner: {env_extra: {a: 1}}}\n"
        + "storage: {shared: {data: {mount: /data, volume: {nfs: {server: a, path: /b}}}}}\n"
    )
    facility, problems = check(
        "session: {env: {A: text}, kubespawner: {env_extra: {b: 2}}}\nstorage: {shared: {data: {volume: {emptyDir: {}}}}}\n"
    )
    assert problems == []
    assert facility is not None
    assert facility.session.env == {"A": "text"}
    assert facility.session.kubespawner == {"env_extra": {"b": 2}}
    assert facility.storage.shared["data"].volume == {"emptyDir": {}}


def test_a_file_that_is_extended_cannot_extend(check: Checker, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("version: 1\nextends: other.yaml\n")
    _, problems = check("")
    assert [(problem.code, Path(problem.file).name, problem.line) for problem in problems] == [("AF114", "base.yaml", 2)]


@pytest.mark.parametrize(
    "name", ["../base.yaml", "/etc/passwd", "sub/base.yaml", "..", ".", "''", "[base.yaml]", "5", "sub/../base.yaml", "~"]
)
def test_extends_takes_a_file_beside(name: str, check: Checker) -> None:
    _, problems = check(f"version: 1\nextends: {name}\n", alone=True)
    assert [(problem.code, problem.line) for problem in problems] == [("AF114", 2)]


def test_extends_takes_a_link_beside(check: Checker, tmp_path: Path) -> None:
    # a ConfigMap is mounted as links into a folder of its own
    (tmp_path / "base.yaml").rename(tmp_path / "hidden")
    (tmp_path / "base.yaml").symlink_to("hidden")
    facility, problems = check("extends: ./base.yaml\nversion: 1\n", alone=True)
    assert problems == []
    assert facility is not None


def test_extends_of_itself_by_another_name(check: Checker, tmp_path: Path) -> None:
    (tmp_path / "again.yaml").symlink_to("facility.yaml")
    _, problems = check("version: 1\nextends: again.yaml\n", alone=True)
    assert [problem.code for problem in problems] == ["AF114"]


def test_a_missing_file_that_is_extended(check: Checker) -> None:
    _, problems = check("version: 1\nextends: nowhere.yaml\n", alone=True)
    assert [(problem.code, problem.line) for problem in problems] == [("AF101", 2)]


def test_null_in_a_later_layer_removes(check: Checker) -> None:
    facility, problems = check(
        "session: {env: {A: x}, files: {/a: x}, default_url: /lab}\n"
        "pools: {cpu: {env: {A: null}, files: {/a: null}, default_url: null, pod: {spec: {hostname: null}}, kubespawner: {cmd: null}}}\n"
        "images: {base: {env: null, files: null, lifetime: null, storage: null, cvmfs: null, pod: null, kubespawner: null}}\n"
        "profiles: {analysis: {lifetime: {idle: null, max: 1h}}}\n"
    )
    assert problems == []
    assert facility is not None
    pool = facility.pools["cpu"].layer
    assert (pool.env, pool.files, pool.default_url) == ({"A": REMOVED}, {"/a": REMOVED}, REMOVED)
    assert (pool.pod, pool.kubespawner, pool.removed) == ({"spec": {"hostname": None}}, {"cmd": None}, frozenset())
    assert facility.images["base"].layer == Layer(removed=frozenset(("env", "files", "lifetime", "storage", "cvmfs", "pod", "kubespawner")))
    assert facility.profiles["analysis"].layer == Layer(lifetime=Lifetime(max=3600), removed=frozenset(("lifetime.idle",)))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("session: {pod: {spec: {hostname: null}}}", 12),
        ("session: {default_url: ~}", 12),
        ("options: {o: {choices: {c: {title: null}}}}", 12),
        ("groups:\n  a:\n    users: [null]", 14),
        ("kubernetes:", 12),
        ("dask: {idle: null}", 12),
        ("options: {o: {choices: {c: {kubespawner: {cmd: [null]}}}}}", 12),
        ("options: {o: {choices: {c: {env: {A: {secret: null}}}}}}", 12),
    ],
)
def test_null_elsewhere_is_an_error(text: str, line: int, check: Checker, tmp_path: Path) -> None:
    _, problems = check((tmp_path / "base.yaml").read_text() + text + "\n", alone=True)
    assert ("AF112", line) in {(problem.code, problem.line) for problem in problems}


def test_users_are_read_from_their_file(check: Checker, tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("ada\n\n  grace  \n# a comment\nroot-of-all@example.org\r\n")
    facility, problems = check("groups: {a: {users: {file: people.txt}}}\n")
    assert problems == []
    assert facility is not None
    assert facility.groups["a"].users == {"ada", "grace", "root-of-all@example.org"}
    assert facility.sources[-1] == tmp_path / "people.txt"
    digest = facility.digest
    (tmp_path / "people.txt").write_text("ada\n")
    again, _ = check("groups: {a: {users: {file: people.txt}}}\n")
    assert again is not None
    assert again.digest != digest
    assert again.groups["a"].users == {"ada"}


def test_an_empty_file_of_users_is_no_empty_group(check: Checker, tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("")
    assert check("groups: {a: {users: {file: people.txt}}}\n")[1] == []


def test_a_wrong_line_in_a_file_of_users(check: Checker, tmp_path: Path) -> None:
    (tmp_path / "people.txt").write_text("ada\n../grace\n")
    _, problems = check("groups: {a: {users: {file: people.txt}}}\n")
    assert [(problem.code, problem.file, problem.line) for problem in problems] == [("AF217", str(tmp_path / "people.txt"), 2)]


def test_a_relative_path_starts_where_it_stands(check: Checker, tmp_path: Path) -> None:
    facility, _ = check(
        'identity: {allow: everyone, issuers: {a: {url: "https://a.example.org", dialect: plain, client: {id: h, secret: {file: s/x}}}}}\n'
        "cvmfs: {driver: directory, path: tree}\n"
    )
    assert facility is not None
    assert facility.identity is not None
    assert facility.identity.issuers["a"].client_secret == SecretSource(file=tmp_path / "s" / "x")
    assert facility.cvmfs is not None
    assert facility.cvmfs.path == str(tmp_path / "tree")


def test_what_nothing_is_written_for(check: Checker) -> None:
    facility, _ = check('identity: {allow: everyone, issuers: {a: {url: "https://a.example.org", dialect: aarc, client: {id: h}}}}\n')
    assert facility is not None
    assert (facility.title, facility.kubernetes, facility.cvmfs, facility.storage.home) == ("small", None, None, None)
    assert facility.session == Layer()
    assert facility.dask == DaskDefaults()
    assert facility.profiles["analysis"].dask is None
    assert facility.sizes["small"].shm is UNSET
    identity = facility.identity
    assert identity is not None
    assert identity.run_as == RunAs(1000, 100, 100, (), False)
    assert (identity.refresh, identity.outage, identity.notice, identity.local) == (300, 43200, 900, None)
    issuer = identity.issuers["a"]
    assert (issuer.username, issuer.username_claim, issuer.key_claim, issuer.run_as) == ("{value}", "preferred_username", None, RunAs())


def test_workers_mount_what_several_nodes_can(check: Checker) -> None:
    facility, _ = check(
        "storage:\n  home: {size: 1Gi, mount: /home}\n  scratch: {size: 1Gi, mount: /scratch}\n  shared:\n"
        "    one: {claim: one, mount: /one}\n    many: {claim: many, access: ReadWriteMany, mount: /many}\n"
        "    made: {size: 1Gi, storage_class: x, mount: /made}\n    forced: {claim: forced, mount: /forced, workers: true}\n"
        "    nfs: {volume: {nfs: {server: a, path: /b}}, mount: /nfs}\n    not: {volume: {emptyDir: {}}, mount: /not, workers: false}\n"
    )
    assert facility is not None
    storage = facility.storage
    assert storage.home is not None
    assert storage.scratch is not None
    assert (storage.home.workers, storage.scratch.workers) == (False, True)
    assert {name for name, mount in storage.shared.items() if mount.workers} == {"many", "forced", "nfs"}
    assert storage.home.path == "/home"


def test_the_records_are_frozen_and_travel(check: Checker) -> None:
    facility, _ = check("")
    assert facility is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        facility.name = "other"  # type: ignore[misc]  # that is the point
    assert pickle.loads(pickle.dumps(facility)) == facility


def test_the_example_of_the_documentation_is_clean() -> None:
    file = Path(__file__).parent / "fixtures" / "base.yaml"
    assert check_facility(file)[1] == ()


def test_images_without_a_digest_are_errors_under_strict(check: Checker) -> None:
    text = "images: {a: {image: 'registry.example.org/a:1', arch: [amd64]}, b: {image: 'b', arch: [amd64]}}\n"
    facility, problems = check(text)
    assert facility is not None
    assert facility.warnings == tuple(problems)
    assert [(problem.code, problem.severity) for problem in problems] == [("AF701", "warning"), ("AF702", "warning")]
    facility, problems = check(text, strict=True)
    assert facility is None
    assert [(problem.code, problem.severity) for problem in problems] == [("AF701", "error"), ("AF702", "error")]
    assert check("storage: {home: {mount: /h, size: 1Gi}}\nlimits: {everyone: {servers: 2}}\n", strict=True)[0] is not None
