"""Keeps the scheduler's chatter off the notebook, as Dask's own LocalCluster does: its loggers print warnings and errors only.

For as long as a cluster of ours lives; what is not printed stays in `logs`.
"""

from __future__ import annotations

import contextlib
import logging
import threading

__all__ = ["louder", "quieter"]

_lock = threading.Lock()
_count = 0
_stack = contextlib.ExitStack()


def quieter() -> None:
    """Print only warnings, until as many calls of `louder` have followed."""
    global _count
    from distributed.utils import silence_logging_cmgr

    with _lock:
        _count += 1
        if _count == 1:
            for root in ("distributed", "bokeh"):
                _stack.enter_context(silence_logging_cmgr(level=logging.WARNING, root=root))


def louder() -> None:
    """Undo one call of `quieter`."""
    global _count
    with _lock:
        _count -= 1
        if _count == 0:
            _stack.close()
