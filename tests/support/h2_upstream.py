"""A service under test that speaks HTTP/2 in clear text, on the package h2.

    with H2Upstream() as upstream:
        upstream.answer = lambda request: Answer(body=b"hello")
        ... calls through the gateway ...
        assert upstream.connections_made == 1

Its connections begin with HTTP/2 at once. By default the body of an answer is the last segment of
the request's path, so that a crossed answer shows. Each connection has a thread of its own.

With `tunnels` it allows extended CONNECT (RFC 8441): what comes on such a stream it sends back,
and it ends the stream when the other side does. A status beyond 2xx in `answer` refuses them.
"""

import socket
import threading
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings


@dataclass
class Request:
    stream: int
    fields: list  # (name, value), in their order, pseudo fields too
    body: bytes = b""
    trailers: list = None

    def field(self, name):
        return next((value for known, value in self.fields if known == name), None)

    @property
    def nonce(self):
        return self.field(":path").split("?")[0].rsplit("/", 1)[-1]


@dataclass
class Answer:
    status: int = 200
    body: bytes = None  # None: the nonce
    fields: dict = field(default_factory=dict)
    trailers: dict = None
    reset: h2.errors.ErrorCodes = None  # instead of the answer
    goaway: int = None  # instead of it: the last stream that was looked at


class Connection:
    def __init__(self, upstream, peer):
        self.upstream = upstream
        self.peer = peer
        self.lock = threading.Lock()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests = {}
        self.waiting = {}  # stream: [bytes, trailers], for want of a window
        self.tunnels, self.ending = set(), set()  # streams

    def run(self):
        with self.lock:
            if self.upstream.settings:
                self.h2.local_settings = h2.settings.Settings(
                    client=False, initial_values=self.upstream.settings)
            self.h2.initiate_connection()
            self.peer.sendall(self.h2.data_to_send())
        try:
            while data := self.peer.recv(65536):
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self.take(event)
                    self.peer.sendall(self.h2.data_to_send())
        except (OSError, h2.exceptions.ProtocolError) as error:
            self.upstream.faults.append(error)
        finally:
            self.peer.close()

    def take(self, event):
        if getattr(event, "stream_id", None) in self.tunnels:
            self.take_of_tunnel(event)
        elif isinstance(event, h2.events.RequestReceived):
            request = Request(event.stream_id, event.headers)
            self.requests[event.stream_id] = request
            if request.field(":protocol") is not None:
                self.begin_tunnel(request)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.requests[event.stream_id].trailers = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            self.upstream.arrived(self, self.requests.pop(event.stream_id))
        elif isinstance(event, h2.events.StreamReset):
            self.waiting.pop(event.stream_id, None)
            self.upstream.was_reset(event.error_code)
        elif isinstance(event, h2.events.WindowUpdated):
            for stream in list(self.waiting):
                self.push(stream)

    def begin_tunnel(self, request):
        answer = self.upstream.answer
        if answer.status >= 300:
            self.upstream.arrived(self, self.requests.pop(request.stream))
            return
        del self.requests[request.stream]
        self.upstream.requests.append(request)
        self.tunnels.add(request.stream)
        self.h2.send_headers(request.stream, [(":status", str(answer.status)),
                                              *answer.fields.items()])

    def take_of_tunnel(self, event):
        if isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            data = bytes(event.data)
            body, _ = self.waiting.get(event.stream_id, (b"", None))
            self.waiting[event.stream_id] = [body + data, None]
            self.push(event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ending.add(event.stream_id)
            self.push(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.tunnels.discard(event.stream_id)
            self.waiting.pop(event.stream_id, None)
            self.upstream.was_reset(event.error_code)

    def push_tunnel(self, stream):
        body, _ = self.waiting.get(stream, (b"", None))
        while body:
            size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size,
                       len(body))
            if size <= 0:
                self.waiting[stream][0] = body
                return
            self.h2.send_data(stream, body[:size])
            body = body[size:]
        self.waiting.pop(stream, None)
        if stream in self.ending:
            self.h2.end_stream(stream)
            self.tunnels.discard(stream)

    def send(self, request, answer):
        """With the lock."""
        stream = request.stream
        if answer.goaway is not None:
            self.h2.close_connection(last_stream_id=answer.goaway)
            self.peer.sendall(self.h2.data_to_send())
            self.peer.shutdown(socket.SHUT_WR)
            return
        if answer.reset is not None:
            self.h2.reset_stream(stream, answer.reset)
            return
        body = request.nonce.encode() if answer.body is None else answer.body
        if request.field(":method") == "HEAD":
            body = b""
        empty = not body and not answer.trailers
        self.h2.send_headers(stream, [(":status", str(answer.status)), *answer.fields.items()],
                             end_stream=empty)
        if not empty:
            self.waiting[stream] = [body, answer.trailers]
            self.push(stream)

    def push(self, stream):
        if stream in self.tunnels:
            self.push_tunnel(stream)
            return
        body, trailers = self.waiting[stream]
        while body:
            size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size,
                       len(body))
            if size <= 0:
                self.waiting[stream][0] = body
                return
            self.h2.send_data(stream, body[:size], end_stream=size == len(body) and not trailers)
            body = body[size:]
        if trailers:
            self.h2.send_headers(stream, list(trailers.items()), end_stream=True)
        del self.waiting[stream]


class H2Upstream:
    """`answer` is an Answer for all, or a function of a Request. `path` is for a Unix socket."""

    def __init__(self, answer=None, path=None, streams_max=None, tunnels=False):
        self.answer = answer or Answer()
        self.settings = {}
        if streams_max:
            self.settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = streams_max
        if tunnels:
            self.settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1
        self.requests = []
        self.resets = []
        self.faults = []
        self.connections = []
        self._held = None
        self._changed = threading.Condition()
        if path is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
            self.address = "http://%s:%u" % self._listener.getsockname()
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(128)
            self.address = f"unix:{path}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection(self, peer)
            self.connections.append(connection)
            self._threads.append(threading.Thread(target=connection.run))
            self._threads[-1].start()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._threads[0].join()
        self._listener.close()
        for connection in self.connections:
            try:
                connection.peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self._threads[1:]:
            thread.join()

    @property
    def connections_made(self):
        return len(self.connections)

    def hold(self):
        """From now on requests wait for release()."""
        self._held = []

    def release(self):
        with self._changed:
            held, self._held = self._held, None
        for connection, request in held:
            with connection.lock:
                self._reply(connection, request)
                connection.peer.sendall(connection.h2.data_to_send())

    def wait_for(self, number, what="requests"):
        """Until so many `requests` or `resets` have come."""
        with self._changed:
            self._changed.wait_for(lambda: len(getattr(self, what)) >= number)

    def arrived(self, connection, request):
        with self._changed:
            self.requests.append(request)
            held = self._held
            if held is not None:
                held.append((connection, request))
            self._changed.notify_all()
        if held is None:
            self._reply(connection, request)

    def was_reset(self, code):
        with self._changed:
            self.resets.append(code)
            self._changed.notify_all()

    def _reply(self, connection, request):
        connection.send(request, self.answer(request) if callable(self.answer) else self.answer)
