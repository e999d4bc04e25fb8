"""Files that somebody made to hurt: each ends in one clear problem, at once, and in little memory."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from afkit.facility.load import check_facility
from afkit.facility.report import MOST_PROBLEMS

if TYPE_CHECKING:
    from tests.unit.facility.conftest import Checker

MIB = 2**20
HEAD = "version: 1\n"
LEVELS = range(1, 60)
BOMB = HEAD + "x-0: &a0 [z,z,z,z,z,z,z,z,z,z]\n" + "".join(f"x-{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in LEVELS)
MERGES = HEAD + "x-0: &a0 {a: 1}\n" + "".join(f"x-{i}: &a{i} {{<<: *a{i - 1}, b{i}: *a{i - 1}, c{i}: *a{i - 1}}}\n" for i in LEVELS)

# name: content, code of the one problem
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "AF111"),
    "blank": (b"\n\n# nothing\n", "AF111"),
    "list": (b"[1, 2]", "AF111"),
    "text": (b"version", "AF111"),
    "second document": (b"version: 1\n---\nversion: 1\n", "AF111"),
    "too large": (b"a" * (MIB + 1), "AF102"),
    "latin 1": (b"version: 1\nfacility: {title: caf\xe9}\n", "AF103"),
    "utf 16": ("version: 1\n".encode("utf-16"), "AF103"),
    "overlong": (b"version: 1\nx-a: \xc0\xaf\n", "AF103"),
    "surrogate": (b"version: 1\nx-a: \xed\xa0\x80\n", "AF103"),
    "nul": (b"version: 1\nfacility: {name: a\0b}\n", "AF103"),
    "escape": (b"version: 1\nfacility: {name: a\x1b[31mb}\n", "AF103"),
    "only nul": (b"\0" * MIB, "AF103"),
    "deep lists": (b"[" * MIB, "AF104"),
    "deep mappings": (b"{a: " * (MIB // 4), "AF109"),
    "deep dashes": (b"- " * (MIB // 2), "AF109"),
    "deep blocks": ("\n".join(" " * i + "a:" for i in range(1400)).encode(), "AF109"),
    "open quote": (b'"' + b"a" * (MIB - 1), "AF104"),
    "colons": (b":" * MIB, "AF104"),
    "tabs": (b"version: 1\n\tfacility: {}\n", "AF104"),
    "surrogate escape": (b'version: 1\nfacility: {name: "\\ud800"}\n', "AF104"),
    "newer YAML": (b"%YAML 3.0\n---\nversion: 1\n", "AF104"),
    "alias bomb": (BOMB.encode(), "AF107"),
    "merge bomb": (MERGES.encode(), "AF107"),
}


def one_problem(path: Path) -> str:
    """The code of the one problem of a file, found within a second of this process's time."""
    started = time.process_time()
    facility, problems = check_facility(path)
    assert time.process_time() - started < 1
    assert facility is None
    assert len(problems) == 1
    assert problems[0].file == str(path)
    assert problems[0].hint
    return problems[0].code


@pytest.mark.parametrize("name", FILES)
def test_hostile_content(name: str, tmp_path: Path) -> None:
    content, code = FILES[name]
    file = tmp_path / "facility.yaml"
    file.write_bytes(content)
    assert one_problem(file) == code


def test_what_is_no_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    paths = [
        tmp_path,
        tmp_path / "fifo",
        tmp_path / "nowhere",
        tmp_path / "loop",
        Path("/dev/zero"),
        Path("a\0b"),
        Path("x" * 5000),
        Path(),
    ]
    assert [one_problem(path) for path in paths] == ["AF101"] * len(paths)


def test_a_file_of_a_hundred_megabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "facility.yaml").open("wb") as file:
        file.truncate(100 * MIB)
    assert one_problem(tmp_path / "facility.yaml") == "AF102"


def test_a_file_of_users_is_bounded_too(check: Checker, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "users")
    assert [problem.code for problem in check("groups: {a: {users: {file: users}}}\n")[1]] == ["AF101"]


def test_a_mark_at_the_beginning_is_taken(check: Checker, tmp_path: Path) -> None:
    facility, problems = check(b"\xef\xbb\xbf" + (tmp_path / "base.yaml").read_bytes(), alone=True)
    assert problems == []
    assert facility is not None


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"a{i}: 1\n" for i in range(90_000)),
        "a: 1\n" * 150_000,
        "1: 1\n" * 150_000,
        "profiles:\n" + "".join(f" p{i}: {{}}\n" for i in range(60_000)),
        "profiles: {a: {pools: [" + ",".join(f"p{i}" for i in range(100_000)) + "]}}\npools: {a: {arch: amd64}}\n",
    ],
    ids=["unknown keys", "duplicate keys", "keys that are numbers", "empty profiles", "unknown names"],
)
def test_there_is_an_end_to_problems(text: str, check: Checker) -> None:
    facility, problems = check(HEAD + text, alone=True)
    assert facility is None
    assert len(problems) <= MOST_PROBLEMS + 1
    assert problems[0].code == "AF116"


def test_thousands_of_pairs_end_in_a_warning(check: Checker) -> None:
    numbers = range(2000)
    text = (
        "pools: {" + ",".join(f"p{i}: {{arch: amd64}}" for i in numbers) + "}\n"
        f"x-i: &i 'a@sha256:{64 * '0'}'\n"
        "images: {" + ",".join(f"i{i}: {{image: *i, arch: [arm64]}}" for i in numbers) + "}\n"
        "profiles: {analysis: {pools: ["
        + ",".join(f"p{i}" for i in numbers)
        + "], images: ["
        + ",".join(f"i{i}" for i in numbers)
        + "]}}\n"
    )
    facility, problems = check(text)
    assert [problem.code for problem in problems] == ["AF519"]
    assert facility is not None


def test_a_bomb_fits_in_a_small_process(tmp_path: Path) -> None:
    """The bombs are read in a process that may have 400 MB of address space, interpreter and pydantic included."""
    for name in ("alias bomb", "merge bomb", "deep mappings"):
        (tmp_path / f"{name}.yaml").write_bytes(FILES[name][0])
    code = (
        "import sys\nfrom afkit.facility.load import check_facility\n"
        "print([[problem.code for problem in check_facility(path)[1]] for path in sys.argv[1:]])"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 * MIB, 400 * MIB))

    done = subprocess.run(
        [sys.executable, "-c", code, *sorted(map(str, tmp_path.glob("*.yaml")))],
        capture_output=True, text=True, check=False, preexec_fn=limit, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "[['AF107'], ['AF109'], ['AF107']]", done.stderr[-500:]
