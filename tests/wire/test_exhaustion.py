"""What is taken and not given back: descriptors, connections, memory and time. Whoever takes it is
let go of; everybody else is served meanwhile and after."""

import os
import socket
import threading
from pathlib import Path

import pytest
from books import wait_until
from cloud import PLAIN_CONFIG, upstream_manifest
from example_program import Peer
from market import Market
from rogue import KEEP, RogueService, answer

HASTY = PLAIN_CONFIG + """\
workers: 1
http:
  head_timeout: 400ms
  body_idle_timeout: 20s
  keep_alive_timeout: 400ms
  send_idle_timeout: 400ms
  output_bytes: 64KiB
"""
# A MiB; under the address sanitizer more, which keeps up to 256 MiB of what was freed.
ROOM = (16 if "asan" in os.environ.get("STOA_BUILD", "") else 1) << 20
LARGE = 64 << 20  # far beyond what the kernel and the gateway keep for a slow reader
CONNECTIONS = 4000


def reads_nothing(peer, request):
    """The gateway's end of the request's body must not gather in memory."""
    READING.wait()
    left = request.length - len(peer.received)
    while left > 0:
        left -= len(peer.socket.recv(1 << 20))
    peer.received = b""
    peer.send(answer(request.nonce))
    return KEEP


def answers_without_end(peer, request):
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    while True:  # until the gateway has had enough of it
        peer.send(piece)


def large_by_length(peer, request):
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE + b"x" * LARGE)
    return KEEP


def large_in_chunks(peer, request):
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(LARGE >> 16):
        peer.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    peer.send(b"0\r\n\r\n")
    return KEEP


READING = threading.Event()
SCRIPTS = {"reads-nothing": reads_nothing, "without-end": answers_without_end,
           "large-length": large_by_length, "large-chunks": large_in_chunks}


def resident_bytes(cloud):
    status = Path(f"/proc/{cloud.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def open_descriptors(cloud):
    return len(list(Path(f"/proc/{cloud.process.pid}/fd").iterdir()))


def connect_many(market, count):
    host, port = market.cloud.gateway.rsplit(":", 1)
    peers = []
    for _ in range(count):
        peer = socket.socket()
        peer.setblocking(False)
        try:
            peer.connect((host, int(port)))
        except BlockingIOError:
            pass
        peers.append(peer)
    return peers


def close_all(peers):
    for peer in peers:
        peer.close()


@pytest.fixture
def few_descriptors(clouds, upstreams):
    """A market in a cloud that may have 96 descriptors open."""
    cloud = clouds(PLAIN_CONFIG + "workers: 2\n", start=False)
    cloud.wrapper = ["sh", "-c", 'ulimit -n 96 && exec "$@"', "sh"]
    cloud.start()
    return Market(cloud, upstream_manifest("echo", upstreams().address))


def test_without_descriptors_who_is_connected_is_served_and_all_are_after(few_descriptors):
    market = few_descriptors
    market.check()
    with market.connect() as early:
        early.send(market.request("/call/early"))
        calls = [early.read().fields["stoa-call"]]
        crowd = connect_many(market, 300)
        wait_until(lambda: open_descriptors(market.cloud) >= 94, "all descriptors are taken")
        for number in range(20):
            early.send(market.request(f"/call/still{number}"))
            told = early.read()
            assert (told.status, told.body) == (200, f"still{number}".encode())
            calls.append(told.fields["stoa-call"])
        close_all(crowd)
    # What waited to be accepted is accepted, found to be closed, and let go of.
    wait_until(lambda: open_descriptors(market.cloud) < 60, "descriptors are free again")
    market.check(calls)
    market.check_statement()


def test_thousands_of_silent_connections_hold_up_nobody_and_cost_little(clouds, upstreams):
    cloud = clouds(PLAIN_CONFIG + "workers: 2\n")
    market = Market(cloud, upstream_manifest("echo", upstreams().address))
    market.check()
    before = resident_bytes(cloud)
    crowd = connect_many(market, CONNECTIONS)
    wait_until(lambda: open_descriptors(cloud) > CONNECTIONS, "all are connected")
    for _ in range(20):
        market.check()
    each = (resident_bytes(cloud) - before) / CONNECTIONS
    print("bytes a silent connection:", each)
    assert each < 16384
    close_all(crowd)
    wait_until(lambda: open_descriptors(cloud) < 200, "all are let go of")
    market.check_statement()


# ---- slow callers


@pytest.fixture
def hasty(clouds):
    with RogueService(SCRIPTS) as rogue:
        market = Market(clouds(HASTY), upstream_manifest("echo", rogue.address))
        market.check()
        yield market


class Dripping:
    """A caller that sends a byte every 50 ms until it is closed or the bytes are out."""

    def __init__(self, market, begin, drip):
        self.peer = market.connect()
        self.peer.send(begin)
        self.sent = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(drip,))
        self.thread.start()

    def run(self, drip):
        try:
            while not self.ended.wait(0.05):
                self.peer.send(drip[self.sent:self.sent + 1])
                self.sent += 1
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.peer.socket.close()


