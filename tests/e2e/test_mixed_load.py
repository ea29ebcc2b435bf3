"""Callers of every protocol at once, on services of both, while instances die and a key is rotated:
no answer is another call's, and the books have each whole answer once."""

import asyncio
import os
import signal
import ssl
import threading

import worker
from books import check_books, settle, wait_until
from callers import Load
from cloud import PLAIN_CONFIG, upstream_manifest
from h2_caller import H2Caller
from h2_upstream import H2Upstream
from market import Market

CALLERS = 3  # of each kind, on each service
CALLS = 150  # that they share
BATCH = 5  # streams at once of a caller of HTTP/2
SERVICES = ("worker", "echo")


class Callers:
    """One kind of callers on one service; `whole` are the Stoa-Call of their whole answers."""

    def __init__(self, address, service, key, prefix, tls):
        self.address, self.service, self.key = address, service, key
        self.prefix, self.tls = prefix, tls
        self.whole, self.statuses = [], []
        self.thread = threading.Thread(target=self.run)
        self.failure = None

    def run(self):
        try:
            self.call()
        except BaseException as why:
            self.failure = why


class Http1(Callers):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.load = Load(self.address, self.service, self.key, CALLS, self.prefix, tls=self.tls)

    def call(self):
        outcome = asyncio.run(self.load.run(CALLERS))
        assert outcome.unknown == 0
        self.whole, self.statuses = list(outcome.whole), list(outcome.statuses.elements())

    def use(self, key):
        self.load.key = key

    @property
    def answered(self):
        return sum(self.load.outcome.statuses.values())


class Http2(Callers):
    def call(self):
        callers = [H2Caller(self.address, self.service, self.key, self.tls)
                   for _ in range(CALLERS)]
        number = 0
        while number < CALLS:
            asked = []
            for caller in callers:
                caller.key = self.key
                for _ in range(BATCH):
                    nonce = f"{self.prefix}{number}"
                    asked.append((caller, caller.ask(f"/call/{nonce}"), nonce))
                    number += 1
            for caller, stream, nonce in asked:
                answer = caller.read(stream)
                assert answer.ended, (nonce, answer)
                self.statuses.append(answer.status)
                if answer.status == 200:
                    assert answer.body == nonce.encode(), (nonce, answer)
                    self.whole.append(answer.fields["stoa-call"])
        for caller in callers:
            caller.socket.close()

    def use(self, key):
        self.key = key

    @property
    def answered(self):
        return len(self.statuses)


def trusting(cloud, *protocols):
    context = ssl.create_default_context(cafile=cloud.folder / "tls" / "ca.pem")
    context.set_alpn_protocols(protocols)
    return context


def test_no_answer_is_crossed_and_the_books_agree(clouds, tmp_path):
    cloud = clouds(PLAIN_CONFIG + "workers: 2\n", arguments=["--gateway", "tls:127.0.0.1:0"])
    market = Market(cloud, worker.manifest(tmp_path / "worker", run={"instances": 2}),
                    tmp_path / "worker")
    with H2Upstream(streams_max=20) as upstream:
        cloud.publish({**upstream_manifest("echo", upstream.address), "protocol": "h2"}, "globex")
        cloud.subscribe("acme/shop", "echo")
        wait_until(lambda: sum(place["state"] == "healthy" and place["service"] == "worker"
                               for place in cloud.status()["instances"]) == 2, "two are healthy")
        kinds = [(Http1, cloud.gateway, None), (Http2, cloud.gateway, None),
                 (Http1, cloud.tls, trusting(cloud, "http/1.1")),
                 (Http2, cloud.tls, trusting(cloud, "h2"))]
        all_callers = [kind(address, service, market.key, f"{service}{number}x", tls)
                       for number, (kind, address, tls) in enumerate(kinds)
                       for service in SERVICES]
        for callers in all_callers:
            callers.thread.start()
        wait_until(lambda: sum(callers.answered for callers in all_callers) > CALLS,
                   "they are under way")
        victim = next(place for place in cloud.status()["instances"]
                      if place["service"] == "worker")
        os.kill(victim["pid"], signal.SIGKILL)
        key, = cloud.items("/v1/keys", app="acme/shop")
        rotated = cloud.json("key", "rotate", key["id"], "--overlap", "1h")
        for callers in all_callers:
            callers.use(rotated["key"])
        for callers in all_callers:
            callers.thread.join()
        assert not [callers.failure for callers in all_callers if callers.failure]
        assert not upstream.faults
        settle(cloud)
        check_books(cloud)
    statuses = [status for callers in all_callers for status in callers.statuses]
    whole = [call for callers in all_callers for call in callers.whole]
    # Those that the instance which was killed had begun.
    assert set(statuses) <= {200, 502} and statuses.count(502) <= 4 * CALLERS * BATCH
    records = market.new_records()
    assert {record["key"] for record in records} == {key["id"], rotated["id"]}
    billed = [record["call"] for record in records if record["billed"]]
    assert sorted(billed) == sorted(whole) and len(set(whole)) == len(whole)
