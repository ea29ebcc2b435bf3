"""What a service that speaks HTTP/2 may do wrong: its own call fails or is visibly cut, another
call on the same connection keeps its answer unless the connection itself is broken, and the cloud
goes on."""

import socket
import threading

import frames
import hpack
import pytest
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from example_program import Answer
from market import Market

OK = [(b":status", b"200")]
OPEN = frames.END_HEADERS
ENDED = frames.END_HEADERS | frames.END_STREAM


def whole(stream, body):
    return frames.head(OK, stream, OPEN) + frames.data(body, stream)


def head_only(*fields):
    return lambda stream: frames.head(list(fields), stream, ENDED)


def with_body(*fields):
    return lambda stream: frames.head(list(fields), stream, OPEN) + frames.data(b"never", stream)


def repeated(frame, times):
    return lambda _: frame * times


def reset(code):
    return lambda stream: frames.frame(frames.RST_STREAM, code.to_bytes(4, "big"), stream)


def cut_after(start, code=2):
    return lambda stream: start(stream) + reset(code)(stream)


# What harms its own call alone: name, what is said on its stream.
OF_A_CALL = {
    "no status": head_only((b"x-a", b"b")),
    "a status of two digits": head_only((b":status", b"20")),
    "a status beyond 599": head_only((b":status", b"600")),
    "two statuses": head_only(*OK, *OK),
    "a status behind a field": head_only((b"x-a", b"b"), *OK),
    "a pseudo field of requests": with_body(*OK, (b":path", b"/")),
    "101": head_only((b":status", b"101")),
    "seventeen interim answers": lambda stream: 17 * frames.head(
        [(b":status", b"103")], stream, OPEN) + whole(stream, b"never"),
    "an interim answer that ends": head_only((b":status", b"103")),
    "an upper-case name": with_body(*OK, (b"X-A", b"b")),
    "a name with a space": with_body(*OK, (b"x a", b"b")),
    "a value with a line's end": with_body(*OK, (b"x-a", b"b\r\nx-b: c")),
    "a value with NUL": with_body(*OK, (b"x-a", b"b\0c")),
    "connection": with_body(*OK, (b"connection", b"close")),
    "transfer-encoding": with_body(*OK, (b"transfer-encoding", b"chunked")),
    "upgrade": with_body(*OK, (b"upgrade", b"h2c")),
    "less than its length": with_body(*OK, (b"content-length", b"6")),
    "more than its length": with_body(*OK, (b"content-length", b"4")),
    "two lengths": with_body(*OK, (b"content-length", b"5"), (b"content-length", b"5")),
    "a length that is none": with_body(*OK, (b"content-length", b"+5")),
    "204 with a length": head_only((b":status", b"204"), (b"content-length", b"5")),
    "101 fields": with_body(*OK, *((b"x-%d" % number, b"1") for number in range(101))),
    "a head beyond 32 KiB": lambda stream: frames.head(
        [*OK, (b"x-a", b"v" * 12000)], stream, 0) + frames.frame(frames.CONTINUATION, frames.block(
            [(b"x-b", b"v" * 12000)]), stream, 0) + frames.frame(
                frames.CONTINUATION, frames.block([(b"x-c", b"v" * 12000)]), stream, OPEN),
    "trailers with a pseudo field": lambda stream: frames.head(OK, stream, OPEN) + frames.head(
        OK, stream, ENDED),
    "a second head": lambda stream: frames.head(OK, stream, OPEN) + frames.head(OK, stream, OPEN),
    "a reset without an answer": reset(2),
    "a reset behind the head": cut_after(lambda stream: frames.head(
        [*OK, (b"content-length", b"9")], stream, OPEN)),
    "a reset within the body": cut_after(lambda stream: frames.head(
        [*OK, (b"content-length", b"9")], stream, OPEN) + frames.data(b"some", stream, 0)),
    "a reset that says no error": cut_after(lambda stream: frames.head(OK, stream, OPEN), 0),
    "a window beyond 2^31": lambda stream: frames.frame(
        frames.WINDOW_UPDATE, b"\x7f\xff\xff\xff", stream),
}

