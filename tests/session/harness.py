"""Real scripts and kernels that make clusters, and a look at what they leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil


def until(true: Callable[[], object], seconds: float = 20.0) -> float:
    """Wait until something is true; returns how long that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s"
        time.sleep(0.02)
    return time.monotonic() - began


@dataclass
class Place:
    """A session's environment and folders of its own. ``temporary`` marks every process that belongs to it (``TMPDIR``)."""

    home: Path
    temporary: Path
    extra: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "CI") if name in os.environ}
        own = {"HOME": str(self.home), "TMPDIR": str(self.temporary), "JUPYTER_RUNTIME_DIR": str(self.home / "runtime")}
        return kept | own | {"CPU_LIMIT": "8", "MEM_LIMIT": str(16 << 30), "PYTHONPATH": ""} | self.extra

    def start(self, code: str) -> subprocess.Popen[str]:
        """A script, as somebody would run it: a file, without a ``__main__`` guard."""
        script = self.home / f"script{len(self.started)}.py"
        script.write_text(textwrap.dedent(code))
        child = subprocess.Popen(
            [sys.executable, str(script)],
            env=self.environ,
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(child)
        return child

    def run(self, code: str, timeout: float = 50, code_is: int = 0) -> str:
        """What a script prints; its errors are shown when it fails."""
        child = self.start(code)
        out, err = child.communicate(timeout=timeout)
        assert child.returncode == code_is, f"{child.returncode}\n{out}\n{err}"
        self.errors = err
        return out

    def processes(self) -> list[psutil.Process]:
        """All living processes of this place, whoever their parents are."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get("TMPDIR") == str(self.temporary) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def clean(self) -> bool:
        """Whether nothing is left: no process, no folder, no entry of the registry."""
        return not self.processes() and not list(self.temporary.glob("afkit-*")) and not list(self.home.glob("runtime/afkit/*.json"))

    def end(self) -> None:
        """Kill what this place has started, also where a test has failed."""
        for child in self.started:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for child in self.started:
            child.communicate()


def line_of(process: psutil.Process) -> str:
    """The command line of a process; empty when it has gone meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def read_line(child: subprocess.Popen[str], seconds: float = 40.0) -> str:
    """The next line that a script prints."""
    import select

    assert child.stdout is not None
    assert select.select([child.stdout], [], [], seconds)[0], "it said nothing"
    line = child.stdout.readline()
    if not line:
        _, err = child.communicate()
        raise AssertionError(err)
    return line.strip()
