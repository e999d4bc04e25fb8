"""Servers as processes of this machine.

All of them run as the operating-system user of the hub: one machine is for people who trust each other. Limits are told to
the session and are advisory.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub.utils import random_port
from psutil import Process
from traitlets import Unicode, default

from afkit.hub import processes
from afkit.hub.ending import Ending
from afkit.hub.environment import session_environment
from afkit.hub.machine import this_machine, visible
from afkit.hub.mixin import AfkitMixin
from afkit.hub.place import MachinePlace
from afkit.hub.probe import answers
from afkit.hub.refusal import ServerFailed
from afkit.hub.running import Running
from afkit.hub.serverlog import exit_cause, open_log, tail, trim
from afkit.pods.layers import Session
from afkit.policy.model import Selection

__all__ = ["AfkitLocalSpawner"]

_KEPT: Final = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "X509_USER_PROXY", "X509_USER_CERT", "X509_USER_KEY",
    "X509_CERT_DIR", "X509_VOMS_DIR", "http_proxy", "https_proxy", "no_proxy", "ftp_proxy", "all_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY", "TMPDIR", "TZ", "LC_CTYPE",
)  # fmt: skip
"""What a server needs of the hub's environment to reach the world as the hub does."""

_OWNED: Final = ("cpu_limit", "mem_limit", "cpu_guarantee", "mem_guarantee", "default_url")
"""Traits that a choice decides; what a choice says nothing about is as the administrator configured it."""

_MARGIN: Final = 1.0
"""Seconds before the hub's own deadline at which a start is given up: the hub would call it a failure of its own."""


