"""What takes longer than a second shows that it goes on, on a terminal and nowhere else."""

import http.server
import json
import os
import pty
import subprocess
import threading

import pytest
from cloud import STOA, WAIT_SECONDS_MAX


class SlowApi(http.server.ThreadingHTTPServer):
    """Answers each request with what `answer` makes of its body, once it may."""

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = json.dumps(self.server.answer(json.loads(body or "null"))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def slow(tmp_path):
    """Starts a command against an API of which the test decides when it answers."""
    servers = []

    def start(answer, *arguments, terminal=True):
        server = SlowApi(answer)
        servers.append(server)
        (tmp_path / "api.address").write_text(f"127.0.0.1:{server.server_port}\n")
        (tmp_path / "admin.token").write_text("token\n")
        ours, theirs = pty.openpty() if terminal else os.pipe()
        process = subprocess.Popen([STOA, *arguments, "--cloud", tmp_path], stderr=theirs,
                                   stdout=subprocess.PIPE, text=True)
        os.close(theirs)
        return process, ours

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def read_until(file, word):
    """What appears, to the end of the word and no byte more."""
    seen = ""
    while not seen.endswith(word):
        seen += os.read(file, 1).decode()
    return seen


def test_a_request_of_seconds_counts_them_and_leaves_no_trace(slow):
    may = threading.Event()

    def answer(_):
        assert may.wait(WAIT_SECONDS_MAX)
        return {"items": [], "next": None}

    process, terminal = slow(answer, "app", "list")
    for _ in range(2):
        read_until(terminal, "\rstoa app list: ")
        assert int(read_until(terminal, " s ").split()[0]) >= 1
    may.set()
    assert read_until(terminal, f"\r{' ' * 79}\r").endswith("\r")
    assert process.communicate(timeout=WAIT_SECONDS_MAX)[0].startswith("APP")
    assert process.returncode == 0
    os.close(terminal)


def test_many_keys_are_counted(slow):
    may = threading.Event()

    def answer(body):
        assert answer.asked == 0 or may.wait(WAIT_SECONDS_MAX)
        answer.asked += 1
        return {"items": [{"key": "k"}] * body["count"], "next": None}

    answer.asked = 0
    process, terminal = slow(answer, "key", "create", "acme/shop", "--count", "20001")
    threading.Thread(target=process.stdout.read, daemon=True).start()
    read_until(terminal, "\rstoa key create: 10000 of 20001, ")
    may.set()
    assert process.wait(WAIT_SECONDS_MAX) == 0 and answer.asked == 3
    os.close(terminal)


def test_where_nobody_looks_nothing_is_told(slow):
    def answer(_):
        return {"items": [], "next": None}

    process, pipe = slow(answer, "app", "list", terminal=False)
    process.communicate(timeout=WAIT_SECONDS_MAX)
    assert os.read(pipe, 100) == b""
    os.close(pipe)
