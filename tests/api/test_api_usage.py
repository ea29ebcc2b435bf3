"""Usage over time: what the minutes sum to, by service and by app, and over which steps."""

import datetime

import pytest
from cloud import upstream_manifest
from upstream import Answer

SUMS = ("calls", "billed_calls", "errors", "request_bytes", "response_bytes")


@pytest.fixture(scope="module")
def used(town):
    """acme/shop called echo three times and acme/desk once; nobody called quiet."""
    town.desk_key = town.app_with_key("acme/desk")
    town.subscribe("acme/desk", "echo")
    town.publish(upstream_manifest("quiet", town.upstream.address), "globex")
    for key, body in ((town.shop_key, b"abc"),) * 3 + ((town.desk_key, b""),):
        assert town.call("echo", "/x", key, method="POST", content=body).status_code == 200
    town.wait_until_posted()
    return town


def test_a_service_is_one_series_and_what_nobody_called_is_none(used):
    usage = used.ask("GET", "/v1/usage")
    series, = usage["series"]
    assert (series["service"], series["app"]) == ("echo", None)
    assert series["total"]["calls"] == series["total"]["billed_calls"] == 4
    assert series["total"]["request_bytes"] == 9 and series["total"]["errors"] == 0
    assert 0 < series["total"]["p50_us"] <= series["total"]["p90_us"] <= series["total"]["p99_us"]
    assert usage["step"] == "hour" and usage["total"]["calls"] == 4
    assert used.ask("GET", "/v1/usage", params={"service": "quiet"})["series"] == []


def test_an_apps_calls_are_told_apart(used):
    usage = used.ask("GET", "/v1/usage", params={"account": "acme"})
    assert {series["app"]: series["total"]["calls"] for series in usage["series"]} == {
        "acme/shop": 3, "acme/desk": 1}
    usage = used.ask("GET", "/v1/usage", params={"app": "acme/desk", "service": "echo"})
    assert [series["total"]["calls"] for series in usage["series"]] == [1]
    assert used.ask("GET", "/v1/usage", params={"account": "globex"})["series"] == []


@pytest.mark.parametrize("step,seconds", [("minute", 60), ("hour", 3600), ("day", 86400)])
def test_points_stand_on_whole_steps_and_sum_to_the_total(used, step, seconds):
    usage = used.ask("GET", "/v1/usage", params={"step": step, "service": "echo"})
    series, = usage["series"]
    for name in SUMS:
        assert sum(point[name] for point in series["points"]) == series["total"][name]
    times = [usage["from"], *(point["at"] for point in series["points"]), usage["to"]]
    assert times == sorted(times)
    for time in times:
        assert datetime.datetime.fromisoformat(time).timestamp() % seconds == 0


def test_a_time_before_the_calls_has_none(used):
    usage = used.ask("GET", "/v1/usage", params={"from": "2001-01-01T00:00:00Z",
                                                 "to": "2001-01-01T05:30:00Z"})
    assert usage["series"] == [] and usage["total"]["calls"] == 0
    assert usage["total"]["p99_us"] == 0
    assert (usage["from"], usage["to"]) == ("2001-01-01T00:00:00.000Z",
                                            "2001-01-01T06:00:00.000Z")


@pytest.mark.parametrize("calls, slow", [(10, ["p99_us"]), (4, ["p90_us", "p99_us"])])
def test_a_slow_call_is_in_the_quantiles_that_it_belongs_to(used, calls, slow):
    """One takes a second: of ten it is beyond 90 in 100, of four it is not."""
    name = f"slow-{calls}"
    used.publish(upstream_manifest(name, used.upstream.address), "globex")
    used.subscribe("acme/shop", name)
    used.upstream.answer = lambda request: Answer(delay=1 if request.nonce == "0" else 0)
    try:
        for number in range(calls):
            assert used.call(name, f"/{number}", used.shop_key).status_code == 200
    finally:
        used.upstream.answer = Answer()
    used.wait_until_posted()
    series, = used.ask("GET", "/v1/usage", params={"service": name})["series"]
    quantiles = ("p50_us", "p90_us", "p99_us")
    assert [one for one in quantiles if series["total"][one] >= 900000] == slow
