"""Callers that speak HTTP/2: the same calls, money and bounds as by HTTP/1.1, on one connection."""

import json
import os
import random
import shutil
import subprocess
import threading
from decimal import Decimal

import pytest
from books import balance, check_books, settle
from callers import call_many
from cloud import PLAIN_CONFIG, upstream_manifest
from h2_caller import H2Caller, H2Tunnel
from market import Market
from upstream import Answer
from websocket import Frames, WebSocketService


@pytest.fixture(params=["epoll", "auto"])
def market(request, clouds, upstreams):
    upstream = upstreams()
    market = Market(clouds(f"{PLAIN_CONFIG}io: {request.param}\n"),
                    upstream_manifest("echo", upstream.address))
    market.upstream = upstream
    return market


def caller_of(market):
    return H2Caller(market.cloud.gateway, market.service, market.key)


def test_a_hundred_calls_share_a_connection(market):
    market.upstream.answer = lambda request: Answer(delay=random.random() / 20)
    with caller_of(market) as caller:
        asked = {caller.ask(f"/call/n{number}"): b"n%d" % number for number in range(100)}
        for stream, nonce in asked.items():
            answer = caller.read(stream)
            assert (answer.status, answer.body) == (200, nonce)
            assert answer.fields["stoa-charge"] == "0.05 USD"
    records = market.new_records()
    assert len(records) == 100 and {record["status"] for record in records} == {200}
    check_books(market.cloud)


def test_bodies_and_trailers_go_both_ways(market):
    body = os.urandom(3_000_000)
    market.upstream.answer = lambda request: Answer(
        chunks=[request.body[at:at + 50_000] for at in range(0, len(request.body), 50_000)])
    with caller_of(market) as caller:
        stream = caller.ask("/echo", method="POST", ends=False,
                            fields=[("expect", "100-continue")])
        assert caller.wait(stream, lambda answer: answer.went_on).went_on
        caller.send(stream, body)
        caller.end_with_trailers(stream, [("x-sum", "1")])
        answer = caller.read(stream)
        assert (answer.status, answer.ended) == (200, True)
        assert answer.body == body
        head = caller.call("/call/n1", method="HEAD")
        assert (head.status, head.body, head.ended) == (200, b"", True)
    first, second = market.new_records()
    assert first["request_bytes"] == first["response_bytes"] == len(body)
    assert second["status"] == 200


def test_a_slow_reader_holds_back_its_own_call_alone(market):
    market.upstream.answer = lambda request: (
        Answer(body=b"x" * 3_000_000) if request.nonce == "big" else None) or Answer()
    with caller_of(market) as caller:
        # Its stream's window is all that it takes; the connection's is given back.
        slow = caller.ask("/call/big")
        caller.slow.add(slow)
        caller.connection.increment_flow_control_window(10_000_000)
        caller.flush()
        for number in range(50):
            assert caller.call(f"/call/n{number}").body == b"n%d" % number
        answer = caller.wait(slow, lambda answer: len(answer.body) >= 65535)
        assert len(answer.body) == 65535
        caller.slow.clear()
        caller.connection.increment_flow_control_window(10_000_000, slow)
        caller.flush()
        assert len(caller.read(slow).body) == 3_000_000


def test_a_reset_call_is_one_that_its_caller_left(market):
    market.upstream.answer = lambda request: Answer(delay=600 if "hold" in request.target else 0)
    with caller_of(market) as caller:
        held = caller.ask("/call/hold")
        assert caller.call("/call/n1").body == b"n1"
        caller.reset(held)
        assert caller.call("/call/n2").body == b"n2"
        records = market.new_records()
        while len(records) < 3:
            records += market.new_records()
    assert sorted(record["outcome"] for record in records) == ["aborted", "answered", "answered"]
    check_books(market.cloud)


def test_refusals_are_problems_and_the_connection_goes_on(market):
    with caller_of(market) as caller:
        caller.key = "none"
        refused = caller.call("/call/n1")
        assert refused.status == 401
        assert refused.fields["content-type"] == "application/problem+json"
        caller.key = market.key
        refused = caller.call("/call/n1", fields=[("host", "other.localhost")])
        assert (refused.status, refused.fields["content-type"]) == (400, "application/problem+json")
        assert caller.call("/call/n1").body == b"n1"
    assert len(market.new_records()) == 1


