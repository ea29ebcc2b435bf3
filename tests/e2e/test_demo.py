"""The first things a newcomer does."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def processes_of(word):
    """Command lines of live processes that contain the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if word in line and int(entry.name) != os.getpid():
                found.append(line)
    return found


def test_demo_agrees_with_its_books_and_leaves_nothing(tmp_path):
    done = subprocess.run([ROOT / "scripts" / "demo"], env={**os.environ, "TMPDIR": str(tmp_path)},
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Statement and ledger agree" in done.stdout
    found = re.findall(r"^the bill of (\w+) for \S+ holds: (\d+) calls on record", done.stdout,
                       re.M)
    assert found == [("acme", "30"), ("atelier", "20")]
    assert list(tmp_path.iterdir()) == []
    assert processes_of(str(tmp_path)) == []


@pytest.fixture
def run(tmp_path):
    """Starts scripts/run on its usual ports; whoever holds them makes the test skip."""
    started = []

    def start():
        child = subprocess.Popen([ROOT / "scripts" / "run"], text=True,
                                 env={**os.environ, "STOA_CLOUD": str(tmp_path / "cloud")},
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        started.append(child)
        text = ""
        for line in child.stdout:
            text += line
            if "Ctrl-C stops" in line:
                return child, text
        if "Address already in use" in text:
            pytest.skip("the example's ports are in use on this machine")
        raise AssertionError(text)

    yield start
    for child in started:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)  # it leads its session: the cloud ends too
            child.wait()


def shape(text):
    """The text without what is other each time: keys, months, numbers and the widths of columns."""
    text = re.sub(r"stoa_\w+", "KEY", text)
    text = re.sub(r"\d[\d.-]*", "N", text)
    return re.sub(r" {2,}", "  ", text)


def test_run_prints_what_the_readme_says(run, tmp_path):
    child, text = run()
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0
    told = text.partition("\nCtrl-C stops")[0].replace(str(tmp_path / "cloud"), "./cloud")
    readme = (ROOT / "README.md").read_text()
    session = re.search(r"^```\n(Starting a cloud .*?)^```", readme, re.S | re.M).group(1)
    assert shape(session).splitlines() == shape(told).splitlines()
    assert "the bill of acme for " in told


def test_run_prints_a_call_to_paste_and_is_found_again_as_it_was_left(run, tmp_path):
    child, text = run()
    command = re.search(r"(curl -H .*?-D -)", text, re.S).group(1)
    picture = tmp_path / "thumb.jpg"
    pasted = subprocess.run(["bash", "-c", command.replace("-o thumb.jpg", f"-o {picture}")],
                            cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "HTTP/1.1 200" in pasted.stdout, pasted.stdout + pasted.stderr
    assert re.search(r"stoa-charge: 0\.\d+ USD", pasted.stdout, re.I)
    assert picture.read_bytes()[:2] == b"\xff\xd8"
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0
    assert processes_of(str(tmp_path / "cloud")) == []

    first_key = re.search(r"Bearer (stoa_\w+)", text).group(1)
    child, text = run()
    assert re.search(r"Bearer (stoa_\w+)", text).group(1) == first_key
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0
