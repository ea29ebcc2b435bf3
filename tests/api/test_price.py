"""What a month would cost: the preview against plans worked out here, and against real bills."""

import random
import re
from fractions import Fraction

import pytest
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from upstream import Answer, CountingUpstream

METERS = {"pixels": {"reported_by": "Stoa-Units", "unit": "pixel"}}
PLANS = {
    "payg": {"prices": [
        {"meter": "calls", "price": "0.05 per call"},
        {"meter": "pixels", "model": "graduated", "free": "1M",
         "tiers": [{"up_to": "100M", "price": "0.10 per 3M"}, {"price": "0.04 per 7M"}]}],
        "max_charge": 0.20},
    "team": {"discount": ["12.5%", 1.00], "prices": [
        {"model": "flat", "price": "3.00 per month"},
        {"meter": "calls", "model": "package", "free": 2, "size": 1000, "price": 0.50},
        {"meter": "pixels", "price": "0.01 per 7", "minimum": "5.00 per month",
         "max_per_call": 1.00}]},
    "open": {},
}


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    with CountingUpstream() as upstream, Cloud(folder / "cloud", PLAIN_CONFIG) as cloud:
        upstream.answer = lambda request: Answer(units="pixels=1234")
        cloud.account("acme", "100.00")
        cloud.account("globex")
        cloud.shop_key = cloud.app_with_key("acme/shop")
        cloud.publish(upstream_manifest("thumbs", upstream.address, PLANS, METERS), "globex")
        cloud.subscribe("acme/shop", "thumbs", "payg")
        yield cloud


def preview(cloud, plan, expected=(200,), **arguments):
    return cloud.ask("GET", "/v1/price", expected=expected,
                     params={"service": "thumbs", "plan": plan, **arguments})


def nano(amount):
    sign = -1 if amount.startswith("-") else 1
    whole, decimals = amount.lstrip("-").split(".")
    return sign * (int(whole) * 10**9 + int(decimals.ljust(9, "0")))


def payg(calls, pixels):
    """In nano, by hand: the list, and what is charged."""
    counted = max(0, pixels - 10**6)
    first = min(counted, 10**8)
    tiers = first * Fraction(10**8, 3 * 10**6) + (counted - first) * Fraction(4 * 10**7, 7 * 10**6)
    total = calls * 50_000_000 + round(tiers)
    return total, total


