"""Malformed and hostile requests, as raw bytes to the gateway of a real cloud.

Each carries a valid key, so that it would be served and billed were it understood, and most of
them a second request inside, `/call/smuggled`, which the service must never see. After each: a
normal call works, the service saw exactly what it should have, and nothing else was billed.
"""

import json
import shutil
import socket
import struct

import pytest
from ambiguities import CHUNKED, GET, HOST, KEY, PASSED, POST, REFUSED, SMUGGLED, sent
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from market import Market
from upstream import Answer, CountingUpstream

TIMES = """\
http:
  head_timeout: 300ms
  body_idle_timeout: 300ms
  keep_alive_timeout: 300ms
"""


class Door(Market):
    """A market whose service notes what reaches it."""

    def __init__(self, cloud, upstream):
        self.seen = []
        self.last = None
        upstream.answer = self.answer
        super().__init__(cloud, upstream_manifest("echo", upstream.address))

    def answer(self, request):
        self.seen.append(f"{request.method} {request.target}")
        self.last = request
        return Answer()

    def forget(self):
        super().forget()
        self.seen.clear()

    def bytes_of(self, wire):
        return sent(wire, self.key, self.service)

    def check(self, billed=(), seen=()):
        records = super().check(billed)
        assert self.seen.pop().startswith("GET /call/n")  # check's own
        assert self.seen == list(seen)
        self.seen.clear()
        return records


def open_door(folder, config):
    with CountingUpstream() as upstream, Cloud(folder / "cloud", config) as cloud:
        door = Door(cloud, upstream)
        yield door
        door.check_statement()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def one_door(tmp_path_factory):
    yield from open_door(tmp_path_factory.mktemp("door"), PLAIN_CONFIG + "workers: 2\n")


@pytest.fixture(scope="module")
def one_hasty_door(tmp_path_factory):
    """It loses patience after a third of a second."""
    yield from open_door(tmp_path_factory.mktemp("hasty"), PLAIN_CONFIG + TIMES)


@pytest.fixture
def door(one_door):
    one_door.forget()
    return one_door


@pytest.fixture
def hasty(one_hasty_door):
    one_hasty_door.forget()
    return one_hasty_door


