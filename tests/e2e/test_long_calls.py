"""Calls that run long: charged and on record as they run, cut cleanly when their money ends."""

import json
import re
import socket
import threading
from decimal import Decimal

import grpc
import pytest
import verifier
from books import check_books, quiet, settle
from cloud import PLAIN_CONFIG, upstream_manifest
from grpc_service import GrpcService, channel_of, stub
from market import Market
from streaming import TYPES, StreamingService
from websocket import CLOSE, WebSocket, WebSocketService

CONFIG = PLAIN_CONFIG + "settle_interval: 200ms\nworkers: 2\n"
CALL = Decimal("0.01")
PART = Decimal("0.02")  # 200 ms
PLAN = {"prices": [{"meter": "calls", "model": "unit", "price": "0.01"},
                   {"meter": "duration_ms", "model": "unit", "price": "0.0001"}],
        "max_charge": 100}


@pytest.fixture
def service():
    service = StreamingService()
    yield service
    service.close()


def market_of(clouds, address, amount="1000.00"):
    manifest = upstream_manifest("feed", address, {"payg": PLAN})
    return Market(clouds(CONFIG), manifest, amount=str(amount))


def open_stream(market, service, path, number=1):
    """(the caller's end, whose head was read; the service's)"""
    peer = market.connect()
    peer.send(market.request(path))
    visit = service.wait_for(number)
    status, fields = peer.read_head()
    assert status == 200 and "content-encoding" not in fields
    return peer, visit


def read_to_end(peer):
    while True:
        try:
            data = peer.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            return peer.received
        peer.received += data


def records_of(market, count):
    """The one call's records, once there are so many at least."""
    records = []
    while len(records) < count:
        records += market.new_records()
    assert len({record["call"] for record in records}) == 1
    return records


