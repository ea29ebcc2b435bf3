"""Instances that fail are left out and come back; a call outlives the instance it was to go to."""

import threading
from collections import Counter

import pytest
from cloud import PLAIN_CONFIG, upstream_manifest
from market import Market
from upstream import Answer

SOON = "eject: {time: 100ms, time_most: 200ms}\n"


@pytest.fixture
def pair(clouds, upstreams):
    """A function that makes a market whose service has two upstreams."""

    def make(config=""):
        good, bad = upstreams(), upstreams()
        manifest = upstream_manifest("echo", good.address)
        manifest["upstream"] = [good.address, bad.address]
        return Market(clouds(PLAIN_CONFIG + config), manifest), good, bad

    return make


def events(market, name):
    return [line for line in market.cloud.serve_log().splitlines() if f"event={name}" in line]


def calls_at_once(market, number=25, callers=8):
    """The statuses of so many calls of each of the callers: one alone would stay with the faster
    instance."""
    statuses = []

    def call():
        for _ in range(number):
            statuses.append(market.call().status)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(statuses)


def test_one_of_two_that_answers_5xx_is_left_out_and_comes_back(pair):
    market, good, bad = pair(SOON)
    good.answer = Answer(delay=0.002)
    bad.answer = Answer(status=503)
    statuses = calls_at_once(market)
    # Five in a row and what was in flight by then, later one try each 100 to 200 ms.
    assert 5 <= statuses[503] == bad.requests < 100
    assert statuses[200] == 200 - bad.requests
    ejected = events(market, "instance.ejected")
    assert "service=echo" in ejected[0] and "for_ms=100" in ejected[0]
    assert market.cloud.status()["calls"]["ejections"] == len(ejected)
    bad.answer = Answer(delay=0.002)
    while not events(market, "instance.recovered"):
        calls_at_once(market, 1)
    before = bad.requests
    while bad.requests < before + 10:
        assert set(calls_at_once(market, 1)) == {200}


def test_one_of_two_that_is_gone_fails_no_call(pair):
    market, good, bad = pair()
    good.answer = Answer(delay=0.002)
    bad.close()
    assert set(calls_at_once(market)) == {200}
    assert events(market, "instance.ejected")


def test_where_both_are_bad_one_of_them_stays(pair):
    market, good, bad = pair(SOON)
    bad.answer = good.answer = Answer(status=500, delay=0.002)
    assert set(calls_at_once(market)) == {500}
    assert good.requests + bad.requests == 200
    good.answer = bad.answer = Answer()
    while market.call().status != 200:
        pass
