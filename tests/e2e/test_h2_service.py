"""Services that speak HTTP/2: calls of HTTP/1.1 callers reach them, share connections, stream both
ways, and what such a service does wrong harms its own call alone."""

import hashlib
import os
import socket
import struct
import threading

import h2.errors
import h2_upstream
import pytest
from books import check_books, settle
from cloud import PLAIN_CONFIG, upstream_manifest
from h2_upstream import Answer, H2Upstream
from market import Market


# Closing says at once that nobody reads any more.
RESET = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def manifest_of(upstream):
    return {**upstream_manifest("echo", upstream.address), "protocol": "h2"}


@pytest.fixture
def h2_upstreams():
    made = []

    def make(*arguments, **more):
        made.append(H2Upstream(*arguments, **more))
        return made[-1]

    yield make
    for upstream in made:
        upstream.close()


def market_of(clouds, upstream, config=""):
    return Market(clouds(PLAIN_CONFIG + config), manifest_of(upstream))


@pytest.mark.parametrize("io", ["epoll", "auto"])
def test_calls_pass_with_fields_bodies_and_trailers(clouds, h2_upstreams, tmp_path, io):
    upstream = h2_upstreams(path=tmp_path / "service.sock")
    market = market_of(clouds, upstream, f"io: {io}\n")
    upstream.answer = lambda request: Answer(
        body=request.body[::-1], fields={"x-seen": request.field("x-one") or ""},
        trailers={"x-sum": hashlib.sha256(request.body).hexdigest()})
    body = os.urandom(3_000_000)
    answer = market.cloud.call("echo", "/call/n1", market.key, "POST",
                               {"X-One": "1", "TE": "trailers", "Connection": "TE"}, content=body)
    assert answer.status_code == 200
    assert answer.content == body[::-1]
    assert answer.headers["x-seen"] == "1"
    request, = upstream.requests
    assert request.field(":method") == "POST"
    assert request.field(":scheme") == "http"
    assert request.field(":authority") == "echo.localhost"
    assert request.field("content-length") == str(len(body))
    assert request.field("te") == "trailers"
    assert request.field("x-api-key") is None
    assert request.field("stoa-app") == "acme/shop"
    record, = market.new_records()
    assert (record["status"], record["request_bytes"], record["response_bytes"]) == (
        200, len(body), len(body))
    with market.connect() as peer:
        peer.send(market.request("/call/n2", "POST", body=b"abc"))
        answer = b""
        while not answer.endswith(b"\r\n\r\n") or b"\r\n0\r\n" not in answer:
            answer += peer.socket.recv(65536)
    trailers = answer[answer.index(b"\r\n0\r\n"):].decode()
    assert f"x-sum: {hashlib.sha256(b'abc').hexdigest()}\r\n" in trailers
    upstream.answer = Answer()
    market.normal_call()
    market.billed = 1
    market.forget()
    assert upstream.connections_made == 1
    assert not upstream.faults
    market.check_statement()


