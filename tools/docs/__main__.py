"""``python -m tools.docs``: generate, build, and say where the pages are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.docs.generate import generate

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main(arguments: list[str]) -> int:
    """Build the pages into ``docs/_build/html``; returns Sphinx's exit code."""
    generate(DOCS / "_generated")
    build = DOCS / "_build" / "html"
    sphinx = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "--no-color",
        "-E",
        "-W",
        "--keep-going",
        "-j",
        "auto",
        "-b",
        "html",
        *arguments,
        str(DOCS),
        str(build),
    ]
    code = subprocess.run(sphinx, check=False).returncode
    if code == 0:
        print(build / "index.html")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
