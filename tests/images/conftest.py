"""Images of this checkout, built once for the run, where images can be built at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.rules import missing
from tools.images import buildah, programs, registry
from tools.images.build import build
from tools.images.registry import Registry
from tools.images.store import Image

Make = Callable[..., Image]


@pytest.fixture(scope="session")
def image() -> Make:
    """``image(name, arch)``: built, or found."""
    try:
        programs.builders()
    except programs.ProgramError as error:
        missing("a machine that can build images", str(error))
    return lambda name, arch="": build(name, arch=arch, say=say)


@pytest.fixture
def a_registry(image: Make) -> Iterator[Registry]:
    """An empty registry on loopback, with its content beside the images: they are large."""
    import shutil
    import socket
    import tempfile

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
    folder = Path(tempfile.mkdtemp(dir=buildah.folder(), prefix="registry-"))
    try:
        with registry.running(folder, address) as running:
            yield running
    finally:
        shutil.rmtree(folder)


def say(line: str) -> None:
    print(f"afkit: {line}", file=sys.stderr, flush=True)