def check_parts(records):
    assert [record["continues"] for record in records] == [False] + [True] * (len(records) - 1)
    assert all(record["outcome"] == "running" for record in records[:-1])
    for index, record in enumerate(records):
        milliseconds = -(-record["service_us"] // 1000)
        if record["billed"]:
            assert Decimal(record["charge"]) == \
                (0 if index else CALL) + milliseconds * Decimal("0.0001")
    return sum(Decimal(record["charge"]) for record in records)


def check_bill(market, tmp_path, calls, total):
    """Both verifiers accept it, and it says so."""
    settle(market.cloud)
    path = tmp_path / "bill.json"
    market.cloud.cli("statement", "acme", "--bill", path)
    told = market.cloud.json("verify", path)
    assert told["calls"] == calls and Decimal(told["total"]) == total
    verifier.verify_bill(path.read_text(), (market.cloud.folder / "log.pub").read_text().strip())
    lines = market.cloud.statement("acme")["lines"]
    assert sum(line["quantity"] for line in lines if line["meter"] == "calls"
               and line["kind"] == "usage") == calls
    check_books(market.cloud)


def three_parts(market, tmp_path):
    records = records_of(market, 4)
    assert len(records) == 4 and check_parts(records) == CALL + 3 * PART
    assert records[-1]["outcome"] == "cut" and records[-1]["charge"] == "0.00"
    check_bill(market, tmp_path, 1, CALL + 3 * PART)


def test_an_event_stream_ends_with_an_event_when_the_balance_does(clouds, service, tmp_path):
    market = market_of(clouds, service.address, CALL + 3 * PART)
    peer, visit = open_stream(market, service, "/events")
    service.send(visit, b"data: 1\n\n")
    peer.receive(lambda data: b"0\r\n\r\n" in data)
    events = re.fullmatch(rb"9\r\ndata: 1\n\n\r\n[0-9a-f]+\r\nevent: stoa-problem\ndata: (.*)\n\n"
                          rb"\r\n0\r\n\r\n", peer.received)
    problem = json.loads(events.group(1))
    assert (problem["type"], problem["status"]) == ("urn:stoa:problem:balance-exhausted", 402)
    assert set(problem) == {"type", "title", "status", "detail", "call"}
    peer.socket.close()
    three_parts(market, tmp_path)


def test_a_download_breaks_when_the_budget_ends(clouds, service, tmp_path):
    market = market_of(clouds, service.address)
    market.cloud.subscribe("acme/shop", "feed", budget=CALL + 3 * PART)
    peer, visit = open_stream(market, service, "/plain")
    service.send(visit, b"x" * 1000)
    assert not read_to_end(peer).endswith(b"0\r\n\r\n")
    peer.socket.close()
    three_parts(market, tmp_path)


def test_a_websocket_is_closed_with_4402_when_the_balance_ends(clouds, tmp_path):
    with WebSocketService() as service:
        market = market_of(clouds, service.address, CALL + 3 * PART)
        with WebSocket(market.cloud.gateway, "feed", "/echo", market.key) as peer:
            peer.send(b"hello")
            assert peer.receive() == b"hello"
            opcode, data = peer.receive_frame()
            assert (opcode, int.from_bytes(data[:2], "big")) == (CLOSE, 4402)
            assert data[2:] == b"The account's balance does not cover a call"
            peer.wait_for_end()
        three_parts(market, tmp_path)


def test_a_grpc_stream_is_exhausted_when_the_balance_is(clouds, tmp_path):
    over = threading.Event()

    def messages():
        yield b"hello"
        over.wait()

    with GrpcService() as service:
        manifest = {**upstream_manifest("feed", service.address, {"payg": PLAN}), "protocol": "h2"}
        market = Market(clouds(CONFIG), manifest, amount=str(CALL + 3 * PART))
        with channel_of(market.cloud.gateway, "feed") as channel:
            answers = stub(channel, "BothStreams")(
                messages(), metadata=(("x-api-key", market.key),), timeout=60)
            assert next(answers) == b"hello"
            with pytest.raises(grpc.RpcError) as failed:
                next(answers)
            over.set()
            assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert failed.value.details().startswith("The account's balance does not cover a call")
            assert ("stoa-problem", "urn:stoa:problem:balance-exhausted") in \
                failed.value.trailing_metadata()
        three_parts(market, tmp_path)


def test_a_long_call_that_ends_by_itself_is_one_call(clouds, service, tmp_path):
    market = market_of(clouds, service.address)
    peer, visit = open_stream(market, service, "/events")
    service.send(visit, b"data: 1\n\n")
    records = records_of(market, 2)
    service.send(visit, b"data: 22\n\n")
    service.finish(visit)
    peer.receive(lambda data: data.endswith(b"USD\r\n\r\n"))
    records += market.new_records()
    charge = check_parts(records)
    assert records[-1]["outcome"] == "answered"
    assert sum(record["response_bytes"] for record in records) == 19
    told = re.search(rb"Stoa-Charge: ([0-9.]+) USD", peer.received).group(1)
    assert Decimal(told.decode()) == charge
    peer.socket.close()
    check_bill(market, tmp_path, 1, charge)
    total = market.cloud.ask("GET", "/v1/usage")["total"]
    assert (total["calls"], total["billed_calls"], total["response_bytes"]) == (1, 1, 19)
    quiet(market.cloud)  # of what its parts were held with, nothing stays


def test_what_ran_before_a_kill_is_billed(clouds, service, tmp_path):
    market = market_of(clouds, service.address)
    peer, visit = open_stream(market, service, "/events")
    service.send(visit, b"data: 1\n\n")
    before = records_of(market, 2)
    market.cloud.kill9()
    peer.socket.close()
    market.cloud.start()
    settle(market.cloud)
    records = before + market.new_records()
    assert all(record["outcome"] == "running" for record in records)
    total = sum(Decimal(record["charge"]) for record in records)
    assert total == CALL + len(records) * PART
    check_bill(market, tmp_path, 1, total)


def test_streams_that_race_for_one_budget_never_exceed_it(clouds, service, tmp_path):
    streams, parts = 16, 41
    market = market_of(clouds, service.address)
    budget = streams * CALL + parts * PART
    market.cloud.subscribe("acme/shop", "feed", budget=budget)
    peers = []
    for number in range(streams):
        peer = market.connect()
        peer.send(market.request("/events"))
        peers.append(peer)
    for number in range(streams):
        service.send(service.wait_for(number + 1), b"data: 1\n\n")
    for peer in peers:
        peer.receive(lambda data: b"0\r\n\r\n" in data)
        assert b"event: stoa-problem\n" in peer.received and b"budget-exhausted" in peer.received
        peer.socket.close()
    settle(market.cloud)
    records = market.new_records()
    total = sum(Decimal(record["charge"]) for record in records)
    assert budget - PART < total <= budget
    assert len({record["call"] for record in records}) == streams
    check_bill(market, tmp_path, streams, total)


@pytest.mark.parametrize("io", ["epoll", "auto"])
def test_each_byte_leaves_as_it_comes(clouds, service, io):
    """The service sends the next piece only when the caller has the last: whoever holds anything
    back makes both wait for ever."""
    manifest = upstream_manifest("feed", service.address, {"payg": PLAN})
    market = Market(clouds(PLAIN_CONFIG + f"io: {io}\n"), manifest)
    for number, path in enumerate(("/events", "/plain"), 1):
        peer = market.connect()
        peer.send(market.request(path, fields="Accept-Encoding: gzip, br\r\n"))
        visit = service.wait_for(number)
        status, fields = peer.read_head()  # which left before any byte of the body was there
        assert (status, fields["content-type"]) == (200, TYPES[path[1:]])
        assert "content-encoding" not in fields
        for piece in (b"d", b"a", b"ta: 1", b"\n", b"\n", b":\n\n", b"x" * 70000):
            service.send(visit, piece)
            wanted = len(piece)
            taken = b""
            while len(taken) < wanted:
                peer.receive(lambda data: b"\r\n" in data)
                size, rest = peer.received.split(b"\r\n", 1)
                peer.received = rest
                length = int(size, 16)
                peer.receive(lambda data, least=length + 2: len(data) >= least)
                taken += peer.received[:length]
                peer.received = peer.received[length + 2:]
            assert taken == piece
        service.finish(visit)
        peer.receive(lambda data: data.startswith(b"0\r\n"))
        peer.socket.close()
