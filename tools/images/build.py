"""Which images there are, what each is made from, and building one: once for the same content, then it is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.images import bases, buildah, programs, store
from tools.images.settings import secrets
from tools.images.store import Image
from tools.images.tidy import tidy

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ("pyproject.toml", "README.md", "LICENSE", "afkit", "notebooks")
"""What afkit itself is built from, in an image that has it."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One folder of ``images/``: the base of its last stage, whether afkit is in it, and for what it is built in the tests."""

    name: str
    base: str = "python"
    afkit: bool = True
    archs: tuple[str, ...] = ("amd64",)


RECIPES = {
    recipe.name: recipe
    for recipe in (Recipe("hub"), Recipe("proxy", base="node", afkit=False), Recipe("session", archs=("amd64", "arm64")))
}


@dataclass(frozen=True, slots=True)
class Request:
    """One image for one architecture, on a base, out of a checkout."""

    recipe: Recipe
    arch: str
    base: str = ""
    root: Path = ROOT
    say: Say = lambda _: None

    def key(self, *, afkit: bool = False, packages: bool = True) -> str:
        """What names the content that the image is made from: afkit's own, that of all else, or both."""
        content = hashlib.sha256(f"{self.arch if packages else ''}\n{self.base}\n".encode())
        for part in () if self.base else dict.fromkeys((self.recipe.base, "python")):
            content.update(bases.key(bases.BASES[part], self.arch if packages else bases.native()))
        for file in inputs(self.recipe, self.root, afkit=afkit, packages=packages):
            text = file.read_bytes()
            content.update(f"{file.relative_to(self.root)}\n{len(text)}\n".encode() + text)
        return content.hexdigest()[:16]


def build(name: str, *, arch: str = "", base: str = "", root: Path = ROOT, say: Say = lambda _: None) -> Image:
    """The image for an architecture (this machine's), on a base of the storage (Debian's packages).

    ``root`` is the checkout. The same content is built once. A change of afkit's source makes one small layer anew, the
    same for all images and architectures. Raises ``BuildError``, ``BaseError``, ``ProgramError``.
    """
    request = Request(RECIPES[name], arch or bases.native(), base, root, say)
    programs.builders()
    image = made(f"{name}-{request.arch}", request.key(), lambda tag: dependencies(request, tag))
    if not request.recipe.afkit:
        return image
    return store.put_on(image, project(request), request.key(afkit=True))


def seldom_changed() -> list[Image]:
    """What of this checkout's images seldom changes, all but afkit itself, as far as it has been built for this machine."""
    requests = [Request(recipe, bases.native()) for recipe in RECIPES.values()]
    notes = [note_of(f"{request.recipe.name}-{request.arch}", request.key()) for request in requests]
    return [Image(**json.loads(note.read_text())) for note in notes if note.exists()]


def dependencies(request: Request, tag: str) -> Image:
    """Everything of an image but afkit."""
    target = ("--target", "dependencies") if request.recipe.afkit else ()
    request.say(f"building the image {request.recipe.name} for {request.arch}")
    run(request, Image(request.recipe.name, tag, request.arch, "", 0).built, *target)
    return store.keep(request.recipe.name, tag, request.arch)


def project(request: Request) -> str:
    """The layer that has afkit; returns its digest."""

    def build_layer(tag: str) -> Image:
        built = f"localhost/afkit-project:{tag}"
        run(request, built, "--target", "project")
        with buildah.mounted(built) as folder:
            return Image("project", tag, "", store.layer(folder / "project"), 0)

    return made("project", request.key(afkit=True, packages=False), build_layer).digest


def made(what: str, tag: str, make: Callable[[str], Image]) -> Image:
    """What was made from the content that ``tag`` names; now, or earlier."""
    note = note_of(what, tag)
    note.parent.mkdir(parents=True, exist_ok=True)
    with buildah.only_one(what):
        if note.exists():
            return Image(**json.loads(note.read_text()))
        image = make(tag)
        note.write_text(json.dumps(asdict(image)))
    if what != "project":
        tidy()
    return image


def note_of(what: str, tag: str) -> Path:
    """Where it is noted what was made."""
    return buildah.folder() / "made" / f"{what}-{tag}.json"


def run(request: Request, built: str, *more: str) -> None:
    """Run the builder."""
    recipe, native = request.recipe, bases.native()
    if request.base and not buildah.has(request.base):
        raise buildah.BuildError(f"the storage of the images has no base {request.base}: make it there first, or name another one")
    own = request.base or base_image(recipe.base, request.arch, request.say)
    python = request.base and request.arch == native and recipe.base == "python"
    builder = request.base if python else base_image("python", native, request.say)
    log = buildah.folder() / f"{recipe.name}-{request.arch}.log"
    containerfile = request.root / "images" / recipe.name / "Containerfile"
    with buildah.building(), secrets(buildah.folder()) as handed:
        arguments = (*handed, *more, "--build-arg", f"BASE={own}", "--build-arg", f"BUILD_BASE={builder}")
        buildah.build(containerfile, request.root, built, arch=request.arch, arguments=arguments, log=log)


def base_image(name: str, arch: str, say: Say) -> str:
    """The name of a base in the storage, made where it is not there."""
    base = bases.BASES[name]
    digest = hashlib.sha256(bases.key(base, arch)).hexdigest()[:16]
    image = f"localhost/afkit-base-{name}-{arch}:{digest}"
    with buildah.only_one(f"base-{name}-{arch}"):
        if not buildah.has(image):
            say(f"making a base of Debian {base.suite} for {arch}")
            make_base(name, arch, image, say)
    return image


def make_base(name: str, arch: str, image: str, say: Say) -> None:
    """Make a base; one of another architecture is only unpacked, and borrows this machine's byte code."""
    archive = buildah.folder() / "bases" / f"{name}-{arch}.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    bases.make(bases.BASES[name], arch, archive)
    if arch == bases.native():
        buildah.take_in(image, archive, arch)
    else:
        with buildah.mounted(base_image(name, bases.native(), say)) as native:
            buildah.take_in(image, archive, arch, lambda root: bases.lend_byte_code(native, root))
    archive.unlink()


def inputs(recipe: Recipe, root: Path = ROOT, *, afkit: bool = True, packages: bool = True) -> Iterator[Path]:
    """The files that an image is made from, in one order: afkit's own, those of all else, or both."""
    places = ["images/fill.py", "images/build.lock"]
    places += [f"images/{recipe.name}"] if packages else []
    places += SOURCE if recipe.afkit and afkit else ()
    for place in places:
        found = root / place
        files = [found] if found.is_file() else sorted(found.rglob("*"))
        yield from (file for file in files if file.is_file() and not ignored(file))


def ignored(file: Path) -> bool:
    """Whether a file beside the inputs is none: byte code, and what only tests an image."""
    return "__pycache__" in file.parts or file.suffix == ".pyc" or file.stem == "smoke"
