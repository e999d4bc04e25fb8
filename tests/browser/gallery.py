"""Starts the gallery: a plain JupyterHub with the pages of afkit and states instead of people.

``python tests/browser/gallery.py`` prints its address and runs until Ctrl-C; the password of everybody is ``gallery``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path


def free_port() -> int:
    """A free port of the loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as each:
        return int(each.getsockname()[1])


@contextlib.contextmanager
def gallery(python: str = sys.executable) -> Iterator[str]:
    """Run the gallery's hub with the given interpreter; yields its base URL, and ends it afterwards."""
    url = f"http://127.0.0.1:{free_port()}"
    folder = tempfile.mkdtemp(prefix="afkit-gallery-")
    environment = os.environ | {"GALLERY_URL": url}
    config = Path(__file__).with_name("gallery_config.py")
    with Path(folder, "log").open("w") as log:
        process = subprocess.Popen(
            [python, "-m", "jupyterhub", "-f", str(config)], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(f"{url}/hub/api/", process, Path(folder, "log"))
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"The gallery's hub does not answer:\n{log.read_text()[-4000:]}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with gallery() as address:
        print(address, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
