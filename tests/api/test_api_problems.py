"""What the API refuses, each with its problem, and that the cloud goes on unharmed."""

import json
import re
import socket

import httpx
import pytest

PREFIX = "urn:stoa:problem:"
LONG = "x" * 64
NO_SUCH = "nobody"

# method, path, body, status, type, pointer (of the body) or parameter (of the rest), words
BAD_BODIES = [
    # not a JSON object
    ("POST", "/v1/accounts", b"", 400, "malformed-body", None, "empty"),
    ("POST", "/v1/accounts", b"{", 400, "malformed-body", None, "line 1"),
    ("POST", "/v1/accounts", b"[]", 400, "malformed-body", None, "a list"),
    ("POST", "/v1/accounts", b'"acme"', 400, "malformed-body", None, ""),
    ("POST", "/v1/accounts", b"null", 400, "malformed-body", None, ""),
    ("POST", "/v1/accounts", b'{"name": "a"} {"name": "b"}', 400, "malformed-body", None, "end"),
    ("POST", "/v1/accounts", b'{"name": "a", "name": "b"}', 400, "malformed-body", None,
     "duplicate"),
    ("POST", "/v1/accounts", b'{"name": "a\xff"}', 400, "malformed-body", None, "byte 0xff"),
    ("POST", "/v1/accounts", b'{"name": "a\\u0000b"}', 400, "malformed-body", None, "0000"),
    ("POST", "/v1/accounts", b"\xef\xbb\xbf{}", 400, "malformed-body", None, ""),
    ("POST", "/v1/accounts", b"{'name': 'a'}", 400, "malformed-body", None, ""),
    ("POST", "/v1/accounts", b"[" * 100000, 400, "malformed-body", None, "depth"),
    ("POST", "/v1/keys", b'{"app": "acme/shop", "count": 99999999999999999999}', 400,
     "malformed-body", None, "integer"),
    # members
    ("POST", "/v1/accounts", {}, 422, "invalid-argument", "/name", "missing"),
    ("POST", "/v1/accounts", {"nam": "a"}, 422, "invalid-argument", "/nam", 'did you mean "name"'),
    ("POST", "/v1/accounts", {"name": "a", "x/y~z": 1}, 422, "invalid-argument", "/x~1y~0z", ""),
    ("POST", "/v1/accounts", {"name": "a", "": 1}, 422, "invalid-argument", "/", ""),
    ("POST", "/v1/accounts", {"name": None}, 422, "invalid-argument", "/name", "null"),
    ("POST", "/v1/accounts", {"name": 7}, 422, "invalid-argument", "/name", "a text is wanted"),
    ("POST", "/v1/accounts", {"name": ["a"]}, 422, "invalid-argument", "/name", "a list"),
    ("POST", "/v1/accounts", {"name": {"name": "a"}}, 422, "invalid-argument", "/name", "object"),
    ("POST", "/v1/accounts", {"name": ""}, 422, "invalid-argument", "/name", "0 bytes"),
    ("POST", "/v1/accounts", {"name": LONG}, 422, "invalid-argument", "/name", "64 bytes"),
    ("POST", "/v1/accounts", {"name": "Acme"}, 422, "invalid-argument", "/name", "a-z"),
    ("POST", "/v1/accounts", {"name": "-a"}, 422, "invalid-argument", "/name", "'-'"),
    ("POST", "/v1/accounts", {"name": "a b"}, 422, "invalid-argument", "/name", ""),
    ("POST", "/v1/accounts", {"name": "a\u202eb"}, 422, "invalid-argument", "/name", ""),
    ("POST", "/v1/accounts", {"name": "outside"}, 422, "invalid-argument", "/name", "outside"),
    ("POST", "/v1/accounts", {"name": "operator"}, 422, "invalid-argument", "/name", "owner"),
    ("POST", "/v1/accounts", {"name": "acme"}, 409, "conflict", "/name", "acme"),
    # apps
    ("POST", "/v1/apps", {"account": "acme"}, 422, "invalid-argument", "/name", "missing"),
    ("POST", "/v1/apps", {"account": NO_SUCH, "name": "a"}, 404, "not-found", "/account",
     "nobody"),
    ("POST", "/v1/apps", {"account": "acmee", "name": "a"}, 404, "not-found", "/account",
     'did you mean "acme"'),
    ("POST", "/v1/apps", {"account": "acme", "name": "a/b"}, 422, "invalid-argument", "/name", ""),
    ("POST", "/v1/apps", {"account": "acme", "name": "shop"}, 409, "conflict", "/name", "shop"),
    # keys
    ("POST", "/v1/keys", {}, 422, "invalid-argument", "/app", "missing"),
    ("POST", "/v1/keys", {"app": "shop"}, 422, "invalid-argument", "/app", "account/app"),
    ("POST", "/v1/keys", {"app": "acme/none"}, 404, "not-found", "/app", "none"),
    ("POST", "/v1/keys", {"app": "acme/shop", "count": 0}, 422, "invalid-argument", "/count", "1"),
    ("POST", "/v1/keys", {"app": "acme/shop", "count": 10001}, 422, "invalid-argument", "/count",
     "10000"),
    ("POST", "/v1/keys", {"app": "acme/shop", "count": "3"}, 422, "invalid-argument", "/count",
     "whole number"),
    ("POST", "/v1/keys", {"app": "acme/shop", "count": 1.0}, 422, "invalid-argument", "/count",
     "fraction"),
    ("POST", "/v1/keys", {"app": "acme/shop", "count": True}, 422, "invalid-argument", "/count",
     "true"),
    ("POST", "/v1/keys", {"app": "acme/shop", "scopes": "a"}, 422, "invalid-argument", "/scopes",
     "list"),
    ("POST", "/v1/keys", {"app": "acme/shop", "scopes": ["a", 7]}, 422, "invalid-argument",
     "/scopes/1", "a text"),
    ("POST", "/v1/keys", {"app": "acme/shop", "scopes": ["a", "a b"]}, 422, "invalid-argument",
     "/scopes/1", "SERVICE[:METHODS[:PATH]]"),
    ("POST", "/v1/keys", {"app": "acme/shop", "scopes": ["echo:get"]}, 422, "invalid-argument",
     "/scopes/0", "capitals"),
    ("POST", "/v1/keys", {"app": "acme/shop", "scopes": ["echo:GET:/a/../b"]}, 422,
     "invalid-argument", "/scopes/0", "path"),
    ("POST", "/v1/keys", {"app": "acme/shop", "scopes": ["a"] * 17}, 422, "invalid-argument",
     "/scopes", "16"),
    ("POST", "/v1/keys", {"app": "acme/shop", "expires": "soon"}, 422, "invalid-argument",
     "/expires", "30d"),
    ("POST", "/v1/keys", {"app": "acme/shop", "expires": "2001-01-01T00:00:00Z"}, 422,
     "invalid-argument", "/expires", "to come"),
    ("POST", "/v1/keys", {"app": "acme/shop", "expires": "2099-02-30T00:00:00Z"}, 422,
     "invalid-argument", "/expires", ""),
    ("POST", "/v1/keys", {"app": "acme/shop", "expires": "0s"}, 422, "invalid-argument",
     "/expires", ""),
    ("POST", "/v1/keys", {"app": "acme/shop", "expires": "99999999d"}, 422, "invalid-argument",
     "/expires", ""),
    # money
    ("POST", "/v1/accounts/acme/funds", {}, 422, "invalid-argument", "/amount", "missing"),
    ("POST", "/v1/accounts/acme/funds", {"amount": 10}, 422, "invalid-argument", "/amount",
     "decimal text"),
    ("POST", "/v1/accounts/acme/funds", {"amount": "99999999999"}, 422, "invalid-argument",
     "/amount", "below 9223372036.8"),
    ("POST", "/v1/accounts/acme/funds", {"amount": 1.5}, 422, "invalid-argument", "/amount", ""),
    ("POST", "/v1/accounts/acme/funds", {"amount": "0"}, 422, "invalid-argument", "/amount",
     "more than zero"),
    ("POST", "/v1/accounts/acme/funds", {"amount": "-1"}, 422, "invalid-argument", "/amount",
     "more than zero"),
    ("POST", "/v1/accounts/acme/funds", {"amount": "1e3"}, 422, "invalid-argument", "/amount", ""),
    ("POST", "/v1/accounts/acme/funds", {"amount": "1,5"}, 422, "invalid-argument", "/amount", ""),
    ("POST", "/v1/accounts/acme/funds", {"amount": " 1"}, 422, "invalid-argument", "/amount", ""),
    ("POST", "/v1/accounts/acme/funds", {"amount": "0.0000000001"}, 422, "invalid-argument",
     "/amount", "nine places"),
    ("POST", "/v1/accounts/acme/funds", {"amount": "99999999999"}, 422, "invalid-argument",
     "/amount", ""),
    ("POST", "/v1/accounts/nobody/funds", {"amount": "1"}, 404, "not-found", "account", "nobody"),
    ("POST", "/v1/accounts/outside/funds", {"amount": "1"}, 404, "not-found", "account", ""),
    # services
    ("POST", "/v1/services", {"account": "globex"}, 422, "invalid-argument", "/manifest",
     "missing"),
    ("POST", "/v1/services", {"account": "globex", "manifest": {"service": "a"}}, 422,
     "invalid-argument", "/manifest", "object"),
    ("POST", "/v1/services", {"account": "globex", "manifest": ":\n  - ]"}, 422,
     "invalid-manifest", "/manifest", ""),
    ("POST", "/v1/services", {"account": "globex", "manifest": "[" * (1 << 20)}, 422,
     "invalid-manifest", "/manifest", ""),
    ("POST", "/v1/services", {"account": "globex", "manifest": "x", "dry_run": "yes"}, 422,
     "invalid-argument", "/dry_run", "true or false"),
    ("POST", "/v1/services", {"account": "globex", "manifest": "x: &a [*a]"}, 422,
     "invalid-manifest", "/manifest", ""),
    # subscriptions
    ("POST", "/v1/subscriptions", {"app": "acme/shop"}, 422, "invalid-argument", "/service",
     "missing"),
    ("POST", "/v1/subscriptions", {"app": "acme/none", "service": "echo"}, 404, "not-found",
     "/app", ""),
    ("POST", "/v1/subscriptions", {"app": "acme/shop", "service": "ecko"}, 404, "not-found",
     "/service", "echo"),
    ("POST", "/v1/subscriptions", {"app": "acme/shop", "service": "echo", "plan": "gold"}, 404,
     "not-found", "/plan", "gold"),
    ("POST", "/v1/subscriptions", {"app": "acme/shop", "service": "echo", "budget": "-1"}, 422,
     "invalid-argument", "/budget", ""),
    ("POST", "/v1/subscriptions", {"app": "acme/shop", "service": "echo", "budget": "1",
                                   "budget_period": "week"}, 422, "invalid-argument",
     "/budget_period", '"month" and "once"'),
    ("POST", "/v1/subscriptions", {"app": "acme/shop", "service": "echo",
                                   "budget_period": "month"}, 422, "invalid-argument",
     "/budget_period", "without a budget"),
    # budgets
    ("POST", "/v1/budgets", {"of": "acme"}, 422, "invalid-argument", "/amount", "missing"),
    ("POST", "/v1/budgets", {"of": "acme", "amount": "-1"}, 422, "invalid-argument", "/amount", ""),
    ("POST", "/v1/budgets", {"of": "acme", "amount": "1", "period": "week"}, 422,
     "invalid-argument", "/period", '"month" and "once"'),
    ("POST", "/v1/budgets", {"of": "nobody", "amount": "1"}, 404, "not-found", "/of", "nobody"),
    ("POST", "/v1/budgets", {"of": "acme/none", "amount": "1"}, 404, "not-found", "/of", "none"),
    ("POST", "/v1/budgets", {"of": "acme/shop/ecko", "amount": "1"}, 404, "not-found", "/of",
     "echo"),
    ("POST", "/v1/budgets", {"of": "acme/shop/echo/more", "amount": "1"}, 404, "not-found", "/of",
     "echo/more"),
    ("POST", "/v1/budgets", {"of": "/", "amount": "1"}, 404, "not-found", "/of", ""),
]

