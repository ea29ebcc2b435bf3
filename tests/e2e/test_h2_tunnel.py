"""WebSocket where HTTP/2 is on one side or both: extended CONNECT (RFC 8441) to a service that
allows it, and what is checked of a service's agreement."""

import os
import socket
import subprocess
import sys

import pytest
from books import check_books, settle
from cloud import PLAIN_CONFIG, upstream_manifest
from example_program import EXAMPLES
from h2_caller import H2Caller, H2Tunnel
from h2_upstream import Answer, H2Upstream
from market import Market
from websocket import Frames, WebSocket, WebSocketService, accept_of

SIZES = (0, 1, 125, 126, 70_000, 300_000)
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


class Tunnels:
    """A cloud, and a service of HTTP/2 behind it."""

    def __init__(self, clouds, config="", more=None, **service):
        self.upstream = H2Upstream(**service)
        try:
            self.market = Market(clouds(PLAIN_CONFIG + config), {
                **upstream_manifest("chat", self.upstream.address), "protocol": "h2",
                **(more or {})})
        except BaseException:
            self.upstream.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.upstream.close()

    def connect(self, path="/echo"):
        return WebSocket(self.market.cloud.gateway, "chat", path, self.market.key)

    def caller(self):
        return H2Caller(self.market.cloud.gateway, "chat", self.market.key)

    def records(self, count):
        found = []
        while len(found) < count:
            found += self.market.new_records()
        return found


def talk(peer):
    for size in SIZES:
        message = os.urandom(size)
        peer.send(message)
        assert peer.receive() == message


def check_request(request):
    assert [request.field(name) for name in (":method", ":protocol", ":path")] == [
        "CONNECT", "websocket", "/echo"]
    assert request.field("x-forwarded-host") == "chat.localhost"
    assert request.field("sec-websocket-version") == "13"
    assert request.field("stoa-app") == "acme/shop"
    for absent in ("sec-websocket-key", "upgrade", "connection", "x-api-key", "content-length"):
        assert request.field(absent) is None


@pytest.mark.parametrize("io", ["epoll", "auto"])
def test_a_caller_of_http_1_reaches_a_service_of_http_2(clouds, io):
    with Tunnels(clouds, f"io: {io}\n", tunnels=True) as tunnels:
        tunnels.upstream.answer = Answer(fields={"x-service": "yes", "sec-websocket-accept": "no"})
        with tunnels.connect() as peer:
            assert peer.status == 101  # and Sec-WebSocket-Accept is right
            assert peer.fields["x-service"] == "yes"
            talk(peer)
            peer.socket.shutdown(socket.SHUT_WR)  # which the service's stream hears of
            peer.wait_for_end()
        request, = tunnels.upstream.requests
        check_request(request)
        record, = tunnels.records(1)
        assert (record["status"], record["outcome"], record["billed"]) == (101, "answered", True)
        assert record["request_bytes"] == record["response_bytes"] == peer.sent_bytes
        assert not tunnels.upstream.faults
        settle(tunnels.market.cloud)
        check_books(tunnels.market.cloud)


def test_a_caller_of_http_2_reaches_a_service_of_http_2(clouds):
    with Tunnels(clouds, tunnels=True) as tunnels, tunnels.caller() as caller:
        tunnel, other = H2Tunnel(caller, "/echo"), H2Tunnel(caller, "/echo")
        assert tunnel.answer.status == other.answer.status == 200
        assert "sec-websocket-accept" not in tunnel.answer.fields
        peers = [Frames(tunnel, is_client=True), Frames(other, is_client=True)]
        for peer in peers:
            talk(peer)
        for request in tunnels.upstream.requests:
            check_request(request)
        caller.connection.end_stream(tunnel.stream)
        caller.flush()
        assert caller.read(tunnel.stream).ended
        talk(peers[1])
        caller.reset(other.stream)
        tunnels.upstream.wait_for(1, "resets")
        assert sorted((record["outcome"], record["billed"]) for record in tunnels.records(2)) == [
            ("aborted", True), ("answered", True)]
        settle(tunnels.market.cloud)
        check_books(tunnels.market.cloud)


def test_a_service_that_does_not_allow_it_is_not_asked(clouds):
    with Tunnels(clouds) as tunnels:
        with tunnels.connect() as peer:
            assert peer.status == 501
            assert peer.fields["content-type"] == "application/problem+json"
            length = int(peer.fields["content-length"])
            assert b"urn:stoa:problem:upgrade-unsupported" in peer.read(length)
        with tunnels.caller() as caller:
            assert H2Tunnel(caller, "/echo").answer.status == 501
            assert caller.call("/call/n1").body == b"n1"
        assert len(tunnels.upstream.requests) == 1
        assert sorted((record["status"], record["billed"]) for record in tunnels.records(3)) == [
            (200, True), (501, False), (501, False)]


def test_a_service_that_refuses_it_answers_as_to_any_call(clouds):
    with Tunnels(clouds, tunnels=True, answer=Answer(status=403, body=b"no")) as tunnels:
        with tunnels.connect() as peer:
            assert (peer.status, peer.read(2)) == (403, b"no")
        with tunnels.caller() as caller:
            tunnel = H2Tunnel(caller, "/echo")
            assert (tunnel.answer.status, caller.read(tunnel.stream).body) == (403, b"no")


def test_a_signed_upgrade_is_signed_as_the_service_sees_it(clouds):
    with Tunnels(clouds, tunnels=True, more={"identity": "signed"}) as tunnels:
        with tunnels.connect() as peer:
            talk(peer)
        request, = tunnels.upstream.requests
        identity = tunnels.market.cloud.ask("GET", "/v1/services/chat/identity")
        keys = " ".join(f"{key['keyid']}:{key['secret']}" for key in identity["keys"])
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.fields
                        if not name.startswith(":"))
        head = f"{request.field(':method')} {request.field(':path')} HTTP/1.1\r\n{lines}\r\n"
        done = subprocess.run([sys.executable, EXAMPLES / "identity" / "verify.py"],
                              input=head.encode(), env={"STOA_IDENTITY_KEYS": keys},
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done


@pytest.fixture
def chat(clouds):
    with WebSocketService() as service:
        yield Market(clouds(), upstream_manifest("chat", service.address))


@pytest.mark.parametrize("kind", ["none", "twice", "lower", "other", "key"])
def test_a_service_that_does_not_answer_to_the_key_gets_no_tunnel(chat, kind):
    with WebSocket(chat.cloud.gateway, "chat", f"/keyless/{kind}", chat.key) as peer:
        assert peer.status == 502
    with H2Caller(chat.cloud.gateway, "chat", chat.key) as caller:
        tunnel = H2Tunnel(caller, f"/keyless/{kind}")
        assert tunnel.answer.status == 502
        assert b"service-invalid" in caller.read(tunnel.stream).body
    records = []
    while len(records) < 2:
        records += chat.new_records()
    assert [(record["outcome"], record["billed"]) for record in records] == [("failed", False)] * 2


@pytest.mark.parametrize("key", ["", 2 * KEY, KEY.replace("==", "="), KEY.replace("==", "===")])
def test_websocket_without_a_key_is_refused(chat, key):
    answer = chat.call("/echo", fields="Connection: Upgrade\r\nUpgrade: websocket\r\n" + key)
    assert answer.status == 400 and b"upgrade-invalid" in answer.body
    assert not chat.new_records()


def test_the_answer_to_the_key_goes_on(chat):
    with WebSocket(chat.cloud.gateway, "chat", "/echo", chat.key) as peer:
        assert peer.fields["sec-websocket-accept"] == accept_of(peer.nonce).decode()
        talk(peer)
