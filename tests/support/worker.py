"""The service that tests let Stoa run, as a program and as its manifest.

Run as a program it is an HTTP/1.1 server on STOA_SOCKET or PORT, on a thread a connection:

    /healthz     200, or 503 with HEALTHY=no
    /about       JSON: pid, child, folder, environment
    /call/NONCE  NONCE
    /slow/NONCE  NONCE, once the file RELEASE (in FLAGS) is there; makes the file STARTED first
    /say/WORD    writes WORD to both outputs
    /crash       ends with status 3, unanswered
    /exit        answers, then ends with status 0

CHILD=yes starts a process of its own, CHILD=away one that leaves its session; STUBBORN=yes ignores
SIGTERM; DEAF=yes never listens; BROKEN=yes ends at once with status 7.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path


def manifest(folder, version="1.0.0", environment=None, run=None, name="worker"):
    """A manifest of it; the program is copied into the folder, which is also where flags go."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "worker.py").write_text(Path(__file__).read_text())
    return {
        "service": name, "version": version,
        "run": {"command": ["/usr/bin/python3", "-IS", "worker.py"], "health": "/healthz",
                "env": {"FLAGS": str(folder), **(environment or {})}, "memory": "256MiB",
                "concurrency": 64, **(run or {})},
        "plans": {"payg": {"prices": [{"meter": "calls", "model": "unit", "price": 0.05}]}},
    }


def flag(name):
    return Path(os.environ["FLAGS"]) / name


def respond(target):
    """(status, body) for a path."""
    _, word, *rest = target.split("/")
    if word == "healthz":
        return (503, b"") if os.environ.get("HEALTHY") == "no" else (200, b"ok\n")
    if word == "about":
        return 200, json.dumps({"pid": os.getpid(), "child": CHILD and CHILD.pid,
                                "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
    if word == "slow":
        flag("STARTED").touch()
        while not flag("RELEASE").exists():
            time.sleep(0.002)
    if word == "say":
        print("out", rest[0], flush=True)
        print("err", rest[0], file=sys.stderr, flush=True)
    if word == "crash":
        os._exit(3)
    return 200, rest[0].encode() if rest else b""


def serve(connection):
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            data = connection.recv(65536)
            if not data:
                return
            received += data
        head, received = received.split(b"\r\n\r\n", 1)
        target = head.split(b" ")[1].decode()
        status, body = respond(target)
        connection.sendall(f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n\r\n"
                           .encode() + body)
        if target == "/exit":
            os._exit(0)


def listen():
    if "STOA_SOCKET" in os.environ:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.environ["STOA_SOCKET"])
    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(os.environ["PORT"])))
    listener.listen(512)
    return listener


def main():
    if os.environ.get("BROKEN"):
        print("cannot go on: BROKEN is set", file=sys.stderr)
        sys.exit(7)
    if os.environ.get("STUBBORN"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.environ.get("DEAF"):
        signal.pause()
    listener = listen()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


CHILD = None
if __name__ == "__main__":
    if os.environ.get("CHILD"):
        CHILD = subprocess.Popen(["/usr/bin/sleep", "100000"],
                                 start_new_session=os.environ["CHILD"] == "away")
    main()