def test_money_is_exact_whichever_protocol_the_callers_speak(market):
    def speak_h2(prefix):
        with caller_of(market) as caller:
            for turn in range(20):
                asked = {caller.ask(f"/call/{prefix}.{turn}.{number}"): number
                         for number in range(20)}
                for stream, number in asked.items():
                    answer = caller.read(stream)
                    assert answer.body.decode() == f"{prefix}.{turn}.{number}", answer
                    calls.add(answer.fields["stoa-call"])

    calls, failures = set(), []

    def talk(prefix):
        try:
            speak_h2(prefix)
        except BaseException as error:  # noqa: BLE001 (told below, on the test's own thread)
            failures.append(repr(error))

    before = balance(market.cloud, "acme")
    talkers = [threading.Thread(target=talk, args=(f"h{number}",)) for number in range(4)]
    for talker in talkers:
        talker.start()
    outcome = call_many(market.cloud.gateway, market.service, market.key, callers=8, calls=1000)
    for talker in talkers:
        talker.join()
    assert not failures
    assert outcome.statuses == {200: 1000}
    calls |= set(outcome.whole)
    settle(market.cloud)
    assert {record["call"] for record in market.new_records()} == calls
    assert len(calls) == 2600
    check_books(market.cloud)
    total = Decimal(market.cloud.statement("acme")["total"])
    assert abs(total) == Decimal("0.05") * 2600
    assert before >= balance(market.cloud, "acme")


def test_draining_answers_what_is_under_way(market):
    begun = threading.Event()

    def answer(request):
        begun.set()
        return Answer(delay=1)

    market.upstream.answer = answer
    with caller_of(market) as caller:
        stream = caller.ask("/call/late")
        begun.wait()
        market.cloud.terminate()
        assert caller.read(stream).body == b"late"
        assert caller.last_stream is not None
    assert market.cloud.wait() == 0


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl_speaks_it(market):
    def curl(*arguments, body=""):
        return subprocess.run(
            ["curl", "-sS", "--http2-prior-knowledge", "-w", " %{http_version}", "-H",
             "Host: echo.localhost", "-H", f"X-API-Key: {market.key}", *arguments],
            input=body, capture_output=True, text=True, check=True, timeout=60).stdout

    url = f"http://{market.cloud.gateway}/call/n1"
    assert curl(url) == "n1 2"
    assert curl("--data-binary", "@-", url, body="x" * 1_000_000) == "n1 2"
    assert curl("-I", "-o", "/dev/null", url) == " 2"
    assert [record["request_bytes"] for record in market.new_records()] == [0, 1_000_000, 0]


def test_the_access_log_tells_the_protocol(clouds, upstreams):
    cloud = clouds(f"{PLAIN_CONFIG}access_log:\n  file: access.log\n  format: json\n")
    market = Market(cloud, upstream_manifest("echo", upstreams().address))
    with caller_of(market) as caller:
        assert caller.call("/call/n1").status == 200
    market.normal_call()
    cloud.stop()
    lines = [json.loads(line) for line in (cloud.folder / "access.log").read_text().splitlines()]
    assert [line["protocol"] for line in lines] == ["HTTP/2", "HTTP/1.1"]


def test_websocket_is_a_stream_of_its_own(clouds):
    with WebSocketService() as service:
        market = Market(clouds(), upstream_manifest("chat", service.address))
        with caller_of(market) as caller:
            tunnel = H2Tunnel(caller, "/echo")
            assert tunnel.answer.status == 200
            assert "sec-websocket-accept" not in tunnel.answer.fields
            peer = Frames(tunnel, is_client=True)
            for size in (0, 1, 125, 126, 70000, 300000):
                message = os.urandom(size)
                peer.send(message)
                assert peer.receive() == message
            plain = caller.ask("/plain", method="CONNECT", ends=False,
                               pseudo=[(":protocol", "websocket")])
            assert caller.wait(plain, lambda answer: answer.status).status == 200
            caller.connection.end_stream(tunnel.stream)
            caller.flush()
            assert caller.read(tunnel.stream).ended
        records = market.new_records()
        while len(records) < 2:
            records += market.new_records()
        assert sorted(record["status"] for record in records) == [101, 200]
        check_books(market.cloud)
