"""Bills: that anybody can check one, and that whatever is changed in one is found and named."""

import json
import os
import random
import re
from decimal import Decimal

import pytest
import verifier
from books import check_books, settle
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
    "flat": {"prices": [{"model": "flat", "price": "3.00 per month"},
                        {"meter": "calls", "model": "unit", "free": 2, "price": 0.01}]},
    "packs": {"discount": ["12.5%", 0.02], "prices": [
        {"meter": "calls", "model": "package", "price": "0.30 per package", "size": 4,
         "minimum": "0.70 per month"},
        {"meter": "pixels", "price": "0.30 per 7k pixels", "max_per_call": 0.02}]},
}
APPS = (("acme/shop", "payg"), ("acme/back", "flat"), ("bert/shop", "packs"))


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
    for app, plan in APPS:
        account = app.split("/")[0]
        if account not in [item["name"] for item in cloud.items("/v1/accounts")]:
            cloud.account(account, "100.00")
        cloud.keys_of[app] = cloud.app_with_key(app)
        cloud.subscribe(app, "echo", plan)
    return cloud


def call(cloud, app, count=1):
    for _ in range(count):
        assert cloud.call("echo", "/", cloud.keys_of[app], content=b"abc").status_code == 200


def public_key(cloud):
    return (cloud.folder / "log.pub").read_text().strip()


def bill(cloud, account, path, *arguments):
    """The bill's file; its statement's total and lines are in it."""
    settle(cloud)
    cloud.cli("statement", account, *arguments, "--bill", path)
    return path


def verified(cloud, account, path, *arguments):
    """What `stoa verify` tells of a bill that holds."""
    told = cloud.json("verify", bill(cloud, account, path, *arguments))
    _, records = verifier.verify_bill(path.read_text(), public_key(cloud))
    assert len(records) == told["calls"]
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
    key = public_key(town)
    total = town.statement("acme")["total"]
    town.stop()
    done = town.cli("verify", path, "--key", key, "--cloud", tmp_path / "none")
    assert re.fullmatch(rf"the bill of acme for \d{{4}}-\d\d holds: 2 calls on record, "
                        rf"\d+ lines, total {re.escape(total)} USD, signed by test\n", done.stdout)
    done = town.cli("verify", "-", "--key", key, input=path.read_text())
    assert done.stdout.startswith("the bill of acme")


def test_a_month_of_changing_cards_plans_and_kills_verifies(town, tmp_path):
    """Rate card, fee and plan versions change, the node is killed: every bill holds each time."""
    seen = 0
    for call_rate, fee, price in (("0.000001", "3%", "0.05"), ("0.000007", "12.5%", "0.011"),
                                  ("0", "0%", "0.0000007"), ("0.000001", "3%", "0.05")):
        config = CONFIG.format(call=call_rate, fee=fee)
        (town.folder / "cloud.yaml").write_text(config)
        town.kill9()
        town.start()
        plans = json.loads(json.dumps(PLANS))
        plans["payg"]["prices"][0]["price"] = price
        town.publish(upstream_manifest("echo", town.upstream.address, plans, METERS), "globex")
        for app, plan in APPS:
            call(town, app, 3)  # still under the plan version of before
            town.subscribe(app, "echo", plan)
            call(town, app, 4)
            seen += 7
        for account in ("acme", "bert", "globex", "operator"):
            told = verified(town, account, tmp_path / account)
        assert told["calls"] == seen
    cards = json.loads((tmp_path / "operator").read_text())["cards"]
    assert len(cards) >= 3
    check_books(town)


def changed(text, at):
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1:]


def test_any_changed_character_of_a_bill_is_found(town, tmp_path):
    call(town, "bert/shop", 3)
    call(town, "acme/shop", 3)
    path = bill(town, "acme", tmp_path / "bill.json")
    text = path.read_text()
    chance = random.Random(11)
    for at in chance.sample(range(len(text)), 60):
        path.write_text(changed(text, at))
        done = town.cli("verify", path, check=False)
        assert done.returncode == 1, at
        assert done.stderr.startswith(f"stoa verify: {path}: ") and done.stdout == "", at
        with pytest.raises((verifier.Wrong, ValueError, LookupError)):
            verifier.verify_bill(path.read_text(), public_key(town))


def test_commands_say_what_is_wrong_with_their_use(town, tmp_path):
    path = tmp_path / "bill.json"
    for arguments, status, what in [
            (("statement", "nobody", "--bill", path), 1, "nobody"),
            (("statement", "acme", "--bill", path, "--app", "acme/shop"), 2, "--bill goes without"),
            (("statement", "acme", "--bill", path, "--period", "2026-13"), 1, "period"),
            (("statement", "acme", "--bill", tmp_path / "none" / "x"), 1, "cannot write"),
            (("verify", tmp_path / "missing"), 1, "missing"),
            (("verify", tmp_path), 1, "cannot read"),
            (("verify",), 2, "FILE")]:
        done = town.cli(*arguments, check=False)
        assert done.returncode == status and what in done.stderr, (arguments, done)
        assert list(tmp_path.glob("bill.json*")) == []
    assert "--bill FILE" in town.cli("statement", "--help").stdout
    assert "stoa verify bill.json" in town.cli("verify", "--help").stdout
    # A month without calls has a bill, too.
    town.cli("statement", "acme", "--period", "2026-01", "--bill", path)
    assert town.json("verify", path)["calls"] == 0


def test_a_bill_replaces_no_device_and_no_link_and_goes_to_standard_output(town, tmp_path):
    call(town, "acme/shop", 1)
    settle(town)
    bills = tmp_path / "bills"
    bills.mkdir()
    os.mkfifo(bills / "pipe")
    (bills / "link").symlink_to(bills / "elsewhere")
    for name in ("pipe", "link", "."):
        done = town.cli("statement", "acme", "--bill", bills / name, check=False)
        assert done.returncode == 1 and "no regular file" in done.stderr, done
    assert sorted(path.name for path in bills.iterdir()) == ["link", "pipe"]
    assert (bills / "pipe").is_fifo() and (bills / "link").is_symlink()
    printed = town.cli("statement", "acme", "--bill", "-").stdout
    (tmp_path / "bill.json").write_text(printed)
    assert town.json("verify", tmp_path / "bill.json")["calls"] == 1


def test_a_log_that_was_changed_gives_no_bill(town, tmp_path):
    call(town, "acme/shop", 5)
    bill(town, "acme", tmp_path / "before")
    town.stop()
    for tile in town.folder.glob("audit/*/tile/0/*.p/*"):
        data = bytearray(tile.read_bytes())
        data[3] ^= 1
        tile.write_bytes(data)
    town.start()
    done = town.cli("statement", "acme", "--bill", tmp_path / "after", check=False)
    assert done.returncode == 1 and "is not that of record" in done.stderr, done
    assert list(tmp_path.glob("after*")) == []
    # What was made before holds all the same.
    assert town.json("verify", tmp_path / "before")["verified"]