def test_a_head_that_drips_must_be_whole_in_time(hasty):
    """Each byte is soon enough; the head is not."""
    head = hasty.request("/call/slow")[:-2]
    with Dripping(hasty, head, b"X: " + b"y" * 10000) as caller:
        told = caller.peer.read()
        assert told.status == 408
        assert caller.peer.is_closed()
    hasty.check()


def test_a_blank_line_now_and_then_is_no_request(hasty):
    with Dripping(hasty, b"", b"\r\n" * 10000) as caller:
        assert caller.peer.is_closed()  # nothing was asked, nothing is answered
    hasty.check()


def test_a_body_that_drips_holds_up_nobody_and_may_be_aborted(hasty):
    head = hasty.request("/call/slow", fields="Content-Length: 100000\r\n")
    with Dripping(hasty, head, b"x" * 100000):
        for _ in range(5):
            hasty.check()
    hasty.check()


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_caller_that_does_not_read_is_let_go_of_and_costs_little(hasty, framing):
    before = resident_bytes(hasty.cloud)
    with hasty.connect() as deaf:
        deaf.send(hasty.request(f"/bad/large-{framing}/x"))
        deaf.receive(lambda data: len(data) > 1000)
        records = []

        def let_go():
            records.extend(hasty.new_records())
            return records

        wait_until(let_go, "the call is over")
        assert resident_bytes(hasty.cloud) - before < 8 * ROOM
        assert [record["outcome"] for record in records] == ["aborted"]
        assert records[0]["response_bytes"] < LARGE
    hasty.billed += sum(record["billed"] for record in records)
    hasty.check()
    hasty.check_statement()


def test_a_caller_that_never_reads_its_pipelined_answers_is_let_go_of(hasty):
    """Requests without end, and nobody who takes the answers: the gateway stops reading."""
    before = resident_bytes(hasty.cloud)
    with hasty.connect() as deaf:
        deaf.socket.settimeout(5)
        with pytest.raises((ConnectionError, TimeoutError)):
            while True:
                deaf.socket.sendall(hasty.request("/none/such") * 200)
        assert resident_bytes(hasty.cloud) - before < 16 * ROOM
    hasty.forget()
    hasty.check()


# ---- slow services


@pytest.fixture
def rogue_market(clouds):
    with RogueService(SCRIPTS) as rogue:
        plans = {"payg": {"prices": [{"meter": "calls", "model": "unit", "price": 0.05}],
                          "limits": {"timeout": "60s"}}}
        market = Market(clouds(PLAIN_CONFIG + "workers: 1\n"),
                        upstream_manifest("echo", rogue.address, plans))
        market.check()
        yield market
        READING.set()


def test_a_service_that_reads_nothing_pauses_its_caller(rogue_market):
    market = rogue_market
    READING.clear()
    before = resident_bytes(market.cloud)
    size = 16 << 20
    with market.connect() as peer:
        peer.send(market.request("/bad/reads-nothing/large", "POST",
                                 fields=f"Content-Length: {size}\r\n")
                  .replace(b"Content-Length: 0\r\n", b""))
        sent = 0
        peer.socket.setblocking(False)

        def stuck():
            nonlocal sent
            try:
                sent += peer.socket.send(b"x" * min(65536, size - sent))
            except BlockingIOError:
                return True
            return False

        wait_until(stuck, "the caller is paused")
        market.check()
        assert resident_bytes(market.cloud) - before < 8 * ROOM
        READING.set()
        peer.socket.setblocking(True)
        while sent < size:
            peer.send(b"x" * min(65536, size - sent))
            sent += min(65536, size - sent)
        told = peer.read()
        assert told.body == b"large"
    market.check([told.fields["stoa-call"]])
    market.check_statement()


def test_an_answer_without_end_ends_with_its_caller(rogue_market):
    market = rogue_market
    before = resident_bytes(market.cloud)
    with market.connect() as peer:
        peer.send(market.request("/bad/without-end/x"))
        peer.receive(lambda data: len(data) > 4 << 20)
        assert resident_bytes(market.cloud) - before < 8 * ROOM
    records = []

    def over():
        records.extend(market.new_records())
        return records

    wait_until(over, "the call is over")
    assert [record["outcome"] for record in records] == ["aborted"]
    market.billed += sum(record["billed"] for record in records)
    market.check()
    market.check_statement()
