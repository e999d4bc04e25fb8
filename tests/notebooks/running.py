"""Executing a notebook of this project in a kernel of its own."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from traitlets import default

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run(name: str, folder: Path, **environment: str) -> nbformat.NotebookNode:
    """Execute ``notebooks/NAME.ipynb`` with ``folder`` as its own and as home; the notebook with its outputs. Raises what a cell raises."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AFKIT_", "JUPYTER", "DASK_"))}
    # a short path, for the kernel's sockets lie there
    with tempfile.TemporaryDirectory(prefix="afkit-") as runtime:
        environment = kept | {"HOME": str(folder), "JUPYTER_RUNTIME_DIR": runtime} | environment
        manager = _OverAFile(kernel_name="python3", connection_file=f"{runtime}/kernel.json")
        client = NotebookClient(notebook, timeout=240, km=manager, resources={"metadata": {"path": str(folder)}})
        try:
            client.execute(env=environment)
        finally:
            run_sync(manager.shutdown_kernel)()
    return notebook


class _OverAFile(AsyncKernelManager):
    # a socket file instead of a port: nobody else on this machine reaches the kernel, and it has nothing to warn of
    @default("transport")
    def _ipc(self) -> str:
        return "ipc"


def outputs(notebook: nbformat.NotebookNode) -> Iterator[Any]:
    """All outputs, in order."""
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def printed(notebook: nbformat.NotebookNode) -> str:
    """What the cells printed to standard output."""
    return "".join(one["text"] for one in outputs(notebook) if one["output_type"] == "stream" and one["name"] == "stdout")


def complained(notebook: nbformat.NotebookNode) -> str:
    """What the cells printed to standard error."""
    return "".join(one["text"] for one in outputs(notebook) if one["output_type"] == "stream" and one["name"] == "stderr")


def images(notebook: nbformat.NotebookNode) -> list[bytes]:
    """The plots."""
    return [base64.b64decode(one["data"]["image/png"]) for one in outputs(notebook) if "image/png" in one.get("data", {})]