def assert_problem(answer, status, type=None):
    assert answer.status == status, answer
    assert answer.fields["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == status
    assert len(problem["title"]) > 5 and len(problem["detail"]) > 20, problem
    assert problem["type"].startswith("urn:stoa:problem:"), problem
    if type:
        assert problem["type"] == f"urn:stoa:problem:{type}"


# ---- refused by the parser: told why, and the connection closes


@pytest.mark.parametrize("status, wire", [pytest.param(status, wire, id=name)
                                          for name, status, _, wire in REFUSED])
def test_what_is_not_clearly_http_is_refused_and_closed(door, status, wire):
    with door.connect() as peer:
        peer.send_what_is_taken(door.bytes_of(wire))
        answer = peer.read()
        assert_problem(answer, status)
        assert answer.fields["connection"] == "close"
        assert peer.is_closed()
    door.check()


# ---- understood, and refused by the gateway: the connection stays

PLAIN = b"GET /call/evil HTTP/1.1\r\n" + HOST
UNWELCOME = [
    ("no key", 401, "key-missing", PLAIN),
    ("empty key", 401, "key-missing", PLAIN + b"X-API-Key:\r\n"),
    ("key in the query", 401, "key-missing", b"GET /call/evil?key=$KEY HTTP/1.1\r\n" + HOST),
    ("Basic", 401, "key-missing", PLAIN + b"Authorization: Basic $KEY\r\n"),
    ("wrong key", 401, "key-invalid", PLAIN + b"X-API-Key: stoa_" + b"a" * 48 + b"\r\n"),
    ("key with one letter more", 401, "key-invalid", PLAIN + b"X-API-Key: $KEYx\r\n"),
    ("key of 10 KB", 401, "key-invalid",
     PLAIN + b"Authorization: Bearer " + b"k" * 10000 + b"\r\n"),
    ("two keys in a field", 401, "key-invalid", PLAIN + b"X-API-Key: $KEY, $KEY\r\n"),
    ("Bearer twice", 401, "key-invalid", PLAIN + b"Authorization: Bearer Bearer $KEY\r\n"),
    ("two keys", 400, "key-ambiguous", PLAIN + KEY + KEY),
    ("two Authorization fields", 400, "key-ambiguous",
     PLAIN + b"Authorization: Bearer $KEY\r\n" * 2),
    ("unknown service", 404, "no-such-service",
     b"GET /call/evil HTTP/1.1\r\nHost: none.localhost\r\n" + KEY),
    ("service in a longer name", 404, "no-such-service",
     b"GET /call/evil HTTP/1.1\r\nHost: echo2.localhost\r\n" + KEY),
    ("service above the root", 404, "no-such-service",
     b"GET /../echo/call/evil HTTP/1.1\r\nHost: 127.0.0.1\r\n" + KEY),
    ("service in escapes", 404, "no-such-service",
     b"GET /%65cho/call/evil HTTP/1.1\r\nHost: 127.0.0.1\r\n" + KEY),
]


@pytest.mark.parametrize("status, type, head", [pytest.param(*more, id=name)
                                                for name, *more in UNWELCOME])
def test_who_may_not_call_is_told_why(door, status, type, head):
    with door.connect() as peer:
        peer.send(door.bytes_of(head + b"\r\n"))
        answer = peer.read()
        assert_problem(answer, status, type)
        assert ("www-authenticate" in answer.fields) == (status == 401)
        nonce = door.nonce()
        peer.send(door.request(f"/call/{nonce}"))
        answer = peer.read()
        assert answer.body == nonce.encode()
    door.check([answer.fields["stoa-call"]], [f"GET /call/{nonce}"])


def test_a_refused_body_is_not_taken_for_a_request(door):
    with door.connect() as peer:
        body = door.bytes_of(SMUGGLED)
        peer.send(door.bytes_of(b"POST /call/evil HTTP/1.1\r\n" + HOST)
                  + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert_problem(peer.read(), 401, "key-missing")
        peer.send(door.request("/call/next"))
        answer = peer.read()
        assert answer.body == b"next"
    door.check([answer.fields["stoa-call"]], ["GET /call/next"])


# ---- odd but clear: the service sees one clean request


@pytest.mark.parametrize("wire, seen, body", [pytest.param(*more, id=name)
                                              for name, _, *more in PASSED])
def test_what_is_odd_but_clear_reaches_the_service_rebuilt(door, wire, seen, body):
    with door.connect() as peer:
        peer.send(door.bytes_of(wire))
        answer = peer.read()
        if "expect" in wire.decode("latin-1").lower() and answer.status == 100:
            answer = peer.read()
        assert (answer.status, answer.body) == (200, door.last.nonce.encode())
    fields = door.last.fields
    assert door.last.body == body
    assert door.key not in str(fields)
    assert fields["stoa-call"] == answer.fields["stoa-call"]
    assert (fields["stoa-account"], fields["stoa-app"], fields["stoa-plan"]) == (
        "acme", "acme/shop", "payg")
    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["forwarded"].startswith("for=127.0.0.1;")
    for name in ("x-private", "upgrade", "http2-settings", "stoa-units", "x-api-key",
                 "authorization", "expect"):
        assert name not in fields, fields
    door.check([answer.fields["stoa-call"]], [seen])


def test_head_is_answered_without_a_body(door):
    with door.connect() as peer:
        peer.send(door.request("/call/head", "HEAD") + door.request("/call/behind"))
        first = peer.read(head_only=True)
        assert (first.status, first.fields["content-length"]) == (200, "4")
        second = peer.read()
        assert second.body == b"behind"
    door.check([first.fields["stoa-call"], second.fields["stoa-call"]],
               ["HEAD /call/head", "GET /call/behind"])


def test_a_valid_request_before_an_invalid_one_is_answered_and_then_all_ends(door):
    with door.connect() as peer:
        peer.send(door.request("/call/valid") + b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"
                  + door.bytes_of(SMUGGLED))
        first = peer.read()
        assert first.body == b"valid"
        assert_problem(peer.read(), 400)
        assert peer.is_closed()
    door.check([first.fields["stoa-call"]], ["GET /call/valid"])


def test_pipelined_requests_get_their_own_answers_in_order(door):
    nonces = [door.nonce() for _ in range(50)]
    calls = []
    with door.connect() as peer:
        peer.send(b"".join(door.request(f"/call/{nonce}") for nonce in nonces))
        for nonce in nonces:
            answer = peer.read()
            assert answer.body == nonce.encode()
            calls.append(answer.fields["stoa-call"])
    door.check(calls, [f"GET /call/{nonce}" for nonce in nonces])


# ---- time, and connections that end early


def test_a_request_byte_by_byte_is_put_together(door):
    with door.connect() as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = door.request("/call/drip", "POST", body=b"hello")
        for begin in range(len(whole)):
            peer.send(whole[begin:begin + 1])
        answer = peer.read()
        assert answer.body == b"drip" and door.last.body == b"hello"
    door.check([answer.fields["stoa-call"]], ["POST /call/drip"])


def test_a_half_closed_connection_still_gets_its_answer(door):
    with door.connect() as peer:
        peer.send(door.request("/call/half"))
        peer.socket.shutdown(socket.SHUT_WR)
        answer = peer.read()
        assert answer.body == b"half" and peer.is_closed()
    door.check([answer.fields["stoa-call"]], ["GET /call/half"])


@pytest.mark.parametrize("cut", ["request line", "head", "length", "chunk"])
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_request_that_ends_early_is_no_request(door, cut, how):
    whole = {"request line": b"GET /call/ev", "head": GET,
             "length": POST + b"Content-Length: 10\r\n\r\nhello",
             "chunk": CHUNKED + b"a\r\nhello"}[cut]
    with door.connect() as peer:
        peer.send(door.bytes_of(whole))
        if how == "reset":
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            peer.socket.shutdown(socket.SHUT_WR)
            assert peer.is_closed()
    door.check()


def test_an_upload_that_is_expected_may_be_refused_before_it_comes(door):
    with door.connect() as peer:
        peer.send(door.bytes_of(b"POST /call/evil HTTP/1.1\r\n" + HOST
                                + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"))
        answer = peer.read()
        assert_problem(answer, 401, "key-missing")
        assert answer.fields["connection"] == "close" and peer.is_closed()
    door.check()


def test_continue_comes_before_the_body(door):
    with door.connect() as peer:
        peer.send(door.bytes_of(b"POST /call/late HTTP/1.1\r\n" + HOST + KEY
                                + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"))
        assert peer.read().status == 100
        peer.send(b"hello")
        answer = peer.read()
        assert answer.body == b"late" and door.last.body == b"hello"
    door.check([answer.fields["stoa-call"]], ["POST /call/late"])


@pytest.mark.parametrize("wire", [b"GET /call/ev", GET, POST + b"Content-Length: 10\r\n\r\nhello",
                                  CHUNKED + b"a\r\nhello"],
                         ids=["request line", "head", "length", "chunk"])
def test_who_stops_sending_is_told_and_closed(hasty, wire):
    with hasty.connect() as peer:
        peer.send(hasty.bytes_of(wire))
        assert_problem(peer.read(), 408)
        assert peer.is_closed()
    hasty.check()


def test_who_says_nothing_is_closed(hasty):
    with hasty.connect() as silent, hasty.connect() as idle:
        idle.send(hasty.request("/call/idle"))
        answer = idle.read()
        assert silent.is_closed() and idle.is_closed()
    hasty.check([answer.fields["stoa-call"]], ["GET /call/idle"])


def test_three_hundred_connections_that_wait_hold_up_nobody(door):
    peers = [door.connect() for _ in range(300)]
    for number, peer in enumerate(peers):
        peer.send(door.bytes_of((GET, CHUNKED, POST + b"Content-Length: 9\r\n\r\n")[number % 3]))
    door.check()
    for peer in peers:
        peer.socket.close()
    door.check()
