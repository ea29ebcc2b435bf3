"""Pages that are tests: what a page tells its reader to write and to type is written and typed.

In a page, a fenced block

    ```python dice.py       is a file: it is written into the reader's folder
    ```console              is a terminal: lines with `$ ` are typed, the others are printed by them

Every command must end with status 0, unless the next one is `echo $?` or the page shows that a call
was answered with an error. What it prints must have the shape of what the page shows: the same
words, and a number where the page has one, for amounts of time and of money differ from run to run.
A line `...` stands for any lines. A key or an id that the page shows is replaced by the real one
where the page uses it again.

A block that starts with `stoa serve` is a terminal of its own, in which `^C` (a block of its own)
ends the node. The session has a network of its own, so the ports are the usual ones.

    python3 tests/support/sessions.py docs/tutorials/provider.md

runs a page and writes what its commands really print into it.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("STOA_BUILD", "build")
MARK = "--- the command has ended, status"
# Only so that a session that hangs ends some day; nothing is measured by it.
SESSION_SECONDS_MAX = 300
# What was called just now is in the books a moment later.
LOOKS_AT_THE_BOOKS = re.compile(r"stoa (statement|ledger|usage|key list|receipt|journal|backup)\b")
# What instances do shows a moment later: one looks again.
LOOKS_AT_INSTANCES = re.compile(r"stoa (status|logs)\b")
LOOK_AGAIN_SECONDS_MAX = 30
# What `stoa call` says of such an answer.
ERROR = re.compile(r"[45]\d\d [A-Z]")

FENCE = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the reader finds otherwise than the page, and uses again.
TOKEN = re.compile(r"stoa_[0-9A-Za-z]{40,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHAPES = [
    (TOKEN, "TOKEN"),
    (re.compile(r"stoa_\w{8}\.\.\.\w{4}"), "MASKED"),
    (re.compile(r"\+[0-9a-f]{8}\+[0-9A-Za-z+/=]{40,}"), "+PUBLIC KEY"),
    (re.compile(r"[0-9A-Za-z+/=]{40,}"), "LONG"),
    (re.compile(r"\((uring|epoll), \d+ workers?\)"), "(THE MACHINE'S)"),
    (re.compile(r"admin:[0-9a-f]{8}"), "admin:FINGERPRINT"),
    (re.compile(r"\d[\d.,]*"), "0"),
    (re.compile(r"0 ?(?:ns|us|µs|ms|s)\b"), "0 s"),
    (re.compile(r"[─-]{2,}"), "--"),
    (re.compile(r"[▀-▟]+"), "|"),
    (re.compile(r"\s+"), " "),
]


class Differs(AssertionError):
    """A command did not do what the page says."""


@dataclass
class Step:
    """One thing that the page's reader does; `start` and `end` are where its output stands."""

    kind: str  # file, type, serve or interrupt
    text: str
    name: str = ""  # of a file
    output: list = field(default_factory=list)
    start: int = 0
    end: int = 0


def steps_of_terminal(text, offset):
    steps = []
    position = offset
    lines = text.splitlines(keepends=True)
    while lines:
        line = lines.pop(0)
        position += len(line)
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\\n"):
                position += len(lines[0])
                command += lines.pop(0)
            kind = "serve" if not steps and command.startswith("stoa serve") else "type"
            steps.append(Step(kind, command.rstrip("\n"), start=position, end=position))
        elif line == "^C\n" and not steps:
            steps.append(Step("interrupt", ""))
        elif steps:
            steps[-1].output.append(line.rstrip("\n"))
            steps[-1].end = position
        else:
            raise ValueError(f"a terminal starts with an output: {line}")
    return steps


def steps_of(page):
    steps = []
    for block in FENCE.finditer(page):
        language, name, text = block.groups()
        if language == "console":
            steps += steps_of_terminal(text, block.start(3))
        elif name:
            steps.append(Step("file", text, name))
    return steps


def shape(line):
    for pattern, replacement in SHAPES:
        line = pattern.sub(replacement, line)
    return line.strip()


def same_shape(shown, printed):
    """Whether the printed lines are what the shown ones stand for."""
    if not shown:
        return not printed
    if shown[0].strip() == "...":
        return any(same_shape(shown[1:], printed[skip:]) for skip in range(len(printed) + 1))
    return bool(printed) and shape(shown[0]) == shape(printed[0]) and \
        same_shape(shown[1:], printed[1:])