# What harms the connection, with all of its calls.
OF_THE_CONNECTION = {
    "what is no frame": lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnever",
    "a frame beyond the size": lambda stream: frames.data(bytes(16385), stream),
    "a head of no stream": lambda _: frames.head(OK, 0, ENDED),
    "content of no stream": lambda _: frames.data(b"never", 0),
    "a head on a stream of the service": lambda _: frames.head(OK, 2, ENDED),
    "a head on a stream to come": lambda stream: frames.head(OK, stream + 100, ENDED),
    "compression that is none": lambda stream: frames.head(b"\xff\xff\xff\xff\xff", stream, OPEN),
    "another frame within a head": lambda stream: frames.head(OK, stream, 0) + frames.data(
        b"never", stream),
    "a continuation of nothing": lambda stream: frames.frame(
        frames.CONTINUATION, frames.block(OK), stream, frames.END_HEADERS),
    "padding beyond the frame": lambda stream: frames.head(OK, stream, OPEN) + frames.frame(
        frames.DATA, b"\xff", stream, frames.PADDED),
    "settings of five bytes": lambda _: frames.frame(frames.SETTINGS, bytes(5)),
    "a setting that cannot be": lambda _: frames.settings((4, 1 << 31)),
    "a ping of seven bytes": lambda _: frames.frame(frames.PING, bytes(7)),
    "a window of the connection beyond 2^31": lambda _: frames.frame(
        frames.WINDOW_UPDATE, b"\x7f\xff\xff\xff"),
    "a promise": lambda stream: frames.frame(frames.PUSH_PROMISE, (2).to_bytes(4, "big")
                                             + frames.block(OK), stream, frames.END_HEADERS),
    "endless pings": repeated(frames.frame(frames.PING, bytes(8)), 5000),
    "endless settings": repeated(frames.settings(), 5000),
    "endless empty content": lambda stream: frames.head(OK, stream, OPEN) + frames.data(
        b"", stream, 0) * 5000,
    "endless continuations": lambda stream: frames.head(b"", stream, 0) + frames.frame(
        frames.CONTINUATION, frames.block([(b"x", b"y" * 1000)]), stream, 0) * 200,
    "endless frames that nobody knows": repeated(frames.frame(0xee, bytes(16000)), 100),
    "content before a head": lambda stream: frames.data(b"never", stream),
    "a window of nothing": lambda stream: frames.frame(
        frames.WINDOW_UPDATE, bytes(4), stream),
    "its end": None,
}


