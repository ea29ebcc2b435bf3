"""Fields between caller and service: what neither may say to the other, and what Stoa says."""

import re

import pytest
from cloud import PLAIN_CONFIG, upstream_manifest
from h2_upstream import Answer as H2Answer
from h2_upstream import H2Upstream
from market import Market
from upstream import Answer

MILLISECONDS = r"(\d+\.\d{3})"


@pytest.fixture
def market(clouds, upstreams):
    upstream = upstreams()
    made = Market(clouds(PLAIN_CONFIG), upstream_manifest("echo", upstream.address))
    made.upstream = upstream
    return made


def test_the_services_time_and_its_own_timings_are_told(market):
    market.upstream.answer = Answer(delay=0.05, fields={"Server-Timing": "db;dur=7.5, cache"})
    with market.connect() as peer:
        peer.send(market.request("/call/n1"))
        peer.receive(lambda data: b"\r\n\r\nn1" in data)
        head = peer.received.decode()
    told = re.findall(r"^Server-Timing: (.*)\r$", head, re.MULTILINE)
    assert told[0] == "db;dur=7.5, cache" and len(told) == 2
    own, service = map(float, re.fullmatch(
        f"stoa;dur={MILLISECONDS}, service;dur={MILLISECONDS}", told[1]).groups())
    assert service >= 50 > own


def test_what_is_hop_by_hop_stays_on_its_hop_both_ways(market):
    market.upstream.answer = Answer(fields={
        "Connection": "X-Private, Stoa-Call", "X-Private": "1", "Keep-Alive": "timeout=5",
        "Proxy-Authenticate": "Basic", "Proxy-Connection": "close", "Upgrade": "h2c",
        "TE": "gzip", "X-Public": "2"})
    answer = market.call("/call/n1", fields=(
        "Connection: x-hidden, x-forwarded-for, keep-alive\r\nX-Hidden: 1\r\nKeep-Alive: 5\r\n"
        "TE: gzip;q=1\r\nProxy-Authorization: Basic eA==\r\nProxy-Connection: x\r\nX-Seen: 2\r\n"))
    assert (answer.status, answer.body, answer.fields["x-public"]) == (200, b"n1", "2")
    for name in ("x-private", "keep-alive", "proxy-authenticate", "proxy-connection", "upgrade",
                 "te"):
        assert name not in answer.fields, name
    seen = market.upstream.last.fields
    assert seen["x-seen"] == "2"
    # What Stoa says itself nobody can name away.
    assert answer.fields["stoa-call"] == seen["stoa-call"]
    assert seen["x-forwarded-for"] == "127.0.0.1"
    for name in ("x-hidden", "keep-alive", "te", "proxy-authorization", "proxy-connection",
                 "connection"):
        assert name not in seen, name


def test_a_service_that_speaks_http_2_is_told_the_same(clouds):
    with H2Upstream() as upstream:
        upstream.answer = lambda request: H2Answer(body=b"n1")
        manifest = {**upstream_manifest("echo", upstream.address), "protocol": "h2",
                    "identity": "signed"}
        market = Market(clouds(PLAIN_CONFIG), manifest)
        answer = market.call("/call/n1?a=b", fields=(
            "Connection: x-hidden\r\nX-Hidden: 1\r\nForwarded: for=1.2.3.4\r\n"
            "Date: Tue, 20 Apr 2021 02:07:55 GMT\r\nSignature: stoa=:AAAA:\r\n"))
        assert (answer.status, answer.body) == (200, b"n1")
        request, = upstream.requests
    assert request.field("forwarded") == 'for=127.0.0.1;host="echo.localhost";proto=http'
    assert request.field("x-forwarded-host") == "echo.localhost"
    assert request.field("signature-input").startswith('stoa=("@method" "@path"')
    assert re.fullmatch(r"stoa=:[A-Za-z0-9+/]{43}=:", request.field("signature"))
    assert not request.field("date").startswith("Tue, 20 Apr 2021")
    assert request.field("x-hidden") is None
