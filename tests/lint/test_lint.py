"""clang-tidy and cppcheck find nothing in the program's sources.

clang-tidy takes seconds a file, so a file that was found clean is looked at again only once it, a
header that it includes, its compile command or the checks have changed; build/lint/ remembers.
Tests are left out: what they must not do, the sanitizers see when they run.
"""

import concurrent.futures
import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CLEAN = BUILD / "lint"
TIDY = ["clang-tidy", "--quiet", "-p", str(BUILD),
        "--extra-arg=-Wno-ignored-optimization-argument", "--extra-arg=-Wno-unknown-warning-option"]
NOT_OF_THE_PROGRAM = ("_test.c", "_bench.c", "rig.c", "_testing.c", "memory_disk.c")


def output_of(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def compile_commands():
    """{source: its entry}, of the program."""
    entries = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        source = (Path(entry["directory"]) / entry["file"]).resolve()
        if source.is_relative_to(ROOT / "src"):
            entries.setdefault(str(source.relative_to(ROOT)), entry)
    return {source: entry for source, entry in entries.items()
            if not source.endswith(NOT_OF_THE_PROGRAM)}


def dependencies():
    """{object file: the files of the tree that it is made of}, as ninja has noted."""
    found, current = {}, None
    for line in output_of("ninja", "-C", str(BUILD), "-t", "deps").splitlines():
        if line.startswith("    "):
            path = os.path.normpath(BUILD / line.strip())
            if path.startswith(f"{ROOT}/"):
                found[current].append(path)
        elif ": #deps" in line:
            current = line.split(": #deps")[0]
            found[current] = []
    return found


ENTRIES = compile_commands() if (BUILD / "compile_commands.json").exists() else {}


def fingerprint(entry, files, common):
    digest = hashlib.sha256(common)
    digest.update(entry["command"].encode())
    for path in sorted(files):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def look_at(source, mark):
    done = subprocess.run([*TIDY, source], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        return done.stdout + done.stderr
    mark.touch()
    return ""


@pytest.fixture(scope="module")
def complaints():
    """{source: what clang-tidy says, or ""}."""
    CLEAN.mkdir(parents=True, exist_ok=True)
    made_of = dependencies()
    common = (ROOT / ".clang-tidy").read_bytes() + output_of("clang-tidy", "--version").encode()
    marks = {source: CLEAN / fingerprint(entry, made_of.get(entry["output"], []), common)
             for source, entry in ENTRIES.items()}
    stale = [source for source, mark in marks.items() if not mark.exists()]
    for path in set(CLEAN.iterdir()) - set(marks.values()):
        path.unlink()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        told = dict(zip(stale, pool.map(lambda source: look_at(source, marks[source]), stale)))
    return {source: told.get(source, "") for source in ENTRIES}


@pytest.mark.parametrize("source", sorted(ENTRIES))
def test_clang_tidy_is_content(complaints, source):
    assert not complaints[source], complaints[source]


def test_there_is_something_to_look_at():
    assert len(ENTRIES) > 100, "build/ has no compile commands: `make build` first"


def test_cppcheck_is_content(tmp_path):
    commands = tmp_path / "compile_commands.json"
    commands.write_text(json.dumps(list(ENTRIES.values())))
    memory = CLEAN.parent / "cppcheck"
    memory.mkdir(exist_ok=True)
    done = subprocess.run(
        ["cppcheck", f"-j{os.cpu_count()}", f"--project={commands}", "--quiet",
         "--enable=warning,performance,portability", "--inline-suppr", "--error-exitcode=1",
         f"--library={ROOT / 'tests' / 'lint' / 'jansson.cfg'}",
         f"--suppressions-list={ROOT / 'tests' / 'lint' / 'cppcheck.txt'}",
         f"--cppcheck-build-dir={memory}"],
        cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
