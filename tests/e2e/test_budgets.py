"""Budgets of accounts, apps and subscriptions, nested: hard at every level, usable to the end."""

import asyncio
import random
import threading
from decimal import Decimal

import pytest
from books import balance, check_books, quiet, settle, wait_until
from callers import Load, call_many
from cloud import upstream_manifest
from upstream import Answer

CONFIG = "name: test\ncurrency: USD\nfee: 0%\nworkers: 3\n"
PRICE = Decimal("0.05")


def market(cloud, upstream, plans=None, meters=None):
    """Two apps of one account; returns their keys."""
    cloud.account("globex")
    cloud.account("acme", "100.00")
    cloud.publish(upstream_manifest("echo", upstream.address, plans, meters), "globex")
    keys = []
    for app in ("acme/shop", "acme/back"):
        keys.append(cloud.app_with_key(app))
        cloud.subscribe(app, "echo")
    return keys


def budget(cloud, of):
    """{level: (amount, spent, left)}"""
    return {row["level"]: tuple(Decimal(row[name]) for name in ("amount", "spent", "left"))
            for row in cloud.ask("GET", "/v1/budgets", params={"of": of})["budgets"]}


def race(cloud, keys, calls):
    """Callers of all keys at once; their outcomes in order."""
    async def run():
        loads = [Load(cloud.gateway, "echo", key, calls, prefix=f"k{number}-")
                 for number, key in enumerate(keys)]
        return await asyncio.gather(*(load.run(24) for load in loads))
    return asyncio.run(run())


def kill_under_load(cloud, key):
    load = Load(cloud.gateway, "echo", key, 10 ** 9, prefix="before-")
    thread = threading.Thread(target=lambda: asyncio.run(load.run(16)))
    thread.start()
    wait_until(lambda: len(load.outcome.whole) > 20, "some calls are answered")
    load.stopping = True
    cloud.kill9()
    thread.join()
    cloud.start()


def refusal(cloud, key):
    answer = cloud.call("echo", "/call/x", key)
    assert answer.status_code == 402
    problem = answer.json()
    return problem["type"].rsplit(":", 1)[1], problem["left"], problem["detail"]


def test_racing_apps_share_the_accounts_budget_exactly(clouds, upstreams):
    cloud, upstream = clouds(CONFIG), upstreams()
    keys = market(cloud, upstream)
    cloud.cli("budget", "set", "acme", "3.049999999/month")
    cloud.cli("budget", "set", "acme/shop", "2.00")
    outcomes = race(cloud, keys, 100)
    served = [outcome.statuses[200] for outcome in outcomes]
    assert sum(served) == 60 and served[0] <= 40
    assert upstream.answered == 60
    settle(cloud)
    assert balance(cloud, "acme") == Decimal("97.00")
    assert budget(cloud, "acme")["account"] == (
        Decimal("3.049999999"), Decimal("3.00"), Decimal("0.049999999"))
    kind, left, detail = refusal(cloud, keys[1])
    assert (kind, left) == ("account-budget-exhausted", "0.049999999 USD")
    assert detail.startswith("0.049999999 USD is left.") and "stoa budget set ACCOUNT" in detail
    # One nano more buys one call more.
    cloud.cli("budget", "set", "acme", "3.05/month")
    assert cloud.call("echo", "/call/last", keys[1]).status_code == 200
    assert refusal(cloud, keys[1])[:2] == ("account-budget-exhausted", "0.00 USD")
    check_books(cloud)


def test_the_level_that_refuses_is_named(cloud, upstreams):
    key, other = market(cloud, upstreams())
    cloud.cli("budget", "set", "acme/shop/echo", "0.05")
    cloud.cli("budget", "set", "acme/shop", "0.07")
    cloud.cli("budget", "set", "acme", "0.12")
    assert cloud.call("echo", "/call/1", key).status_code == 200
    assert refusal(cloud, key)[:2] == ("budget-exhausted", "0.00 USD")
    cloud.cli("budget", "set", "acme/shop/echo", "1.00")
    assert refusal(cloud, key)[:2] == ("app-budget-exhausted", "0.02 USD")
    cloud.cli("budget", "remove", "acme/shop")
    assert cloud.call("echo", "/call/2", other).status_code == 200
    assert refusal(cloud, key)[:2] == ("account-budget-exhausted", "0.02 USD")
    cloud.cli("budget", "remove", "acme")
    assert cloud.call("echo", "/call/3", key).status_code == 200
    settle(cloud)
    assert set(budget(cloud, "acme/shop/echo")) == {"subscription"}
    check_books(cloud)