class AfkitLocalSpawner(AfkitMixin, SimpleLocalProcessSpawner):
    """Starts a person's server on this machine, as the facility file has it."""

    state_dir = Unicode(
        "",
        help="""
        Directory of people's homes and of the servers' logs.

        Default: ``afkit/FACILITY`` below ``$XDG_STATE_HOME`` (``~/.local/state``).
        """,
    ).tag(config=True)

    popen_kwargs: dict[str, Any]

    mark: str = ""
    """What this server's processes have in their environment."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._configured = {name: getattr(self, name) for name in _OWNED}
        self._popen_configured: dict[str, Any] = dict(self.popen_kwargs)
        self._extra: dict[str, str] = {}
        self._visible: dict[str, str] = {}
        self._asked_to_end = False
        self._started: float | None = None

    @default("env_keep")
    def _env_keep_default(self) -> list[str]:
        return [*super()._env_keep_default(), *_KEPT]

    @default("cmd")
    def _cmd_default(self) -> list[str]:
        # the interpreter's full path: a person's PATH may have another jupyterhub-singleuser
        return [sys.executable, "-m", "jupyterhub.singleuser"]

    @default("poll_interval")
    def _poll_interval_default(self) -> int:
        return 5

    @default("interrupt_timeout")
    def _interrupt_timeout_default(self) -> int:
        return 10

    @default("state_dir")
    def _state_dir_default(self) -> str:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        return str(Path(base) / "afkit" / self.desk.facility.name)

    @default("home_dir")
    def _home_dir_default(self) -> str:
        return str(Path(self.state_dir) / "homes" / _file_name(self.user.name))

    @property
    def log_file(self) -> Path:
        """Where this server's output goes."""
        name = _file_name(self.user.name) + (f"+{_file_name(self.name)}" if self.name else "")
        return Path(self.state_dir) / "servers" / f"{name}.log"

    def take_devices(self, selection: Selection) -> tuple[str, ...]:
        """The least used accelerators that the choice may mean."""
        used = self.desk.ledger.devices()
        machine = self.desk.place.machine if isinstance(self.desk.place, MachinePlace) else this_machine()
        devices, self._visible = visible(machine, selection.pool.accelerator, selection.resources.accelerators, used)
        return devices

    def apply_selection(self, selection: Selection, session: Session, running: Running) -> None:
        """Assign the traits that the choice decides, all of them at each spawn."""
        for name, value in self._configured.items():
            setattr(self, name, value)
        needs = selection.resources
        self.cpu_limit = None if needs.cpu_limit is None else needs.cpu_limit / 1000
        self.mem_limit = needs.memory_limit
        self.cpu_guarantee = needs.cpu / 1000
        self.mem_guarantee = needs.memory
        self._extra, url = session_environment(self, selection, session, running)
        self._extra = self._visible | self._extra
        if url:
            # the hub formats this trait; what the facility file says is filled in already and literal
            self.default_url = url.replace("{", "{{").replace("}", "}}")
        elif not self.default_url:
            self.default_url = "/lab"

    def get_env(self) -> dict[str, str]:
        """The hub's environment for a server; what an administrator put into ``environment`` wins over the facility file."""
        env: dict[str, str] = super().get_env()
        for name, value in self._extra.items():
            if name not in self.environment:
                env[name] = value
        env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", os.defpath)))
        env[processes.MARK] = self.mark
        return env

    def get_args(self) -> list[str]:
        """Arguments for afkit's own command; an administrator's command gets the administrator's only."""
        args: list[str] = list(super().get_args())
        if self.cmd == self._cmd_default():
            args.append("--LanguageServerManager.autodetect=False")  # it runs npm where there is one, which takes a second
            if os.geteuid() == 0:
                args.append("--allow-root")
        return args

    def make_preexec_fn(self, name: str) -> None:  # the hub's own signature
        """Nothing runs between fork and exec: the home is made by the hub, and `start` sets the working directory."""

    async def start(self) -> tuple[str, int]:
        """Start the server and wait until it answers. Raises `ServerFailed` where it does not."""
        self._asked_to_end = False
        self.mark = f"{self.desk.mark}:{uuid.uuid4().hex}"
        self.port = random_port()
        try:
            address = await self._launch()
        except OSError as error:
            # the disk is full, the directory is not writable, there is no process left to have
            self.log.error("Server %s could not be started: %s", self._log_name, error)  # noqa: TRY400  # the sentence says it all
            raise self._failed_to_start(f"The server could not be started: {error.strerror or error}.") from error
        # a hub that is killed before it has noted this ends the server as a stray when it starts again
        self._started = processes.start_time(self.pid)
        await self._wait_until_it_answers(self.start_timeout - _MARGIN)
        return address

    async def _launch(self) -> tuple[str, int]:
        log = self._prepare_files()
        try:
            more = {"stdin": asyncio.subprocess.DEVNULL, "stdout": log, "stderr": asyncio.subprocess.STDOUT, "cwd": self.home_dir}
            self.popen_kwargs = {**more, **self._popen_configured}
            address: tuple[str, int] = await super().start()
        finally:
            os.close(log)
        return address

    async def poll(self) -> int | None:
        """``None`` while exactly this server runs. Notes how it ended, and ends what it left behind."""
        if not self.pid:
            return 0
        mark, seen, since = self.mark, self.proc is not None, self.running.started if self.running else time.time()
        if seen:
            status: int | None = await super().poll()
        else:
            status = None if processes.is_process(self.pid, self._started) else 0
        if status is None:
            return None
        ending = self._ending(status if seen else None, since)
        self.clear_state()
        if ending is not None:
            self.note_end(ending)
        if not self._asked_to_end:  # `stop` looks for what is left by itself
            await self._end_left(mark)
        return status

    async def stop(self, now: bool = False) -> None:
        """End the server and all that it started. The server first, so that it can close its kernels."""
        self._asked_to_end = True
        mark, own = self.mark, await asyncio.to_thread(processes.family, self.pid) if self.pid else ()
        if await self.poll() is None:
            await super().stop(now)
        await self._end_left(mark, own)

    def get_state(self) -> dict[str, Any]:
        """What finds the server again."""
        state = super().get_state()
        if self.pid:
            state |= {"started": self._started, "mark": self.mark}
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """After a restart of the hub."""
        super().load_state(state)
        self._started = state.get("started")
        self.mark = state.get("mark", "")

    def clear_state(self) -> None:
        """The server is gone."""
        super().clear_state()
        self._started = None

    async def keep_house(self) -> None:
        """Keep the server's log within bounds."""
        await asyncio.to_thread(trim, self.log_file)

    async def _end_left(self, mark: str, more: Iterable[Process] = ()) -> None:
        """End whatever has the server's mark, and ``more``."""
        left = {*more, *await asyncio.to_thread(processes.marked, mark.__eq__)} if mark else set(more)
        await asyncio.to_thread(processes.end, left, 0.0)

    def _prepare_files(self) -> int:
        """Make home and log; returns the log's descriptor."""
        Path(self.home_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_log(self.log_file)

    async def _wait_until_it_answers(self, seconds: float) -> None:
        # the hub's own wait does not notice that a server has ended, says nothing of why, and calls it a failure of the hub
        deadline = time.monotonic() + seconds
        while (status := self.proc.poll() if self.proc is not None else 0) is None and time.monotonic() < deadline:
            if await answers(self.ip or "127.0.0.1", self.port, f"{self.server.base_url}api"):
                return
            await asyncio.sleep(0.1)
        if status is None:
            raise self._failed_to_start(f"The server did not answer within {seconds:.0f} seconds.")
        await self._end_left(self.mark)
        raise self._failed_to_start(exit_cause(status))

    def _failed_to_start(self, cause: str) -> ServerFailed:
        ending = Ending("start", cause, tail(self.log_file, self.log_lines), time.time(), 0.0)
        self._asked_to_end = True
        self.note_end(ending)
        self.no_hub_failure()
        return ServerFailed(ending.message, ending.lines)

    def _ending(self, status: int | None, since: float) -> Ending | None:
        """How it ended; ``None`` where somebody asked it to."""
        if self._asked_to_end:
            return None
        now = time.time()
        return Ending("exit", exit_cause(status), tail(self.log_file, self.log_lines), now, now - since)


def _file_name(name: str) -> str:
    """A login or server name as one plain part of a path; different names give different ones."""
    quoted = quote(name, safe="")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted
