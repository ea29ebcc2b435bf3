"""Malformed and hostile HTTP/2, frame by frame, to the gateway of a real cloud: RFC 9113, RFC 7541.

Each row carries a valid key. What it ends is told as RFC 9113 says, the service sees nothing of
it, nothing is billed, and the cloud goes on.
"""

import shutil

import pytest
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from frames import (CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE,
                    PRIORITIZED, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
                    FramePeer, block, data, frame, head, number, settings)
from market import Market
from references import Recorder
from strictness import is_clean

METHOD, SCHEME = (b":method", b"GET"), (b":scheme", b"http")
AUTHORITY, PATH = (b":authority", b"echo.localhost"), (b":path", b"/call/evil")
PLACE = b"k" * 54  # a key goes there
KEY = (b"x-api-key", PLACE)
GET = [METHOD, SCHEME, AUTHORITY, PATH, KEY]
POST = [(b":method", b"POST"), *GET[1:]]
U31 = 2 ** 31 - 1


def with_field(name, value, fields=GET):
    return head([*fields, (name, value)])


def instead(*pseudo):
    """The request with other pseudo fields; a value of None leaves one out."""
    other = dict(pseudo)
    fields = [(name, other.get(name, value)) for name, value in GET]
    return head([(name, value) for name, value in fields if value is not None])


def body(*frames, fields=POST):
    return head(fields, flags=END_HEADERS) + b"".join(frames)


def u32(value):
    return value.to_bytes(4, "big")


# name, how it ends, bytes behind the preface and empty settings
INVALID = "stream: PROTOCOL_ERROR"
BROKEN = "connection: PROTOCOL_ERROR"
REFUSED = [
    # a head of HTTP/1.1 smuggled into fields (RFC 9113 8.2.1, 10.3)
    ("CR LF in a value", INVALID, with_field(b"x", b"y\r\nx-evil: 1")),
    ("a request in a value", INVALID,
     with_field(b"x", b"y\r\n\r\nGET /call/smuggled HTTP/1.1\r\nHost: echo.localhost\r\n\r\n")),
    ("LF in a value", INVALID, with_field(b"x", b"y\nz")),
    ("CR in a value", INVALID, with_field(b"x", b"y\rz")),
    ("NUL in a value", INVALID, with_field(b"x", b"y\0z")),
    ("CR LF in a name", INVALID, with_field(b"x: y\r\nx-evil", b"1")),
    ("colon in a name", INVALID, with_field(b"x:y", b"1")),
    ("space in a name", INVALID, with_field(b"x y", b"1")),
    ("capitals in a name", INVALID, with_field(b"X-Big", b"1")),
    ("empty name", INVALID, with_field(b"", b"1")),
    ("8 bits in a name", INVALID, with_field(b"x\xe9", b"1")),
    ("space before a value", INVALID, with_field(b"x", b" y")),
    ("tab behind a value", INVALID, with_field(b"x", b"y\t")),
    # what belongs to a connection of HTTP/1.1 (8.2.2)
    ("Transfer-Encoding", INVALID, with_field(b"transfer-encoding", b"chunked")),
    ("Connection", INVALID, with_field(b"connection", b"close")),
    ("Keep-Alive", INVALID, with_field(b"keep-alive", b"timeout=1")),
    ("Proxy-Connection", INVALID, with_field(b"proxy-connection", b"close")),
    ("Upgrade", INVALID, with_field(b"upgrade", b"h2c")),
    ("TE of gzip", INVALID, with_field(b"te", b"gzip")),
    # pseudo fields (8.3)
    ("no method", INVALID, instead((b":method", None))),
    ("no scheme", INVALID, instead((b":scheme", None))),
    ("no path", INVALID, instead((b":path", None))),
    ("two methods", INVALID, head([METHOD, *GET])),
    ("two paths", INVALID, head([PATH, *GET])),
    ("two authorities", INVALID, head([AUTHORITY, *GET])),
    ("two schemes", INVALID, head([SCHEME, *GET])),
    ("pseudo field behind another", INVALID, head([METHOD, SCHEME, AUTHORITY, KEY, PATH])),
    ("unknown pseudo field", INVALID, head([(b":evil", b"1"), *GET])),
    ("status in a request", INVALID, head([(b":status", b"200"), *GET])),
    ("protocol without CONNECT", INVALID, head([(b":protocol", b"websocket"), *GET])),
    ("empty path", INVALID, instead((b":path", b""))),
    ("path without a slash", INVALID, instead((b":path", b"call/evil"))),
    ("* with GET", INVALID, instead((b":path", b"*"))),
    ("space in the path", INVALID, instead((b":path", b"/call/evil x"))),
    ("a version in the path", INVALID, instead((b":path", b"/call/evil HTTP/1.1"))),
    ("CR LF in the path", INVALID, instead((b":path", b"/ HTTP/1.1\r\nx: y"))),
    ("8 bits in the path", "400", instead((b":path", b"/call/\xc0\xaf"))),
    ("fragment", "400", instead((b":path", b"/call/evil#x"))),
    ("space in the method", INVALID, instead((b":method", b"GET /x"))),
    ("CR LF in the method", INVALID, instead((b":method", b"GET / HTTP/1.1\r\nx: y\r\n"))),
    ("method in small letters", "501", instead((b":method", b"get"))),
    ("CONNECT", INVALID, instead((b":method", b"CONNECT"))),
    ("a URL in the scheme", INVALID, instead((b":scheme", b"http://other/?"))),
    ("user in the authority", "400", instead((b":authority", b"u@echo.localhost"))),
    ("path in the authority", INVALID, instead((b":authority", b"echo.localhost/x"))),
    ("CR LF in the authority", INVALID, instead((b":authority", b"echo.localhost\r\nx: y"))),
    ("Host of another", "400", with_field(b"host", b"other.localhost")),
    ("two Hosts", INVALID, head([*GET, *[(b"host", b"echo.localhost")] * 2])),
    ("neither authority nor Host", INVALID, instead((b":authority", None))),
    # content and its length (8.1.1)
    ("less than its length", INVALID, body(data(b"hell"), fields=[*POST,
                                                                  (b"content-length", b"5")])),
    ("more than its length", INVALID, body(data(b"hello!"), fields=[*POST,
                                                                    (b"content-length", b"5")])),
    ("a length without content", INVALID, with_field(b"content-length", b"5", POST)),
    ("two lengths", INVALID, body(data(b"hello"), fields=[*POST, (b"content-length", b"5"),
                                                          (b"content-length", b"5")])),
    ("length +5", INVALID, body(data(b"hello"), fields=[*POST, (b"content-length", b"+5")])),
    ("empty length", INVALID, body(data(b""), fields=[*POST, (b"content-length", b"")])),
    ("TRACE with content", "400",
     body(data(b"hello"), fields=[(b":method", b"TRACE"), *GET[1:]])),
    ("pseudo field in trailers", INVALID, body(data(b"x", flags=0), head([PATH]))),
    ("trailers that end nothing", INVALID,
     body(data(b"x", flags=0), head([(b"x", b"y")], flags=END_HEADERS))),
    ("a length in trailers", INVALID,
     body(data(b"hello", flags=0), head([(b"content-length", b"0")]))),
    # frames (4, 5, 6)
    ("content of no stream", BROKEN, data(b"x")),
    ("an even stream", BROKEN, head(GET, stream=2)),
    ("stream 0", BROKEN, head(GET, stream=0)),
    ("CONTINUATION of nothing", BROKEN, frame(CONTINUATION, block(GET), 1, END_HEADERS)),
    ("a frame within a head", BROKEN, head(GET, flags=0) + frame(PING, bytes(8))),
    ("a head that another's continues", BROKEN,
     head(GET, flags=0) + frame(CONTINUATION, b"", 3, END_HEADERS)),
    ("a frame too large", "connection: FRAME_SIZE_ERROR", head(GET, flags=END_HEADERS)
     + data(bytes(16385))),
    ("padding beyond its frame", BROKEN,
     frame(HEADERS, b"\xff" + block(GET), 1, END_STREAM | END_HEADERS | PADDED)[:9]
     + b"\xff" + block(GET)),
    ("a head too short for its flags", "connection: FRAME_SIZE_ERROR",
     frame(HEADERS, b"\0", 1, END_STREAM | END_HEADERS | PRIORITIZED)),
    ("SETTINGS of a stream", BROKEN, frame(SETTINGS, b"", 1)),
    ("SETTINGS of five bytes", "connection: FRAME_SIZE_ERROR", frame(SETTINGS, bytes(5))),
    ("SETTINGS acknowledged with more", "connection: FRAME_SIZE_ERROR",
     frame(SETTINGS, bytes(6), 0, 1)),
    ("window beyond 31 bits", "connection: FLOW_CONTROL_ERROR", settings((4, 2 ** 31))),
    ("frames of 100 bytes", BROKEN, settings((5, 100))),
    ("push of 2", BROKEN, settings((2, 2))),
    ("PING of seven bytes", "connection: FRAME_SIZE_ERROR", frame(PING, bytes(7))),
    ("PING of a stream", BROKEN, frame(PING, bytes(8), 1)),
    ("GOAWAY of a stream", BROKEN, frame(GOAWAY, bytes(8), 1)),
    ("RST_STREAM of nothing", BROKEN, frame(RST_STREAM, u32(8), 1)),
    ("RST_STREAM of three bytes", "connection: FRAME_SIZE_ERROR",
     head(GET, flags=END_HEADERS) + frame(RST_STREAM, bytes(3), 1)),
    ("PUSH_PROMISE by a client", BROKEN,
     head(GET, flags=END_HEADERS) + frame(PUSH_PROMISE, u32(2) + block(GET), 1, END_HEADERS)),
    ("WINDOW_UPDATE of 0", BROKEN, frame(WINDOW_UPDATE, u32(0))),
    ("WINDOW_UPDATE of a stream that is none", BROKEN, frame(WINDOW_UPDATE, u32(1), 1)),
    ("the connection's window beyond 31 bits", "connection: FLOW_CONTROL_ERROR",
     frame(WINDOW_UPDATE, u32(U31))),
    ("a stream's window beyond 31 bits", "stream: FLOW_CONTROL_ERROR",
     head(POST, flags=END_HEADERS) + frame(WINDOW_UPDATE, u32(U31), 1)),
    ("HTTP/1.1 behind the preface", "connection: FRAME_SIZE_ERROR",
     b"GET /call/evil HTTP/1.1\r\nHost: echo.localhost\r\n\r\n"),
    # header compression (RFC 7541)
    ("index 0", "connection: COMPRESSION_ERROR", head(b"\x80")),
    ("an index beyond the table", "connection: COMPRESSION_ERROR",
     head(block(GET) + number(100, 7, 0x80))),
    ("a table larger than allowed", "connection: COMPRESSION_ERROR",
     head(number(2 ** 20, 5, 0x20) + block(GET))),
    ("a table's size behind a field", "connection: COMPRESSION_ERROR",
     head(block(GET) + number(0, 5, 0x20))),
    ("a length without end", "connection: COMPRESSION_ERROR",
     head(b"\0\x7f" + b"\xff" * 20 + b"\x7f")),
    ("a string beyond its frame", "connection: COMPRESSION_ERROR", head(b"\0\x05ab")),
    ("Huffman padding of a byte", "connection: COMPRESSION_ERROR",
     head(b"\0\x81\xff" + b"\x01a")),
    ("a head of 80 KB", "431", head([*GET, (b"x", b"y" * 10000)], flags=END_STREAM)
     + b"".join(frame(CONTINUATION, block([(b"x", b"y" * 10000)]), 1, flags)
                for flags in [*[0] * 6, END_HEADERS])),
    ("101 fields", "431", head([*GET, *[(b"x", b"y")] * 100])),
    ("a head of 100,000 references", "stream: INTERNAL_ERROR",
     head(b"\x40\x01x" + number(3000, 7) + b"y" * 3000 + b"\xbe" * 10000, flags=END_STREAM)
     + frame(CONTINUATION, b"\xbe" * 16384, 1) * 5
     + frame(CONTINUATION, block(GET), 1, END_HEADERS)),
]


class Door(Market):
    def __init__(self, cloud, service):
        self.recorder = service
        super().__init__(cloud, upstream_manifest("echo", service.address))

    def normal_call(self):
        answer = self.call(f"/call/{self.nonce()}")
        assert (answer.status, answer.body) == (200, b"noted")
        return answer.fields["stoa-call"]

    def peer(self):
        host, port = self.cloud.gateway.rsplit(":", 1)
        return FramePeer((host, int(port)))

    def say(self, peer, wire):
        assert len(self.key) == len(PLACE), len(self.key)
        wire = PREFACE + settings() + wire.replace(PLACE, self.key.encode())
        peer.send_what_is_taken(wire)


@pytest.fixture(scope="module")
def one_door(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    with Recorder(folder / "service") as service, \
            Cloud(folder / "cloud", PLAIN_CONFIG + "workers: 2\n") as cloud:
        door = Door(cloud, service)
        yield door
        door.check_statement()
    shutil.rmtree(folder)


@pytest.fixture
def door(one_door):
    one_door.forget()
    one_door.recorder.seen.clear()
    one_door.recorder.leftovers.clear()
    return one_door


@pytest.mark.parametrize("ending, wire", [pytest.param(*more, id=name)
                                          for name, *more in REFUSED])
def test_what_is_not_clearly_http_2_ends_its_stream_or_its_connection(door, ending, wire):
    with door.peer() as peer:
        door.say(peer, wire)
        assert peer.outcome() == ending
    door.check()
    door.recorder.wait_until_idle()
    assert [request.target for request in door.recorder.seen] == [f"/call/n{door._number}"]
    assert all(is_clean(raw) for raw in door.recorder.leftovers)


# ---- odd but clear: name, bytes, what the service sees, the body that it gets

ODD = [
    ("in pieces", head(block(GET)[:9], flags=END_STREAM)
     + frame(CONTINUATION, block(GET)[9:20], 1) + frame(CONTINUATION, b"", 1)
     + frame(CONTINUATION, block(GET)[20:], 1, END_HEADERS), "GET /call/evil", b""),
    ("padded, with a priority",
     frame(HEADERS, b"\x03" + u32(0) + b"\x10" + block(GET) + bytes(3), 1,
           END_STREAM | END_HEADERS | PADDED | PRIORITIZED), "GET /call/evil", b""),
    ("content padded",
     body(data(b"\x05hello" + bytes(5), flags=END_STREAM | PADDED)), "POST /call/evil",
     b"hello"),
    ("content in pieces, and an empty end",
     body(data(b"he", flags=0), data(b"llo", flags=0), data(b"")), "POST /call/evil", b"hello"),
    ("Host that agrees", with_field(b"host", b"ECHO.localhost"), "GET /call/evil", b""),
    ("Host alone", head([METHOD, SCHEME, PATH, KEY, (b"host", b"echo.localhost")]),
     "GET /call/evil", b""),
    ("scheme https", instead((b":scheme", b"https")), "GET /call/evil", b""),
    ("TE of trailers", with_field(b"te", b"trailers"), "GET /call/evil", b""),
    ("cookies in pieces", head([*GET, (b"cookie", b"a=1"), (b"cookie", b"b=2")]),
     "GET /call/evil", b""),
    ("dots and slashes", instead((b":path", b"//a/..;/%2e%2e/%00/x")),
     "GET //a/..;/%2e%2e/%00/x", b""),
    ("a stream far ahead", head(GET, stream=1001), "GET /call/evil", b""),
    ("an unknown frame", frame(77, b"what", 0) + frame(78, b"ever", 1) + head(GET),
     "GET /call/evil", b""),
    ("unknown settings", settings((77, 1), (0x0a0a, 5)) + head(GET), "GET /call/evil", b""),
    ("a priority of a stream to come", frame(PRIORITY, u32(0) + b"\x10", 9) + head(GET),
     "GET /call/evil", b""),
    ("a smaller table", settings((1, 0)) + head(number(0, 5, 0x20) + block(GET)),
     "GET /call/evil", b""),
    ("trailers that frame and authorize",
     body(data(b"hello", flags=0), head([(b"te", b"trailers"), (b"host", b"other"),
                                         (b"authorization", b"x")])),
     "POST /call/evil", b"hello"),
    ("fields of Stoa's own", head([*GET, (b"stoa-account", b"globex"),
                                   (b"x-forwarded-for", b"1.2.3.4")]), "GET /call/evil", b""),
]


@pytest.mark.parametrize("wire, seen, content", [pytest.param(*more, id=name)
                                                 for name, *more in ODD])
def test_what_is_odd_but_clear_reaches_the_service_as_clean_http_1(door, wire, seen, content):
    with door.peer() as peer:
        door.say(peer, wire)
        assert peer.outcome() == "200"
    [request] = door.recorder.seen
    assert (f"{request.method} {request.target}", request.body) == (seen, content)
    assert is_clean(request.raw), request.raw
    assert door.key not in str(request.fields)
    assert request.fields["stoa-account"] == "acme"
    assert request.fields.get("cookie") in (None, "a=1; b=2")
    assert request.fields["x-forwarded-for"] == "127.0.0.1"
    records = door.new_records()
    assert [record["call"] for record in records if record["billed"]] == [
        request.fields["stoa-call"]]
    door.billed += 1
    door.check()


# ---- floods and windows

FLOODS = {
    "settings": settings() * 20000,
    "acknowledged settings": frame(SETTINGS, b"", 0, 1) * 20000,
    "pings": frame(PING, bytes(8)) * 20000,
    "priorities": frame(PRIORITY, u32(0) + b"\x10", 1) * 20000,
    "empty content": body(data(b"", flags=0) * 20000),
    "resets": b"".join(head([METHOD, SCHEME, AUTHORITY, PATH], stream, END_HEADERS)
                       + frame(RST_STREAM, u32(8), stream) for stream in range(1, 8001, 2)),
    "invalid heads": b"".join(head([METHOD], stream) for stream in range(1, 8001, 2)),
    "a head without end": head(GET, flags=END_STREAM) + frame(CONTINUATION, b"", 1) * 20000,
}


CALM = "connection: ENHANCE_YOUR_CALM"


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_ends_its_connection_and_no_other(door, flood):
    with door.peer() as steady, door.peer() as peer:
        door.say(steady, body())
        door.say(peer, FLOODS[flood])
        while not (words := peer.take() or "").startswith(("connection", "closed")):
            pass
        expected = BROKEN if flood == "acknowledged settings" else CALM
        assert words in (expected, "closed"), words
        nonce = door.normal_call()
        steady.send(data(b"later"))
        assert steady.outcome() == "200"
    billed = [record["call"] for record in door.new_records() if record["billed"]]
    assert len(billed) == 2 and nonce in billed
    door.billed += 2
    door.check()


def test_an_answer_waits_for_its_window_and_holds_up_no_other(door):
    with door.peer() as peer:
        door.say(peer, settings((4, 0)) + head(GET, 1))
        while 1 not in peer.statuses:
            assert not peer.take()
        for number_of_bytes in range(1, 6):
            assert peer.bodies.get(1, b"") == b"noted"[:number_of_bytes - 1]
            peer.send(frame(WINDOW_UPDATE, u32(1), 1))
            while len(peer.bodies.get(1, b"")) < number_of_bytes:
                peer.take()
        assert peer.bodies[1] == b"noted"
    billed = [record["call"] for record in door.new_records() if record["billed"]]
    door.billed += 1
    assert len(billed) == 1
    door.check()
