"""``afkit schema``: the JSON schema of the facility file, for editors."""

from __future__ import annotations

import argparse
import json
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """Add no arguments: there are none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    del arguments
    from afkit.facility.schema import json_schema

    json.dump(json_schema(), sys.stdout, indent=2)
    print()
    return 0
