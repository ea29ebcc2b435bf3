"""Reverse proxies of other makes, as reference points: Debian's nginx and HAProxy, configured as a
newcomer would, each between a Unix socket and a service that notes what it gets.

    with Recorder(folder / "service.sock") as service:
        with Reference("nginx", folder, service) as nginx:
            found = observe(nginx.address, service, b"GET / HTTP/1.1\\r\\n...")
            assert found.statuses == [200] and found.requests[0].target == "/"
"""

import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass

from example_program import ANSWER_SECONDS_MAX, Peer
from upstream import Answer, Connection, CountingUpstream

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
{user}
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/1;
    proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4;
    scgi_temp_path {folder}/5;
    server {{
        listen unix:{folder}/nginx.sock;
        client_max_body_size 100m;
        location / {{
            proxy_pass http://unix:{service}:;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_ignore_client_abort on;
        }}
    }}
}}
"""
HAPROXY = """\
global
    maxconn 512
defaults
    mode http
    timeout connect 10s
    timeout client 10s
    timeout server 10s
frontend callers
    bind unix@{folder}/haproxy.sock
    default_backend service
backend service
    server one unix@{service}
"""
KINDS = {
    # name: (its configuration, program and arguments, arguments that tell its version)
    "nginx": (NGINX, ["/usr/sbin/nginx", "-c"], ["-v"]),
    "haproxy": (HAPROXY, ["/usr/sbin/haproxy", "-db", "-q", "-f"], ["-v"]),
}
START_SECONDS_MAX = 30
QUIET_SECONDS = 1  # who has not answered by then waits for more bytes


def version_of(kind):
    """Such as "1.22.1"; the package's revision is left out."""
    program, arguments = KINDS[kind][1][0], KINDS[kind][2]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
    words = (done.stdout + done.stderr).replace("/", " ").split()
    return next(word for word in words if word[0].isdigit()).split("-")[0]


class Reference:
    """A running one; `address` is its Unix socket."""

    def __init__(self, kind, folder, service):
        config, command, _ = KINDS[kind]
        self.address = str(folder / f"{kind}.sock")
        file = folder / f"{kind}.conf"
        user = "user root;" if os.getuid() == 0 else ""
        file.write_text(config.format(folder=folder, service=service.path, user=user))
        self.log = (folder / f"{kind}.output").open("wb")
        self.process = subprocess.Popen([*command, file], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, cwd=folder)
        self._wait(folder / f"{kind}.output")

    def _wait(self, output):
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(self.address)
                    return
                except OSError:
                    pass
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        raise AssertionError(f"{self.process.args} did not start: "
                             f"{output.read_text(errors='replace')}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class RecordingConnection(Connection):
    """What it cannot parse it notes, and closes."""

    def take(self):
        try:
            super().take()
        except (ValueError, OverflowError):
            self.transport.close()

    def connection_lost(self, why):
        if self.received:
            self.upstream.leftovers.append(bytes(self.received))
        super().connection_lost(why)


class Recorder(CountingUpstream):
    """A service that answers everything, and keeps all that it got: whole requests in `seen`, and
    in `leftovers` what a connection held beyond them when it ended."""

    connection_kind = RecordingConnection

    def __init__(self, path):
        self.path = path
        self.seen = []
        self.leftovers = []
        super().__init__(self._note, path)

    def wait_until_idle(self):
        """Until no connection holds a part of a request."""
        while any(connection.received for connection in self.connections):
            time.sleep(0.001)

    def _note(self, request):
        self.seen.append(request)
        return Answer(body=b"noted")


@dataclass
class Observation:
    """What a proxy made of some bytes."""

    statuses: list  # of its answers, in order
    requests: list  # that reached the service whole

    @property
    def readings(self):
        return [(f"{request.method} {request.target}", request.body)
                for request in self.requests]

    def verdict(self, odd):
        """In words, for a table."""
        if not self.requests:
            return f"refused, {self.statuses[0]}" if self.statuses else "closed"
        word = "passed on" if odd in self.requests[0].raw else "normalized"
        return word + (f" ({len(self.requests)})" if len(self.requests) > 1 else "")


def final_statuses(received):
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] ([2-5]\d\d) ", received)]


def observe(address, service, wire, answers=1):
    """Sends the bytes to the proxy before the recording service. Ends the stream once so many
    answers came, or once the proxy can but wait for more, and waits for its end."""
    service.seen.clear()
    received = b""
    with Peer(address) as peer:
        peer.send_what_is_taken(wire)
        peer.socket.settimeout(QUIET_SECONDS)
        try:
            while data := peer.socket.recv(65536):
                received += data
                if len(final_statuses(received)) == answers:
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        peer.socket.settimeout(ANSWER_SECONDS_MAX)
        try:
            peer.socket.shutdown(socket.SHUT_WR)
            while data := peer.socket.recv(65536):
                received += data
        except OSError:
            pass  # it let go before all was sent
    return Observation(final_statuses(received), list(service.seen))
