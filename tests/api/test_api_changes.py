"""Changes: requests that come twice are done once, and the log tells every change and no secret."""

import sqlite3
import uuid

import pytest
import yaml
from cloud import upstream_manifest

DAY_MS = 24 * 3600 * 1000


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def post(cloud, path, body, key):
    return cloud.client.post(path, json=body, headers={"Idempotency-Key": key})


def newest(cloud, **query):
    return cloud.items("/v1/changes", **query)[-1]


# ---- the same request again


def bodies(town):
    """Every route that makes something: path, a body that works, and one that is another."""
    town.account(account := unique("acct"))
    key = town.ask("POST", "/v1/keys", {"app": "acme/shop"})["items"][0]
    manifest = upstream_manifest(unique("svc"), town.upstream.address)
    dearer = {**manifest, "version": "2.0.0"}
    return {
        "accounts": ("/v1/accounts", {"name": unique("acct")}, {"name": unique("acct")}),
        "apps": ("/v1/apps", {"account": "acme", "name": unique("app")},
                 {"account": "acme", "name": unique("app")}),
        "keys": ("/v1/keys", {"app": "acme/shop", "expires": "30d"},
                 {"app": "acme/shop", "expires": "31d"}),
        "rotate": (f"/v1/keys/{key['id']}/rotate", {"overlap": "1h"}, {"overlap": "2h"}),
        "funds": (f"/v1/accounts/{account}/funds", {"amount": "1.00"}, {"amount": "2.00"}),
        "services": ("/v1/services", {"account": "globex", "manifest": yaml.safe_dump(manifest)},
                     {"account": "globex", "manifest": yaml.safe_dump(dearer)}),
        "subscriptions": ("/v1/subscriptions",
                          {"app": town.app_of_one(), "service": "echo", "budget": "1.00"},
                          {"app": "acme/shop", "service": "echo", "budget": "2.00"}),
    }


@pytest.fixture(scope="module")
def requests(town):
    def app_of_one():
        name = unique("app")
        town.ask("POST", "/v1/apps", {"account": "acme", "name": name})
        return f"acme/{name}"

    town.app_of_one = app_of_one
    return bodies(town)


MAKERS = ["accounts", "apps", "keys", "rotate", "funds", "services", "subscriptions"]


def test_every_route_that_makes_something_is_tried_here(town):
    document = town.ask("GET", "/v1/openapi.json")
    with_key = {path for path, methods in document["paths"].items()
                for parameter in methods.get("post", {}).get("parameters", [])
                if parameter["name"] == "Idempotency-Key"}
    makers = {path for path, methods in document["paths"].items()
              if "201" in methods.get("post", {}).get("responses", {})}
    assert with_key == makers


@pytest.mark.parametrize("maker", MAKERS)
def test_the_same_request_under_the_same_key_is_done_once(town, requests, maker):
    path, body, other = requests[maker]
    key = uuid.uuid4().hex
    first = post(town, path, body, key)
    count = len(town.items("/v1/changes"))
    again = post(town, path, body, key)
    assert first.status_code == 201 and "idempotency-replayed" not in first.headers
    assert again.status_code == 201 and again.headers["idempotency-replayed"] == "true"
    assert len(town.items("/v1/changes")) == count
    if maker == "keys":
        shown, hidden = first.json()["items"][0], again.json()["items"][0]
        assert shown["key"].startswith("stoa_") and hidden == {**shown, "key": None}
    elif maker == "rotate":
        assert first.json()["key"].startswith("stoa_")
        assert again.json() == {**first.json(), "key": None}
    else:
        assert again.json() == first.json()
    reused = post(town, path, other, key)
    assert reused.status_code == 422
    assert reused.json()["type"] == "urn:stoa:problem:idempotency-key-reused"
    assert reused.json()["parameter"] == "Idempotency-Key"
    assert len(town.items("/v1/changes")) == count


def test_a_key_is_for_one_route(town):
    key = uuid.uuid4().hex
    assert post(town, "/v1/accounts", {"name": unique("acct")}, key).status_code == 201
    assert post(town, "/v1/apps", {"account": "acme", "name": unique("app")},
                key).status_code == 422


