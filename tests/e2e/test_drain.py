"""The node stops without losing a request: what it answered last says so, what came is answered."""

import signal
import socket
import threading

import pytest
from books import check_books, settle
from cloud import PLAIN_CONFIG, upstream_manifest
from example_program import Peer
from market import Market


@pytest.fixture
def market_of(clouds, upstreams):
    def make(config=""):
        upstream = upstreams()
        market = Market(clouds(PLAIN_CONFIG + config), upstream_manifest("echo", upstream.address))
        market.upstream = upstream
        market.address = market.cloud.gateway
        return market

    return make


class Caller(threading.Thread):
    """Calls and calls on a kept connection, connects anew where an answer says that it was the
    last, and ends when nobody takes connections any more. `failed`: calls without a whole
    answer, though a connection had been there for them."""

    def __init__(self, market, number):
        super().__init__()
        self.market, self.number = market, number
        self.answered = self.lasts = 0
        self.failed = []

    def run(self):
        host, port = self.market.address.rsplit(":", 1)
        while True:
            try:
                peer = Peer((host, int(port)))
            except OSError:
                return
            with peer:
                while self.call(peer):
                    pass

    def call(self, peer):
        nonce = f"c{self.number}.{self.answered}"
        try:
            peer.send(self.market.request(f"/call/{nonce}"))
            answer = peer.read()
        except (EOFError, OSError) as error:
            self.failed.append(repr(error))
            return False
        if (answer.status, answer.body) != (200, nonce.encode()):
            self.failed.append(answer)
        self.answered += 1
        last = answer.fields.get("connection") == "close"
        self.lasts += last
        return not last


@pytest.mark.parametrize("config", ["io: epoll\nworkers: 2\n", "workers: 1\n"])
def test_stopping_under_load_fails_no_call(market_of, config):
    market = market_of(config)
    callers = [Caller(market, number) for number in range(16)]
    for caller in callers:
        caller.start()
    market.upstream.wait_for(500)
    market.cloud.stop()
    for caller in callers:
        caller.join()
    assert [caller.failed for caller in callers] == [[]] * 16
    assert sum(caller.lasts for caller in callers) >= 16
    market.cloud.start()
    billed = [record for record in market.new_records() if record["billed"]]
    assert len(billed) == sum(caller.answered for caller in callers) == market.upstream.answered
    settle(market.cloud)
    check_books(market.cloud)


def test_a_request_on_a_connection_that_was_idle_is_answered(market_of):
    market = market_of("drain: 5s\n")
    market.upstream.hold()
    with market.connect() as busy, market.connect() as idle:
        busy.send(market.request("/call/busy"))
        market.upstream.wait_for(1)
        market.cloud.terminate()
        # The gateway drains once it takes no connection any more.
        host, port = market.address.rsplit(":", 1)
        while True:
            try:
                socket.create_connection((host, int(port))).close()
            except ConnectionError:
                break
        idle.send(market.request("/call/idle"))
        market.upstream.wait_for(2)
        market.upstream.release()
        for peer, nonce in ((busy, b"busy"), (idle, b"idle")):
            answer = peer.read()
            assert (answer.status, answer.body) == (200, nonce)
            assert answer.fields["connection"] == "close"
    assert market.cloud.wait() == 0


def test_a_second_signal_ends_the_wait_for_calls_in_flight(market_of):
    market = market_of("drain: 1h\n")
    cloud = market.cloud
    market.upstream.hold()
    with market.connect() as peer:
        peer.send(market.request("/call/x"))
        market.upstream.wait_for(1)
        cloud.terminate()
        while "event=node.stopping" not in cloud.serve_log():
            pass
        cloud.process.send_signal(signal.SIGINT)
        assert cloud.wait() == 0
        with pytest.raises((EOFError, ConnectionError)):
            peer.read()
    assert "event=node.hurried" in cloud.serve_log()
    cloud.start()
    record, = market.new_records()
    assert (record["outcome"], record["billed"]) == ("aborted", False)