def team(calls, pixels):
    packages = -(-max(0, calls - 2) // 1000)
    units = max(round(pixels * Fraction(10**7, 7)), 5 * 10**9) if pixels else 0
    total = (3 * 10**9 if calls else 0) + packages * 500_000_000 + units
    return total, max(0, round(total * Fraction(7, 8)) - 10**9)


def test_a_preview_shows_how_each_line_comes_about(market):
    told = preview(market, "payg", quantities="calls=1000,pixels=3M")
    assert (told["service"], told["plan"], told["plan_version"]) == ("thumbs", "payg", 1)
    assert told["app"] is told["period"] is told["charged"] is None
    calls, pixels = told["lines"]
    assert (calls["meter"], calls["quantity"], calls["amount"]) == ("calls", 1000, "50.00")
    assert calls["parts"] == [{"part": "units", "quantity": 1000, "price": "0.05", "per": 1,
                               "amount": "50.00"}]
    assert [part["part"] for part in pixels["parts"]] == ["free", "tier"]
    assert pixels["parts"][1] == {"part": "tier", "quantity": 2_000_000, "price": "0.10",
                                  "per": 3_000_000, "amount": "0.066666666", "fraction": "2/3"}
    assert (pixels["fraction"], pixels["amount"]) == ("2/3", "0.066666667")
    assert told["list"] == told["total"] == "50.066666667" and told["discounts"] == []


def test_discounts_and_minimums_are_steps_of_a_preview(market):
    told = preview(market, "team", quantities="pixels=7,calls=3")
    assert [(line["meter"], line["model"], line["amount"]) for line in told["lines"]] == [
        ("calls", "flat", "3.00"), ("calls", "package", "0.50"), ("pixels", "unit", "5.00")]
    assert told["lines"][2]["parts"][1] == {"part": "minimum", "quantity": 1, "price": "4.99",
                                            "per": 1, "amount": "4.99"}
    assert told["discounts"] == [
        {"discount": "percent_off", "from": "8.50", "amount": "-1.0625"},
        {"discount": "amount_off", "from": "7.4375", "amount": "-1.00"}]
    assert (told["list"], told["total"]) == ("8.50", "6.4375")


def test_previews_are_what_fractions_give(market):
    chance = random.Random(11)
    for _ in range(60):
        calls, pixels = chance.choice([0, 1, 2, 3, 10**chance.randrange(9)]), \
            chance.choice([0, chance.randrange(10**chance.randrange(1, 12))])
        quantities = ",".join(f"{name}={count}" for name, count in
                              (("calls", calls), ("pixels", pixels)) if count) or "calls=0"
        for plan, by_hand in (("payg", payg), ("team", team)):
            told = preview(market, plan, quantities=quantities)
            assert (nano(told["list"]), nano(told["total"])) == by_hand(calls, pixels), quantities


def test_what_has_no_price_is_told_to_cost_nothing(market):
    told = preview(market, "open", quantities="calls=5,response_bytes=1G")
    assert [(line["meter"], line["model"], line["quantity"], line["amount"])
            for line in told["lines"]] == [("calls", "free", 5, "0.00"),
                                           ("response_bytes", "free", 10**9, "0.00")]
    assert told["total"] == "0.00"


def test_a_real_month_is_priced_under_another_plan(market):
    for _ in range(5):
        assert market.call("thumbs", "/", market.shop_key).status_code == 200
    market.wait_until_posted()
    statement = market.statement("acme")
    month = statement["period"]
    told = preview(market, "payg", app="acme/shop", period=month)
    usage = [line for line in statement["lines"] if line["kind"] == "usage"]
    assert [(line["meter"], line["quantity"], line["amount"]) for line in told["lines"]] == \
        [(line["meter"], line["quantity"], line["amount"]) for line in usage]
    assert told["total"] == told["charged"] == "0.25"
    other = preview(market, "team", app="acme/shop", period=month)
    assert nano(other["total"]) == team(5, 5 * 1234)[1] and other["charged"] == "0.25"
    before = preview(market, "payg", app="acme/shop")
    assert before["period"] < month and before["lines"] == [] and before["total"] == "0.00"


def test_what_makes_no_sense_is_refused_with_what_to_do(market):
    for arguments, status, words in (
            ({"quantities": "clicks=3"}, 422, "it has calls, .*duration_ms, pixels"),
            ({"quantities": "calls=lots"}, 422, "METER=COUNT, as calls=1000 or calls=3M"),
            ({"quantities": "calls"}, 422, "is no quantity"),
            ({"quantities": "calls=1,calls=2"}, 422, "given twice"),
            ({"quantities": "calls=1", "app": "acme/shop"}, 422, "leave one of the two out"),
            ({}, 422, "give quantities, as calls=1000"),
            ({"quantities": "calls=1", "period": "2026-01"}, 422, "an app's month"),
            ({"app": "acme/back"}, 404, "acme/back|back"),
            ({"quantities": "calls=1000000000000"}, 422, "more than can be counted"),
            ({"quantities": "calls=1", "plan": "tema"}, 404, "team"),
            ({"quantities": "calls=1", "plan": ""}, 422, "plan|several")):
        told = preview(market, **{"plan": "payg", "expected": (status,), **arguments})
        assert re.search(words, told["detail"] + str(told.get("errors", ""))), told


def test_the_command_prints_a_table_that_adds_up(market):
    shown = market.cli("price", "thumbs:payg", "calls=1000", "pixels=3M").stdout
    assert shown.startswith("a month of thumbs on plan payg (version 1)\n")
    assert re.search(r"^ +tier +2000000 +0\.10 per 3000000 +2/3 +0\.066666666 USD$", shown, re.M)
    assert re.search(r"^total +50\.066666667 USD$", shown, re.M)
    shown = market.cli("price", "thumbs:team", "calls=3", "pixels=7").stdout
    assert re.search(r"^percent_off +-1\.0625 USD$", shown, re.M)
    assert re.search(r"^total +6\.4375 USD$", shown, re.M)
    assert "  discount         12.50% off a month's usage\n" in market.cli("catalog", "show",
                                                                        "thumbs").stdout
    assert market.json("price", "thumbs:payg", "calls=1k") == \
        preview(market, "payg", quantities="calls=1k")