def test_how_the_body_is_written_is_no_part_of_the_request(town):
    key, name = uuid.uuid4().hex, unique("app")
    for text in (f'{{"account":"acme","name":"{name}"}}',
                 f'{{ "name": "{name}",\n "account": "acme" }}'):
        answer = town.client.post("/v1/apps", content=text, headers={
            "Idempotency-Key": key, "Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text


def test_what_was_refused_may_be_tried_again_under_its_key(town):
    key, name = uuid.uuid4().hex, unique("acct")
    body = {"account": name, "name": "app"}
    assert post(town, "/v1/apps", body, key).status_code == 404
    town.account(name)
    made = post(town, "/v1/apps", body, key)
    assert made.status_code == 201 and "idempotency-replayed" not in made.headers


def test_answers_are_kept_over_a_restart_and_for_a_day(clouds):
    cloud = clouds()
    keys = [uuid.uuid4().hex for _ in range(2)]
    first = post(cloud, "/v1/accounts", {"name": "acme"}, keys[0])
    cloud.restart()
    again = post(cloud, "/v1/accounts", {"name": "acme"}, keys[0])
    assert again.json() == first.json() and again.headers["idempotency-replayed"] == "true"
    cloud.stop()
    with sqlite3.connect(cloud.folder / "store.db") as store:
        store.execute("UPDATE api_answer SET made_ns = made_ns - ?", (DAY_MS * 1000000,))
    store.close()
    cloud.start()
    assert post(cloud, "/v1/accounts", {"name": "acme"}, keys[0]).status_code == 409
    post(cloud, "/v1/accounts", {"name": "globex"}, keys[1])
    cloud.stop()
    with sqlite3.connect(cloud.folder / "store.db") as store:
        assert store.execute("SELECT count(*) FROM api_answer").fetchone() == (1,)
    store.close()


# ---- the log


def test_every_change_is_told_with_what_is_other_than_before(clouds, upstreams):
    cloud, upstream = clouds(), upstreams()
    manifest = upstream_manifest("echo", upstream.address)
    cloud.account("globex")
    cloud.account("acme", "10.00")
    cloud.app_with_key("acme/shop")
    key = cloud.ask("POST", "/v1/keys", {"app": "acme/shop", "count": 3,
                                         "expires": "2099-01-01T00:00:00Z"})["items"]
    cloud.publish(manifest, "globex")
    cloud.publish(manifest, "globex")
    cloud.publish({**manifest, "version": "1.0.1"}, "globex")
    for budget in ("5.00", "5.00", "7.00"):
        cloud.subscribe("acme/shop", "echo", budget=budget)
    for _ in range(2):
        cloud.ask("DELETE", f"/v1/keys/{key[0]['id']}")
    changes = cloud.items("/v1/changes")
    assert [(change["operation"], change["kind"], change["name"]) for change in changes] == [
        ("accounts_create", "account", "globex"),
        ("accounts_create", "account", "acme"),
        ("accounts_fund", "account", "acme"),
        ("apps_create", "app", "acme/shop"),
        ("keys_create", "key", "key_1"),
        ("keys_create", "key", "key_2"),
        ("services_publish", "service", "echo"),
        ("services_publish", "service", "echo"),
        ("subscriptions_create", "subscription", "acme/shop"),
        ("subscriptions_create", "subscription", "acme/shop"),
        ("keys_revoke", "key", "key_2"),
    ]
    facts = [change["facts"] for change in changes]
    assert facts[2] == {"funded": "10.00", "balance": "10.00", "currency": "USD"}
    assert facts[5] == {"app": "acme/shop", "scopes": [], "last": "key_4",
                        "expires": "2099-01-01T00:00:00.000Z"}
    assert facts[6]["plans"] == {"payg": "new"} and facts[6]["revision"] == 1
    assert facts[7]["version"] == "1.0.1" and facts[7]["plans"] == {}
    assert (facts[8]["outcome"], facts[8]["budget"], facts[8]["currency"]) == ("new", "5.00", "USD")
    assert (facts[9]["outcome"], facts[9]["budget"]) == ("budget", "7.00")
    assert len({change["actor"] for change in changes}) == 1
    assert [change["id"] for change in changes] == [
        f"change_{number}" for number in range(1, len(changes) + 1)]
    assert [change["at"] for change in changes] == sorted(change["at"] for change in changes)


def test_what_was_refused_is_no_change(town):
    count = len(town.items("/v1/changes"))
    town.client.post("/v1/accounts", json={"name": "acme"})
    town.client.post("/v1/accounts", json={"name": "Bad Name"})
    assert len(town.items("/v1/changes")) == count


def test_changes_are_found_by_kind_and_name_and_come_in_pages(town):
    name = unique("acct")
    town.account(name, "1.00")
    mine = town.items("/v1/changes", kind="account", name=name)
    assert [change["operation"] for change in mine] == ["accounts_create", "accounts_fund"]
    assert town.items("/v1/changes", kind="app", name=name) == []
    first = town.ask("GET", "/v1/changes", params={"limit": 1, "name": name})
    town.fund(name, "1.00")
    rest = town.ask("GET", "/v1/changes", params={"after": first["next"], "name": name})
    assert [change["operation"] for change in first["items"] + rest["items"]] == [
        "accounts_create", "accounts_fund", "accounts_fund"]


def test_no_secret_stands_in_the_log_or_in_a_kept_answer(clouds, upstreams):
    cloud = clouds()
    cloud.account("acme")
    cloud.ask("POST", "/v1/apps", {"account": "acme", "name": "shop"})
    made = post(cloud, "/v1/keys", {"app": "acme/shop", "count": 2}, "once").json()["items"]
    secret = uuid.uuid4().hex
    cloud.ask("POST", "/v1/services", {"account": "acme", "folder": str(cloud.folder),
                                       "manifest": yaml.safe_dump({
        "service": "sealed", "version": "1.0.0",
        "run": {"command": ["/bin/true"], "env": {"TOKEN": secret}},
        "plans": {"payg": {"prices": [{"meter": "calls", "model": "unit", "price": 0.05}]}}})},
        headers={"Idempotency-Key": "twice"})
    token = cloud.token
    cloud.stop()
    with sqlite3.connect(cloud.folder / "store.db") as store:
        rows = store.execute("SELECT answer FROM api_answer").fetchall()
        rows += store.execute("SELECT actor || facts || name FROM api_change").fetchall()
        with pytest.raises(sqlite3.IntegrityError):
            store.execute("DELETE FROM api_change")
        with pytest.raises(sqlite3.IntegrityError):
            store.execute("UPDATE api_change SET facts = '{}'")
    store.close()
    text = "".join(row[0] for row in rows)
    assert "key_1" in text and "sealed" in text
    for hidden in (token, secret, *(item["key"] for item in made)):
        assert hidden not in text and hidden[5:25] not in text


# ---- trying without doing


def test_a_dry_run_tells_what_would_change_and_changes_nothing(town):
    name = unique("svc")
    manifest = upstream_manifest(name, town.upstream.address)
    body = {"account": "globex", "manifest": yaml.safe_dump(manifest), "dry_run": True}
    count = len(town.items("/v1/changes"))
    for _ in range(2):
        tried = town.ask("POST", "/v1/services", body, expected=(200,))
        assert tried["dry_run"] and tried["created"] and tried["changed"]
        assert tried["id"] is None and tried["plans"][0]["id"] is None
    assert town.client.get(f"/v1/services/{name}").status_code == 404
    assert len(town.items("/v1/changes")) == count
    made = town.ask("POST", "/v1/services", {**body, "dry_run": False}, expected=(201,))
    assert made["created"] and not made["dry_run"]
    same = town.ask("POST", "/v1/services", body)
    assert (same["created"], same["changed"], same["id"]) == (False, False, made["id"])


def test_a_dry_run_under_a_key_is_not_kept(town):
    key, name = uuid.uuid4().hex, unique("svc")
    body = {"account": "globex",
            "manifest": yaml.safe_dump(upstream_manifest(name, town.upstream.address))}
    assert post(town, "/v1/services", {**body, "dry_run": True}, key).status_code == 200
    assert post(town, "/v1/services", body, key).status_code == 201


def test_a_dry_run_refuses_what_publishing_would_refuse(town):
    answer = town.client.post("/v1/services", json={
        "account": "acme", "dry_run": True,
        "manifest": yaml.safe_dump(upstream_manifest("echo", town.upstream.address))})
    assert answer.status_code in (403, 409)
    answer = town.client.post("/v1/services", json={
        "account": "globex", "dry_run": True, "manifest": "service: bad\n"})
    assert answer.status_code == 422 and answer.json()["complaints"]