@pytest.mark.parametrize("kill", [False, True], ids=["alive", "killed"])
def test_variable_charges_never_exceed_any_level(clouds, upstreams, kill):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    cloud, upstream = clouds(CONFIG), upstreams()
    plans = {"payg": {"prices": [
        {"meter": "calls", "model": "unit", "price": 0.01},
        {"meter": "pixels", "model": "unit", "price": "0.01 per 1000"}],
        "max_units": {"pixels": 12000}, "max_charge": 0.20}}
    meters = {"pixels": {"reported_by": "Stoa-Units", "unit": "pixel"}}
    # Some declare more than max_units allows: what they count is cut.
    upstream.answer = lambda request: Answer(units=f"pixels={chance.randrange(30000)}")
    keys = market(cloud, upstream, plans, meters)
    cloud.cli("budget", "set", "acme", "8.00/month")
    cloud.cli("budget", "set", "acme/back", "3.00/month")
    if kill:
        kill_under_load(cloud, keys[0])
    race(cloud, keys, 250)
    settle(cloud)
    for of, level in (("acme", "account"), ("acme/back", "app")):
        amount, spent, _ = budget(cloud, of)[level]
        assert spent <= amount
    # Nothing is stranded: calls go on until less is left than the most that one can cost.
    for key in keys:
        while cloud.call("echo", "/call/more", key).status_code == 200:
            pass
    quiet(cloud)
    amount, spent, left = budget(cloud, "acme")["account"]
    assert 0 <= left < Decimal("0.20") and spent == Decimal("100.00") - balance(cloud, "acme")
    assert budget(cloud, "acme/back")["app"][1] <= Decimal("3.00")
    check_books(cloud)


def test_budgets_are_kept_over_a_restart(clouds, upstreams):
    cloud = clouds(CONFIG)
    key, _ = market(cloud, upstreams())
    cloud.cli("budget", "set", "acme", "0.15/month")
    assert call_many(cloud.gateway, "echo", key, 1, 2).statuses == {200: 2}
    cloud.restart()
    assert call_many(cloud.gateway, "echo", key, 1, 3).statuses == {200: 1, 402: 2}
    wait_until(lambda: budget(cloud, "acme")["account"][2] == 0, "all of it is posted")
    check_books(cloud)


def test_the_command_shows_what_is_left(cloud, upstreams):
    key, _ = market(cloud, upstreams())
    assert cloud.cli("budget", "show", "acme/shop/echo").stdout == (
        "acme/shop/echo has no budget: the balance alone bounds it\n")
    cloud.cli("budget", "set", "acme", "100.00/month")
    cloud.call("echo", "/call/x", key)
    settle(cloud)
    shown = cloud.cli("budget", "set", "acme/shop", "20.00").stdout.splitlines()
    assert [line.split() for line in shown] == [
        ["OF", "LEVEL", "BUDGET", "PERIOD", "SPENT", "LEFT"],
        ["acme/shop", "app", "20.00", "USD", "once", "0.00", "USD", "20.00", "USD"],
        ["acme", "account", "100.00", "USD", "month", "0.05", "USD", "99.95", "USD"]]
    again = cloud.ask("POST", "/v1/budgets", {"of": "acme/shop", "amount": "20"}, expected=(200,))
    assert again == cloud.json("budget", "show", "acme/shop")
    kinds = [(row["kind"], row["name"], row["facts"]["budget"]) for row in
             cloud.items("/v1/changes") if "budget" in row["facts"]]
    assert kinds[-2:] == [("account", "acme", "100.00"), ("app", "acme/shop", "20.00")]
