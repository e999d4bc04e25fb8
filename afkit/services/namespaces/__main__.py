"""``python -m afkit.services.namespaces FILE [--layout NAME]``: the namespace provisioner in its pod."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from afkit.errors import AfkitError
from afkit.facility.follow import FacilitySource
from afkit.kube.client import Kubernetes
from afkit.pods.layout import LAYOUTS, NAMESPACES_PORT, Layout, section
from afkit.services.log import begin_log
from afkit.services.namespaces.app import application
from afkit.services.namespaces.equal import keep_equal
from afkit.services.namespaces.keeper import Keeper


def main(argv: Sequence[str] | None = None) -> int:
    """Answer until the process is told to end."""
    parser = argparse.ArgumentParser(prog="afkit.services.namespaces")
    parser.add_argument("file", metavar="FILE", help="the facility file")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), default="manifests", help="how hub and proxy were installed")
    parser.add_argument("--port", type=int, default=NAMESPACES_PORT)
    arguments = parser.parse_args(argv)
    begin_log()
    try:
        source = FacilitySource(arguments.file)
    except AfkitError as error:
        sys.stderr.write(f"afkit: {error}\n")
        return error.exit_code
    web.run_app(_app(source, LAYOUTS[arguments.layout]), port=arguments.port, print=None, access_log=None)
    return 0


async def _app(source: FacilitySource, layout: Layout) -> web.Application:
    kube = await Kubernetes.connect(timeout=float(section(source.current()).api_timeout))
    keeper = Keeper(kube, layout)
    app = application(source, keeper)

    async def running(_: web.Application) -> AsyncIterator[None]:
        equal = asyncio.create_task(keep_equal(keeper, source.current))
        yield
        equal.cancel()
        await kube.close()

    app.cleanup_ctx.append(running)
    return app


if __name__ == "__main__":
    sys.exit(main())
