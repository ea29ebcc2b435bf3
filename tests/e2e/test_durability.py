"""When an answer may end: at once, or only when its record is on disk (`durability: answer`)."""

import threading

import pytest
from books import check_books, settle
from cloud import PLAIN_CONFIG, upstream_manifest
from market import Market

# So long that within the test nothing is synced but what was asked for.
RARE = "journal: {sync_interval: 10s}\n"


@pytest.fixture
def market_of(clouds, upstreams):
    def make(config):
        return Market(clouds(PLAIN_CONFIG + RARE + config),
                      upstream_manifest("echo", upstreams().address))

    return make


def on_disk(market):
    streams = market.cloud.status()["journal"]["streams"]
    return (sum(stream["written"] for stream in streams),
            sum(stream["durable"] for stream in streams))


def test_an_answer_that_has_ended_is_on_disk(market_of):
    market = market_of("durability: answer\n")
    for calls in range(1, 6):
        market.normal_call()
        assert on_disk(market) == (calls, calls)
    settle(market.cloud)
    check_books(market.cloud)


def test_without_it_an_answer_does_not_wait_for_the_disk(market_of):
    market = market_of("")
    for _ in range(5):
        market.normal_call()
    written, durable = on_disk(market)
    assert written == 5 and durable < 5


def test_answered_calls_survive_a_kill_and_are_billed_once(market_of):
    market = market_of("durability: answer\n")
    whole = [0] * 4

    def call(number):
        while market.cloud.process is not None:
            try:
                market.call()
            except (AssertionError, EOFError, OSError):
                return
            whole[number] += 1

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while sum(whole) < 200:
        threads[0].join(0.01)
    market.cloud.kill9()
    for thread in threads:
        thread.join()
    market.cloud.start()
    settle(market.cloud)
    check_books(market.cloud)
    billed = sum(record["billed"] for record in market.cloud.journal())
    assert sum(whole) <= billed <= sum(whole) + 4
