"""The user pays, both get paid: what the issue calls 1, 2 and, by its parts, 4."""

import asyncio
import random
from decimal import Decimal

import pytest
from books import balance, check_books, quiet, records_by_call, settle
from callers import Load, call_many
from cloud import upstream_manifest
from upstream import Answer

CARD = """\
name: test
currency: USD
rates:
  call: 0.000001
  gib_second: 0.000016667
  vcpu_second: 0.0000405
  gib: {host: 0.01, zone: 0.02, cloud: 0.03, intercloud: 0.09}
fee: 3%
workers: 2
"""
PLAIN = "name: test\ncurrency: USD\nfee: 0%\nworkers: 2\n"
PRICE = Decimal("0.05")


def market(cloud, upstream, amount, plans=None, meters=None, budget=None):
    """A provider with one service, a consumer with money and an app; returns the app's key."""
    cloud.account("globex")
    cloud.account("idle")
    cloud.account("acme", amount)
    cloud.publish(upstream_manifest("echo", upstream.address, plans, meters), "globex")
    key = cloud.app_with_key("acme/shop")
    cloud.subscribe("acme/shop", "echo", budget=budget)
    return key


def test_consumer_provider_and_operator_get_exactly_their_parts(clouds, upstreams):
    cloud, upstream = clouds(CARD), upstreams()
    key = market(cloud, upstream, "100.00")
    cloud.publish(upstream_manifest("unused", upstream.address), "idle")
    outcome = call_many(cloud.gateway, "echo", key, callers=8, calls=200)
    assert outcome.statuses == {200: 200}
    settle(cloud)
    usage = 200 * PRICE
    fee = usage * Decimal("0.03")
    lines = cloud.statement("acme")["lines"]
    charged = sum(Decimal(line["amount"]) for line in lines if line["kind"] == "cloud")
    assert charged >= 200 * Decimal("0.000001")
    assert balance(cloud, "acme") == Decimal("100.00") - usage - charged
    assert balance(cloud, "globex") == usage - fee
    assert balance(cloud, "operator") == charged + fee
    # A service that nobody called has cost its provider nothing.
    assert cloud.statement("idle")["lines"] == []
    assert Decimal(cloud.statement("idle")["total"]) == 0
    # What callers were told is what they paid.
    assert sum(outcome.charges.values()) == usage + charged
    check_books(cloud)


@pytest.mark.parametrize("io", ["uring", "epoll"])
def test_a_balance_serves_exactly_as_many_calls_as_it_covers(clouds, upstreams, io):
    cloud, upstream = clouds(PLAIN, arguments=["--io", io]), upstreams()
    balance_calls = 100
    key = market(cloud, upstream, PRICE * balance_calls + Decimal("0.049999999"))
    outcome = call_many(cloud.gateway, "echo", key, callers=64, calls=3 * balance_calls)
    assert outcome.statuses == {200: balance_calls, 402: 2 * balance_calls}
    assert upstream.answered == balance_calls
    settle(cloud)
    assert balance(cloud, "acme") == Decimal("0.049999999")
    # The rest is usable: one nano more buys one call more.
    cloud.fund("acme", "0.000000001")
    assert cloud.call("echo", "/call/last", key).status_code == 200
    assert cloud.call("echo", "/call/none", key).status_code == 402
    settle(cloud)
    assert balance(cloud, "acme") == 0
    check_books(cloud)


def test_a_budget_of_a_subscription_is_as_hard(clouds, upstreams):
    cloud, upstream = clouds(PLAIN), upstreams()
    key = market(cloud, upstream, "100.00", budget="2.00")
    outcome = call_many(cloud.gateway, "echo", key, callers=64, calls=120)
    assert outcome.statuses == {200: 40, 402: 80}
    assert upstream.answered == 40
    settle(cloud)
    assert balance(cloud, "acme") == Decimal("98.00")
    assert "budget-exhausted" in cloud.call("echo", "/call/x", key).text
    cloud.subscribe("acme/shop", "echo", budget="2.05")
    assert cloud.call("echo", "/call/x", key).status_code == 200
    assert cloud.call("echo", "/call/x", key).status_code == 402
    check_books(cloud)


