"""An example service run by itself, without Stoa, and a client that can also send what no client
library would."""

import os
import re
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / os.environ.get("STOA_BUILD", "build") / "examples"
PICTURES = ROOT / "examples" / "pictures"
ANSWER_SECONDS_MAX = 60


@dataclass
class Answer:
    status: int
    fields: dict  # names in lower case
    body: bytes


class Peer:
    """One connection."""

    def __init__(self, address):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.connect(address)  # waits where many connect at once
        self.socket.settimeout(ANSWER_SECONDS_MAX)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_what_is_taken(self, data):
        """The other side may refuse and close before all is sent."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, is_enough):
        while not is_enough(self.received):
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"closed after {self.received[:200]!r}")
            self.received += data

    def read_head(self):
        self.receive(lambda data: b"\r\n\r\n" in data)
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        line, *fields = head.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.1 (\d{3}) .+", line)
        assert status, line
        pairs = [field.split(": ", 1) for field in fields]
        return int(status.group(1)), {name.lower(): value for name, value in pairs}

    def read(self, head_only=False):
        status, fields = self.read_head()
        length = 0 if head_only or status == 100 else int(fields["content-length"])
        self.receive(lambda data: len(data) >= length)
        body, self.received = self.received[:length], self.received[length:]
        return Answer(status, fields, body)

    def is_closed(self):
        """Waits for the other side's end."""
        return self.received == b"" and self.socket.recv(1) == b""


class Program:
    """A running example. `where` is the folder for its Unix socket, or None for a free port."""

    def __init__(self, name, where=None):
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("STOA_SOCKET", "PORT")}
        if where is None:
            environment["PORT"] = "0"
        else:
            environment["STOA_SOCKET"] = str(where / "s")
        folder = EXAMPLES / name
        self.process = subprocess.Popen([folder / name], cwd=folder, env=environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        told = re.fullmatch(r"listening on (?:unix:(.+)|127\.0\.0\.1:(\d+))\n", line)
        assert told, line
        self.address = told.group(1) or ("127.0.0.1", int(told.group(2)))

    def connect(self):
        return Peer(self.address)

    def ask(self, method, target, body=b"", fields=""):
        with self.connect() as peer:
            peer.send(request(method, target, body, fields))
            return peer.read(head_only=method == "HEAD")

    def is_well(self):
        answer = self.ask("GET", "/healthz")
        return (answer.status, answer.body) == (200, b"ok\n") and self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        status = self.process.wait()
        self.process.stdout.close()
        return status


def request(method, target, body=b"", fields=""):
    length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: example\r\n{length}{fields}\r\n".encode() + body


def chunked_request(target, *chunks, trailers=""):
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = f"POST {target} HTTP/1.1\r\nHost: example\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + coded + f"0\r\n{trailers}\r\n".encode()
