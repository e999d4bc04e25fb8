"""The templates beside those of the JupyterHub that is installed: nothing of its pages is lost, nothing comes from outside."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import jupyterhub
import pytest
from jupyterhub._data import DATA_FILES_PATH

from afkit.hub.form import routes, template_path, template_vars

STOCK = Path(DATA_FILES_PATH, "templates")
OURS = Path(template_path())
STATIC = Path(routes()[0][2]["path"])
BLOCK = re.compile(r"{%-? block (\w+)")
PAGES = sorted(page.name for page in STOCK.glob("*.html"))


@pytest.fixture(scope="module")
def environment() -> jinja2.Environment:
    """The hub's own way to find templates."""
    loaders = [jinja2.PrefixLoader({"templates": jinja2.FileSystemLoader(STOCK)}, "/"), jinja2.FileSystemLoader([OURS, STOCK])]
    return jinja2.Environment(loader=jinja2.ChoiceLoader(loaders), autoescape=True)


@pytest.mark.parametrize("page", PAGES)
def test_has_every_block_of_the_hubs_own_page(page: str, environment: jinja2.Environment) -> None:
    """What an administrator's template overrides must exist here too."""
    stock = set(BLOCK.findall((STOCK / page).read_text()))
    ours = _blocks(page)
    assert stock <= ours, f"JupyterHub {jupyterhub.__version__}: {page} lacks {stock - ours}"
    environment.get_template(page)


def _blocks(page: str) -> set[str]:
    """The blocks of a page and of all that it extends."""
    text = (OURS / page if (OURS / page).exists() else STOCK / page).read_text()
    found = set(BLOCK.findall(text))
    parent = re.search(r'{% extends "([^"]+)"', text)
    if parent is None:
        return found
    name = parent[1]
    if name.startswith("templates/"):
        own = (STOCK / name.removeprefix("templates/")).read_text()
        return found | set(BLOCK.findall(own)) | _blocks("page.html")
    return found | _blocks(name)


def test_nothing_is_loaded_from_outside_the_hub() -> None:
    for file in [*OURS.glob("*.html"), *STATIC.iterdir()]:
        text = file.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"""(src|href|url|import|@import)\s*[=(]?\s*["']?(https?:)?//""", text), file


def test_the_stylesheet_and_the_script_are_small() -> None:
    assert (STATIC / "afkit.css").stat().st_size < 20_000
    assert (STATIC / "afkit.js").stat().st_size < 20_000


def test_no_page_of_ours_has_a_script_of_its_own() -> None:
    """A strict Content-Security-Policy may be set: scripts stand in files, styles too. (JupyterHub's own pages need some.)"""
    for file in OURS.glob("*.html"):
        text = file.read_text()
        if file.name == "page.html":
            text = re.sub(r"{% block scripts %}.*?{% endblock scripts %}", "", text, flags=re.S)
        assert "<script>" not in text
        assert " style=" not in text
        assert " onclick" not in text


def test_the_version_follows_the_files(tmp_path: Path) -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", template_vars()["afkit_version"])


def test_the_frame_stands_without_any_variable_of_ours(environment: jinja2.Environment) -> None:
    """An administrator's own `template_vars` may have lost them."""
    variables = {
        "base_url": "/hub/",
        "static_url": lambda path, **_: f"/static/{path}",
        "user": None,
        "parsed_scopes": {},
        "xsrf_token": "x",
    }
    for page in ("page.html", "login.html", "404.html", "logout.html"):
        text = environment.get_template(page).render(variables, status_code=404)
        assert "<main" in text
        assert "/hub/afkit/static/afkit.css" in text
        assert "?v=" not in text
