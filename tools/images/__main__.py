"""``python -m tools.images build|archive|clear``: the images of this checkout, on Debian's packages or on a base of one's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.images import bases, buildah, store
from tools.images.apart import NamespaceError
from tools.images.bases import BaseError
from tools.images.build import RECIPES, build
from tools.images.buildah import BuildError
from tools.images.programs import ProgramError


def main(arguments: list[str]) -> int:
    """Do one of them; what goes wrong is said in a sentence."""
    options = parser().parse_args(arguments)
    try:
        options.do(options)
    except ProgramError as error:
        say(str(error))
        return 0 if options.where_possible else 1
    except (BuildError, BaseError, NamespaceError) as error:
        say(str(error))
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="tools.images", description=__doc__)
    made.set_defaults(where_possible=False)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    build_ = commands.add_parser("build", help="build, and print each image's name and digest")
    build_.add_argument("--all-platforms", action="store_true", help="every platform that the tests use")
    build_.add_argument("--where-possible", action="store_true", help="where images cannot be built, say why and build nothing")
    build_.set_defaults(do=build_images)
    archive_ = commands.add_parser("archive", help="write archives that `ctr images import` reads, and print their paths")
    archive_.add_argument("--tag", action="append", default=[], help="another tag beside the content's own (may be given again)")
    archive_.add_argument("--out", type=Path, default=Path(), help="the folder (here)")
    archive_.set_defaults(do=write_archives)
    for each in (build_, archive_):
        each.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(RECIPES)} (all)")
        each.add_argument("--arch", default=bases.native(), help="amd64 or arm64 (this machine's)")
        each.add_argument("--base", default="", help="a base in this tool's storage (Debian's packages)")
    commands.add_parser("clear", help="remove all images and what was cached of building them").set_defaults(do=lambda _: store.clear())
    return made


def build_images(options: argparse.Namespace) -> None:
    """Build, and print names and digests."""
    for name in options.names or RECIPES:
        for arch in RECIPES[name].archs if options.all_platforms else (options.arch,):
            image = build(name, arch=arch, base=options.base, say=say)
            print(f"{image.reference} {image.arch} {image.digest} {image.size / 1e6:.0f} MB")


def write_archives(options: argparse.Namespace) -> None:
    """Write an archive of each, and print its path."""
    for name in options.names or RECIPES:
        image = build(name, arch=options.arch, base=options.base, say=say)
        print(store.archive([image], options.out / f"afkit-{name}-{image.arch}.tar", tags=options.tag))


def say(line: str) -> None:
    """Print one line to standard error."""
    print(f"afkit: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    buildah.folder().mkdir(parents=True, exist_ok=True)
    sys.exit(main(sys.argv[1:]))
