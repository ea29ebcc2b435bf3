"""Upgraded connections: WebSocket through the gateway, metered, bounded, billed and cut."""

import os
import random
import socket
import struct
import threading

import pytest
from books import check_books, settle
from cloud import PLAIN_CONFIG, upstream_manifest
from market import Market
from websocket import CLOSE, FLOOD_BYTES, Ended, WebSocket, WebSocketService

PRICE = "0.05"


@pytest.fixture
def service():
    with WebSocketService() as service:
        yield service


def market_of(clouds, service, config="", limits=None, amount="1000.00"):
    plan = {"prices": [{"meter": "calls", "model": "unit", "price": 0.05}]}
    if limits:
        plan["limits"] = limits
    manifest = upstream_manifest("chat", service.address, {"payg": plan})
    return Market(clouds(PLAIN_CONFIG + config), manifest, amount=amount)


def connect(market, path, **more):
    return WebSocket(market.cloud.gateway, market.service, path, market.key, **more)


def the_record(market):
    """Of the one call since the last time, once it is there."""
    while True:
        records = market.new_records()
        if records:
            assert len(records) == 1
            return records[0]


@pytest.mark.parametrize("io", ["epoll", "auto"])
def test_frames_with_nonces_go_both_ways_and_are_metered(clouds, service, io):
    market = market_of(clouds, service, f"io: {io}\n")
    failures, sent, taken = [], [], []

    def talk(number):
        choice = random.Random(number)
        with connect(market, "/echo") as peer:
            for turn in range(200):
                size = choice.choice([0, 1, 100, 125, 126, 4000, 70000])
                message = b"%d.%d." % (number, turn) + os.urandom(size)
                peer.send(message)
                if peer.receive() != message:
                    failures.append((number, turn))
            peer.close()
            sent.append(peer.sent_bytes)
            taken.append(peer.taken_bytes)

    talkers = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert not failures and len(sent) == 8
    records = market.new_records()
    assert sorted(record["request_bytes"] for record in records) == sorted(sent)
    assert sorted(record["response_bytes"] for record in records) == sorted(taken)
    for record in records:
        assert (record["status"], record["outcome"], record["billed"]) == (101, "answered", True)
        assert record["charge"] == PRICE
    assert market.cloud.status()["calls"]["tunnels"] == 0
    settle(market.cloud)
    check_books(market.cloud)


def test_the_handshake_passes_with_the_fields_of_both_sides(clouds, service):
    market = market_of(clouds, service)
    with connect(market, "/echo", fields="Sec-WebSocket-Protocol: soup\r\n") as peer:
        assert peer.status == 101
        assert peer.fields["upgrade"].lower() == "websocket"
        assert peer.fields["connection"].lower() == "upgrade"
        assert peer.fields["x-service"] == "yes"
        assert "content-length" not in peer.fields and "transfer-encoding" not in peer.fields
        call = peer.fields["stoa-call"]
        line, fields = service.heads[0]
        assert fields["stoa-call"] == call and fields["sec-websocket-protocol"] == "soup"
        assert "x-api-key" not in fields
        assert market.cloud.status()["calls"]["tunnels"] == 1
        peer.close()
    assert the_record(market)["call"] == call


def test_a_service_that_declines_answers_like_any_other(clouds, service):
    market = market_of(clouds, service)
    with connect(market, "/plain") as peer:
        assert peer.status == 200
        assert peer.fields["stoa-charge"] == PRICE + " USD"
        # The connection goes on as HTTP.
        peer.socket.sendall(market.request("/plain"))
        while b"plain" not in peer.received[5:]:
            peer.received += peer.socket.recv(65536)


@pytest.mark.parametrize("fields, body, method", [
    ("Upgrade: websocket\r\nConnection: upgrade\r\n", b"hidden", "POST"),
    ("Upgrade: websocket\r\nConnection: upgrade\r\n", b"GET /x HTTP/1.1\r\n\r\n", "GET"),
    ("Upgrade: websocket\r\nConnection: upgrade\r\n", b"", "POST"),
    ("Upgrade: WebSocket/13\r\nConnection: keep-alive, Upgrade\r\n", b"", "PUT"),
])
def test_an_upgrade_with_a_body_or_another_method_is_refused(clouds, service, fields, body, method):
    market = market_of(clouds, service)
    answer = market.call("/echo", method=method, fields=fields, body=body)
    assert answer.status == 400 and b"upgrade-invalid" in answer.body
    assert not service.heads


@pytest.mark.parametrize("upgrade", [
    "h2c", "H2C", "h2", "HTTP/2.0", "http/1.1", "TLS/1.2", "websocket, h2c", "h2c, websocket",
    "websocket\r\nUpgrade: h2c", "websocket\r\nUpgrade: websocket", "", "web socket",
    "x" * 65, "a/b/c"])
def test_other_wishes_for_an_upgrade_are_left_out(clouds, service, upgrade):
    market = market_of(clouds, service)
    answer = market.call("/echo", fields="Connection: Upgrade, HTTP2-Settings\r\n"
                         f"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nUpgrade: {upgrade}\r\n")
    assert (answer.status, answer.body) == (200, b"plain")
    line, fields = service.heads[0]
    assert not {"upgrade", "connection", "http2-settings"} & set(fields)


def test_a_protocol_that_nobody_asked_for_fails_the_call(clouds, service):
    market = market_of(clouds, service)
    with connect(market, "/other") as peer:
        assert peer.status == 502
    record = the_record(market)
    assert (record["outcome"], record["billed"]) == ("failed", False)


