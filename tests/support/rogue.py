"""A service that breaks HTTP on purpose.

    with RogueService({"garbage": lambda peer, request: peer.send(b"\\0\\1\\2")}) as rogue:
        ... calls to /bad/garbage/NONCE through the gateway ...

/bad/NAME/NONCE runs the script NAME on the connection and then closes it, unless the script
returns KEEP. Every other request gets the last segment of its path as the answer, as
CountingUpstream does.
"""

import socket
import struct
import threading

KEEP = object()


class Peer:
    """The service's end of a connection."""

    def __init__(self, connection):
        self.socket = connection
        self.received = b""

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """Some more bytes; False at the end."""
        data = self.socket.recv(65536)
        self.received += data
        return bool(data)

    def wait_for_close(self):
        """Until the gateway has closed its side."""
        while self.receive():
            pass

    def reset(self):
        """What is sent last is lost, and the other side gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def read_head(self):
        while b"\r\n\r\n" not in self.received:
            if not self.receive():
                return None
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        return Request(head.decode("latin-1"))

    def read_body(self, request):
        while len(self.received) < request.length:
            if not self.receive():
                return
        self.received = self.received[request.length:]


class Request:
    def __init__(self, head):
        line, *lines = head.split("\r\n")
        self.method, self.target, _ = line.split(" ", 2)
        self.fields = {name.lower(): value.strip()
                       for name, value in (text.split(":", 1) for text in lines)}
        self.length = int(self.fields.get("content-length", 0))

    @property
    def nonce(self):
        return self.target.rsplit("/", 1)[-1].encode()

    @property
    def script(self):
        parts = self.target.split("/")
        return parts[2] if parts[1] == "bad" else None


class RogueService:
    """`scripts` is {name: function(peer, request)}; a connection runs on a thread of its own."""

    def __init__(self, scripts):
        self.scripts = scripts
        self.failures = []  # of the scripts themselves: a test's mistake
        self._open = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        host, port = self._listener.getsockname()
        self.address = f"http://{host}:{port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        assert not self.failures, self.failures

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection):
        try:
            self._serve(Peer(connection))
        except OSError:
            pass  # the gateway had enough of it
        except Exception as why:
            self.failures.append(why)
        with self._lock:
            self._open.remove(connection)
            connection.close()

    def _serve(self, peer):
        while True:
            request = peer.read_head()
            if request is None:
                return
            if request.script:
                if self.scripts[request.script](peer, request) is not KEEP:
                    return
                continue
            peer.read_body(request)
            peer.send(answer(request.nonce))


def answer(body, head="HTTP/1.1 200 OK", *lines):
    """A well-formed answer."""
    fields = [f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([head, *fields, "", ""]).encode("latin-1") + body
