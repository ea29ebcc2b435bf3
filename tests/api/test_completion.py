"""Completion where people use it: the real shells, on a terminal, with TAB."""

import os
import pty
import select
import subprocess
import time

import pytest
from cloud import STOA, WAIT_SECONDS_MAX

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(stoa completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; "
                                 "source <(stoa completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "stoa completion fish | source"),
}


class Terminal:
    """A shell on a pseudo-terminal: what is typed, and what appears."""

    def __init__(self, command, folder, environment):
        ours, theirs = pty.openpty()
        self.file = ours
        self.seen = ""
        self.process = subprocess.Popen(["setsid", "--ctty", *command], stdin=theirs,
                                        stdout=theirs, stderr=theirs, cwd=folder, env=environment)
        os.close(theirs)

    def type(self, text, until):
        """Returns what appears, to the end of `until`."""
        os.write(self.file, text.encode())
        end = time.monotonic() + WAIT_SECONDS_MAX
        while until not in self.seen:
            ready, _, _ = select.select([self.file], [], [], max(0, end - time.monotonic()))
            assert ready, f"{until!r} did not appear:\n{self.seen}"
            self.seen += os.read(self.file, 65536).decode(errors="replace")
        told, self.seen = self.seen.split(until, 1)
        return told + until

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.file)


@pytest.fixture(params=sorted(SHELLS))
def terminal(request, town, tmp_path):
    command, setup = SHELLS[request.param]
    environment = {"PATH": f"{STOA.parent}:{os.environ['PATH']}", "HOME": str(tmp_path),
                   "TERM": "dumb", "STOA_CLOUD": str(town.folder), "LC_ALL": "C.UTF-8"}
    shell = Terminal(command, tmp_path, environment)
    # The sum is not in what the terminal echoes.
    if request.param == "fish":
        shell.type(f"{setup}; echo set-(math 40 + 2)\r", "set-42")
    else:
        shell.type(f"{setup}; echo set-$((40 + 2))\r", "set-42")
    yield shell
    shell.close()


def test_commands_options_names_and_files_are_completed(town, terminal, tmp_path):
    (tmp_path / "receipt-of-tuesday").write_text("none")
    terminal.type("stoa key cre\t--he\t\r", "usage: stoa key create ACCOUNT/APP")
    terminal.type("stoa catalog show ec\t\r", "echo 1.0.0 by globex")
    terminal.type("stoa usage --step mi\t\r", "by the minute")
    terminal.type("stoa account create x --json --cl\t/nowhere\r", "running cloud in /nowhere")
    terminal.type("stoa verify recei\t\r", "stoa verify: receipt-of-tuesday")
    terminal.type("stoa key list acme/sh\t\r", "key_1 ")
    terminal.type("stoa publish --as gl\trecei\t\r", "stoa publish: nothing was published")


def words(town, *typed, environment=None):
    lines = town.cli("completion", "words", "--", *typed, environment=environment).stdout
    return [line.split("\t")[0] for line in lines.splitlines()]


@pytest.mark.parametrize("typed,found", [
    (["accoun"], ["account"]), (["account", ""], ["create", "list"]), (["nope", ""], []),
    (["fund", "a"], ["acme"]), (["fund", "acme", ""], []), (["statement", "glo"], ["globex"]),
    (["subscribe", "acme/shop", ""], ["echo"]), (["subscribe", ""], ["acme/shop"]),
    (["key", "revoke", "key"], ["key_1"]),
    (["key", "create", "acme/shop", "--scope", ""], ["echo"]),
    (["key", "create", "--count", "--scope", "e"], []),
    (["key", "create", "acme/shop", "--co"], ["--count"]),
    (["key", "create", "acme/shop", "--count", "2", "--co"], []),
    (["key", "create", "acme/shop", "--scope", "echo", "--sc"], ["--scope"]),
    (["call", "-d", ""], [":files"]), (["call", "echo", ""], []), (["call", "--", "-"], []),
    (["restore", ""], [":folders"]), (["help", "config", ""], ["check", "show"]),
    (["changes", "--kind", "s"], ["service", "subscription"])], ids=" ".join)
def test_what_may_come_next(town, typed, found):
    assert words(town, *typed) == found


def test_a_cloud_that_does_not_answer_has_no_names(town, tmp_path):
    assert words(town, "fund", "", environment={"STOA_CLOUD": str(tmp_path)}) == []
    assert words(town, "--cloud", town.folder, "fund", "",
                 environment={"STOA_CLOUD": str(tmp_path)}) == [
                     "operator", "acme", "globex"]


def test_no_other_shell_is_known(town):
    for arguments in (["completion", "tcsh"], ["completion", "bash", "now"], ["completion"]):
        assert town.cli(*arguments, check=False).returncode == 2
