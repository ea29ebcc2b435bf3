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
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from market import Market
from upstream import Answer, CountingUpstream

TIMES = """\
http:
  head_timeout: 300ms
  body_idle_timeout: 300ms
  keep_alive_timeout: 300ms
"""
HOST = b"Host: echo.localhost\r\n"
KEY = b"X-API-Key: $KEY\r\n"
GET = b"GET /call/evil HTTP/1.1\r\n" + HOST + KEY
POST = b"POST /call/evil HTTP/1.1\r\n" + HOST + KEY
SMUGGLED = b"GET /call/smuggled HTTP/1.1\r\n" + HOST + KEY + b"\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def length(value):
    return POST + b"Content-Length:" + value + b"\r\n\r\nhello" + SMUGGLED


def coding(value, line=b"Transfer-Encoding:"):
    return POST + line + value + b"\r\n\r\n" + END + SMUGGLED


def field(line):
    return GET + line + b"\r\n\r\n" + SMUGGLED


def line(text, host=HOST):
    return text + b"\r\n" + host + KEY + b"\r\n" + SMUGGLED


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
        return wire.replace(b"$KEY", self.key.encode())

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

REFUSED = [
    # Content-Length
    ("length and chunked", 400,
     POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + END + SMUGGLED),
    ("chunked and length", 400,
     POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + END + SMUGGLED),
    ("chunked and length 0", 400,
     POST + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + END + SMUGGLED),
    ("two lengths", 400,
     POST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello" + SMUGGLED),
    ("two equal lengths", 400,
     POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" + SMUGGLED),
    ("list of lengths", 400, length(b" 5, 5")),
    ("empty length", 400, length(b"")),
    ("length +5", 400, length(b" +5")),
    ("length -1", 400, length(b" -1")),
    ("length 0x5", 400, length(b" 0x5")),
    ("length 5_0", 400, length(b" 5_0")),
    ("length 5 0", 400, length(b" 5 0")),
    ("length 2^40", 413, length(b" 1099511627776")),
    ("length 2^63", 400, length(b" 9223372036854775808")),
    ("length 2^64+5", 400, length(b" 18446744073709551621")),
    ("length of 100 digits", 400, length(b" " + b"0" * 99 + b"5")),
    ("length behind NBSP", 400, length(b" \xa05")),
    # Transfer-Encoding
    ("xchunked", 400, coding(b" xchunked")),
    ("chunked, identity", 400, coding(b" chunked, identity")),
    (",chunked", 400, coding(b" ,chunked")),
    ("chunked;q=1", 400, coding(b" chunked;q=1")),
    ("chunked twice", 400, coding(b" chunked\r\nTransfer-Encoding: chunked")),
    ("chunked, chunked", 400, coding(b" chunked, chunked")),
    ("gzip, chunked", 400, coding(b" gzip, chunked")),
    ("chunked behind VT", 400, coding(b" \x0bchunked")),
    ("chunked behind NBSP", 400, coding(b" \xa0chunked")),
    ("chunked folded", 400, coding(b"\r\n chunked")),
    ("chunked behind a space before the colon", 400, coding(b" chunked", b"Transfer-Encoding :")),
    ("chunked in HTTP/1.0", 400, coding(b" chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    # chunks
    ("empty chunk size", 400, CHUNKED + b"\r\nhello\r\n" + END + SMUGGLED),
    ("chunk size 0x5", 400, CHUNKED + b"0x5\r\nhello\r\n" + END + SMUGGLED),
    ("chunk size with space", 400, CHUNKED + b"5 \r\nhello\r\n" + END + SMUGGLED),
    ("chunk size -1", 400, CHUNKED + b"-1\r\nhello\r\n" + END + SMUGGLED),
    ("chunk size of 17 digits", 400, CHUNKED + b"00000000000000005\r\nhello\r\n" + END),
    ("chunk size of 10,000 zeros", 400, CHUNKED + b"0" * 10000 + b"\r\n\r\n" + SMUGGLED),
    ("chunk size 2^64-1", 413, CHUNKED + b"f" * 16 + b"\r\nhello"),
    ("chunk extension of 1 MB", 400, CHUNKED + b"5;" + b"a" * 1000000 + b"\r\nhello\r\n" + END),
    ("CR in a chunk extension", 400, CHUNKED + b"5;a\rb\r\nhello\r\n" + END + SMUGGLED),
    ("LF behind a chunk size", 400, CHUNKED + b"5\nhello\r\n" + END + SMUGGLED),
    ("chunk longer than its size", 400, CHUNKED + b"5\r\nhello!\r\n" + END + SMUGGLED),
    ("two other bytes behind a chunk", 400, CHUNKED + b"5\r\nhelloXX" + END + SMUGGLED),
    ("more framing than content", 400, CHUNKED + b"1;" + (b"a" * 40 + b"\r\nx\r\n1;") * 4000),
    ("folded trailer", 400, CHUNKED + b"0\r\nX: y\r\n z\r\n\r\n" + SMUGGLED),
    ("trailer without colon", 400, CHUNKED + b"0\r\nX\r\n\r\n" + SMUGGLED),
    ("a thousand trailers", 431, CHUNKED + b"0\r\n" + b"X: y\r\n" * 1000 + b"\r\n" + SMUGGLED),
    # lines and fields
    ("LF behind a field", 400, GET + b"X: y\nZ: w\r\n\r\n" + SMUGGLED),
    ("LF everywhere", 400, (GET + b"\r\n").replace(b"\r\n", b"\n") + SMUGGLED),
    ("bare CR in a value", 400, field(b"X: y\rZ: w")),
    ("CR CR LF", 400, field(b"X: y\r")),
    ("NUL in a value", 400, field(b"X: a\0b")),
    ("NUL in a name", 400, field(b"X\0Y: b")),
    ("folded line", 400, field(b"X: y\r\n z")),
    ("no colon", 400, field(b"X")),
    ("space before the colon", 400, field(b"X : y")),
    ("space before Host's colon", 400, line(b"GET /call/evil HTTP/1.1", b"Host : a\r\n")),
    ("empty name", 400, field(b": y")),
    ("8-bit name", 400, field(b"X\xe9: y")),
    ("name of 64 KB", 431, field(b"x" * 65536 + b": y")),
    ("value of 10 MB", 431, field(b"X: " + b"y" * 10000000)),
    ("101 fields", 431, field(b"X: y\r\n" * 98 + b"X: z")),
    ("100,000 fields", 431, field(b"X: y\r\n" * 100000 + b"X: z")),
    ("many Cookie fields", 431, field(b"Cookie: a=b\r\n" * 5000 + b"X: z")),
    ("a thousand blank lines first", 400, b"\r\n" * 1000 + GET + b"\r\n"),
    # the request line
    ("absolute form of another host", 400, line(b"GET http://other.localhost/call/evil HTTP/1.1")),
    ("absolute form of another port", 400, line(b"GET http://echo.localhost:1/ HTTP/1.1")),
    ("absolute form with a user", 400, line(b"GET http://u@echo.localhost/ HTTP/1.1")),
    ("two Hosts", 400, field(HOST.strip())),
    ("another Host", 400, field(b"Host: other.localhost")),
    ("no Host", 400, line(b"GET /call/evil HTTP/1.1", b"")),
    ("Host a, b", 400, line(b"GET /call/evil HTTP/1.1", b"Host: echo.localhost, b\r\n")),
    ("Host with a user", 400, line(b"GET /call/evil HTTP/1.1", b"Host: u@echo.localhost\r\n")),
    ("Host with port 65536", 400, line(b"GET /x HTTP/1.1", b"Host: echo.localhost:65536\r\n")),
    ("HTTP/0.9", 400, b"GET /call/evil\r\n\r\n"),
    ("HTTP/1.2", 505, line(b"GET /call/evil HTTP/1.2")),
    ("HTTP/9.9", 505, line(b"GET /call/evil HTTP/9.9")),
    ("the HTTP/2 preface", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED),
    ("HTTP/1.1junk", 400, line(b"GET /call/evil HTTP/1.1junk")),
    ("small letters in the version", 400, line(b"GET /call/evil http/1.1")),
    ("two spaces", 400, line(b"GET  /call/evil HTTP/1.1")),
    ("tabs", 400, line(b"GET\t/call/evil\tHTTP/1.1")),
    ("space in the target", 400, line(b"GET /call/evil x HTTP/1.1")),
    ("fragment", 400, line(b"GET /call/evil#x HTTP/1.1")),
    ("NUL in the target", 400, line(b"GET /call/evil\0 HTTP/1.1")),
    ("8-bit target", 400, line(b"GET /call/\xc0\xaf HTTP/1.1")),
    ("* with GET", 400, line(b"GET * HTTP/1.1")),
    ("target without a slash", 400, line(b"GET call/evil HTTP/1.1")),
    ("target of 10 KB", 414, line(b"GET /" + b"a" * 10000 + b" HTTP/1.1")),
    ("target of 1 MB", 414, line(b"GET /" + b"a" * 1000000 + b" HTTP/1.1")),
    ("CONNECT", 501, line(b"CONNECT echo.localhost:80 HTTP/1.1")),
    ("unknown method", 501, line(b"BREW /call/evil HTTP/1.1")),
    ("method in small letters", 501, line(b"get /call/evil HTTP/1.1")),
    ("method of 1 MB", 414, line(b"G" * 1000000 + b" /call/evil HTTP/1.1")),
    ("a TLS client", 400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300),
    ("random binary", 400, bytes(range(256)) * 4),
    # Expect
    ("Expect in disguise", 417,
     POST + b"Expect: y 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
    ("Expect twice", 417,
     POST + b"Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx"),
]


@pytest.mark.parametrize("status, wire", [pytest.param(status, wire, id=name)
                                          for name, status, wire in REFUSED])
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
        peer.send(b"POST /call/evil HTTP/1.1\r\n" + HOST
                  + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert_problem(peer.read(), 401, "key-missing")
        peer.send(door.request("/call/next"))
        answer = peer.read()
        assert answer.body == b"next"
    door.check([answer.fields["stoa-call"]], ["GET /call/next"])


# ---- odd but clear: the service sees one clean request

ODD = [
    ("absolute form", b"GET http://ECHO.localhost/call/odd HTTP/1.1\r\n" + HOST + KEY + b"\r\n",
     "GET /call/odd", b""),
    ("service in the path", b"GET /echo/call/odd?a=/b HTTP/1.1\r\nHost: 127.0.0.1\r\n" + KEY
     + b"\r\n", "GET /call/odd?a=/b", b""),
    ("HTTP/1.0", b"GET /call/odd HTTP/1.0\r\n" + HOST + KEY + b"\r\n", "GET /call/odd", b""),
    ("dots and slashes", b"GET //a/..;/%2e%2e/%00/call/odd HTTP/1.1\r\n" + HOST + KEY + b"\r\n",
     "GET //a/..;/%2e%2e/%00/call/odd", b""),
    ("GET with a body", b"GET /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Content-Length: 5\r\n\r\nhello", "GET /call/odd", b"hello"),
    ("length 005", b"POST /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Content-Length: 005\r\n\r\nhello", "POST /call/odd", b"hello"),
    ("chunks with extensions", b"POST /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Transfer-Encoding: CHUNKED\r\n\r\n2;a=\"b\"\r\nhe\r\n003\r\nllo\r\n0;z\r\n\r\n",
     "POST /call/odd", b"hello"),
    ("trailers that frame and authorize", b"POST /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 0\r\n"
     b"Host: other\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n",
     "POST /call/odd", b"hello"),
    ("chunks of one byte", b"POST /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 2000 + END,
     "POST /call/odd", b"a" * 2000),
    ("Connection names fields", b"GET /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Connection: x-private, stoa-call\r\nX-Private: 1\r\n\r\n", "GET /call/odd", b""),
    ("h2c", b"GET /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", "GET /call/odd", b""),
    ("fields of Stoa's own", b"GET /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Stoa-Account: globex\r\nStoa-App: globex/x\r\nStoa-Call: forged\r\nStoa-Plan: free\r\n"
     b"Stoa-Units: pixels=1\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n\r\n",
     "GET /call/odd", b""),
    ("Expect, and the body at once", b"POST /call/odd HTTP/1.1\r\n" + HOST + KEY
     + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "POST /call/odd", b"hello"),
]


@pytest.mark.parametrize("wire, seen, body", [pytest.param(*more, id=name)
                                              for name, *more in ODD])
def test_what_is_odd_but_clear_reaches_the_service_rebuilt(door, wire, seen, body):
    with door.connect() as peer:
        peer.send(door.bytes_of(wire))
        answer = peer.read()
        if "expect" in wire.decode("latin-1").lower() and answer.status == 100:
            answer = peer.read()
        assert (answer.status, answer.body) == (200, b"odd")
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
        peer.send(b"POST /call/evil HTTP/1.1\r\n" + HOST
                  + b"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n")
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
