#!/usr/bin/python3
"""whoami: a service that answers the cloud alone, and tells who calls.

It listens on $PORT of the loopback address, which every program on the machine can connect to:
so it believes the fields Stoa-App and Stoa-Account only where their signature is right.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from verify import Refused, read_keys, verify

KEYS = read_keys(os.environ["STOA_IDENTITY_KEYS"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = -1  # head and body leave together

    def do_GET(self):
        if self.path == "/healthz":  # the cloud asks for it without a call
            self.answer(200, {"healthy": True})
            return
        try:
            caller = verify(KEYS, self.command, self.path, self.headers.items(), time.time())
        except Refused as reason:
            self.answer(401, {"refused": str(reason)})
        else:
            self.answer(200, caller._asdict())

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
