"""What the documents tell a reader to type exists, and what they link to is there."""

import os
import re
import subprocess

import pytest
import tree

STOA = tree.ROOT / "build" / "stoa"
# Words that open a command of the system's and not of this tree.
FOREIGN = {"hledger", "curl", "cd", "cat", "ls", "export", "python3", "kill", "jq", "git"}
# Each command of these is run, by tests/e2e/test_tutorials.py.
RUN = ("docs/tutorials/", "docs/operations.md")


def commands_of(text):
    """The commands of the ```console blocks: their lines after `$ `, continued lines joined."""
    commands = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        joined = block.replace("\\\n", " ")
        commands += re.findall(r"^\$ (.+)$", joined, re.MULTILINE)
    return commands


def targets_of(makefile):
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, re.MULTILINE))


def complaint_about_command(command, targets, has_subcommand):
    words = command.split()
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words.pop(0)
    program = words[0] if words else ""
    if program == "make":
        unknown = [word for word in words[1:] if "=" not in word and word not in targets]
        return f"{command}: no target {unknown[0]} in the Makefile" if unknown else ""
    if program in ("stoa", "build/stoa", "./build/stoa"):
        subcommand = next((word for word in words[1:] if not word.startswith("-")), "")
        return "" if has_subcommand(subcommand) else f"{command}: stoa has no {subcommand}"
    if program in FOREIGN:
        return ""
    return "" if (tree.ROOT / program).is_file() else f"{command}: no such program"


def stoa_has_subcommand(word):
    if not word:
        return True
    return subprocess.run([STOA, word, "--help"], capture_output=True,
                          stdin=subprocess.DEVNULL).returncode == 0


def complaints_about_links(path, text, exists):
    """Relative links of a Markdown file lead somewhere."""
    complaints = []
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
        if not re.match(r"[a-z]+:", target):
            place = os.path.normpath(os.path.join(os.path.dirname(path), target))
            if not exists(place):
                complaints.append(f"{path}: links to {target}, which is not there")
    return complaints


def documents():
    return {str(path): tree.read(path) for path in tree.tracked() if path.suffix == ".md"}


def test_commands_in_the_documents_exist():
    targets = targets_of(tree.read("Makefile"))
    commands = {(path, command) for path, text in documents().items()
                if not path.startswith(RUN) for command in commands_of(text)}
    if any("stoa " in command for _, command in commands) and not STOA.exists():
        pytest.skip("build/stoa is not built")
    complaints = [f"{path}: {complaint}" for path, command in sorted(commands)
                  for complaint in [complaint_about_command(command, targets, stoa_has_subcommand)]
                  if complaint]
    assert not complaints, tree.told(complaints)


def test_links_in_the_documents_lead_somewhere():
    complaints = [complaint for path, text in documents().items()
                  for complaint in complaints_about_links(
                      path, text, lambda place: (tree.ROOT / place).exists())]
    assert not complaints, tree.told(complaints)


def test_every_target_of_the_makefile_says_what_it_does():
    makefile = tree.read("Makefile")
    silent = [target for target in targets_of(makefile)
              if not re.search(rf"^{target}:.*## [A-Z].*\.$", makefile, re.MULTILINE)]
    assert not silent


def test_ci_calls_make_check_and_nothing_else():
    lines = [line for line in tree.read(".ci/run").splitlines() if line and line[0] != "#"]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make check"]


def test_the_command_checker_finds_what_is_not_there():
    text = ("```console\n$ make runn\n$ stoa serve \\\n    --workers 2\nready\n$ stoa sreve\n"
            "$ scripts/none\n$ A=1 make run\n$ curl http://x\n```\n```\n$ not a console\n```\n")
    commands = commands_of(text)
    assert len(commands) == 6
    complaints = [complaint_about_command(command, {"run"}, lambda word: word == "serve")
                  for command in commands]
    assert [bool(complaint) for complaint in complaints] == [True, False, True, True, False, False]


def test_the_link_checker_finds_a_dead_link():
    text = "[a](docs/a.md) [b](http://b) [c](../c.md#x)"
    assert complaints_about_links("docs/x.md", text, lambda place: place == "c.md") == [
        "docs/x.md: links to docs/a.md, which is not there"]
