"""What the API makes, changes and lists."""

import re
import sqlite3
import threading
import uuid

import answers as checks
import httpx
import pytest
import yaml
from cloud import upstream_manifest

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
AMOUNT = re.compile(r"-?\d+\.\d{2,9}")


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


# ---- accounts and apps


def test_health_needs_no_token(town):
    answer = town.client.get("/healthz", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_an_account_is_made_and_listed(town):
    name = unique("a")
    made = town.client.post("/v1/accounts", json={"name": name})
    assert made.status_code == 201
    assert made.headers["content-type"] == "application/json"
    account = made.json()
    assert account["name"] == name and re.fullmatch(r"acct_\d+", account["id"])
    assert TIME.fullmatch(account["created"])
    assert (account["balance"], account["currency"]) == ("0.00", "USD")
    assert account in town.items("/v1/accounts")


def test_the_operator_is_an_account_from_the_start(town):
    assert "operator" in [account["name"] for account in town.items("/v1/accounts")]


def test_an_account_is_made_once(town):
    name = unique("a")
    town.account(name)
    again = town.client.post("/v1/accounts", json={"name": name})
    assert again.status_code == 409 and again.json()["pointer"] == "/name"


def test_lists_go_on_behind_their_cursor(town):
    for _ in range(3):
        town.account(unique("page"))
    whole = town.items("/v1/accounts")
    assert len(whole) >= 5
    for limit in (1, 2, len(whole), 1000):
        assert town.items("/v1/accounts", limit=limit) == whole
    first = town.ask("GET", "/v1/accounts", params={"limit": 1})
    assert first["items"] == whole[:1] and first["next"] == whole[0]["id"]
    assert town.ask("GET", "/v1/accounts", params={"limit": 1000})["next"] is None


def test_an_app_is_made_and_listed_by_account(town):
    name = unique("app")
    app = town.ask("POST", "/v1/apps", {"account": "acme", "name": name})
    assert (app["app"], app["account"], app["name"]) == (f"acme/{name}", "acme", name)
    assert app in town.items("/v1/apps")
    assert app in town.items("/v1/apps", account="acme")
    assert app not in town.items("/v1/apps", account="globex")


# ---- keys


def test_a_key_is_shown_once_and_never_listed(town):
    made = town.ask("POST", "/v1/keys", {"app": "acme/shop"})["items"][0]
    text = made["key"]
    assert re.fullmatch(r"stoa_[0-9A-Za-z]{49}", text)
    assert text.startswith(made["prefix"]) and text.endswith(made["last_four"])
    listed = [key for key in town.items("/v1/keys", app="acme/shop") if key["id"] == made["id"]]
    assert listed == [{name: value for name, value in made.items()
                       if name not in ("key", "warnings")}]


def test_no_list_and_no_status_holds_a_secret(town):
    paths = ["/v1/status", "/v1/accounts", "/v1/apps", "/v1/keys", "/v1/services",
             "/v1/services/echo", "/v1/subscriptions", "/v1/ledger", "/v1/journal",
             "/v1/accounts/acme/statement"]
    for path in paths:
        text = town.client.get(path).text
        assert town.shop_key not in text and town.token not in text, path
    for file in town.folder.rglob("*"):
        if file.is_file() and file.name != "admin.token":
            data = file.read_bytes()
            assert town.shop_key.encode() not in data, file
            assert town.token.encode() not in data, file
    assert town.shop_key not in town.serve_log() and town.token not in town.serve_log()


def test_the_token_is_readable_by_the_owner_only(town):
    assert (town.folder / "admin.token").stat().st_mode & 0o777 == 0o600


def test_many_keys_are_made_at_once_and_work(town):
    texts = town.keys("acme/shop", 500)
    assert len(set(texts)) == 500
    for text in (texts[0], texts[-1]):
        assert town.call("echo", "/x", text).text == "x"


def test_scopes_and_expiry_are_kept(town):
    made = town.ask("POST", "/v1/keys", {"app": "acme/shop", "scopes": ["echo:GET,POST:/call", "b"],
                                         "expires": "2099-01-31T12:00:00+01:00"})["items"][0]
    assert made["scopes"] == ["echo:GET,POST:/call", "b"]
    assert made["expires"] == "2099-01-31T11:00:00.000Z"
    assert made["warnings"] == ['there is no service "b"']
    soon = town.ask("POST", "/v1/keys", {"app": "acme/shop", "expires": "30d"})["items"][0]
    assert soon["warnings"] == []
    assert soon["created"] < soon["expires"] < "2099"


def test_a_scope_that_misspells_its_service_is_told(town):
    made = town.ask("POST", "/v1/keys", {"app": "acme/shop", "scopes": ["ehco", "*:GET"]})
    assert made["items"][0]["warnings"] == ['there is no service "ehco"; did you mean "echo"?']


def test_a_revoked_key_opens_nothing_once_it_was_acknowledged(town):
    made = town.ask("POST", "/v1/keys", {"app": "acme/shop"})["items"][0]
    assert town.call("echo", "/x", made["key"]).status_code == 200
    revoked = town.ask("DELETE", f"/v1/keys/{made['id']}")
    assert TIME.fullmatch(revoked["revoked"])
    assert town.call("echo", "/x", made["key"]).status_code == 401
    assert town.ask("DELETE", f"/v1/keys/{made['id']}")["revoked"] == revoked["revoked"]


# ---- services and subscriptions


def test_a_service_is_published_idempotently(town):
    manifest = upstream_manifest(unique("svc"), town.upstream.address)
    first = town.client.post("/v1/services", json={
        "account": "globex", "manifest": yaml.safe_dump(manifest)})
    assert first.status_code == 201
    assert first.json()["created"] and first.json()["changed"]
    again = town.publish(manifest, "globex")
    assert not again["created"]
    assert [plan["change"] for plan in again["plans"]] == ["same"]


def test_a_changed_plan_is_a_new_version_and_subscriptions_keep_theirs(town):
    name = unique("svc")
    town.publish(upstream_manifest(name, town.upstream.address), "globex")
    before = town.subscribe("acme/shop", name)
    dearer = {"payg": {"prices": [{"meter": "calls", "model": "unit", "price": 0.07}]}}
    change = town.publish(upstream_manifest(name, town.upstream.address, plans=dearer), "globex")
    assert change["plans"][0]["version"] == 2 and change["changed"]
    kept = town.items("/v1/subscriptions", service=name)
    assert [sub["id"] for sub in kept] == [before["id"]] and kept[0]["plan_version"] == 1
    moved = town.subscribe("acme/shop", name)
    assert moved["outcome"] == "replaced" and moved["replaces"] == before["id"]
    assert moved["plan_version"] == 2


def test_a_manifest_is_refused_with_its_lines(town):
    answer = town.client.post("/v1/services", json={
        "account": "globex", "file": "here/service.yaml",
        "manifest": "service: bad\nversion: 1.0.0\nupstreem: [http://127.0.0.1:1]\n"})
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["type"] == "urn:stoa:problem:invalid-manifest"
    assert problem["pointer"] == "/manifest"
    misspelt, = [found for found in problem["complaints"] if found["line"] == 3]
    assert misspelt["column"] == 1
    assert misspelt["text"].startswith("here/service.yaml:3:1: ") and "upstream" in misspelt["text"]


def test_a_name_belongs_to_the_account_that_published_it_first(town):
    answer = town.client.post("/v1/services", json={
        "account": "acme",
        "manifest": yaml.safe_dump(upstream_manifest("echo", "http://127.0.0.1:1"))})
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:stoa:problem:refused"


def test_a_service_is_shown_with_prices_and_limits(town):
    service = town.ask("GET", "/v1/services/echo")
    plan, = service["plans"]
    assert service["account"] == "globex" and service["currency"] == "USD"
    assert plan["prices"] == [
        {"meter": "calls", "model": "unit", "free": 0, "price": "0.05", "per": 1}]
    assert plan["call_most"] == "0.05" and plan["bill_on"] == "answered"


def test_every_price_model_and_limit_is_shown(town):
    name = unique("svc")
    prices = [
        {"meter": "pixels", "model": "graduated", "free": "1M",
         "tiers": [{"up_to": "100M", "price": "0.10 per 1M"}, {"price": "0.04 per 1M"}]}]
    plans = {"big": {"prices": prices, "max_charge": 0.2, "max_units": {"pixels": "50M"},
                     "limits": {"rate": "100/s", "burst": 200, "quota": "1M/month",
                                "concurrency": 32, "timeout": "30s"}, "bill_on": "always"}}
    town.publish(upstream_manifest(
        name, town.upstream.address, plans,
        {"pixels": {"reported_by": "Stoa-Units", "unit": "pixel"}}), "globex")
    service = town.ask("GET", f"/v1/services/{name}")
    plan, = service["plans"]
    assert service["meters"] == {"pixels": {"unit": "pixel"}}
    assert plan["prices"] == [{"meter": "pixels", "model": "graduated", "free": 1000000, "tiers": [
        {"up_to": 100000000, "price": "0.10", "per": 1000000},
        {"up_to": None, "price": "0.04", "per": 1000000}]}]
    assert plan["max_charge"] == "0.20" and plan["max_units"] == {"pixels": 50000000}
    assert plan["limits"] == {"rate_calls": 100, "rate_per": "1s", "burst": 200,
                              "concurrency": 32, "quota_calls_month": 1000000, "timeout": "30s"}
    assert plan["bill_on"] == "always"


def test_the_catalog_is_searched_by_words(town):
    assert [hit["service"] for hit in town.items("/v1/services", search="echo")][0] == "echo"
    assert town.items("/v1/services", search="no-such-thing") == []
    assert "echo" in [hit["service"] for hit in town.items("/v1/services")]


def test_a_budget_is_kept_and_changed(town):
    app = unique("app")
    town.ask("POST", "/v1/apps", {"account": "acme", "name": app})
    made = town.subscribe(f"acme/{app}", "echo", "payg", "5.00", monthly=True)
    assert (made["outcome"], made["budget"], made["budget_period"]) == ("new", "5.00", "month")
    same = town.subscribe(f"acme/{app}", "echo", "payg", "5.00", monthly=True)
    assert (same["outcome"], same["id"]) == ("same", made["id"])
    raised = town.subscribe(f"acme/{app}", "echo", "payg", "7.5", monthly=True)
    assert (raised["outcome"], raised["budget"]) == ("budget", "7.50")
    assert [sub["id"] for sub in town.items("/v1/subscriptions", app=f"acme/{app}")] == [made["id"]]
    assert made["id"] in [sub["id"] for sub in town.items("/v1/subscriptions", account="acme")]
    assert town.items("/v1/subscriptions", account="globex") == []


# ---- money


def test_money_arrives_and_is_told(town):
    name = unique("rich")
    town.account(name)
    funded = town.fund(name, "12.5")
    assert (funded["amount"], funded["balance"], funded["created"]) == ("12.50", "12.50", True)
    assert town.ledger_account(name)["credits_posted"] == "12.50"


def test_the_same_idempotency_key_funds_once(town):
    name = unique("rich")
    town.account(name)
    key = uuid.uuid4().hex
    first = town.client.post(f"/v1/accounts/{name}/funds", json={"amount": "3.00"},
                             headers={"Idempotency-Key": key})
    again = town.client.post(f"/v1/accounts/{name}/funds", json={"amount": "3.00"},
                             headers={"Idempotency-Key": key})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() and first.json()["balance"] == "3.00"
    other = town.client.post(f"/v1/accounts/{name}/funds", json={"amount": "4.00"},
                             headers={"Idempotency-Key": key})
    assert other.status_code == 422
    assert town.ledger_account(name)["credits_posted"] == "3.00"


def test_without_a_key_each_request_funds_anew(town):
    name = unique("rich")
    town.account(name)
    for _ in range(2):
        town.ask("POST", f"/v1/accounts/{name}/funds", {"amount": "1"})
    assert town.ledger_account(name)["credits_posted"] == "2.00"


def test_racing_requests_with_one_key_fund_once(clouds):
    cloud = clouds()
    cloud.account("acme")
    key = uuid.uuid4().hex
    answers = []

    def fund():
        with httpx.Client(trust_env=False, timeout=60,
                          event_hooks={"response": [checks.check]}) as client:
            answers.append(client.post(
                f"http://{cloud.api}/v1/accounts/acme/funds", json={"amount": "1.00"},
                headers={"Idempotency-Key": key, "Authorization": f"Bearer {cloud.token}"}))

    threads = [threading.Thread(target=fund) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 8
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 7
    assert cloud.ledger_account("acme")["credits_posted"] == "1.00"


def test_the_ledger_balances_and_is_whole(town):
    ledger = town.ledger()
    assert [(total["ledger"], total["name"]) for total in ledger["sums"]] == [
        (1, "money"), (2, "budgets")]
    assert all(total["balances"] for total in ledger["sums"])
    for total in ledger["sums"]:
        mine = [account for account in ledger["accounts"] if account["ledger"] == total["ledger"]]
        assert len(mine) == total["accounts"]
    for account in ledger["accounts"]:
        for side in ("debits_pending", "debits_posted", "credits_pending", "credits_posted"):
            assert AMOUNT.fullmatch(account[side]), account


def test_a_statement_of_nothing_is_empty(town):
    name = unique("idle")
    town.account(name)
    statement = town.statement(name, period="2026-01")
    assert statement == {"account": name, "currency": "USD", "period": "2026-01", "lines": [],
                         "total": "0.00", "changes": [], "next": None}


# ---- calls: journal, statement, status


@pytest.fixture(scope="module")
def called(town):
    """After five calls, posted."""
    before = len(town.journal())
    for number in range(5):
        assert town.call("echo", f"/call/{number}", town.shop_key).text == str(number)
    town.wait_until_posted()
    town.called_before = before
    return town


def test_call_records_are_told_with_names(called):
    records = called.journal()[called.called_before:][:5]
    assert len(records) == 5
    for record in records:
        assert (record["service"], record["app"], record["account"], record["plan"]) == (
            "echo", "acme/shop", "acme", "payg")
        assert (record["status"], record["outcome"], record["billed"]) == (200, "answered", True)
        assert record["charge"] == "0.05" and record["units"] == {}
        assert TIME.fullmatch(record["started"]) and record["started"] <= record["settled"]
        assert re.fullmatch(r"[0-9a-f-]{36}", record["call"])
        assert record["response_bytes"] == 1 and record["duration_us"] >= record["service_us"]
    positions = [(record["stream"], record["position"]) for record in called.journal()]
    assert len(set(positions)) == len(positions)


def test_the_journal_pages_without_gap_or_repetition(called):
    whole = called.journal()
    for limit in (1, 2, 3, 1000):
        assert called.items("/v1/journal", limit=limit) == whole
    page = called.ask("GET", "/v1/journal", params={"limit": 1000})
    end = called.ask("GET", "/v1/journal", params={"after": page["next"]})
    assert end == {"items": [], "next": page["next"]}


def test_a_statement_has_the_lines_of_both_sides(called):
    spent, = [line for line in called.statement("acme", app="acme/shop", service="echo")["lines"]
              if line["kind"] == "usage"]
    assert spent["role"] == "consumer" and spent["meter"] == "calls" and spent["plan"] == "payg"
    assert spent["quantity"] >= 5 and spent["unit"] == "call"
    assert AMOUNT.fullmatch(spent["amount"])
    assert called.statement("acme", app="acme/shop")["total"] == spent["amount"]
    earned = called.statement("globex", service="echo")
    assert {line["role"] for line in earned["lines"]} == {"provider"}
    assert earned["total"].startswith("-")


@pytest.fixture(scope="module")
def charged(called):
    """acme/shop has called services of three names."""
    for name in ("first", "second"):
        called.publish(upstream_manifest(name, called.upstream.address), "globex")
        called.subscribe("acme/shop", name)
        assert called.call(name, "/x", called.shop_key).status_code == 200
    called.wait_until_posted()
    return called


@pytest.mark.parametrize("path, name", [("/v1/ledger", "accounts"),
                                        ("/v1/accounts/acme/statement", "lines"),
                                        ("/v1/accounts/globex/statement", "lines")])
def test_pages_are_the_whole_however_long_they_are(charged, path, name):
    at_once = charged.ask("GET", path, params={"limit": 1000})
    assert len(at_once[name]) > 2 and at_once["next"] is None
    for limit in (1, 2, len(at_once[name]), len(at_once[name]) + 1):
        assert charged.whole(path, name, limit=limit) == at_once
    page = charged.ask("GET", path, params={"limit": 2})
    assert page == {**at_once, name: at_once[name][:2], "next": page["next"]} and page["next"]


def test_a_page_of_a_statement_is_not_moved_by_what_is_charged_meanwhile(charged):
    path = "/v1/accounts/acme/statement"
    page = charged.ask("GET", path, params={"limit": 1})
    charged.publish(upstream_manifest("a-first", charged.upstream.address), "globex")
    charged.subscribe("acme/shop", "a-first")
    assert charged.call("a-first", "/x", charged.shop_key).status_code == 200
    charged.wait_until_posted()
    rest = charged.whole(path, "lines", after=page["next"])["lines"]
    assert [line["service"] for line in rest].count(page["lines"][0]["service"]) == 0
    assert charged.statement("acme")["lines"][0]["service"] == "a-first"


@pytest.mark.parametrize("path", ["/v1/ledger", "/v1/accounts/acme/statement"])
@pytest.mark.parametrize("after", ["x", "ledger_999999", "line_1", "consumer.usage.1.1.1.calls"])
def test_what_no_page_told_is_no_cursor(called, path, after):
    problem = called.ask("GET", path, params={"after": after}, expected=[422])
    assert problem["parameter"] == "after" and "`next`" in problem["detail"]


def test_a_ledger_of_more_accounts_than_a_page_is_shown_whole(clouds):
    cloud = clouds()
    cloud.stop()
    with sqlite3.connect(cloud.folder / "store.db") as store:
        store.executemany("INSERT INTO ledger_account (ledger, code, flags, name)"
                          " VALUES (1, 1, 0, ?)", [(f"a{number}",) for number in range(2000)])
    store.close()
    cloud.start()
    shown = cloud.json("ledger")
    assert shown["next"] is None
    names = [account["name"] for account in shown["accounts"] if account["ledger"] == 1]
    assert {f"a{number}" for number in range(2000)} < set(names) and len(names) == len(set(names))
    rows = cloud.cli("ledger").stdout.splitlines()
    assert sum(bool(re.match(r"a\d+ ", row)) for row in rows) == 2000


def test_the_status_tells_of_the_cloud_and_the_node(called):
    status = called.status()
    assert status["cloud"] == "test" and status["currency"] == "USD"
    assert TIME.fullmatch(status["time"]) and TIME.fullmatch(status["started"])
    assert called.gateway in status["gateway"]
    written = sum(stream["written"] for stream in status["journal"]["streams"])
    assert written == len(called.journal())


# ---- logs


def test_the_last_lines_of_a_service_are_told(town):
    log = town.folder / "log" / "echo.log"
    log.parent.mkdir(exist_ok=True)
    (log.parent / "echo.log.1").write_bytes(b"one\ntwo\n")
    log.write_bytes(b"three\nf\xc3\xa9 \xff\x1b[1m\nlast without an end")
    lines = town.ask("GET", "/v1/services/echo/logs")["lines"]
    assert lines == ["one", "two", "three", "f\u00e9 \ufffd\ufffd[1m", "last without an end"]
    for count in range(1, 5):
        some = town.ask("GET", "/v1/services/echo/logs", params={"lines": count})["lines"]
        assert some == lines[-count:]
    log.unlink()
    (log.parent / "echo.log.1").unlink()
    assert town.ask("GET", "/v1/services/echo/logs") == {"service": "echo", "lines": [],
                                                         "next": "0-0"}


def test_a_log_is_followed_line_by_line_over_its_rotation(town):
    log = town.folder / "log" / "echo.log"
    log.parent.mkdir(exist_ok=True)
    older = log.parent / "echo.log.1"
    after = town.ask("GET", "/v1/services/echo/logs")["next"]

    def told(**query):
        nonlocal after
        answer = town.ask("GET", "/v1/services/echo/logs", params={"after": after, **query})
        after = answer["next"]
        return answer["lines"]

    assert told() == []
    log.write_bytes(b"one\ntwo\nthr")
    assert told() == ["one", "two"] and told() == []
    with log.open("ab") as file:
        file.write(b"ee\nfour\nfive\n")
    assert told(lines=1) == ["three"] and told(lines=1) == ["four"]
    with log.open("ab") as file:
        file.write(b"cut")
    log.rename(older)
    log.write_bytes(b"six\n")
    assert told() == ["five", "cut"] and told() == ["six"] and told() == []
    log.write_bytes(b"")
    assert told() == []
    log.write_bytes(b"x" * (3 << 20) + b"\n")
    assert [len(line) for line in told() + told()] == [2 << 20, 1 << 20]
    log.unlink()
    older.unlink()
    for cursor in ("x", "1", "1-", "-1", "1-2-3", "1--2", "1-99999999999999999999"):
        problem = town.ask("GET", "/v1/services/echo/logs", params={"after": cursor},
                           expected=[422])
        assert problem["parameter"] == "after"


def test_a_log_is_a_file_and_no_link_out_of_the_folder(town):
    log = town.folder / "log" / "echo.log"
    log.parent.mkdir(exist_ok=True)
    log.symlink_to(town.folder / "admin.token")
    answer = town.client.get("/v1/services/echo/logs")
    assert answer.status_code == 500 and town.token not in answer.text
    log.unlink()


# ---- the whole of it survives


def test_everything_is_there_after_a_restart(clouds, upstreams):
    cloud = clouds()
    upstream = upstreams()
    cloud.account("acme", "1.00")
    cloud.account("globex")
    key = cloud.app_with_key("acme/shop")
    cloud.publish(upstream_manifest("echo", upstream.address), "globex")
    cloud.subscribe("acme/shop", "echo")
    assert cloud.call("echo", "/before", key).text == "before"
    cloud.wait_until_posted()
    before = [cloud.items(path) for path in ("/v1/accounts", "/v1/apps", "/v1/keys",
                                             "/v1/services", "/v1/subscriptions", "/v1/journal")]
    token = cloud.token
    cloud.restart()
    after = [cloud.items(path) for path in ("/v1/accounts", "/v1/apps", "/v1/keys",
                                            "/v1/services", "/v1/subscriptions", "/v1/journal")]
    assert cloud.token == token
    for list_before, list_after in zip(before, after):
        for item in list_before + list_after:
            for changing in ("available", "leased"):
                item.pop(changing, None)
        assert list_before == list_after
    assert cloud.call("echo", "/after", key).text == "after"


def test_the_catalog_comes_in_pages_that_a_new_service_does_not_disturb(town):
    word = uuid.uuid4().hex[:8]
    names = [f"{word}-{letter}" for letter in "bdf"]
    for name in names:
        town.publish({**upstream_manifest(name, town.upstream.address), "summary": word},
                     "globex")
    first = town.ask("GET", "/v1/services", params={"search": word, "limit": 2})
    assert [item["service"] for item in first["items"]] == names[:2]
    town.publish({**upstream_manifest(f"{word}-a", town.upstream.address), "summary": word},
                 "globex")
    rest = town.ask("GET", "/v1/services", params={"search": word, "after": first["next"]})
    assert [item["service"] for item in rest["items"]] == names[2:] and rest["next"] is None
    assert len(town.items("/v1/services", search=word, limit=1)) == 4