class Rogue:
    """/bad/NAME/NONCE runs a row on its stream; /hold/NONCE waits for `release`; any other path is
    answered with its last segment."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "http://%s:%d" % self.listener.getsockname()
        self.changed = threading.Condition()
        self.held, self.holding, self.open = [], False, set()
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in list(self.open):
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.open.add(peer)
            self.threads.append(threading.Thread(target=self.serve, args=(peer,)))
            self.threads[-1].start()

    def serve(self, peer):
        decoder, received = hpack.Decoder(), b""
        try:
            peer.sendall(frames.settings())
            while data := peer.recv(65536):
                received += data
                received = received.removeprefix(frames.PREFACE)
                while len(received) >= 9 and not frames.PREFACE.startswith(received[:24]):
                    end = 9 + int.from_bytes(received[:3], "big")
                    if len(received) < end:
                        break
                    self.take(peer, decoder, received[3], received[4],
                              int.from_bytes(received[5:9], "big"), received[9:end])
                    received = received[end:]
        except OSError:
            pass
        finally:
            self.open.discard(peer)
            peer.close()

    def take(self, peer, decoder, kind, flags, stream, payload):
        if kind == frames.SETTINGS and not flags & frames.ACK:
            peer.sendall(frames.frame(frames.SETTINGS, flags=frames.ACK))
        if kind != frames.HEADERS:
            return
        path = dict(decoder.decode(payload))[":path"]
        _, what, *_, nonce = path.split("/")
        if what == "hold":
            with self.changed:
                if self.holding:
                    self.held.append((peer, stream, nonce))
                    self.changed.notify_all()
                    return
        if what == "bad":
            say = OF_A_CALL.get(name := self.row) or OF_THE_CONNECTION[name]
            if say is None:
                raise OSError
            peer.sendall(say(stream))
            return
        peer.sendall(whole(stream, nonce.encode()))

    def hold(self):
        self.held, self.holding = [], True

    def wait_for_held(self):
        with self.changed:
            self.changed.wait_for(lambda: self.held)

    def release(self):
        with self.changed:
            self.holding = False
            for peer, stream, nonce in self.held:
                try:
                    peer.sendall(whole(stream, nonce.encode()))
                except OSError:
                    pass


@pytest.fixture(scope="module")
def rogue():
    with Rogue() as rogue:
        yield rogue


@pytest.fixture(scope="module")
def market(tmp_path_factory, rogue):
    folder = tmp_path_factory.mktemp("bad_h2") / "cloud"
    with Cloud(folder, PLAIN_CONFIG + "workers: 1\n") as cloud:
        market = Market(cloud, {**upstream_manifest("rogue", rogue.address), "protocol": "h2"})
        yield market
        market.check_statement()


def bad_call(peer):
    """None where the answer is cut."""
    try:
        status, fields = peer.read_head()
        if "content-length" not in fields:
            peer.receive(lambda held: held.endswith(b"\r\n0\r\n\r\n"))
        size = int(fields.get("content-length", len(peer.received)))
        peer.receive(lambda held: len(held) >= size)
    except (EOFError, ConnectionResetError):
        return None
    return Answer(status, fields, peer.received)


def run_row(market, rogue, name):
    """(the bad call's answer, the answer of another one on its connection)"""
    rogue.row = name
    rogue.hold()
    with market.connect() as other, market.connect() as bad:
        other.send(market.request("/hold/kept"))
        rogue.wait_for_held()
        bad.send(market.request("/bad/row/b1"))
        answer = bad_call(bad)
        rogue.release()
        kept = other.read()
    market.normal_call()
    return answer, kept


def check_failed(answer):
    assert answer is None or (answer.status == 502 and b"urn:stoa:problem:" in answer.body), answer


@pytest.mark.parametrize("name", OF_A_CALL)
def test_what_is_wrong_with_an_answer_fails_its_call_alone(market, rogue, name):
    answer, kept = run_row(market, rogue, name)
    check_failed(answer)
    assert (kept.status, kept.body) == (200, b"kept")
    records = market.new_records()
    market.billed += 2
    assert sorted(record["billed"] for record in records) == [False, True, True]


@pytest.mark.parametrize("name", OF_THE_CONNECTION)
def test_what_is_wrong_with_a_connection_fails_its_calls_and_no_other(market, rogue, name):
    answer, kept = run_row(market, rogue, name)
    check_failed(answer)
    check_failed(kept)
    records = market.new_records()
    market.billed += 1
    assert sorted(record["billed"] for record in records) == [False, False, True]


def test_what_comes_behind_an_answer_is_nobodys(market, rogue):
    """A second answer on its stream, or content of a stream that is over."""
    for late in (whole, lambda stream, body: frames.data(body, stream)):
        OF_A_CALL["late"] = lambda stream, late=late: whole(stream, b"b1") + late(stream, b"never")
        try:
            answer, kept = run_row(market, rogue, "late")
        finally:
            del OF_A_CALL["late"]
        assert (answer.status, answer.body) == (200, b"b1")
        assert kept.status == 502 or (kept.status, kept.body) == (200, b"kept")
        market.billed += sum(record["billed"] for record in market.new_records())
