"""Proxies before the gateway: whose word on the client is taken, and what becomes of it."""

import json

import pytest
from cloud import PLAIN_CONFIG, upstream_manifest
from h2_caller import H2Caller
from market import Market
from upstream import Answer

NAMES = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
         "x-forwarded-port")
SAID = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "api.example.com", "X-Forwarded-Port": "443",
        "Forwarded": "for=198.51.100.2;proto=https"}


class Way:
    """A cloud with those settings; `call` tells what of the way the service saw, `logged` what the
    access log has as clients."""

    def __init__(self, clouds, upstreams, config):
        self.seen = []
        upstream = upstreams(self.answer)
        self.cloud = clouds(f"{PLAIN_CONFIG}access_log: {{file: access.log, format: json}}\n"
                            f"{config}")
        self.market = Market(self.cloud, upstream_manifest("echo", upstream.address))

    def answer(self, request):
        self.seen.append(request.fields)
        return Answer()

    def told(self):
        fields = self.seen.pop()
        return {name: fields[name] for name in NAMES if name in fields}

    def call(self, said):
        fields = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        assert self.market.call("/call/n1", fields=fields).status == 200
        return self.told()

    def logged(self):
        self.cloud.stop()
        lines = (self.cloud.folder / "access.log").read_text().splitlines()
        return [json.loads(line)["client"] for line in lines]


def test_a_trusted_proxy_is_believed_and_its_list_appended_to(clouds, upstreams):
    way = Way(clouds, upstreams, "trusted_proxies: [10.0.0.0/8, 127.0.0.1]\n")
    assert way.call(SAID) == {
        "x-forwarded-for": "198.51.100.1, 203.0.113.9, 127.0.0.1",
        "x-forwarded-proto": "https", "x-forwarded-host": "api.example.com",
        "x-forwarded-port": "443",
        "forwarded": 'for=203.0.113.9;host="api.example.com";proto=https'}
    with H2Caller(way.cloud.gateway, "echo", way.market.key) as caller:
        assert caller.call("/call/n2", fields=[
            ("x-forwarded-for", "2001:db8::7, 10.1.2.3")]).status == 200
        refused = caller.call("/call/n3", fields=[("x-forwarded-for", "203.0.113.77"),
                                                  ("x-api-key", "another")])
        assert refused.status == 400
    assert way.told()["forwarded"].startswith('for="[2001:db8::7]";host="echo.localhost"')
    assert way.logged() == ["203.0.113.9", "2001:db8::7", "203.0.113.77"]


@pytest.mark.parametrize("config", ["", "trusted_proxies: []\n", "trusted_proxies: [unix]\n",
                                    "trusted_proxies: [10.0.0.0/8, '::1']\n"])
def test_nobody_else_is_believed(clouds, upstreams, config):
    way = Way(clouds, upstreams, config)
    assert way.call(SAID) == {
        "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http",
        "x-forwarded-host": "echo.localhost",
        "forwarded": 'for=127.0.0.1;host="echo.localhost";proto=http'}
    assert way.logged() == ["127.0.0.1"]


def test_a_proxy_that_writes_forwarded_is_believed_in_that_alone(clouds, upstreams):
    way = Way(clouds, upstreams,
              "trusted_proxies: [127.0.0.0/8]\ntrusted_fields: forwarded\n")
    assert way.call({**SAID, "Forwarded": "for=203.0.113.9;host=api.example.com;proto=https"}) == {
        "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https",
        "x-forwarded-host": "api.example.com",
        "forwarded": 'for=203.0.113.9;host=api.example.com;proto=https, '
                     'for=127.0.0.1;host="echo.localhost";proto=http'}
    assert way.logged() == ["203.0.113.9"]
