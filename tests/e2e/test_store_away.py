"""The store is locked or its disk is full: calls go on while leases last, then they are refused
before a service works; nothing is lost, and all goes on by itself when the store is back."""

import sqlite3
import subprocess

import pytest
from books import check_books, settle, wait_until
from cloud import PLAIN_CONFIG, upstream_manifest
from market import Market

PLANS = {"payg": {"prices": [{"meter": "calls", "model": "unit", "price": 1}]}}


def private_mounts():
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Locked:
    """Another program holds the store's lock."""

    refusal = "busy"
    reason = "locked"

    def __init__(self, clouds, folder):
        self.cloud = clouds()

    def begin(self):
        self.other = sqlite3.connect(self.cloud.folder / "store.db", isolation_level=None)
        self.other.execute("BEGIN IMMEDIATE")

    def end(self):
        self.other.execute("ROLLBACK")
        self.other.close()


class Full:
    """The store's disk, a small one of its own, is full."""

    refusal = "store-unavailable"
    reason = "full"

    def __init__(self, clouds, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        self.cloud = clouds(PLAIN_CONFIG + f"store: sqlite:{self.folder}/store.db\n", start=False)
        self.cloud.wrapper = ["unshare", "-m", "sh", "-c",
                              'mount -t tmpfs -o size=16m stoa "$0" && exec "$@"', self.folder]
        self.cloud.start()

    def inside(self, script):
        subprocess.run(["nsenter", "-m", "-t", str(self.cloud.process.pid), "sh", "-c", script],
                       check=True, cwd="/", stderr=subprocess.DEVNULL)

    def begin(self):
        self.inside(f"! dd if=/dev/zero of={self.folder}/filler bs=4096")

    def end(self):
        self.inside(f"rm {self.folder}/filler")


@pytest.fixture(params=[Locked, pytest.param(Full, marks=pytest.mark.skipif(
    not private_mounts(), reason="no private mount namespace is allowed here"))])
def harm(request, clouds, tmp_path):
    return request.param(clouds, tmp_path)


def call_until_refused(market):
    """How many were answered, and the first answer that was none."""
    with market.connect() as peer:
        answered = 0
        while True:
            peer.send(market.request("/call/n"))
            answer = peer.read()
            if answer.status != 200:
                return answered, answer
            answered += 1


def test_calls_go_on_while_leases_last_and_nothing_is_lost(harm, upstreams):
    cloud, upstream = harm.cloud, upstreams()
    market = Market(cloud, upstream_manifest("echo", upstream.address, PLANS), amount="100000")
    for _ in range(20):
        market.normal_call()
    settle(cloud)
    assert cloud.status()["troubles"] == []
    market.normal_call()

    harm.begin()
    answered, refused = call_until_refused(market)
    assert answered > 0 and refused.status == 503 and b"ledger-unavailable" in refused.body
    assert upstream.requests == upstream.answered == 21 + answered

    def trouble():
        found = cloud.status()["troubles"]
        return found and found[0]

    wait_until(trouble, "it is told")
    assert trouble()["part"] == "poster" and harm.reason in trouble()["reason"]
    told = cloud.cli("status").stdout
    assert "TROUBLE   poster, since " in told and "to do: make room" in told
    assert 'stoa_trouble{part="poster"} 1' in cloud.client.get("/metrics").text
    denied = cloud.client.post("/v1/accounts", json={"name": "late"})
    assert denied.status_code == 503 and denied.json()["type"].endswith(harm.refusal)
    assert market.call("/call/n").status == 503

    harm.end()
    wait_until(lambda: market.call("/call/n").status == 200, "the store is back")
    wait_until(lambda: not trouble(), "it is over")
    assert "event=poster.recovered" in cloud.serve_log()
    cloud.account("late")
    settle(cloud)
    check_books(cloud)
    assert upstream.requests == upstream.answered == len(market.new_records())
    assert float(cloud.statement("acme")["total"]) == upstream.answered


def test_a_kill_while_the_store_is_away_loses_nothing(clouds, upstreams, tmp_path):
    harm, upstream = Locked(clouds, tmp_path), upstreams()
    cloud = harm.cloud
    market = Market(cloud, upstream_manifest("echo", upstream.address, PLANS), amount="100000")
    market.normal_call()
    settle(cloud)
    market.normal_call()
    harm.begin()
    call_until_refused(market)
    cloud.kill9()
    harm.end()
    cloud.start()
    settle(cloud)
    check_books(cloud)
    assert len(market.new_records()) == upstream.answered
    assert float(cloud.statement("acme")["total"]) == upstream.answered