# method, path, status, type, parameter, words
BAD_QUERIES = [
    ("GET", "/v1/accounts?limit=0", 422, "invalid-argument", "limit", "1 to 1000"),
    ("GET", "/v1/accounts?limit=1001", 422, "invalid-argument", "limit", ""),
    ("GET", "/v1/accounts?limit=ten", 422, "invalid-argument", "limit", ""),
    ("GET", "/v1/accounts?limit=-1", 422, "invalid-argument", "limit", ""),
    ("GET", "/v1/accounts?limit=%2B1", 422, "invalid-argument", "limit", ""),
    ("GET", "/v1/accounts?limit=1&limit=2", 422, "invalid-argument", "limit", "twice"),
    ("GET", "/v1/accounts?limti=1", 422, "invalid-argument", "limti", 'did you mean "limit"'),
    ("GET", "/v1/accounts?name=acme", 422, "invalid-argument", "name", "name"),
    ("GET", "/v1/accounts?after=acct_x", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/accounts?after=key_1", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/accounts?after=", 422, "invalid-argument", "after", ""),
    ("GET", "/v1/accounts?after=%zz", 422, "invalid-argument", None, "percent"),
    ("GET", "/v1/accounts?after=%00", 422, "invalid-argument", None, "percent"),
    ("GET", "/v1/budgets", 422, "invalid-argument", "of", "missing"),
    ("GET", "/v1/budgets?of=nobody", 404, "not-found", "of", "nobody"),
    ("DELETE", "/v1/budgets?of=acme/none", 404, "not-found", "of", "none"),
    ("GET", "/v1/usage?step=week", 422, "invalid-argument", "step", '"hour"'),
    ("GET", "/v1/usage?from=yesterday", 422, "invalid-argument", "from", "24h"),
    ("GET", "/v1/usage?from=1h&to=2h", 422, "invalid-argument", "from", "later"),
    ("GET", "/v1/usage?step=minute&from=30d", 422, "invalid-argument", "from", "longer step"),
    ("GET", "/v1/usage?service=ecko", 404, "not-found", "service", "echo"),
    ("GET", "/v1/changes?kind=planet", 422, "invalid-argument", "kind", '"account"'),
    ("GET", "/v1/changes?after=key_1", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/status?verbose=1", 422, "invalid-argument", "verbose", ""),
    ("GET", "/v1/apps?account=nobody", 404, "not-found", "account", "nobody"),
    ("GET", "/v1/keys?app=acme/none", 404, "not-found", "app", ""),
    ("GET", "/v1/keys?app=" + "x" * 200, 422, "invalid-argument", "app", "200 bytes"),
    ("DELETE", "/v1/keys/key_999999", 404, "not-found", "id", "key_999999"),
    ("DELETE", "/v1/keys/acct_1", 404, "not-found", "id", "acct_1"),
    ("DELETE", "/v1/keys/key_-1", 404, "not-found", "id", ""),
    ("GET", "/v1/services/ecko", 404, "not-found", "name", "echo"),
    ("GET", "/v1/services/..%2F..%2Fetc%2Fpasswd", 404, "not-found", "name", ""),
    ("GET", "/v1/services/..%2Fadmin.token%00/logs", 404, "no-such-route", None, ""),
    ("GET", "/v1/services/..%2F..%2Fadmin/logs", 404, "not-found", "name", ""),
    ("GET", "/v1/services/nope/logs", 404, "not-found", "name", "nope"),
    ("GET", "/v1/services/echo/logs?lines=10001", 422, "invalid-argument", "lines", "10000"),
    ("GET", "/v1/accounts/nobody/statement", 404, "not-found", "account", "nobody"),
    ("GET", "/v1/accounts/acme/statement?period=2026-13", 422, "invalid-argument", "period", ""),
    ("GET", "/v1/accounts/acme/statement?period=november", 422, "invalid-argument", "period",
     "2026-11"),
    ("GET", "/v1/accounts/acme/statement?app=acme/none", 404, "not-found", "app", ""),
    ("GET", "/v1/accounts/acme/statement?service=none", 404, "not-found", "service", ""),
    ("GET", "/v1/journal?after=0:99999999999", 404, "not-found", "after", ""),
    ("GET", "/v1/journal?after=99:0", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/journal?after=0", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/journal?after=0:0,,0:0", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/journal?after=,", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/journal?after=:", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/journal?after=x", 422, "invalid-argument", "after", "cursor"),
    ("GET", "/v1/nothing", 404, "no-such-route", None, "/v1/nothing"),
    ("GET", "/", 404, "no-such-route", None, ""),
    ("GET", "/v1/accounts/", 404, "no-such-route", None, ""),
    ("GET", "/v1/accounts/%2e%2e/funds/x", 404, "no-such-route", None, ""),
    ("PUT", "/v1/accounts", 405, "method-not-allowed", None, "POST, GET"),
    ("DELETE", "/v1/accounts", 405, "method-not-allowed", None, "POST, GET"),
    ("GET", "/v1/accounts/acme/funds", 405, "method-not-allowed", None, "POST"),
    ("POST", "/healthz", 405, "method-not-allowed", None, "GET"),
]


def assert_problem(answer, status, kind, place, words):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == PREFIX + kind
    assert problem["status"] == status and problem["title"]
    assert words in problem["detail"]
    assert problem.get("pointer") == (place if place and place[0] == "/" else None)
    if place is None or place[0] != "/":
        assert problem.get("parameter") == place
    meant = re.search(r'did you mean "(.+?)"', problem["detail"])
    assert problem.get("suggestion") == (meant and meant.group(1))


def unchanged(town):
    return [town.items(path) for path in ("/v1/accounts", "/v1/apps", "/v1/keys", "/v1/services",
                                          "/v1/subscriptions")], town.ledger()["accounts"]


def name_of(value):
    return ascii(value)[:60] if isinstance(value, (bytes, dict)) else None


@pytest.mark.parametrize("method,path,body,status,kind,place,words", BAD_BODIES, ids=name_of)
def test_a_bad_body_is_refused(town, method, path, body, status, kind, place, words):
    before = unchanged(town)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = town.client.request(method, path, content=content,
                                 headers={"Content-Type": "application/json"})
    assert_problem(answer, status, kind, place, words)
    assert unchanged(town) == before


@pytest.mark.parametrize("method,path,status,kind,place,words", BAD_QUERIES)
def test_a_bad_path_or_query_is_refused(town, method, path, status, kind, place, words):
    answer = raw(town, f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                       f"{town.token}\r\nConnection: close\r\n\r\n".encode())
    assert_problem(answer, status, kind, place, words)
    if status == 405:
        assert answer.headers["allow"] == words


class RawAnswer:
    """As much of an httpx answer as the checks look at."""

    def __init__(self, data):
        head, _, body = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        self.status_code = int(line.split(" ")[1])
        self.headers = {name.lower(): value for name, value in
                        (field.split(": ", 1) for field in fields)}
        self.text = body.decode()

    def json(self):
        return json.loads(self.text)


def raw(town, data):
    """Sends what no client library would; reads until the API closes."""
    host, port = town.api.split(":")
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(data)
        received = b""
        while True:
            more = peer.recv(65536)
            if not more:
                return RawAnswer(received)
            received += more


# ---- the token


@pytest.mark.parametrize("value", [
    None, "", "Bearer", "Bearer wrong", "Basic dXNlcjpwYXNz", "TOKEN", "Bearer TOKENx",
    "Bearer xTOKEN", "Bearer TOKEN TOKEN", "Bearer KEY", "Token TOKEN"])
def test_without_the_right_token_nothing_is_told(town, value):
    headers = {"Authorization": ""} if value is None else {
        "Authorization": value.replace("TOKEN", town.token).replace("KEY", town.shop_key)}
    for method, path in (("GET", "/v1/status"), ("POST", "/v1/accounts"), ("GET", "/v1/nothing"),
                         ("DELETE", "/v1/keys/key_1"), ("POST", "/healthz")):
        answer = town.client.request(method, path, headers=headers)
        if path != "/healthz":
            assert_problem(answer, 401, "admin-token-needed", None, "admin.token")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.status_code in (401, 405)


def test_the_scheme_of_the_token_is_read_in_any_case(town):
    answer = town.client.get("/v1/status", headers={"Authorization": f"bearer {town.token}"})
    assert answer.status_code == 200


# ---- bodies beyond and beside


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded",
                                  "application/jsonx", "", None])
