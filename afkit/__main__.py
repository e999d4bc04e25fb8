"""``python -m afkit`` is the same as ``afkit``."""

from __future__ import annotations

from afkit.cli.main import main

raise SystemExit(main())