def test_variable_charges_under_holds_never_exceed_the_balance(clouds, upstreams):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    cloud, upstream = clouds(PLAIN), upstreams()
    plans = {"payg": {"prices": [
        {"meter": "calls", "model": "unit", "price": 0.01},
        {"meter": "pixels", "model": "unit", "price": "0.01 per 1000"}],
        "max_charge": 0.20}}
    meters = {"pixels": {"reported_by": "Stoa-Units", "unit": "pixel"}}
    upstream.answer = lambda request: Answer(units=f"pixels={chance.randrange(30000)}")
    key = market(cloud, upstream, "10.00", plans, meters)
    outcome = call_many(cloud.gateway, "echo", key, callers=32, calls=600)
    assert set(outcome.statuses) == {200, 402}
    settle(cloud)
    left = balance(cloud, "acme")
    assert left >= 0
    assert sum(outcome.charges.values()) == Decimal("10.00") - left
    assert max(outcome.charges.values()) <= Decimal("0.20")
    # Nothing is stranded: calls go on until what is left is less than the most one can cost.
    while cloud.call("echo", "/call/more", key).status_code == 200:
        pass
    quiet(cloud)
    assert 0 <= balance(cloud, "acme") < Decimal("0.20")
    check_books(cloud)


def test_free_allowance_and_tiers_are_exact_call_by_call(cloud, upstreams):
    upstream = upstreams()
    plans = {"payg": {"prices": [{
        "meter": "pixels", "model": "graduated", "free": 1000,
        "tiers": [{"up_to": 2000, "price": "0.10 per 1000"}, {"price": "0.03 per 1000"}]}],
        "max_units": {"pixels": 10000}}}
    meters = {"pixels": {"reported_by": "Stoa-Units", "unit": "pixel"}}
    upstream.answer = lambda request: Answer(units="pixels=700")
    key = market(cloud, upstream, "10.00", plans, meters)
    charges = []
    for number in range(6):
        answer = cloud.call("echo", f"/call/{number}", key)
        charges.append(Decimal(answer.headers["Stoa-Charge"].split()[0]))
    # Of 700 pixels each: 1000 are free, 2000 cost 0.0001 each, the rest 0.00003.
    assert charges == [Decimal(text) for text in ("0", "0.04", "0.07", "0.07", "0.035", "0.021")]
    settle(cloud)
    assert Decimal(cloud.statement("acme")["total"]) == sum(charges)
    check_books(cloud)


def test_what_fails_costs_nothing_and_is_on_record(cloud, upstreams):
    upstream = upstreams()
    upstream.answer = lambda request: Answer(status=500 if "bad" in request.target else 200)
    key = market(cloud, upstream, "1.00")
    assert cloud.call("echo", "/call/bad", key).status_code == 500
    assert cloud.call("echo", "/call/good", key).status_code == 200
    settle(cloud)
    assert balance(cloud, "acme") == Decimal("0.95")
    records = records_by_call(cloud)
    assert sorted((r["status"], r["billed"]) for r in records.values()) == [(200, True),
                                                                            (500, False)]
    check_books(cloud)


def test_no_answer_is_crossed_under_load_with_bodies(clouds, upstreams):
    cloud, upstream = clouds(CARD), upstreams()
    key = market(cloud, upstream, "1000.00")
    body = bytes(range(256)) * 64
    outcome = call_many(cloud.gateway, "echo", key, callers=48, calls=1500, method="POST",
                        body=body)
    assert outcome.statuses == {200: 1500}  # each compared with its nonce on the way
    check_books(cloud)


def test_rate_and_quota_are_kept(clouds, upstreams):
    cloud, upstream = clouds(PLAIN), upstreams()
    plans = {"small": {"prices": [{"meter": "calls", "model": "free"}],
                       "limits": {"quota": "25/month"}}}
    key = market(cloud, upstream, "1.00", plans)
    outcome = call_many(cloud.gateway, "echo", key, callers=16, calls=60)
    assert outcome.statuses == {200: 25, 402: 35}
    assert "quota-exceeded" in cloud.call("echo", "/x", key).text
    cloud.restart()
    # The quota is on record, not in memory.
    assert cloud.call("echo", "/x", key).status_code == 402
    assert upstream.answered == 25


def test_money_that_comes_later_lets_waiting_apps_go_on(clouds, upstreams):
    cloud, upstream = clouds(PLAIN), upstreams()
    key = market(cloud, upstream, "0.10")

    async def spend():
        load = Load(cloud.gateway, "echo", key, 10)
        return await load.run(4)

    assert asyncio.run(spend()).statuses == {200: 2, 402: 8}
    cloud.fund("acme", "0.15")
    assert asyncio.run(spend()).statuses == {200: 3, 402: 7}
    quiet(cloud)
    assert balance(cloud, "acme") == 0
