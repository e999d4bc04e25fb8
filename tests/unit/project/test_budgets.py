"""The budgets of size and shape, for every module of the package: checked here, so that nobody has to argue."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from radon.complexity import cc_visit

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted((ROOT / "afkit").rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_no_module_is_longer_than_400_lines_and_nearly_all_than_300() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert_within(lengths, most=400, usual=300)


def test_no_function_is_longer_than_60_lines_and_nearly_all_than_40() -> None:
    lengths = {f"{where}": body_length(function) for where, function in functions()}
    assert_within(lengths, most=60, usual=40)


def test_no_function_is_more_complex_than_10() -> None:
    found = [(f"{path.relative_to(ROOT)}:{block.lineno} {block.name}", block.complexity) for path in MODULES for block in blocks(path)]
    none(f"{where}: {complexity}" for where, complexity in found if complexity > 10)


def test_every_function_is_typed() -> None:
    bare = [where for where, function in functions() if untyped(function)]
    none(bare)


def test_every_public_name_has_a_docstring() -> None:
    bare = [f"{path.relative_to(ROOT)}:{node.lineno} {node.name}" for path in MODULES for node in public(path) if not documented(node)]
    bare += [str(path.relative_to(ROOT)) for path in MODULES if path.read_text().strip() and not ast.get_docstring(tree(path))]
    none(bare)


def test_a_broad_except_has_its_reason_beside_it() -> None:
    """The reason is a comment on the same line, beyond the linter's code, or on the line before or after."""
    bare = []
    for path in MODULES:
        lines = path.read_text().splitlines()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler) and broad(node):
                near = "\n".join(lines[node.lineno - 2 : node.lineno + 1])
                if not re.search(r"#(?! *noqa: *\S+ *$).*\w{3}", near, re.MULTILINE):
                    bare.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    none(bare)


def test_an_exception_to_a_rule_has_its_reason_beside_it() -> None:
    """``# type: ignore[code]  # why`` and ``# noqa: CODE  why``: each says why."""
    bare = []
    for path in MODULES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            ignored = re.search(r"# type: ignore(\[[^]]*\])?(?P<why>.*)", line)
            silenced = re.search(r"# noqa(: *[A-Z]+\d+(, *[A-Z]+\d+)*)?(?P<why>.*)", line)
            for found in filter(None, (ignored, silenced)):
                if not (found.group(1) and re.search(r"\w{3}", found["why"])):
                    bare.append(f"{path.relative_to(ROOT)}:{number}")
    none(bare)


def test_no_module_is_unfinished() -> None:
    wanted = re.compile(r"NotImplementedError|\b(TODO|FIXME)\b|pragma: no cover$")
    none(
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if wanted.search(line)
    )


def none(found: Iterable[str]) -> None:
    """Nothing was found; else all of it is listed."""
    listed = list(found)
    assert not listed, "\n" + "\n".join(listed)


def assert_within(sizes: dict[str, int], *, most: int, usual: int) -> None:
    none(f"{where}: {size}" for where, size in sizes.items() if size > most)
    over = {where: size for where, size in sizes.items() if size > usual}
    assert len(over) <= max(1, len(sizes) // 20), f"more than 5 % are over {usual}: {over}"


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def functions() -> Iterator[tuple[str, Function]]:
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, Function):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def body_length(function: Function) -> int:
    """Lines of the function without its docstring."""
    end = function.end_lineno or function.lineno
    first = function.body[0]
    said = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0
    return end - function.lineno + 1 - said


def blocks(path: Path) -> Iterator[object]:
    for block in cc_visit(path.read_text()):
        if hasattr(block, "methods"):
            yield from block.methods
        else:
            yield block


def untyped(function: Function) -> bool:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *filter(None, (arguments.vararg, arguments.kwarg))]
    named = [argument for argument in named if argument.arg not in {"self", "cls"}]
    return function.returns is None or any(argument.annotation is None for argument in named)


def public(path: Path) -> Iterator[Function | ast.ClassDef]:
    """Functions and classes of a module whose names have no underscore, and the methods of such classes."""

    def inside(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                yield node
                if isinstance(node, ast.ClassDef):
                    yield from inside(node.body)

    if not any(part.startswith("_") and part not in {"__init__.py", "__main__.py"} for part in path.parts):
        yield from inside(tree(path).body)


def documented(node: Function | ast.ClassDef) -> bool:
    """Whether it has a docstring; a typing overload has none of its own."""
    return ast.get_docstring(node) is not None or any("overload" in ast.unparse(mark) for mark in node.decorator_list)


def broad(handler: ast.ExceptHandler) -> bool:
    """Whether it catches everything and keeps it; one that cleans up and raises again is none."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    return handler.type is None or any(name in ast.unparse(handler.type).split(".") for name in ("Exception", "BaseException"))
