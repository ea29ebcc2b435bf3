"""A service whose answers go on as long as a test wants."""

import socket
import threading

from websocket import Ended, read_head

TYPES = {"events": "text/event-stream", "plain": "application/octet-stream"}


class StreamingService:
    """Begins to answer whatever is asked for, by the path's first segment, and goes on with what
    `send` is given, until `finish`. Nothing is ever sent of itself."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = "http://%s:%d" % self.listener.getsockname()
        self.visits = []
        self.changed = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                visit, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._visit, args=(visit,), daemon=True).start()

    def _visit(self, visit):
        try:
            line, _, _ = read_head(visit)
        except (Ended, OSError):
            return
        kind = TYPES[line.split()[1].split("/")[1]]
        visit.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        visit.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
                      "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        with self.changed:
            self.visits.append(visit)
            self.changed.notify_all()

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.visits) >= count, 30)
        return self.visits[count - 1]

    @staticmethod
    def send(visit, data):
        visit.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    @staticmethod
    def finish(visit):
        visit.sendall(b"0\r\n\r\n")

    def close(self):
        self.listener.close()
        for visit in self.visits:
            visit.close()
