"""The Jupyter server's part of a session: Dask's sidebar, and the warnings before a session ends.

It is a server extension. The wheel enables it (``etc/jupyter/jupyter_server_config.d/zz_afkit.json``), and switches off the
server half of dask-labextension, whose addresses it answers itself: that one knows only clusters of its own process, and
loads all of Dask into every Jupyter server (0.5 s of CPU, 20 MB). Its JupyterLab half, the sidebar, is used as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__: list[str] = []


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "afkit.session.lab"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from afkit.session.lab.extension import load

    load(server)


async def _start_jupyter_server_extension(server: ServerApp) -> None:
    from afkit.session.lab.extension import start

    await start(server)
