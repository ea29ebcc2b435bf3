"""A plan's next version comes to its subscribers with a month, told long before."""

import datetime
import json
from decimal import Decimal

from books import check_books, settle
from cloud import upstream_manifest
from shifted import month_start, name_of, set_clock

CONFIG = "name: test\ncurrency: USD\nfee: 3%\nworkers: 2\nplan: {notice: 20d}\n"
SECOND = datetime.timedelta(seconds=1)


def plans(price, **more):
    prices = [{"meter": "calls", "price": price}, {"model": "flat", "price": 1}]
    return {"payg": {"prices": prices, **more}}


def market(cloud, upstream, price):
    cloud.account("globex")
    cloud.account("acme", "100.00")
    key = cloud.app_with_key("acme/shop")
    publish(cloud, upstream, price)
    cloud.subscribe("acme/shop", "echo")
    return key


def publish(cloud, upstream, price, **more):
    return cloud.publish(upstream_manifest("echo", upstream.address, plans(price, **more)),
                         "globex")["plans"][0]


def subscription(cloud):
    return cloud.items("/v1/subscriptions")[0]


def usage(cloud, period):
    """Quantity and amount of what was called in a month."""
    lines = cloud.statement("acme", period=period)["lines"]
    return {(line["meter"], line["model"]): (line["quantity"], Decimal(line["amount"]))
            for line in lines}


def verify_bill(cloud, account, period, folder):
    bill = folder / f"{account}-{period}.json"
    cloud.cli("statement", account, "--period", period, "--bill", bill)
    assert cloud.cli("verify", bill, "--key", cloud.folder / "log.pub", check=False).returncode == 0
    return json.loads(bill.read_text())


def test_a_rise_is_told_and_comes_after_its_notice(clouds, upstreams):
    cloud, upstream = clouds(CONFIG), upstreams()
    market(cloud, upstream, "0.05")
    assert subscription(cloud)["change"] is None
    announced = publish(cloud, upstream, "0.07", limits={"quota": "5/month"})
    # No sooner than the cloud's least notice, which is longer than the plan's 14 days.
    effective = datetime.datetime.fromisoformat(announced["effective"].replace("Z", "+00:00"))
    notice = effective - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=19, hours=23) < notice < datetime.timedelta(days=52)
    assert (effective.day, effective.hour) == (1, 0)
    assert announced["dearer"] == ["calls", "quota"]
    told = {"app": "acme/shop", "service": "echo", "plan": "payg", "version": 2,
            "effective": announced["effective"], "dearer": ["calls", "quota"]}
    assert subscription(cloud)["change"] == told
    assert subscription(cloud)["plan_version"] == 1
    assert cloud.statement("acme")["changes"] == [told]
    assert cloud.statement("globex")["changes"] == []
    line = (f"acme/shop gets version 2 of echo:payg on {announced['effective'][:10]};"
            " dearer or less: calls, quota")
    assert line in cloud.cli("subscription", "list").stdout
    assert line in cloud.cli("statement", "acme").stdout
    assert f"from {announced['effective'][:10]} on" in cloud.cli("catalog", "show", "echo").stdout
    facts = cloud.items("/v1/changes", kind="service")[-1]["facts"]
    assert facts["announced"]["payg"]["dearer"] == ["calls", "quota"]
    # Taken back by what was before; that comes sooner, and is dearer for nobody.
    taken_back = publish(cloud, upstream, "0.05")
    assert taken_back["dearer"] == []
    assert subscription(cloud)["change"]["version"] == 3
    assert subscription(cloud)["change"]["dearer"] == []
    # And with the plan goes what it announced.
    cloud.publish(upstream_manifest("echo", upstream.address, {"other": {}}), "globex")
    assert subscription(cloud)["change"] is None


def test_over_a_months_start_each_call_has_its_months_price_and_none_is_refused(
        clouds, upstreams, tmp_path):
    cloud, upstream = clouds(CONFIG), upstreams()
    before, after = month_start(1) - SECOND, month_start(1)
    key = market(cloud, upstream, "0.05")
    publish(cloud, upstream, "0.03")
    cloud.stop()
    set_clock(cloud, tmp_path, after - 4 * SECOND)
    cloud.start()
    # Until some calls are of the new month, through a kill.
    versions, calls = set(), 0
    while calls < 20 or 2 not in versions:
        assert cloud.call("echo", f"/{calls}", key).status_code == 200
        calls += 1
        versions = {record["plan_version"] for record in cloud.journal()}
        assert calls < 5000
    assert versions == {1, 2}
    for _ in range(5):
        assert cloud.call("echo", "/more", key).status_code == 200
    cloud.kill9()
    cloud.start()
    assert cloud.call("echo", "/last", key).status_code == 200
    settle(cloud)
    check_books(cloud)
    records = cloud.journal()
    old, new = name_of(before), name_of(after)
    for record in records:
        assert record["plan_version"] == (1 if record["settled"][:7] == old else 2), record
    for period, price in ((old, Decimal("0.05")), (new, Decimal("0.03"))):
        count = sum(record["settled"][:7] == period for record in records)
        assert usage(cloud, period) == {("calls", "unit"): (count, count * price),
                                        ("calls", "flat"): (count, Decimal(1))}
        # Each month's bill is of one plan version, and holds for both sides.
        for account in ("acme", "globex"):
            bill = verify_bill(cloud, account, period, tmp_path)
            assert len(bill["subscriptions"]) == 1
    assert subscription(cloud)["plan_version"] == 2
    assert subscription(cloud)["change"] is None


def test_a_node_that_was_down_over_the_months_start_begins_with_the_new_version(
        clouds, upstreams, tmp_path):
    cloud, upstream = clouds(CONFIG), upstreams()
    key = market(cloud, upstream, "0.05")
    publish(cloud, upstream, "0.07")
    coming = subscription(cloud)["change"]["effective"]
    assert cloud.call("echo", "/a", key).status_code == 200
    cloud.kill9()
    month = datetime.datetime.fromisoformat(coming.replace("Z", "+00:00"))
    set_clock(cloud, tmp_path, month + 100 * SECOND)
    cloud.start()
    answer = cloud.call("echo", "/b", key)
    assert answer.headers["Stoa-Charge"] == "1.07 USD"
    settle(cloud)
    check_books(cloud)
    assert usage(cloud, name_of(month)) == {("calls", "unit"): (1, Decimal("0.07")),
                                            ("calls", "flat"): (1, Decimal(1))}
    # Subscribing again is nothing new: it has what is offered.
    assert cloud.subscribe("acme/shop", "echo")["outcome"] == "same"
