"""The command line: one module a command, loaded only when that command is called."""

from __future__ import annotations
