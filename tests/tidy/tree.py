"""The tree as the tidy tests see it: tracked files, and C text without comments and strings.

A checker is a function that takes texts and returns complaints, a list of sentences that name
file and line. Each has a test on a bad sample beside the test on the tree: a checker that cannot
fail is worthless.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The one source that lies in no folder: it joins node and cli to the program.
PROGRAM = "src/main.c"


def tracked():
    """Paths of the files that git tracks or would track, relative to the root."""
    output = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({Path(name) for name in output.split("\0") if name and (ROOT / name).is_file()})


def read(path):
    return (ROOT / path).read_text(errors="replace")


def sources(*suffixes, under="src"):
    """{path: text} of the tracked files below `under` that end so."""
    return {str(path): read(path) for path in tracked()
            if path.suffix in suffixes and str(path).startswith(under + "/")}


def layers():
    """{folder: the folders that it may include}, in order, from layers.txt."""
    return parse_layers(read("layers.txt"))


def parse_layers(text):
    table = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            folder, _, allowed = line.partition(":")
            table[folder.strip()] = allowed.split()
    return table


TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def code_of(text):
    """C text with comments and the content of strings blanked; lines keep their numbers."""

    def blank(match):
        token = match.group()
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def told(complaints):
    """What an assertion shows."""
    return "\n" + "\n".join(complaints)
