"""Which modules go along with tasks, and what is made of them elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from afkit.session.inside import afkit_modules
from afkit.session.modules import changed


def module(file: Path, text: str, package: bool = False) -> ModuleType:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    made = ModuleType(file.stem)
    made.__file__ = str(file)
    if package:
        made.__path__ = [str(file.parent)]
    return made


def test_what_lies_beside_the_script_goes_along_once(tmp_path: Path) -> None:
    beside = tmp_path / "work"
    modules = {
        "cuts": module(beside / "cuts.py", "A = 1"),
        "pack": module(beside / "pack" / "__init__.py", "", package=True),
        "pack.one": module(beside / "pack" / "one.py", "B = 1"),
        "elsewhere": module(tmp_path / "elsewhere.py", ""),
        "__main__": module(beside / "script.py", ""),
        "json": sys.modules["json"],
        "pytest": sys.modules["pytest"],
        "built": ModuleType("built"),
        "fast": module(beside / "fast" / "__init__.py", "", package=True),
        "fast._c": module(beside / "fast" / "_c.so", ""),
    }
    sent: dict[str, tuple[int, int]] = {}
    assert changed(sent, modules, [str(beside)]) == {"cuts.py": "A = 1", "pack/__init__.py": "", "pack/one.py": "B = 1"}
    assert changed(sent, modules, [str(beside)]) == {}
    (beside / "cuts.py").write_text("A = 1000")
    assert changed(sent, modules, [str(beside)]) == {"cuts.py": "A = 1000"}
    (beside / "cuts.py").unlink()
    (beside / "pack" / "one.py").write_bytes(b"\xff\xfe")
    assert changed(sent, modules, [str(beside), "/"]) == {}


def test_they_are_taken_as_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    place = afkit_modules.Modules(tmp_path)
    assert place.put({"afkit_test_pack/__init__.py": "from afkit_test_pack.a import A", "afkit_test_pack/a.py": "A = 1"}) == 2
    import afkit_test_pack  # type: ignore[import-not-found]  # it is made here

    assert afkit_test_pack.A == 1
    assert place.put({"afkit_test_pack/a.py": "A = 1"}) == 0
    assert place.put({"afkit_test_pack/a.py": "A = 22"}) == 1
    again = __import__("afkit_test_pack")
    assert again.A == 22
    for name in [name for name in sys.modules if name.startswith("afkit_test_pack")]:
        del sys.modules[name]


@pytest.mark.parametrize("path", ["../x.py", "/etc/x.py", "a/../../x.py", "x.txt", "a b.py", "", ".py", 7])
def test_what_is_no_module_is_refused(tmp_path: Path, path: str) -> None:
    place = afkit_modules.Modules(tmp_path / "here")
    with pytest.raises(ValueError, match="no module"):
        place.put({path: "A = 1"})
    assert list(tmp_path.rglob("*.py")) == []
    with pytest.raises(ValueError, match="more than"):
        place.put({"x.py": "#" * (afkit_modules.MOST + 1)})
