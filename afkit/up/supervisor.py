"""Starts proxy and hub, waits for what happens to them, and ends all of it, whoever asks how often."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from afkit.errors import PlatformError
from afkit.up.child import Answered, Child, Ended, Event, Signalled, ending
from afkit.up.logs import Log
from afkit.up.ports import HOST
from afkit.up.processes import MARK, Process, end, end_marked, marked
from afkit.up.proxy import Addresses, Proxy
from afkit.up.report import hub_failed
from afkit.up.state import State, explained, read_json, write_private

__all__ = ["Supervisor", "end_leftovers"]

_PATIENCE: Final = 120.0
"""Seconds until the hub must answer: a first start on a slow disk compiles ten thousand files."""
_STOP: Final = 20.0
"""Seconds that the hub has to stop its servers by itself."""
_JUPYTER: Final = Path(__file__).with_name("jupyter")
"""Settings of every JupyterLab here: no question about news and no search for updates."""
_RESTARTS: Final = 5
"""How often within a minute a proxy that ends is started again."""


def end_leftovers(state: State) -> int:
    """End what a killed `afkit up` on this state directory has left (hub, proxy, servers, kernels); returns how many that were."""
    noted = [
        Process(int(one["pid"]), str(one["started"]))
        for one in read_json(state.processes).values()
        if isinstance(one, dict) and {"pid", "started"} <= one.keys()
    ]
    count = end_marked(state.mark, 5.0)
    end(noted, 2.0)
    state.processes.unlink(missing_ok=True)
    return count


class Supervisor:
    """One run. `start`, `wait_for_hub`, `wait`, and in any case `stop`."""

    def __init__(self, state: State, addresses: Addresses, proxy: Proxy, tell: Callable[[str], None]) -> None:
        self.state = state
        self._tell = tell
        self.addresses = addresses
        self._proxy_plan = proxy
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.hub = Child("hub", Log(state.logs / "hub.log"), self._events)
        self.proxy = Child("proxy", Log(state.logs / "proxy.log"), self._events)
        self._restarts: list[float] = []
        self._leash: int | None = None
        self._done = threading.Event()

    def catch_signals(self) -> None:
        """From here to the end of this process SIGINT, SIGTERM and SIGHUP only ask for a stop, as often as they come."""

        def handle(number: int, _: FrameType | None) -> None:
            self._events.put(Signalled(number))

        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, handle)

    def start(self, settings: dict[str, Any]) -> None:
        """Write the run's files, start the proxy and the hub. ``settings`` go to the hub's configuration."""
        reader, self._leash = os.pipe()
        try:
            settings = {**settings, "proxy": dict(self._proxy_plan.hub), "supervisor": reader}
            with explained(self.state.directory):
                for path, content in self._proxy_plan.files.items():
                    write_private(path, content)
                write_private(self.state.settings, json.dumps(settings))
            config = Path(__file__).with_name("jupyterhub_config.py")
            environment = {**self._environment(), "AFKIT_UP_SETTINGS": str(self.state.settings)}
            # the hub first: from then on somebody ends all, should this process be killed
            self.hub.start([sys.executable, "-m", "jupyterhub", "-f", str(config)], environment, self.state.directory, keep=[reader])
            self._start_proxy()
        finally:
            os.close(reader)
        self._note()
        threading.Thread(target=self._ask, name="ask", daemon=True).start()

    def wait_for_hub(self) -> bool:
        """Wait until the hub answers through the proxy; ``False``: somebody asked to stop meanwhile.

        Raises `PlatformError` where it does not come up.
        """
        while True:
            event = self._events.get()
            if isinstance(event, Signalled):
                return False
            if isinstance(event, Answered) and event.good:
                return True
            if isinstance(event, Answered):
                raise PlatformError(*hub_failed(f"did not answer within {_PATIENCE:.0f} s", self.hub.log.tail(), self.hub.log.path))
            self._judge(event, "ended before it answered")

    def wait(self, look: Callable[[], None]) -> None:
        """Wait until somebody asks to stop; ``look`` is called every two seconds meanwhile.

        Raises `PlatformError` where the hub, or for good the proxy, ends by itself.
        """
        while True:
            try:
                event = self._events.get(timeout=2.0)
            except queue.Empty:
                look()
                continue
            if isinstance(event, Signalled):
                return
            if isinstance(event, Ended):
                self._judge(event, "ended by itself")

    def stop(self) -> None:
        """End hub, servers, kernels and proxy, and remove the run's files. Never raises for a child that is gone already."""
        self._done.set()
        with contextlib.suppress(OSError):
            self.state.facility_json.unlink(missing_ok=True)
        self._stop_hub()
        self.proxy.stop(5.0)
        end_marked(self.state.mark, 3.0)
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None
        for path in (self.state.settings, self.state.processes, *self._proxy_plan.files):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _stop_hub(self) -> None:
        """Let the hub stop its servers; one that has none left and yet does not end (its database is on a full disk) is killed."""
        deadline = time.monotonic() + _STOP
        idle = 0
        self.hub.ask_to_stop()
        while not self.hub.wait(2.0) and idle < 2 and time.monotonic() < deadline:
            others = set(marked(self.state.mark)) - {self.hub.identity, self.proxy.identity}
            idle = 0 if others else idle + 1
        self.hub.stop(0.0)

    def _judge(self, event: Ended, how: str) -> None:
        """A child has ended by itself: the hub is an error, the proxy is started again while that helps."""
        if event.child is self.hub:
            raise PlatformError(*hub_failed(f"{how} ({ending(event.status)})", self.hub.log.tail(), self.hub.log.path))
        now = time.monotonic()
        self._restarts = [*(when for when in self._restarts if now - when < 60), now]
        if len(self._restarts) > _RESTARTS:
            lines = "\n".join(f"    {line}" for line in self.proxy.log.tail())
            raise PlatformError(
                f"The proxy {self._proxy_plan.name} ended again and again ({ending(event.status)}).", f"Its last lines:\n{lines}"
            )
        self._start_proxy()
        with contextlib.suppress(PlatformError):  # a full disk: worth no more than a proxy that has to be found by its mark
            self._note()
        self._tell(f"The proxy ended ({ending(event.status)}) and was started again.")

    def _start_proxy(self) -> None:
        plan = self._proxy_plan
        try:
            self.proxy.start(plan.command, {**self._environment(), **plan.environment}, self.state.runtime)
        except OSError as error:
            raise PlatformError(f"The proxy {plan.command[0]} cannot be run: {error.strerror}.", "Try --proxy python.") from error

    def _note(self) -> None:
        """Write down who runs, for the next start after a kill."""
        children = {child.name: child.identity for child in (self.hub, self.proxy)}
        noted = {name: {"pid": one.pid, "started": one.started} for name, one in children.items() if one}
        with explained(self.state.directory):
            write_private(self.state.processes, json.dumps(noted))

    def _environment(self) -> dict[str, str]:
        """That of this process, without what another hub has put there."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB_", "JPY_", "CONFIGPROXY_"))}
        for key in ("no_proxy", "NO_PROXY"):  # a site's web proxy must not be asked for this machine
            kept[key] = ",".join(filter(None, (kept.get(key), HOST, "localhost")))
        kept["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, (kept.get("JUPYTER_CONFIG_PATH"), str(_JUPYTER))))
        return {**kept, MARK: self.state.mark}

    def _ask(self) -> None:
        """Ask the public URL until the hub itself answers through the proxy."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and not self._done.wait(0.05):
            # only while our own proxy runs is it our own hub that answers
            if _hub_answers(self.addresses.public) and self.proxy.running():
                self._events.put(Answered(True))
                return
        self._events.put(Answered(False))


def _hub_answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/hub/api/")
        answer = connection.getresponse()
        return answer.status == 200 and "version" in json.loads(answer.read(65536))
    except (OSError, http.client.HTTPException, ValueError, TypeError):
        return False  # not yet
    finally:
        connection.close()
