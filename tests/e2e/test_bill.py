"""Bills: that anybody can check one, and that whatever is changed in one is found and named."""

import json
import random
import re
from decimal import Decimal

import pytest
from books import check_books, quiet
from cloud import upstream_manifest
from upstream import Answer

CONFIG = """\
name: test
currency: USD
rates:
  call: {call}
  gib_second: 0.000016667
  gib: {{host: 0.01, zone: 0.02, cloud: 0.03, intercloud: 0.09}}
fee: {fee}
workers: 2
"""
METERS = {"pixels": {"reported_by": "Stoa-Units", "unit": "pixel"}}
PLANS = {
    "payg": {
        "prices": [
            {"meter": "calls", "model": "unit", "price": 0.05},
            {"meter": "pixels", "model": "graduated", "free": "100",
             "tiers": [{"up_to": "1k", "price": "0.10 per 1k"}, {"price": "0.04 per 1k"}]}],
        "max_charge": 0.20, "max_units": {"pixels": 500}},
    "flat": {"prices": [{"model": "flat", "price": "3.00 per month"}]},
    "packs": {"prices": [
        {"meter": "calls", "model": "package", "price": "0.30 per package", "size": 4}]},
}


@pytest.fixture
def town(clouds, upstreams):
    chance = random.Random(7)
    upstream = upstreams()
    upstream.answer = lambda request: Answer(units=f"pixels={chance.randrange(900)}")
    cloud = clouds(CONFIG.format(call="0.000001", fee="3%"))
    cloud.upstream = upstream
    cloud.account("globex")
    cloud.publish(upstream_manifest("echo", upstream.address, PLANS, METERS), "globex")
    cloud.keys_of = {}
    for app, plan in (("acme/shop", "payg"), ("acme/back", "flat"), ("bert/shop", "packs")):
        account = app.split("/")[0]
        if account not in [item["name"] for item in cloud.items("/v1/accounts")]:
            cloud.account(account, "100.00")
        cloud.keys_of[app] = cloud.app_with_key(app)
        cloud.subscribe(app, "echo", plan)
    return cloud


def call(cloud, app, count=1):
    for _ in range(count):
        assert cloud.call("echo", "/", cloud.keys_of[app], content=b"abc").status_code == 200


def bill(cloud, account, path, *arguments):
    """The bill's file; its statement's total and lines are in it."""
    quiet(cloud)
    cloud.cli("statement", account, *arguments, "--bill", path)
    return path


def verified(cloud, account, path, *arguments):
    """What `stoa verify` tells of a bill that holds."""
    told = cloud.json("verify", bill(cloud, account, path, *arguments))
    statement = cloud.statement(account)
    assert told["verified"] and told["kind"] == "bill"
    assert (told["account"], told["total"]) == (account, statement["total"])
    assert told["lines"] == len(statement["lines"])
    return told


def test_consumers_providers_and_the_operator_verify_their_bills(town, tmp_path):
    call(town, "acme/shop", 9)
    call(town, "acme/back", 4)
    call(town, "bert/shop", 6)
    calls = {account: verified(town, account, tmp_path / account)["calls"]
             for account in ("acme", "bert", "globex", "operator")}
    assert calls == {"acme": 13, "bert": 6, "globex": 19, "operator": 19}
    # The same over the API, whose schema the answer has.
    answer = town.ask("GET", "/v1/accounts/acme/bill")
    assert [line["amount"] for line in answer["lines"]] == \
        [line["amount"] for line in json.loads((tmp_path / "acme").read_text())["lines"]]
    check_books(town)


def test_a_bill_is_checked_where_no_cloud_is(town, tmp_path):
    call(town, "acme/shop", 2)
    path = bill(town, "acme", tmp_path / "bill.json")
    key = (town.folder / "log.pub").read_text().strip()
    total = town.statement("acme")["total"]
    town.stop()
    done = town.cli("verify", path, "--key", key, "--cloud", tmp_path / "none")
    assert re.fullmatch(rf"the bill of acme for \d{{4}}-\d\d holds: 2 calls on record, "
                        rf"\d+ lines, total {re.escape(total)} USD, signed by test\n", done.stdout)
    done = town.cli("verify", "-", "--key", key, input=path.read_text())
    assert done.stdout.startswith("the bill of acme")