class Session:
    """A reader's terminal in an empty folder, with a network of its own."""

    def __init__(self, folder):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("STOA_")}
        environment.update(PATH=f"{BUILD}:{environment['PATH']}", TERM="dumb", LC_ALL="C.UTF-8")
        self.folder = folder
        self.real = {}  # a token of the page: the one that was printed
        self.shell = subprocess.Popen(
            ["unshare", "--net", "bash", "--noprofile", "--norc"], cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment)
        self.type(f"export -n OLDPWD; timeout_pid=$$; ip link set lo up; "
                  f"(sleep {SESSION_SECONDS_MAX}; kill -9 $timeout_pid) >/dev/null 2>&1 & "
                  "watchdog=$!")

    def type(self, command):
        """Returns (exit status, lines printed)."""
        self.shell.stdin.write(f"{{ {command}\n}} </dev/null 2>&1; session_status=$?; "
                               f"printf '%s %s\\n' '{MARK}' $session_status; "
                               "(exit $session_status)\n")
        self.shell.stdin.flush()
        text = ""
        for line in self.shell.stdout:
            text += line
            ended = line.partition(MARK)
            if ended[1]:
                return int(ended[2]), text[:text.rindex(MARK)].splitlines()
        raise Differs(f"the terminal ended in: {command}\n{text}")

    def serve(self, command):
        """Starts a node; its log goes to a file beside the folder."""
        log = shlex.quote(f"{self.folder}.serve.log")
        return self.type(f"exec 9< <(exec {command} 2>>{log}); node=$!; "
                         f"read -r ready <&9 && echo \"$ready\" || tail -n 5 {log}")

    def interrupt(self):
        return self.type("kill -INT $node; wait $node")

    def wait_for_the_books(self):
        self.type("""until stoa status --json | /usr/bin/python3 -c '
import json, sys
sys.exit(any(stream["posted"] < stream["written"]
             for stream in json.load(sys.stdin)["journal"]["streams"]))'; do :; done""")

    def do(self, step):
        """Returns (exit status, lines printed) of the step."""
        command = TOKEN.sub(lambda found: self.real.get(found[0], found[0]), step.text)
        if step.kind == "file":
            (self.folder / step.name).write_text(step.text)
            return 0, []
        if step.kind == "serve":
            return self.serve(command)
        if step.kind == "interrupt":
            return self.interrupt()
        if LOOKS_AT_THE_BOOKS.search(command):
            self.wait_for_the_books()
        return self.type(command)

    def learn(self, shown, printed):
        """What the page calls by tokens of its own."""
        self.real.update(zip(TOKEN.findall("\n".join(shown)), TOKEN.findall("\n".join(printed))))

    def end(self):
        self.shell.stdin.write("kill $watchdog; test -z \"$node\" || { kill $node; wait $node; }\n")
        self.shell.stdin.close()
        self.shell.stdout.read()
        self.shell.wait()


def play(page, folder, seen=None):
    """Does all that the page says, in the folder; raises Differs at the first difference,
    and returns what each token of the page really was. With
    `seen` nothing is compared: it is called with each step and what was printed."""
    steps = steps_of(page)
    session = Session(folder)
    try:
        for step, following in zip(steps, [*steps[1:], None]):
            status, printed = session.do(step)
            again_until = time.monotonic() + LOOK_AGAIN_SECONDS_MAX
            while (not seen and LOOKS_AT_INSTANCES.match(step.text)
                   and not same_shape(step.output, printed) and time.monotonic() < again_until):
                status, printed = session.do(step)
            expected = (following is not None and following.text == "echo $?"
                        or any(ERROR.match(line) for line in step.output))
            if seen:
                seen(step, printed)
            elif status != 0 and not expected:
                raise Differs(f"$ {step.text}\nexit status {status}\n" + "\n".join(printed))
            elif not same_shape(step.output, printed):
                raise Differs(f"$ {step.text}\nthe page shows\n" + "\n".join(step.output) +
                              "\nit prints\n" + "\n".join(printed))
            session.learn(step.output, printed)
    finally:
        session.end()
    return session.real


def main():
    parser = argparse.ArgumentParser(description="Writes what a page's commands print into it.")
    parser.add_argument("page", type=Path)
    parser.add_argument("--all", action="store_true", help="also where the shape is the same")
    arguments = parser.parse_args()
    path = arguments.page
    page = path.read_text()
    changes = []

    def seen(step, printed):
        same = same_shape(step.output, printed)
        if step.kind in ("type", "serve") and (not same or arguments.all and
                                               "..." not in step.output):
            changes.append((step, printed))

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "here").mkdir()
        real = play(page, Path(folder) / "here", seen)
    for step, printed in reversed(changes):
        text = "".join(line + "\n" for line in printed)
        page = page[:step.start] + text + page[step.end:]
    for shown, printed in real.items():
        page = page.replace(printed, shown)
    path.write_text(page)
    print(f"{path}: {len(changes)} outputs were written anew", file=sys.stderr)


if __name__ == "__main__":
    main()
