"""TLS in front of a service under test, as a sidecar would have it: what comes by TLS is handed on
in plain, and back.

    with TlsFront(context, upstream.address) as front:
        ... a manifest with `upstream: [front.address]` ...
        assert front.shaken == 1

`cuts`: where the service ends, the connection ends without TLS's word of it.
"""

import selectors
import socket
import ssl
import threading


def dial(address):
    """By a manifest's upstream."""
    if address.startswith("unix:"):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(address.removeprefix("unix:"))
        return peer
    host, port = address.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)))


class TlsFront:
    def __init__(self, context, target, cuts=False):
        self.context = context
        self.target = target
        self.cuts = cuts
        self.accepted = 0
        self.shaken = 0  # handshakes that succeeded
        self.resumed = 0  # of these, by a session
        self.bytes = 0  # that came by TLS
        self.refused = []  # why handshakes failed
        self.client = None  # the last client's certificate
        self.protocol = None
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.address = f"https://127.0.0.1:{self.port}"
        self._peers = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._ending.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        with self._lock:
            for peer in self._peers:
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._peers.add(peer)
            thread = threading.Thread(target=self._serve, args=[peer])
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer):
        try:
            tls = self.context.wrap_socket(peer, server_side=True)
        except (OSError, ValueError) as error:
            self.refused.append(str(error))
            peer.close()
            return
        finally:
            with self._lock:
                self._peers.discard(peer)
        with self._lock:
            self._peers.add(tls)
            self.shaken += 1
            self.resumed += tls.session_reused
            self.client = tls.getpeercert()
            self.protocol = tls.selected_alpn_protocol()
        try:
            with dial(self.target) as service:
                self._pump(tls, service)
        except OSError as error:
            self.refused.append(str(error))
        finally:
            with self._lock:
                self._peers.discard(tls)
            tls.close()

    def _pump(self, tls, service):
        """A service's end ends both; a caller's half goes on to the service."""
        with selectors.DefaultSelector() as selector:
            selector.register(tls, selectors.EVENT_READ)
            selector.register(service, selectors.EVENT_READ)
            while not self._ending.is_set():
                ready = [key.fileobj for key, _ in selector.select()]
                if tls in ready:
                    data = self._received(tls)
                    self.bytes += len(data)
                    service.sendall(data)
                    if not data:
                        selector.unregister(tls)
                        service.shutdown(socket.SHUT_WR)
                if service in ready:
                    data = service.recv(65536)
                    if not data:
                        if not self.cuts:
                            self._say_end(tls)
                        return
                    tls.sendall(data)

    @staticmethod
    def _received(tls):
        data = tls.recv(65536)
        while tls.pending():
            data += tls.recv(65536)
        return data

    @staticmethod
    def _say_end(tls):
        tls.setblocking(False)
        try:
            tls.unwrap()
        except (ssl.SSLWantReadError, OSError):
            pass
