"""WebSocket (RFC 6455), both ends, as far as tests of tunnels need it.

    with WebSocketService() as service:
        ... a manifest with service.address, a cloud, a key ...
        with WebSocket(cloud.gateway, "chat", "/echo", key) as peer:
            peer.send(b"hello")
            assert peer.receive() == b"hello"

What the service does is in the path's first segment: `echo` sends each message back, `flood/N`
sends N numbered messages of 16 KiB, `hold` says nothing until the other side ends, `half` waits
for the end and then sends what it had got, `plain` answers 200, `other` switches to a protocol
that nobody asked for, `keyless/KIND` to WebSocket without the right answer to the key, `reset`
breaks the connection after its first message. The service's ends may be looked at any time.
"""

import base64
import hashlib
import os
import socket
import struct
import threading

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE = 1, 2, 8
FLOOD_BYTES = 16384


class Ended(Exception):
    """The connection ended, or was cut."""


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key + MAGIC).digest())


def masked(data, mask):
    width = len(data)
    full = (mask * (width // 4 + 1))[:width]
    return (int.from_bytes(data, "big") ^ int.from_bytes(full, "big")).to_bytes(width, "big")


class Frames:
    """Frames over a connected socket; a client masks what it sends."""

    def __init__(self, connection, received=b"", is_client=False):
        self.socket = connection
        self.received = received
        self.is_client = is_client
        self.sent_bytes = self.taken_bytes = 0  # on the wire

    def read(self, length):
        while len(self.received) < length:
            try:
                data = self.socket.recv(65536)
            except OSError as error:
                raise Ended from error
            if not data:
                raise Ended
            self.received += data
        taken, self.received = self.received[:length], self.received[length:]
        self.taken_bytes += length
        return taken

    def send(self, data, opcode=BINARY):
        mask_bit = 0x80 if self.is_client else 0
        if len(data) < 126:
            head = struct.pack("!BB", 0x80 | opcode, mask_bit | len(data))
        elif len(data) < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, mask_bit | 126, len(data))
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, mask_bit | 127, len(data))
        if self.is_client:
            mask = os.urandom(4)
            head, data = head + mask, masked(data, mask)
        try:
            self.socket.sendall(head + data)
        except OSError as error:
            raise Ended from error
        self.sent_bytes += len(head) + len(data)

    def receive_frame(self):
        first, second = self.read(2)
        length = second & 0x7f
        if length == 126:
            length, = struct.unpack("!H", self.read(2))
        elif length == 127:
            length, = struct.unpack("!Q", self.read(8))
        mask = self.read(4) if second & 0x80 else None
        data = self.read(length)
        return first & 0x0f, masked(data, mask) if mask else data

    def receive(self):
        opcode, data = self.receive_frame()
        if opcode == CLOSE:
            raise Ended
        return data


def read_head(connection):
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            raise Ended
        received += data
    head, rest = received.split(b"\r\n\r\n", 1)
    line, *lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for text in lines:
        name, value = text.split(":", 1)
        fields[name.lower()] = value.strip()
    return line, fields, rest


class WebSocket(Frames):
    """A client. `status` and `fields` are the answer's; only after 101 there are frames."""

    def __init__(self, address, service, path, key, fields=""):
        host, port = address.rsplit(":", 1)
        connection = socket.create_connection((host, int(port)))
        super().__init__(connection, is_client=True)
        self.nonce = base64.b64encode(os.urandom(16))
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {service}.localhost\r\nX-API-Key: {key}\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {self.nonce.decode()}\r\n{fields}\r\n".encode())
        line, self.fields, self.received = read_head(connection)
        self.status = int(line.split()[1])
        if self.status == 101:
            assert self.fields["sec-websocket-accept"].encode() == accept_of(self.nonce)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        """The closing handshake, as a well-behaved client does it."""
        self.send(struct.pack("!H", 1000), CLOSE)
        while True:
            opcode, data = self.receive_frame()
            if opcode == CLOSE:
                break
        self.wait_for_end()

    def wait_for_end(self):
        """Until the other side has ended the connection or it was cut."""
        try:
            while True:
                self.read(1)
        except Ended:
            pass


class WebSocketService:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = "http://%s:%d" % self.listener.getsockname()
        self.heads = []  # (request line, fields) of all requests
        self.flooded = 0  # bytes that `flood` has handed to the kernel
        self.ended = 0  # tunnels that are over
        self.changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.listener.close()

    def wait_for_ended(self, count):
        with self.changed:
            self.changed.wait_for(lambda: self.ended >= count)

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._visit, args=(connection,), daemon=True).start()

    def _visit(self, connection):
        with connection:
            try:
                while self._serve(connection):
                    pass
            except (Ended, OSError):
                pass

    def _serve(self, connection):
        """One request; whether the connection goes on."""
        line, fields, rest = read_head(connection)
        self.heads.append((line, fields))
        name, *more = line.split()[1].strip("/").split("/")
        if name == "plain" or fields.get("upgrade", "").lower() != "websocket":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
            return True
        protocol = b"smtp" if name == "other" else b"WebSocket"
        accept = b"Sec-WebSocket-Accept: " + accept_of(fields["sec-websocket-key"].encode()) + \
            b"\r\n"
        if name == "keyless":
            accept = {"none": b"", "twice": 2 * accept, "lower": accept.lower(),
                      "other": b"Sec-WebSocket-Accept: " + accept_of(b"x" * 24) + b"\r\n",
                      "key": b"Sec-WebSocket-Accept: " +
                             fields["sec-websocket-key"].encode() + b"\r\n"}[more[0]]
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + protocol +
            b"\r\nConnection: Upgrade\r\nX-Service: yes\r\n" + accept + b"\r\n")
        try:
            getattr(self, f"_{name}")(Frames(connection, rest), *more)
        finally:
            with self.changed:
                self.ended += 1
                self.changed.notify_all()
        return False

    def _echo(self, frames):
        while True:
            opcode, data = frames.receive_frame()
            frames.send(data, opcode)
            if opcode == CLOSE:
                return

    def _flood(self, frames, count):
        for number in range(int(count)):
            frames.send(number.to_bytes(8, "big") + bytes(FLOOD_BYTES - 8))
            self.flooded += FLOOD_BYTES
        frames.send(b"", CLOSE)

    def _hold(self, frames):
        while True:
            frames.receive()

    def _half(self, frames):
        messages = []
        try:
            while True:
                messages.append(frames.receive())
        except Ended:
            frames.send(b"".join(messages))

    def _other(self, frames):
        frames.receive()

    def _keyless(self, frames, _):
        frames.receive()

    def _reset(self, frames):
        frames.receive()
        frames.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
