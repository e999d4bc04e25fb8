"""The parts of `afkit up`, each by itself: processes, people, passwords, texts."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, strategies as st

from afkit.errors import CallError
from afkit.facility.model import Accelerator, Facility, Group, IdentityRules, Pool
from afkit.up.passwords import ensure_passwords, new_password
from afkit.up.people import added_people, everybody
from afkit.up.processes import MARK, Process, alive, end, end_marked, marked, process, started, wait_for
from afkit.up.proxy import Addresses, python_proxy, traefik_proxy
from afkit.up.report import greeting, pool_note, start_notes


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def facility(**changes: object) -> Facility:
    parts: dict[str, object] = {
        "groups": {"physicists": Group("physicists"), "accelerated": Group("accelerated")},
        "identity": IdentityRules(local={"ada": ("physicists",)}),
        "pools": {},
        "images": {},
        "sizes": {},
        "profiles": {},
    }
    return Facility("laptop", "Laptop", **{**parts, **changes})  # type: ignore[arg-type]  # a dictionary of parts


def sleeper(mark: str, code: str = "import time; print(flush=True); time.sleep(600)") -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, MARK: mark}, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()  # it runs, so that its environment is there to be read
    return child


class TestProcesses:
    def test_alive(self) -> None:
        child = sleeper("alive-test")
        one = process(child.pid)
        assert one is not None
        assert alive(one)
        assert not alive(Process(one.pid, "another start"))
        child.kill()
        assert wait_for(lambda: started(one.pid) is None, 5)  # a zombie is gone, too
        child.communicate()
        assert process(child.pid) is None

    def test_another_start_is_not_hit(self) -> None:
        child = sleeper("reused-test")
        end([Process(child.pid, "12345@another boot")], 0.2)
        assert child.poll() is None
        child.kill()
        child.communicate()

    def test_marked_are_ended_also_the_stubborn(self) -> None:
        stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
        children = [sleeper("the-mark"), sleeper("the-mark", stubborn)]
        other = sleeper("the-mark-2")
        assert {one.pid for one in marked("the-mark")} == {child.pid for child in children}
        assert end_marked("the-mark", 0.5) == 2
        assert [child.wait(5) for child in children] == [-15, -9]
        assert other.poll() is None
        other.kill()
        for child in (*children, other):
            child.communicate()

    def test_one_does_not_end_itself_or_its_parents(self) -> None:
        code = "from afkit.up.processes import marked; print(marked('own-mark'))"
        script = f'{sys.executable} -c "{code}"; true'
        done = subprocess.run(["sh", "-c", script], env={**os.environ, MARK: "own-mark"}, capture_output=True, text=True, check=True)
        assert done.stdout == "()\n"

    def test_patience_ends_early(self) -> None:
        began = time.monotonic()
        child = sleeper("patience-test")
        assert end_marked("patience-test", 30) == 1
        assert time.monotonic() - began < 10
        child.communicate()


class TestPeople:
    def test_added(self) -> None:
        words = ["ada=physicists,accelerated", "Ben.Müller@example.org=everyone", "ada=physicists"]
        assert added_people(words, facility()) == {"ada": ["physicists", "accelerated"], "Ben.Müller@example.org": ["everyone"]}

    @pytest.mark.parametrize("word", ["", "ada", "ada=", "ada=,", "ada=physicists,", "=physicists", "ada=a,,b"])
    def test_syntax(self, word: str) -> None:
        with pytest.raises(CallError) as caught:
            added_people([word], facility())
        assert caught.value.exit_code == 2
        assert caught.value.hint

    @pytest.mark.parametrize("name", [" ada", "ada ", "../x", "a/b", ".", "..", "a" * 256, "a\n", "a\0", "a\u202eb"])
    def test_names(self, name: str) -> None:
        with pytest.raises(CallError, match="cannot be a login name"):
            added_people([f"{name}=physicists"], facility())

    def test_near_match(self) -> None:
        with pytest.raises(CallError, match="has no group 'physicist'") as caught:
            added_people(["ada=physicist"], facility())
        assert caught.value.hint == "Did you mean physicists?"

    def test_no_near_match(self) -> None:
        with pytest.raises(CallError) as caught:
            added_people(["ada=xyz"], facility())
        assert caught.value.hint == "It has physicists, accelerated, everyone."

    @given(st.text(max_size=40))
    def test_any_text(self, word: str) -> None:
        try:
            people = added_people([word], facility())
        except CallError:
            return
        assert all(group in ("physicists", "accelerated", "everyone") for groups in people.values() for group in groups)

    def test_everybody(self) -> None:
        people = everybody(facility(), {"ada": ["accelerated"], "ben": ["everyone"]})
        assert people == {"ada": ["physicists", "accelerated"], "ben": ["everyone"]}

    @pytest.mark.parametrize("identity", [None, IdentityRules(), IdentityRules(local={})])
    def test_nobody(self, identity: IdentityRules | None) -> None:
        with pytest.raises(CallError, match="Nobody could log in") as caught:
            everybody(facility(identity=identity), {})
        assert "--user ada=physicists" in caught.value.hint


class TestPasswords:
    def test_kept_and_private(self, tmp_path: Path) -> None:
        path = tmp_path / "passwords.json"
        first = ensure_passwords(path, ["ada", "grace"])
        assert mode(path) == 0o600
        assert len(set(first.values())) == 2
        second = ensure_passwords(path, ["ada", "ben"])
        assert second["ada"] == first["ada"]
        assert set(second) == {"ada", "ben"}
        assert ensure_passwords(path, ["grace"])["grace"] == first["grace"]

    def test_damaged_file(self, tmp_path: Path) -> None:
        path = tmp_path / "passwords.json"
        path.write_text('{"ada": 5, "ben": ""}')
        words = ensure_passwords(path, ["ada", "ben"])
        assert all(len(word) == 19 for word in words.values())
        assert json.loads(path.read_text()) == words

    def test_random(self) -> None:
        assert len({new_password() for _ in range(100)}) == 100


class TestProxies:
    def test_no_secret_in_repr_or_command(self, tmp_path: Path) -> None:
        addresses = Addresses(1, 2, 3)
        for proxy in (python_proxy(addresses), traefik_proxy("/x/traefik", addresses, tmp_path)):
            secret = proxy.hub.get("token") or proxy.hub["password"]
            assert len(secret) == 64
            assert secret not in repr(proxy)
            assert secret not in " ".join(proxy.command)

    def test_no_newline_gets_out_of_a_path(self, tmp_path: Path) -> None:
        import tomllib

        folder = tmp_path / 'a "quoted"\nname = 1 ä'
        proxy = traefik_proxy("/x/traefik", Addresses(1, 2, 3), folder)
        static = tomllib.loads(proxy.files[folder / "traefik.toml"])
        assert static["providers"]["file"]["filename"] == str(folder / "rules.toml")
        assert static["entryPoints"]["http"]["address"] == "127.0.0.1:1"


class TestTexts:
    people: ClassVar = {"ada": ["physicists"], "root-of-all": ["admins"]}

    def test_terminal(self) -> None:
        text = greeting("Laptop", "http://x/", {"ada": "aaaa", "root-of-all": "bbbb"}, Path("/s/facility.json"), self.people)
        assert text == "Laptop: http://x/\n\nLog in as\n  ada          aaaa   physicists\n  root-of-all  bbbb   admins\n"

    def test_elsewhere(self) -> None:
        text = greeting("Laptop", "http://x/", None, Path("/s/facility.json"), self.people)
        assert text == "Laptop: http://x/\n\nLog in as ada or root-of-all; the passwords are in /s/facility.json\n"

    def test_a_title_stays_on_its_line(self) -> None:
        assert greeting("A\x1b[2J\nB", "http://x/", None, Path("f"), self.people).startswith("A [2J B: http://x/\n")

    def test_pools(self) -> None:
        gpu = Accelerator("nvidia", resource="nvidia.com/gpu")
        pools = {
            "amd": Pool("amd", "AMD", "amd64"),
            "arm": Pool("arm", "ARM", "arm64"),
            "gpu": Pool("gpu", "GPU", "amd64", accelerator=gpu),
        }
        assert pool_note(facility(pools=pools), ["amd"]) == (
            "Pools that this machine is not, shown in the form but refused: arm (arm64), gpu (amd64 with nvidia.com/gpu)."
        )
        assert pool_note(facility(pools=pools), pools) == ""

    def test_notes(self) -> None:
        assert start_notes([], "") == ""
        assert start_notes(["One."], "Two.") == "Not on this machine:\n  - One.\n  - Two.\n"
