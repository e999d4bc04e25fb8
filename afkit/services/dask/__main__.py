"""``python -m afkit.services.dask FILE [--layout NAME]``: the Dask service in its pod."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from afkit.errors import AfkitError
from afkit.facility.follow import FacilitySource
from afkit.kube.client import Kubernetes
from afkit.kube.deadline import Deadline
from afkit.pods.layout import DASK_PATH, DASK_PORT, LAYOUTS, section
from afkit.services.dask.app import application
from afkit.services.dask.callers import Callers
from afkit.services.dask.desk import Desk
from afkit.services.dask.hub import Hub
from afkit.services.dask.keeper import Keeper
from afkit.services.dask.maker import Maker
from afkit.services.dask.scheduler import Schedulers
from afkit.services.dask.view import View
from afkit.services.log import begin_log

logger = logging.getLogger("afkit.services.dask")

_FIRST = 120.0


def main(argv: Sequence[str] | None = None) -> int:
    """Answer until the process is told to end; the clusters go on without it."""
    parser = argparse.ArgumentParser(prog="afkit.services.dask")
    parser.add_argument("file", metavar="FILE", help="the facility file")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), default="manifests", help="how hub and proxy were installed")
    parser.add_argument("--hub", metavar="URL", required=True, help="address of the hub's API")
    parser.add_argument("--port", type=int, default=DASK_PORT)
    arguments = parser.parse_args(argv)
    begin_log()
    token = os.environ.pop("AFKIT_DASK_TOKEN", "")
    if not token:
        sys.stderr.write("afkit: AFKIT_DASK_TOKEN, the service's token of the hub, is not set.\n")
        return 2
    try:
        source = FacilitySource(arguments.file)
    except AfkitError as error:
        sys.stderr.write(f"afkit: {error}\n")
        return error.exit_code
    web.run_app(_app(source, Hub(arguments.hub, token)), port=arguments.port, print=None, access_log=None)
    return 0


async def _app(source: FacilitySource, hub: Hub) -> web.Application:
    facility = source.current()
    # people's own calls must not wait for those that make many pods at once
    kube = await Kubernetes.connect(timeout=float(section(facility).api_timeout))
    view = View(kube, facility)
    await view.start()
    await view.ready(Deadline.after(_FIRST, "what exists in the cluster"))
    schedulers, maker = Schedulers(), Maker(kube)
    keeper = Keeper(view, maker, schedulers, source.current)
    desk = Desk(view, Callers(view, hub), keeper, maker, source.current)
    path = urlsplit(facility.url).path.rstrip("/")
    app = application(desk, tuple(dict.fromkeys((DASK_PATH, f"{path}{DASK_PATH}"))))

    async def running(_: web.Application) -> AsyncIterator[None]:
        keeper.resume()
        yield
        await keeper.close()
        await schedulers.close()
        await hub.close()
        await view.close()
        await kube.close()

    app.cleanup_ctx.append(running)
    return app


if __name__ == "__main__":
    sys.exit(main())
