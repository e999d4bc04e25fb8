"""What the browser tests do in JupyterLab: open a notebook, write into a cell, run all of it, save it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.look import PATIENCE


def open_notebook(page: Page, notebook: str) -> None:
    """Open a notebook by its address and wait until its kernel takes something."""
    page.goto(notebook)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    _idle(page).wait_for()


def write_cell(page: Page, beginning: str, text: str) -> None:
    """Replace the text of the code cell in which ``beginning`` stands."""
    editor = page.locator(".jp-Notebook .jp-CodeCell", has_text=beginning).first.locator(".jp-InputArea-editor .cm-content")
    editor.scroll_into_view_if_needed()
    editor.fill(text)
    # the cell is found by what it has now
    expect(page.locator(".jp-Notebook .jp-CodeCell .cm-content", has_text=text.splitlines()[0].strip()).first).to_be_visible()


def run_all(page: Page) -> Locator:
    """Run all cells and look at the last plot, which is returned; an error in a cell fails."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    plots = page.locator(".jp-OutputArea-output img[src^='data:image/png']")
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    error = errors.filter(has_text="Traceback (most recent call last)")
    plots.or_(error).first.wait_for(timeout=4 * PATIENCE, state="attached")
    # between two cells the kernel is idle for a moment, so the waiting cells are looked at too
    expect(page.locator(".jp-InputPrompt", has_text="[*]")).to_have_count(0, timeout=4 * PATIENCE)
    _idle(page).wait_for()
    # out of view it has no inner text
    assert error.count() == 0, error.first.text_content()
    return look_at_plot(page)


def look_at_plot(page: Page) -> Locator:
    """The last plot, brought into view and drawn."""
    plot = page.locator(".jp-OutputArea-output img[src^='data:image/png']").last
    plot.wait_for(state="attached")
    plot.evaluate("plot => plot.scrollIntoView({block: 'center'})")
    page.wait_for_function("plot => plot.complete && plot.naturalWidth > 100", arg=plot.element_handle())
    return plot


def printed(page: Page) -> str:
    """What the cells printed, of the open notebook as it is saved: JupyterLab takes cells that are out of view off the page."""
    save(page)
    answer = page.request.get(page.url.replace("/lab/tree/", "/api/contents/"))
    assert answer.ok, answer.status
    outputs = [output for cell in answer.json()["content"]["cells"] for output in cell.get("outputs", ())]
    return "".join("".join(output["text"]) for output in outputs if output.get("name") == "stdout")


def save(page: Page) -> None:
    """Save the notebook, by the button of its toolbar."""
    page.locator(".jp-NotebookPanel-toolbar [data-command='docmanager:save']").first.click()
    expect(page.locator(".jp-mod-current.jp-mod-dirty")).to_have_count(0)


def _idle(page: Page) -> Locator:
    # the toolbar says idle before the kernel takes anything: the status bar does not
    return page.get_by_text("| Idle").first
