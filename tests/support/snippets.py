"""Runs what the documentation shows: each fenced block of a page, in order, in one folder.

How a block is run follows from its language; a comment on the line before it says more:

- ``<!-- snippet: file=NAME -->`` writes the block to NAME first; blocks after it can use the file.
- ``yaml``: a facility file that ``afkit check`` finds clean. ``base=NAME``: the block is a part, laid over that file.
  ``codes=AF101,AF102``: it has exactly these problems.
- ``shell``: ``afkit`` commands are run (``afkit up`` is only read), ``make`` targets exist; ``exit=2`` is what the last returns.
- ``text`` with ``output``: what the last command printed; a line ``...`` stands for any lines.
- ``python``: all blocks of a page are one program, run at its end. ``hub``: it is a ``jupyterhub_config.py``.
- ``json``: it can be read.
- ``skip="why"``: it is not run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AFKIT = Path(sys.executable).with_name("afkit")
NOT_RUN = {
    "git",
    "cd",
    "apt",
    "apt-get",
    "sudo",
    "brew",
    "pip",
    "curl",
    "source",
    "export",
    "echo",
    "chmod",
    "jupyterhub",
    "helm",
    "kubectl",
}
"""Words that begin commands of a reader's own machine: they are shown, never run."""
SHOWN_ONLY = {"", "text", "mermaid", "html", "toml", "ini", "diff"}
HUB = """
from traitlets.config import Config
c = Config()
get_config = lambda: c
{}
from afkit.hub.authenticator import AfkitLocalAuthenticator
from afkit.hub.spawners import AfkitLocalSpawner
from jupyter_events import EventLogger
from jupyterhub.app import JupyterHub
bases = (JupyterHub, EventLogger, AfkitLocalSpawner, AfkitLocalAuthenticator)
known = dict((kind.__name__, kind) for base in bases for kind in base.__mro__)
for section, values in c.items():
    for name in values:
        assert known[section].class_traits(config=True).get(name), f"{{section}} has no trait {{name}}"
"""
"""Runs a ``jupyterhub_config.py``, and sees that every trait that it sets exists."""
_BLOCK = re.compile(
    r"(?:^<!-- snippet: (?P<how>.*?) -->\n+)?^(?P<fence>```+)(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=fence)[ ]*$", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block: its language, what its comment says, its text, and the line on which the text begins."""

    language: str
    how: dict[str, str]
    text: str
    line: int


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page, in order; directives of the documentation's builder (``{…}``) are left out."""
    source = page.read_text()
    found = []
    for block in _BLOCK.finditer(source):
        language = block["language"].strip()
        if language.startswith("{"):
            continue
        words = shlex.split(block["how"] or "")
        how = {word.partition("=")[0]: word.partition("=")[2] for word in words}
        found.append(Snippet(language, how, block["text"], source.count("\n", 0, block.start("text")) + 1))
    return found


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder of their own."""

    page: Path
    folder: Path
    root: Path = ROOT
    output: str = ""
    program: list[Snippet] = field(default_factory=list)

    def read(self) -> None:
        """Do it all; an ``AssertionError`` names the line that is wrong."""
        for snippet in snippets(self.page):
            if "skip" in snippet.how:
                assert len(snippet.how["skip"]) > 5, self.say(snippet, "skip needs a reason")
                continue
            if "file" in snippet.how:
                (self.folder / snippet.how["file"]).write_text(snippet.text)
            self.one(snippet)
        if self.program:
            self.run_program()

    def one(self, snippet: Snippet) -> None:
        """Do what one block says."""
        if snippet.language in {"yaml", "yml"}:
            self.facility(snippet)
        elif snippet.language in {"shell", "sh", "bash", "console"}:
            self.shell(snippet)
        elif snippet.language == "python":
            self.python(snippet)
        elif snippet.language == "json":
            json.loads(snippet.text)
        elif "output" in snippet.how:
            self.compare(snippet)
        else:
            assert snippet.language in SHOWN_ONLY, self.say(snippet, f"nothing runs a block of {snippet.language!r}")

    def facility(self, snippet: Snippet) -> None:
        """Check a facility file, or a part laid over another file of the page."""
        text = snippet.text
        if "base" in snippet.how:
            base = self.folder / snippet.how["base"]
            assert base.exists(), self.say(snippet, f"{base.name} is not on the page before this block")
            text = f"version: 1\nextends: {base.name}\n{text}"
        file = self.folder / "snippet.yaml"
        file.write_text(text)
        done = self.afkit("check", file.name, "--json")
        problems = json.loads(done.stdout)["problems"]
        codes = sorted({problem["code"] for problem in problems})
        wanted = sorted(filter(None, snippet.how.get("codes", "").split(",")))
        assert codes == wanted, self.say(snippet, f"afkit check says {problems or 'nothing'}")

    def shell(self, snippet: Snippet) -> None:
        """Run the commands of a block."""
        commands = re.sub(r"\\\n\s*", " ", snippet.text).splitlines()
        code = 0
        for command in commands:
            words = shlex.split(command.removeprefix("$ "), comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                del words[0]
            if words:
                code = self.command(snippet, words)
        assert code == int(snippet.how.get("exit", 0)), self.say(snippet, f"the last command ended with {code}: {self.output}")

    def command(self, snippet: Snippet, words: list[str]) -> int:
        """Run one command, or see that it could be run; returns its exit code."""
        if words[0] == "afkit" and words[1:2] == ["up"]:
            from afkit.cli.main import _parser

            _parser("up").parse_args(words[1:])
            return 0
        if words[0] == "afkit":
            done = self.afkit(*words[1:])
            self.output = done.stdout + done.stderr
            return done.returncode
        if words[0] == "make":
            clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
            return subprocess.run(["make", "-n", *words[1:]], cwd=self.root, env=clean, capture_output=True, check=False).returncode
        assert words[0] in NOT_RUN, self.say(snippet, f"nothing runs the command {words[0]!r}")
        return 0

    def afkit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``afkit`` in the page's folder, as somebody with no state of their own."""
        environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state"), "NO_COLOR": "1"}
        return subprocess.run([AFKIT, *words], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def python(self, snippet: Snippet) -> None:
        """Keep a block for the page's program, or try it as the hub's configuration."""
        if "hub" not in snippet.how:
            self.program.append(snippet)
            return
        code = HUB.format(snippet.text)
        done = subprocess.run([sys.executable, "-c", code], cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, self.say(snippet, done.stderr)

    def run_program(self) -> None:
        """Run all Python blocks of the page as one script, in which each line has the number that it has on the page."""
        lines: list[str] = []
        for snippet in self.program:
            lines += [""] * (snippet.line - 1 - len(lines)) + snippet.text.splitlines()
        script = self.folder / f"{self.page.stem}.py"
        script.write_text("\n".join(lines) + "\n")
        environment = {**os.environ, "MPLBACKEND": "agg"}
        done = subprocess.run(
            [sys.executable, script], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == 0, f"{self.page}: {done.stdout}{done.stderr}"

    def compare(self, snippet: Snippet) -> None:
        """Compare a block with what the last command printed."""
        wanted = [r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()) + r"[ ]*\n" for line in snippet.text.splitlines()]
        assert re.fullmatch("".join(wanted), self.output), self.say(snippet, f"the command printed:\n{self.output}")

    def say(self, snippet: Snippet, what: str) -> str:
        """A sentence that begins with the place."""
        return f"{self.page.relative_to(self.root)}:{snippet.line}: {what}"
