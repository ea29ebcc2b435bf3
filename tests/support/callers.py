"""Callers under load: many kept-alive connections, each answer checked against its nonce.

    outcome = call_many(cloud.gateway, "echo", key, callers=64, calls=1000)
    assert outcome.statuses == {200: 1000}

Each call asks for /call/NONCE with a nonce of its own and expects the nonce as the body: a crossed
answer fails the test at once. A caller that loses its connection counts the call as `unknown`
(it got no whole answer) and connects again, unless told to stop.
"""

import asyncio
import collections
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal

HEAD_END = b"\r\n\r\n"


@dataclass
class Outcome:
    statuses: collections.Counter = field(default_factory=collections.Counter)
    whole: dict = field(default_factory=dict)  # Stoa-Call of each whole 2xx answer -> nonce
    charges: dict = field(default_factory=dict)  # Stoa-Call -> what the answer said it cost
    unknown: int = 0  # calls without a whole answer


class Lost(Exception):
    """The connection ended before the answer was whole."""


async def ask(reader, writer, service, key, nonce, method, body):
    head = (f"{method} /call/{nonce} HTTP/1.1\r\nHost: {service}.localhost\r\n"
            f"X-API-Key: {key}\r\n")
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"\r\n" + body)
    try:
        head = (await reader.readuntil(HEAD_END)).decode("latin-1")
        lines = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        answer = await reader.readexactly(int(fields["content-length"]))
    except (asyncio.IncompleteReadError, ConnectionError) as why:
        raise Lost from why
    return int(lines[0].split(" ")[1]), fields, answer


class Load:
    """A number of callers that share a number of calls. `begun` and `outcome` may be read any
    time from the same event loop."""

    def __init__(self, gateway, service, key, calls, prefix="n", method="GET", body=b"", tls=None):
        self.host, port = gateway.rsplit(":", 1)
        self.port = int(port)
        self.service, self.key = service, key
        self.calls, self.prefix = calls, prefix
        self.method, self.body = method, body
        self.tls = {"ssl": tls, "server_hostname": f"{service}.localhost"} if tls else {}
        self.begun = 0
        self.stopping = False
        self.outcome = Outcome()

    def note(self, status, fields, answer, nonce):
        self.outcome.statuses[status] += 1
        if status < 300:
            assert answer.decode() == nonce, f"asked for {nonce}, got {answer[:100]!r}"
            call = fields["stoa-call"]
            assert call not in self.outcome.whole, f"{call} was answered twice"
            self.outcome.whole[call] = nonce
            if "stoa-charge" in fields:
                self.outcome.charges[call] = Decimal(fields["stoa-charge"].split(" ")[0])

    async def caller(self):
        connection = None
        while self.begun < self.calls and not self.stopping:
            if connection is None:
                try:
                    connection = await asyncio.open_connection(self.host, self.port, **self.tls)
                except OSError:
                    if self.stopping:
                        return
                    await asyncio.sleep(0.005)
                    continue
            nonce = f"{self.prefix}{self.begun}"
            self.begun += 1
            try:
                answer = await ask(*connection, self.service, self.key, nonce, self.method,
                                   self.body)
            except Lost:
                self.outcome.unknown += 1
                connection[1].close()
                connection = None
                continue
            self.note(*answer, nonce)
            if answer[1].get("connection") == "close":
                connection[1].close()
                connection = None
        if connection:
            connection[1].close()

    async def run(self, callers):
        await asyncio.gather(*(self.caller() for _ in range(callers)))
        return self.outcome


def call_many(gateway, service, key, callers, calls, **more):
    """Runs to the end on an event loop of its own."""
    return asyncio.run(Load(gateway, service, key, calls, **more).run(callers))


class Background:
    """Callers that go on until the block ends."""

    def __init__(self, market, callers=16, key=None):
        self.load = Load(market.cloud.gateway, "echo", key or market.key, calls=10 ** 9)
        self.thread = threading.Thread(
            target=lambda: asyncio.run(self.load.run(callers)), daemon=True)

    def __enter__(self):
        self.thread.start()
        self.wait_for(100)
        return self

    def wait_for(self, more):
        """Until so many calls more were answered."""
        wanted = len(self.load.outcome.whole) + more
        while len(self.load.outcome.whole) < wanted:
            assert self.thread.is_alive(), "the callers have ended"
            time.sleep(0.001)

    def __exit__(self, *_):
        self.load.stopping = True
        self.thread.join()