def test_many_callers_share_few_connections_and_no_answer_is_crossed(clouds, h2_upstreams):
    upstream = h2_upstreams(streams_max=20)
    market = market_of(clouds, upstream, "workers: 1\n")
    market.normal_call()
    wrong = []

    def talk(number):
        with market.connect() as peer:
            for turn in range(20):
                nonce = f"n{number}x{turn}"
                peer.send(market.request(f"/call/{nonce}"))
                answer = peer.read()
                if (answer.status, answer.body) != (200, nonce.encode()):
                    wrong.append((nonce, answer))

    talkers = [threading.Thread(target=talk, args=(number,)) for number in range(32)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert not wrong and not upstream.faults, (wrong[:3], upstream.faults)
    assert len(upstream.requests) == 641
    assert upstream.connections_made <= 4
    settle(market.cloud)
    check_books(market.cloud)


def test_a_stream_that_is_refused_is_tried_again_whatever_its_method(clouds, h2_upstreams):
    upstream = h2_upstreams()
    market = market_of(clouds, upstream)
    refused = []

    def refuse_once(_):
        if not refused:
            refused.append(True)
            return Answer(reset=h2.errors.ErrorCodes.REFUSED_STREAM)
        return Answer()

    upstream.answer = refuse_once
    answer = market.call("/call/n7", method="POST", body=b"once")
    assert (answer.status, answer.body) == (200, b"n7")
    assert [request.body for request in upstream.requests] == [b"once", b"once"]
    assert market.cloud.status()["calls"]["retries"] == 1


def test_a_call_beyond_what_a_leaving_service_has_looked_at_is_tried_again(clouds, h2_upstreams):
    upstream = h2_upstreams()
    market = market_of(clouds, upstream)
    left = []

    def leave_once(_):
        if not left:
            left.append(True)
            return Answer(goaway=0)
        return Answer()

    upstream.answer = leave_once
    answer = market.call("/call/n8", method="POST", body=b"once")
    assert (answer.status, answer.body) == (200, b"n8")
    assert upstream.connections_made == 2


def test_a_caller_that_leaves_ends_its_stream_and_no_other(clouds, h2_upstreams):
    upstream = h2_upstreams()
    market = market_of(clouds, upstream, "workers: 1\n")
    upstream.hold()
    with market.connect() as stays:
        with market.connect() as leaves:
            stays.send(market.request("/call/stays"))
            leaves.send(market.request("/call/leaves"))
            upstream.wait_for(2)
            leaves.socket.setsockopt(*RESET)
        upstream.wait_for(1, "resets")
        assert upstream.resets == [h2.errors.ErrorCodes.CANCEL]
        upstream.requests.clear()
        with market.connect() as other:
            other.send(market.request("/call/other"))
            upstream.wait_for(1)
            for connection, request in list(upstream._held):
                if request.nonce == "leaves":
                    upstream._held.remove((connection, request))
            upstream.release()
            assert other.read().body == b"other"
        assert stays.read().body == b"stays"
    assert upstream.connections_made == 1


def test_a_service_without_http_2_fails_its_own_calls_only(clouds, h2_upstreams, upstreams):
    plain = upstreams()
    market = Market(clouds(), {**upstream_manifest("plain", plain.address), "protocol": "h2"})
    answer = market.call("/call/n1")
    assert answer.status == 502
    good = h2_upstreams()
    market.cloud.publish({**manifest_of(good), "service": "good"}, "globex")
    market.cloud.subscribe("acme/shop", "good")
    answer = market.cloud.call("good", "/call/n2", market.key)
    assert (answer.status_code, answer.content) == (200, b"n2")


def test_a_wish_that_is_not_passed_on_leaves_an_ordinary_call(clouds, h2_upstreams):
    upstream = h2_upstreams()
    market = market_of(clouds, upstream)
    answer = market.call("/call/n9", fields="Connection: Upgrade\r\nUpgrade: h2c\r\n")
    assert (answer.status, answer.body) == (200, b"n9")
    request, = upstream.requests
    assert request.field("upgrade") is None and request.field("connection") is None
    market.normal_call()
    assert not upstream.faults


PROGRAM = """\
import os, sys, threading
sys.path.insert(0, %r)
from h2_upstream import H2Upstream
H2Upstream(path=os.environ["STOA_SOCKET"])
threading.Event().wait()
"""


def test_the_health_of_an_instance_is_asked_by_http_2(clouds, tmp_path):
    (tmp_path / "service.py").write_text(PROGRAM % h2_upstream.__file__.rsplit("/", 1)[0])
    manifest = {**upstream_manifest("echo", None), "protocol": "h2", "run": {
        "command": ["python3", "service.py"], "health": "/healthz", "memory": "256MiB"}}
    del manifest["upstream"]
    market = Market(clouds(), manifest, folder=tmp_path)
    market.normal_call()  # which only an instance that is well may answer
    instance, = market.cloud.status()["instances"]
    assert instance["state"] == "healthy"
