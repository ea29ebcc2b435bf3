"""A service under test: an HTTP/1.1 server that counts its whole answers and echoes nonces.

    with CountingUpstream() as upstream:
        upstream.answer = lambda request: Answer(units="pixels=3")
        ... calls through the gateway to /anything/NONCE ...
        assert upstream.answered == 10 and upstream.nonces["NONCE"] == 1

The body of an answer is the last segment of the request's path, so that a crossed answer shows.
Counting happens before the answer's bytes are given to the kernel: what a caller received whole
is counted. All of it runs on one thread of its own; what tests read may be read any time.
"""

import asyncio
import collections
import socket
import threading
from dataclasses import dataclass, field

REASONS = {200: "OK", 201: "Created", 204: "No Content", 404: "Not Found",
           429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


@dataclass
class Request:
    method: str
    target: str
    fields: dict  # names in lower case; the last of equal ones
    body: bytes = b""
    raw: bytes = b""  # all of it as it came

    @property
    def nonce(self):
        return self.target.split("?")[0].rsplit("/", 1)[-1]


@dataclass
class Answer:
    status: int = 200
    units: str = None  # "pixels=3"
    delay: float = 0  # seconds
    body: bytes = None  # None: the nonce
    fields: dict = field(default_factory=dict)
    chunks: list = None  # instead of a body: sent chunked
    cut: int = None  # only so many bytes of the answer are sent, then the connection closes


def compose(request, answer):
    """The answer's bytes."""
    fields = dict(answer.fields)
    if answer.units is not None:
        fields["Stoa-Units"] = answer.units
    body = request.nonce.encode() if answer.body is None else answer.body
    if answer.chunks is not None:
        fields["Transfer-Encoding"] = "chunked"
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in answer.chunks)
        body += b"0\r\n\r\n"
    elif answer.status != 204:
        fields["Content-Length"] = str(len(body))
    if request.method == "HEAD" or answer.status == 204:
        body = b""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    reason = REASONS.get(answer.status, "Status")
    return f"HTTP/1.1 {answer.status} {reason}\r\n{lines}\r\n".encode("latin-1") + body


class Connection(asyncio.Protocol):
    """Parses request after request; well-formed ones, as the gateway writes them."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.received = bytearray()
        self.busy = False  # an answer is awaited: requests behind it wait

    def connection_made(self, transport):
        self.transport = transport
        self.upstream.connections.add(self)

    def connection_lost(self, _):
        self.upstream.connections.discard(self)

    def data_received(self, data):
        self.received += data
        self.take()

    def take(self):
        while not self.busy:
            request = self.parse()
            if request is None:
                return
            self.busy = True
            self.upstream.arrived(self, request)

    def parse(self):
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        line, *lines = self.received[:end].decode("latin-1").split("\r\n")
        fields = {}
        for text in lines:
            name, value = text.split(":", 1)
            fields[name.lower()] = value.strip()
        method, target, _ = line.split(" ", 2)
        if fields.get("transfer-encoding", "").lower() == "chunked":
            whole = self.parse_chunks(end + 4)
        else:
            whole = self.parse_length(end + 4, int(fields.get("content-length", 0)))
        if whole is None:
            return None
        body, after = whole
        raw = bytes(self.received[:after])
        del self.received[:after]
        return Request(method, target, fields, body, raw)

    def parse_length(self, start, length):
        if len(self.received) < start + length:
            return None
        return bytes(self.received[start:start + length]), start + length

    def parse_chunks(self, at):
        body = b""
        while True:
            end = self.received.find(b"\r\n", at)
            if end < 0:
                return None
            size = int(self.received[at:end].split(b";")[0], 16)
            if size == 0:
                return self.parse_trailers(end + 2, body)
            if len(self.received) < end + 2 + size + 2:
                return None
            body += self.received[end + 2:end + 2 + size]
            at = end + 2 + size + 2

    def parse_trailers(self, at, body):
        while True:
            end = self.received.find(b"\r\n", at)
            if end < 0:
                return None
            if end == at:
                return body, end + 2
            at = end + 2

    def send(self, request, answer):
        if self.transport.is_closing():
            self.upstream.note_dropped()
            return
        data = compose(request, answer)
        if answer.cut is not None:
            self.transport.write(data[:answer.cut])
            self.transport.close()
            return
        self.upstream.note_answered(request)
        self.transport.write(data)
        self.busy = False
        self.take()


class CountingUpstream:
    """`answer` is an Answer for all, or a function of a Request. `path` is for a Unix socket."""

    connection_kind = Connection

    def __init__(self, answer=None, path=None):
        self.answer = answer or Answer()
        self.requests = 0  # arrived whole
        self.answered = 0  # written whole
        self.dropped = 0  # the gateway had gone before the answer
        self.nonces = collections.Counter()  # of whole answers
        self.last = None  # the last Request
        self.connections = set()
        self._held = None  # while holding: [(connection, request)]
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        if path is None:
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            host, port = listener.getsockname()
            self.address = f"http://{host}:{port}"  # as a manifest's upstream
        else:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen(1024)
            self.address = f"unix:{path}"
        listener.setblocking(False)
        self._listener = listener
        self._thread.start()
        self._server = self._run(self._serve())

    async def _serve(self):
        create = (self._loop.create_unix_server if self._listener.family == socket.AF_UNIX
                  else self._loop.create_server)
        return await create(lambda: self.connection_kind(self), sock=self._listener, backlog=1024)

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._loop.is_closed():
            return

        async def end():
            self._server.close()
            for connection in list(self.connections):
                connection.transport.abort()

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ---- holding answers back, and waiting for requests, without looking at a clock

    def hold(self):
        """From now on requests wait for release()."""

        async def begin():
            self._held = [] if self._held is None else self._held

        self._run(begin())

    def release(self):
        async def end():
            held, self._held = self._held or [], None
            for connection, request in held:
                self._reply(connection, request)

        self._run(end())

    def wait_for(self, number, what="requests"):
        """Until `requests` (or `answered`, `dropped`) has reached the number."""
        with self._changed:
            self._changed.wait_for(lambda: getattr(self, what) >= number)

    # ---- in the loop's thread

    def arrived(self, connection, request):
        with self._changed:
            self.requests += 1
            self.last = request
            self._changed.notify_all()
        if self._held is not None:
            self._held.append((connection, request))
        else:
            self._reply(connection, request)

    def _reply(self, connection, request):
        answer = self.answer(request) if callable(self.answer) else self.answer
        if answer.delay:
            self._loop.call_later(answer.delay, connection.send, request, answer)
        else:
            connection.send(request, answer)

    def note_answered(self, request):
        with self._changed:
            self.answered += 1
            self.nonces[request.nonce] += 1
            self._changed.notify_all()

    def note_dropped(self):
        with self._changed:
            self.dropped += 1
            self._changed.notify_all()