def test_a_body_that_does_not_say_json_is_refused(town, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = town.client.post("/v1/accounts", content=b'{"name": "x"}', headers=headers)
    assert_problem(answer, 415, "media-type", None, "application/json")


def test_json_with_parameters_is_json(town):
    answer = town.client.post("/v1/accounts", content=b"{}",
                              headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 422


def test_a_body_where_none_belongs_is_refused(town):
    for method, path in (("GET", "/v1/status"), ("DELETE", "/v1/keys/key_1")):
        answer = town.client.request(method, path, content=b"{}",
                                     headers={"Content-Type": "application/json"})
        assert_problem(answer, 400, "malformed-body", None, "no body")


def test_a_body_beyond_the_bound_is_refused_by_its_length(town):
    answer = raw(town, b"POST /v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json"
                       b"\r\nAuthorization: Bearer " + town.token.encode()
                 + b"\r\nContent-Length: 2097153\r\nConnection: close\r\n\r\n")
    assert answer.status_code == 413
    assert answer.json()["type"] == PREFIX + "request-invalid"


def test_a_chunked_body_beyond_the_bound_is_refused(town):
    def chunks():
        for _ in range(64):
            yield b" " * 65536

    try:
        answer = town.client.post("/v1/accounts", content=chunks(),
                                  headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # closed on us while we sent: as good an answer
    assert town.client.get("/healthz").status_code == 200


def test_the_largest_body_is_read(town):
    body = json.dumps({"name": "Not Allowed"}).encode()
    answer = town.client.post("/v1/accounts", content=body + b" " * ((2 << 20) - len(body)),
                              headers={"Content-Type": "application/json"})
    assert_problem(answer, 422, "invalid-argument", "/name", "")


@pytest.mark.parametrize("request_bytes", [
    b"GET /v1/status HTTP/1.1\r\n\r\n",
    b"GET /v1/status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /v1/ status HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n{}",
    b"POST /v1/accounts HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /" + b"x" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000 + b"\r\n\r\n",
])
def test_what_is_no_http_is_refused_and_closed(town, request_bytes):
    answer = raw(town, request_bytes)
    assert answer.status_code in (400, 414, 431)
    assert answer.json()["type"] == PREFIX + "request-invalid"
    assert town.client.get("/healthz").status_code == 200


def test_problems_show_what_was_sent_without_its_control_characters(town):
    answer = town.client.post("/v1/apps", json={"account": "\x1b[31mred", "name": "a"})
    assert answer.status_code == 404 and "\x1b" not in answer.json()["detail"]


def test_an_idempotency_key_that_is_given_twice_is_refused(town):
    before = town.ledger()
    for other in ("a", "b"):
        answer = town.client.post("/v1/accounts/acme/funds", json={"amount": "1.00"},
                                  headers=[("Idempotency-Key", "a"), ("idempotency-key", other)])
        assert_problem(answer, 422, "invalid-argument", "Idempotency-Key", "2 times")
    assert town.ledger() == before


def test_all_that_is_wrong_with_the_arguments_is_told_at_once(town):
    answer = town.client.post("/v1/accounts/acme/funds", json={"amount": 1, "currency": "USD"},
                              params={"dry": "1"}, headers={"Idempotency-Key": "x" * 300})
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["errors"][0]["detail"] == problem["detail"]
    places = [error.get("pointer") or error.get("parameter") for error in problem["errors"]]
    assert sorted(places) == ["/amount", "/currency", "Idempotency-Key", "dry"]
    one = town.client.post("/v1/accounts", json={}).json()
    assert "errors" not in one


def test_errors_told_at_once_are_bounded(town):
    answer = town.client.post("/v1/accounts", json={f"m{i}": i for i in range(1000)})
    assert answer.status_code == 422 and len(answer.json()["errors"]) == 16