def test_what_the_service_breaks_is_cut_and_costs_nothing(clouds, service):
    market = market_of(clouds, service)
    with connect(market, "/reset") as peer:
        peer.send(b"x")
        peer.wait_for_end()
    record = the_record(market)
    assert (record["outcome"], record["billed"]) == ("failed", False)


def test_one_side_may_end_before_the_other(clouds, service):
    market = market_of(clouds, service)
    with connect(market, "/half") as peer:
        messages = [os.urandom(3000) for _ in range(20)]
        for message in messages:
            peer.send(message)
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.receive() == b"".join(messages)
        peer.wait_for_end()
    assert the_record(market)["outcome"] == "answered"


def test_a_caller_that_leaves_pays_for_what_it_had(clouds, service):
    market = market_of(clouds, service)
    with connect(market, "/echo") as peer:
        peer.send(b"hello")
        assert peer.receive() == b"hello"
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    record = the_record(market)
    assert (record["outcome"], record["billed"], record["charge"]) == ("aborted", True, PRICE)
    service.wait_for_ended(1)


def test_a_slow_reader_holds_the_service_back(clouds, service):
    count = 4000  # 64 MiB
    market = market_of(clouds, service)
    with connect(market, f"/flood/{count}") as peer:
        before = -1
        # What kernel and gateway hold is full once the service gets no further for a while.
        while service.flooded != before:
            before = service.flooded
            for _ in range(100):
                market.cloud.status()
        assert service.flooded < count * FLOOD_BYTES / 2
        for number in range(count):
            message = peer.receive()
            assert len(message) == FLOOD_BYTES and int.from_bytes(message[:8], "big") == number
        assert peer.receive_frame()[0] == CLOSE
        peer.wait_for_end()
        taken = peer.taken_bytes
    assert the_record(market)["response_bytes"] == taken


def test_a_tunnel_is_cut_when_nothing_moves(clouds, service):
    market = market_of(clouds, service, "tunnel: {idle_timeout: 200ms}\n")
    with connect(market, "/hold") as peer:
        peer.wait_for_end()
    record = the_record(market)
    assert (record["outcome"], record["billed"]) == ("cut", True)
    assert 200 <= record["duration_us"] / 1000
    service.wait_for_ended(1)


@pytest.mark.parametrize("config, limits", [("tunnel: {lifetime: 1s}\n", None),
                                            ("", {"timeout": "1s"})])
def test_a_tunnel_is_cut_when_its_time_is_over(clouds, service, config, limits):
    market = market_of(clouds, service, config, limits)
    with connect(market, "/echo") as peer:
        with pytest.raises(Ended):
            while True:
                peer.send(b"x")
                peer.receive()
    record = the_record(market)
    assert (record["outcome"], record["billed"]) == ("cut", True)
    assert record["duration_us"] >= 1_000_000


def test_a_tunnel_is_cut_when_its_money_is_over(clouds, service):
    # A MiB costs 1.00: beside the call's price, the hold's first MiB and some more are there.
    market = market_of(clouds, service, "rates: {gib: {intercloud: 1024, cloud: 1024, zone: 1024, "
                       "host: 1024}}\n", amount="5.10")
    got = 0
    with connect(market, "/flood/4000") as peer:
        with pytest.raises(Ended):
            while True:
                got += len(peer.receive())
    record = the_record(market)
    assert (record["outcome"], record["billed"]) == ("cut", True)
    assert 1 << 20 < record["response_bytes"] <= 5 << 20
    assert got <= record["response_bytes"]
    settle(market.cloud)
    check_books(market.cloud)
    account = market.cloud.ledger_account("acme")
    assert float(account["credits_posted"]) >= float(account["debits_posted"]) > 1


@pytest.mark.parametrize("end", ["key", "subscription"])
def test_a_tunnel_is_cut_when_its_right_is_over(clouds, service, end):
    market = market_of(clouds, service, "workers: 2\n")
    cloud = market.cloud
    with connect(market, "/echo") as peer, connect(market, "/hold") as idle:
        peer.send(b"hello")
        assert peer.receive() == b"hello"
        if end == "key":
            key, = cloud.items("/v1/keys", app="acme/shop")
            cloud.cli("key", "revoke", key["id"], "--wait")
        else:
            cloud.cli("unsubscribe", "acme/shop", "chat", "--wait")
        assert cloud.status()["calls"]["tunnels"] == 0
        peer.wait_for_end()
        idle.wait_for_end()
    service.wait_for_ended(2)
    records = market.new_records()
    assert [(record["outcome"], record["billed"], record["charge"]) for record in records] == [
        ("cut", True, PRICE)] * 2
    settle(cloud)
    check_books(cloud)


def test_a_tunnel_ends_with_the_node_and_is_on_record(clouds, service):
    market = market_of(clouds, service, "drain: 300ms\n")
    cloud = market.cloud
    with connect(market, "/echo") as peer:
        peer.send(b"hello")
        assert peer.receive() == b"hello"
        cloud.terminate()
        peer.send(b"still")
        assert peer.receive() == b"still"
        peer.wait_for_end()
        assert cloud.wait() == 0
    cloud.start()
    record, = market.new_records()
    assert (record["status"], record["billed"], record["charge"]) == (101, True, PRICE)
    settle(cloud)
    check_books(cloud)
