"""A form's HTML as a test wants to look at it."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"input", "br", "meta", "link"}


class Form(HTMLParser):
    """Ids, labels, radio buttons, text fields and all text of a page; ``open`` are the elements that were not closed rightly."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.radios: list[dict[str, str]] = []
        self.texts: dict[str, str] = {}
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "label":
            self.labels.add(found.get("for", ""))
        if tag == "input" and found.get("type") == "radio":
            self.radios.append(found)
        elif tag == "input":
            self.texts[found.get("name", "")] = found.get("value", "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that is open, if it is this one."""
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.open.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, white space once."""
        return " ".join("".join(self.words).split())

    def values(self, name: str) -> list[str]:
        """The values of the radio buttons of this name."""
        return [radio["value"] for radio in self.radios if radio["name"] == name]

    def disabled(self, name: str) -> list[str]:
        """Those of them that cannot be chosen."""
        return [radio["value"] for radio in self.radios if radio["name"] == name and "disabled" in radio]

    def marked(self) -> dict[str, str]:
        """What a browser would send of the profile that is marked, without touching anything."""
        fields = {radio["name"]: radio["value"] for radio in self.radios if "checked" in radio and "disabled" not in radio}
        mine = f"{fields.get('profile')}."
        return {name: value for name, value in fields.items() if name == "profile" or name.startswith(mine)}


def form_of(html: str) -> Form:
    """Parse a form."""
    form = Form()
    form.feed(html)
    return form
