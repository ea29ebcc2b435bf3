"""A caller that speaks HTTP/2 in clear text with prior knowledge, on the package h2.

    with H2Caller(cloud.gateway, "echo", key) as caller:
        streams = [caller.ask(f"/call/n{number}") for number in range(100)]
        assert caller.read(streams[0]).body == b"n0"

Calls share the one connection. What a call's answer brings is taken off its window at once, but for
streams in `slow`, whose windows stay closed. One thread.
"""

import socket
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

PIECE_BYTES = 65536


class Lost(Exception):
    """The connection ended before the answer was whole."""


@dataclass
class Answer:
    status: int = None
    fields: dict = field(default_factory=dict)
    body: bytes = b""
    trailers: dict = field(default_factory=dict)
    went_on: bool = False  # 100 Continue came
    ended: bool = False
    reset: int = None  # the error code


class H2Caller:
    def __init__(self, address, service, key, tls=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=f"{service}.localhost")
            assert self.socket.selected_alpn_protocol() == "h2"
        self.service, self.key = service, key
        self.received = b""
        self.answers = {}
        self.slow = set()
        self.last_stream = None  # as a GOAWAY told
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8",
                                       validate_outbound_headers=False))
        self.connection.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    # ---- what it says

    def ask(self, path, method="GET", fields=(), ends=True, pseudo=()):
        """Begins a call; returns its stream."""
        stream = self.connection.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.connection.send_headers(stream, [
            (":method", method), (":scheme", "http"),
            (":authority", f"{self.service}.localhost"), (":path", path), *pseudo,
            ("x-api-key", self.key), *fields], end_stream=ends)
        self.flush()
        return stream

    def send(self, stream, data, ends=False):
        """As the windows let it; what comes meanwhile is taken."""
        while data:
            room = min(self.connection.local_flow_control_window(stream),
                       self.connection.max_outbound_frame_size)
            if room == 0:
                self.take()
                continue
            self.connection.send_data(stream, data[:room])
            data = data[room:]
            self.flush()
        if ends:
            self.connection.end_stream(stream)
            self.flush()

    def end_with_trailers(self, stream, trailers):
        self.connection.send_headers(stream, trailers, end_stream=True)
        self.flush()

    def reset(self, stream):
        self.connection.reset_stream(stream, 8)
        self.flush()

    # ---- what it hears

    def take(self):
        """Waits for something, and notes it."""
        received = self.socket.recv(PIECE_BYTES)
        if not received:
            raise Lost
        self.received += received
        while len(self.received) >= 9:
            end = 9 + int.from_bytes(self.received[:3], "big")
            if len(self.received) < end:
                break
            frame, self.received = self.received[:end], self.received[end:]
            for event in self.connection.receive_data(frame):
                self.note(event)
        self.flush()

    def note(self, event):
        answer = self.answers.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            answer.fields = dict(event.headers)
            answer.status = int(answer.fields.pop(":status"))
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.went_on = True
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if event.stream_id not in self.slow:
                self.connection.acknowledge_received_data(event.flow_controlled_length,
                                                          event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            # h2 takes it for the end, but calls that the service has begun go on (RFC 9113 6.8).
            self.connection.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
            self.last_stream = event.last_stream_id

    def wait(self, stream, condition):
        answer = self.answers[stream]
        while not condition(answer) and answer.reset is None:
            self.take()
        return answer

    def read(self, stream):
        """The whole answer; where it is reset instead, what came of it."""
        return self.wait(stream, lambda answer: answer.ended)

    def call(self, path, **more):
        return self.read(self.ask(path, **more))


class H2Tunnel:
    """A stream of an extended CONNECT (RFC 8441), as far as `websocket.Frames` needs a socket."""

    def __init__(self, caller, path):
        self.caller = caller
        self.stream = caller.ask(path, method="CONNECT", ends=False,
                                 pseudo=[(":protocol", "websocket")],
                                 fields=[("sec-websocket-version", "13")])
        self.answer = caller.wait(self.stream, lambda answer: answer.status is not None)

    def sendall(self, data):
        self.caller.send(self.stream, data)

    def recv(self, _):
        answer = self.caller.wait(self.stream, lambda answer: answer.body or answer.ended)
        data, answer.body = answer.body, b""
        return data
