"""HTTP/2 frame by frame, right or wrong, as a client: what no library would send.

    with FramePeer(address) as peer:
        peer.send(PREFACE + settings() + head(request("/call/x")))
        assert peer.outcome() == "200"
"""

import struct

import hpack
from example_program import Peer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
 CONTINUATION) = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
ERRORS = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
          "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL",
          "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
          "HTTP_1_1_REQUIRED"]


def frame(kind, payload=b"", stream=0, flags=0):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def block(fields):
    """Literals that no table keeps, so that each row stands alone."""
    return b"".join(b"\0" + number(len(name), 7) + name + number(len(value), 7) + value
                    for name, value in fields)


def number(value, bits, first=0):
    """RFC 7541 5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    value -= most
    coded = bytes([first | most])
    while value >= 128:
        coded += bytes([value % 128 | 128])
        value //= 128
    return coded + bytes([value])


def head(fields, stream=1, flags=END_STREAM | END_HEADERS):
    coded = fields if isinstance(fields, bytes) else block(fields)
    return frame(HEADERS, coded, stream, flags)


def data(payload, stream=1, flags=END_STREAM):
    return frame(DATA, payload, stream, flags)


class FramePeer(Peer):
    """One connection, and what it heard."""

    def __init__(self, address):
        super().__init__(address)
        self.decoder = hpack.Decoder()
        self.bodies = {}
        self.statuses = {}
        self.pings = 0

    def read_frame(self):
        """(kind, flags, stream, payload)"""
        self.receive(lambda held: len(held) >= 9)
        length = int.from_bytes(self.received[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
        self.receive(lambda held: len(held) >= 9 + length)
        payload, self.received = self.received[9:9 + length], self.received[9 + length:]
        return kind, flags, stream, payload

    def take(self):
        """The next frame; what it ends, in words, or None."""
        try:
            kind, flags, stream, payload = self.read_frame()
        except (EOFError, ConnectionResetError):
            return "closed"
        if kind == GOAWAY:
            return f"connection: {ERRORS[int.from_bytes(payload[4:8], 'big')]}"
        if kind == RST_STREAM:
            return f"stream: {ERRORS[int.from_bytes(payload, 'big')]}"
        if kind == HEADERS:
            for name, value in self.decoder.decode(payload):
                if name == ":status":
                    self.statuses[stream] = value
        if kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload
        self.pings += kind == PING
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            return self.statuses[stream]
        return None

    def outcome(self):
        """How the first stream ended, or the connection."""
        while not (words := self.take()):
            pass
        return words
