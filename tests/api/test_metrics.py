"""GET /metrics: well-formed, true, bounded, and open to its token alone."""

import re
from pathlib import Path

import exposition
import pytest
from cloud import PLAIN_CONFIG, ROOT, upstream_manifest
from market import Market
from upstream import Answer


def scrape(cloud, token=None):
    token = token or (cloud.folder / "metrics.token").read_text().strip()
    return cloud.client.get("/metrics", headers={"Authorization": f"Bearer {token}"})


def metrics(cloud):
    answer = scrape(cloud)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return exposition.read(answer.text)


@pytest.fixture
def market(clouds, upstreams):
    upstream = upstreams()
    upstream.answer = lambda request: Answer(status=503 if "bad" in request.target else 200)
    return Market(clouds(), upstream_manifest("echo", upstream.address))


def test_what_happened_is_told(market):
    cloud = market.cloud
    for _ in range(5):
        market.normal_call()
    for _ in range(2):
        assert market.call("/bad/x").status == 503
    cloud.call("nobody", "/")
    cloud.call("echo", "/")
    cloud.wait_until_posted()
    told = metrics(cloud)
    calls = told["stoa_service_calls_total"]
    assert calls.value(service="echo", outcome="2xx") == 5
    assert calls.value(service="echo", outcome="5xx") == 2
    assert calls.value(service="echo", outcome="failed") == 0
    seconds = told["stoa_service_call_seconds"]
    assert seconds.value("_count", service="echo") == 7
    assert seconds.value("_bucket", service="echo", le="+Inf") == 7
    assert 0 < seconds.value("_sum", service="echo") < 7 * 60
    problems = told["stoa_problems_total"]
    assert problems.value(type="no-such-service", status="404") == 1
    assert problems.value(type="key-missing", status="401") == 1
    assert told["stoa_service_instances"].value(service="echo") == 1
    assert told["stoa_service_calls_in_flight"].value(service="echo") == 0
    records = told["stoa_journal_records_total"]
    assert sum(records.value(**labels) for labels in records.series()
               if labels["stage"] == "posted") == 7
    assert told["stoa_journal_lag_records"].value(stage="posted") == 0
    assert told["stoa_journal_failed"].value() == 0
    assert told["stoa_leases_free"].value(currency="USD") > 0
    # The same numbers as stoa status has.
    status = cloud.status()
    assert told["stoa_gateway_calls_answered_total"].value() == status["calls"]["calls_answered"]
    assert told["stoa_poster_records_total"].value() == status["poster"]["records"]
    assert told["stoa_workers"].value() == status["workers"]
    for name in ("process_resident_memory_bytes", "process_open_fds", "stoa_start_time_seconds"):
        assert told[name].value() > 0


def test_calls_under_way_and_those_that_wait_are_told(clouds, upstreams):
    upstream = upstreams()
    market = Market(clouds(), upstream_manifest("echo", upstream.address))
    upstream.hold()
    with market.connect() as peer:
        peer.send(market.request("/call/x"))
        upstream.wait_for(1)
        told = metrics(market.cloud)
        assert told["stoa_service_calls_in_flight"].value(service="echo") == 1
        assert told["stoa_gateway_calls_in_flight"].value() == 1
        upstream.release()
        assert peer.read().status == 200


def test_counts_never_go_back_and_nothing_is_told_by_key_app_or_account(market):
    before = metrics(market.cloud)
    for _ in range(20):
        market.normal_call()
    answer = scrape(market.cloud)
    after = exposition.read(answer.text)
    for name, family in before.items():
        if family.kind == "gauge":
            continue
        for series, value in family.samples.items():
            assert after[name].samples[series] >= value, series
    assert "acme" not in answer.text and "shop" not in answer.text
    assert market.key not in answer.text


def test_services_beyond_the_bound_are_summed_up(clouds, upstreams):
    upstream = upstreams()
    cloud = clouds(PLAIN_CONFIG + "metrics: {services: 2}\n")
    market = Market(cloud, upstream_manifest("echo", upstream.address))
    for number in range(5):
        cloud.publish(upstream_manifest(f"more{number}", upstream.address), "globex")
        cloud.subscribe("acme/shop", f"more{number}")
        cloud.call(f"more{number}", "/x", market.key)
    told = metrics(cloud)
    calls = told["stoa_service_calls_total"]
    assert {labels["service"] for labels in calls.series()} == {"echo", "more0", "_other"}
    assert calls.value(service="more0", outcome="2xx") == 1
    assert calls.value(service="_other", outcome="2xx") == 4
    assert told["stoa_service_instances"].value(service="_other") == 4


def test_its_token_opens_nothing_else(cloud):
    token = (cloud.folder / "metrics.token").read_text().strip()
    assert Path(cloud.folder / "metrics.token").stat().st_mode & 0o777 == 0o600
    assert token != cloud.token and len(token) >= 32
    assert scrape(cloud, cloud.token).status_code == 200
    assert scrape(cloud, token[:-1] + "x").status_code == 401
    assert cloud.client.get("/metrics", headers={"Authorization": ""}).status_code == 401
    for method, path in (("GET", "/v1/status"), ("POST", "/metrics"), ("GET", "/v1/accounts"),
                         ("POST", "/v1/accounts"), ("GET", "/nowhere")):
        answer = cloud.client.request(method, path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, (method, path)
    # It stays the same over a restart.
    cloud.restart()
    assert scrape(cloud, token).status_code == 200


def test_every_family_is_documented_and_every_documented_one_is_told(market):
    document = (ROOT / "docs/metrics.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", document, re.M))
    assert documented == {name: family.kind for name, family in metrics(market.cloud).items()}
