"""Usage that is reported after the call: billed once, within every cap, and proved like a call."""

import datetime
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import verifier
from books import balance, check_books, quiet, records_by_call, settle
from callers import call_many
from cloud import upstream_manifest
from reports import BATCH, SINGLE, report, send, usage_event

PLANS = {"payg": {"prices": [{"meter": "calls", "model": "unit", "price": 0.05},
                             {"meter": "jobs", "model": "unit", "price": 0.25}],
                  "max_charge": 5.00, "max_units": {"jobs": 16}}}
METERS = {"jobs": {"reported_by": "Stoa-Units", "unit": "job"}}
CONFIG = """\
name: test
currency: USD
rates: {call: 0.000001}
fee: 3%
workers: 1
"""


def market(cloud, upstream, amount="100.00", budget=None, plans=PLANS):
    """globex's echo, which acme/shop is subscribed to; returns the app's key and a token of
    globex."""
    cloud.account("globex")
    cloud.account("acme", amount)
    cloud.publish(upstream_manifest("echo", upstream.address, plans, METERS), "globex")
    key = cloud.app_with_key("acme/shop")
    cloud.subscribe("acme/shop", "echo", budget=budget)
    return key, token(cloud, "globex")


def token(cloud, account):
    return cloud.ask("POST", "/v1/tokens", {"account": account, "role": "provider"})["token"]


def jobs(number, count=1, **more):
    return usage_event(f"job-{number}", "acme/shop", "echo", jobs=count, **more)


def ago(**before):
    time = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**before)
    return time.isoformat().replace("+00:00", "Z")


def test_what_is_reported_is_billed_once_and_proved(clouds, upstreams, tmp_path):
    cloud = clouds(CONFIG)
    key, globex = market(cloud, upstreams())
    assert call_many(cloud.gateway, "echo", key, callers=2, calls=10).statuses == {200: 10}
    when = ago(hours=2)
    first = report(cloud, [jobs(1, 3, time=when), jobs(2, 4), jobs(1, 3, time=when)], globex)
    assert [first[name] for name in ("accepted", "repeated", "refused")] == [2, 1, 0]
    assert [result["charge"] for result in first["results"]] == ["0.75", "1.00", "0.75"]
    assert first["results"][0]["call"] == first["results"][2]["call"]
    again = report(cloud, [jobs(1, 3, time=when)], globex)["results"][0]
    assert again == {**first["results"][0], "status": "repeated"}
    for wrong in (jobs(1, 4, time=when), jobs(1, 3)):
        told = send(cloud, wrong, SINGLE, globex)
        assert told.status_code == 409 and told.json()["type"] == "urn:stoa:problem:conflict"
    settle(cloud)
    record = records_by_call(cloud)[first["results"][0]["call"]]
    assert record["outcome"] == "reported" and record["billed"] and record["continues"]
    assert record["key"] is record["instance"] is None and record["units"] == {"jobs": 3}
    assert record["started"].startswith(when[:22])
    lines = {line["meter"]: line for line in cloud.statement("acme")["lines"]
             if line["kind"] == "usage"}
    assert lines["jobs"]["quantity"] == 7 and lines["jobs"]["amount"] == "1.75"
    assert lines["calls"]["quantity"] == 10
    usage = Decimal("2.25")
    assert balance(cloud, "globex") == usage - usage * Decimal("0.03")
    check_books(cloud)
    assert cloud.status()["poster"]["mismatches"] == 0
    # Both verifiers find what they need to recompute it, and the receipt of one event.
    cloud.cli("statement", "acme", "--bill", tmp_path / "bill")
    assert cloud.json("verify", tmp_path / "bill")["calls"] == 10
    public = (cloud.folder / "log.pub").read_text()
    verifier.verify_bill((tmp_path / "bill").read_text(), public)
    receipt = cloud.cli("receipt", record["call"]).stdout
    assert cloud.cli("verify", "-", input=receipt).returncode == 0
    usage = cloud.ask("GET", "/v1/usage", params={"service": "echo"})["series"][0]["total"]
    assert usage["calls"] == 10 and usage["units"] == {"jobs": 7} and usage["errors"] == 0


def test_the_least_that_a_month_costs_comes_with_a_report_too(clouds, upstreams, tmp_path):
    cloud = clouds(CONFIG)
    jobs_price = {"meter": "jobs", "model": "unit", "price": 0.25, "minimum": "2.00"}
    plans = {"payg": {"prices": [jobs_price], "max_units": {"jobs": 16}}}
    _, globex = market(cloud, upstreams(), amount="2.75", plans=plans)
    told = [report(cloud, [jobs(number, count)], globex)["results"][0]
            for number, count in enumerate([1, 3, 3, 3, 1, 1])]
    assert [result.get("charge") for result in told] == [
        "2.00", "0.00", "0.00", "0.50", "0.25", None]
    assert told[-1]["status"] == "refused"
    settle(cloud)
    assert balance(cloud, "acme") == 0
    # A month without a call has its statement, and its bill is proved.
    statement = cloud.statement("acme")
    assert [(line["meter"], line["amount"]) for line in statement["lines"]] == [("jobs", "2.75")]
    assert statement["total"] == "2.75"
    cloud.cli("statement", "acme", "--bill", tmp_path / "bill")
    told = cloud.json("verify", tmp_path / "bill")
    assert (told["calls"], told["total"]) == (0, "2.75")
    usage = cloud.ask("GET", "/v1/usage", params={"service": "echo"})["series"][0]["total"]
    assert usage["calls"] == 0 and usage["units"] == {"jobs": 11}
    verifier.verify_bill((tmp_path / "bill").read_text(), (cloud.folder / "log.pub").read_text())
    check_books(cloud)


def test_what_is_wrong_is_told_all_at_once_and_costs_nothing(clouds, upstreams):
    cloud = clouds()
    _, globex = market(cloud, upstreams())
    cloud.account("initech")
    cloud.publish(upstream_manifest("other", upstreams().address, PLANS, METERS), "initech")
    cloud.ask("POST", "/v1/apps", {"account": "acme", "name": "idle"})
    wrong = [
        (jobs(1, 0), 422, "/0/data/units"),
        (jobs(2, 17), 422, "/1/data/units"),
        (jobs(3, time=ago(hours=7)), 422, "/2/time"),
        (jobs(4, time=ago(minutes=-6)), 422, "/3/time"),
        (jobs(5, time="yesterday"), 422, "/4/time"),
        (usage_event("6", "acme/idle", "echo", jobs=1), 404, "/5/subject"),
        (usage_event("7", "acme/none", "echo", jobs=1), 404, "/6/subject"),
        (usage_event("8", "acme/shop", "eco", jobs=1), 404, "/7/data/service"),
        (usage_event("9", "acme/shop", "other", jobs=1), 403, "/8/data/service"),
        (usage_event("10", "acme/shop", "echo", jbs=1), 422, "/9/data/units"),
        ({**jobs(11), "type": "other"}, 422, "/10/type"),
        ({**jobs(12), "data_base64": "e30="}, 422, "/11/data_base64"),
        ([], 422, "/12"),
        ({**jobs(14), "id": ""}, 422, "/13/id"),
        ({**jobs(15), "data": {"service": "echo", "units": {"jobs": 1.5}}}, 422, "/14/data/units"),
    ]
    told = report(cloud, [*(event for event, _, _ in wrong), jobs(99)], globex)
    assert told["refused"] == len(wrong) and told["accepted"] == 1
    for result, (_, status, pointer) in zip(told["results"], wrong):
        problem = result["problem"]
        assert (problem["status"], problem["pointer"]) == (status, pointer), problem
        assert result["status"] == "refused" and result["charge"] is result["call"] is None
    several = send(cloud, {"specversion": "0.3", "data": 7}, SINGLE, globex)
    assert several.status_code == 422 and len(several.json()["errors"]) >= 6
    settle(cloud)
    assert [record["units"] for record in cloud.journal()] == [{"jobs": 1}]
    assert balance(cloud, "acme") == Decimal("99.75")


def test_events_come_in_each_way_that_http_carries_them(clouds, upstreams):
    cloud = clouds()
    _, globex = market(cloud, upstreams())
    assert send(cloud, jobs(1), SINGLE, globex).json()["accepted"] == 1
    assert send(cloud, [jobs(1)], BATCH, globex).json()["repeated"] == 1
    fields = {"ce-specversion": "1.0", "ce-type": "stoa.usage.v1", "ce-source": "/globex/echo",
              "ce-id": "job-1", "ce-subject": "acme/shop", "ce-traceparent": "unread"}
    data = jobs(1)["data"]
    assert send(cloud, data, "application/json", globex, fields).json()["repeated"] == 1
    told = send(cloud, data, "application/json", globex, {**fields, "ce-id": ""}).json()
    assert told["parameter"] == "ce-id"
    told = send(cloud, {"service": "echo", "units": {}}, "application/json", globex, fields).json()
    assert told["pointer"] == "/units"
    for body, media_type, status in (
            (jobs(1), "application/json", 415), ("{", SINGLE, 400), ([], BATCH, 400),
            (jobs(1), BATCH, 400), ([jobs(n) for n in range(1001)], BATCH, 400),
            (" " * ((1 << 20) + 1), BATCH, 400), ("", SINGLE, 400)):
        assert send(cloud, body, media_type, globex).status_code == status


def test_a_token_reports_its_own_services_and_nothing_else(clouds, upstreams):
    cloud = clouds()
    _, globex = market(cloud, upstreams())
    cloud.account("initech")
    initech = token(cloud, "initech")
    assert send(cloud, jobs(1), SINGLE, initech).status_code == 403
    assert send(cloud, jobs(1), SINGLE, globex).status_code == 200
    # Another provider's source and id are its own.
    assert send(cloud, jobs(1), SINGLE).json()["repeated"] == 1
    for method, path in (("GET", "/v1/accounts"), ("GET", "/v1/usage"), ("GET", "/metrics"),
                         ("POST", "/v1/tokens")):
        answer = cloud.client.request(method, path, headers={"Authorization": f"Bearer {globex}"})
        assert answer.status_code == 401
    made, = cloud.items("/v1/tokens", account="globex")
    assert "token" not in made and globex.endswith(made["last_four"])
    revoked = cloud.ask("DELETE", f"/v1/tokens/{made['id']}")
    assert revoked["revoked"] and cloud.ask("DELETE", f"/v1/tokens/{made['id']}") == revoked
    refused = send(cloud, jobs(2), SINGLE, globex)
    assert refused.status_code == 401 and "neither revoked nor expired" in refused.json()["detail"]
    facts = [change["operation"] for change in cloud.items("/v1/changes", kind="token")]
    assert facts == ["tokens_create", "tokens_create", "tokens_revoke"]
    assert cloud.ask("DELETE", "/v1/tokens/token_99", expected=(404,))
    for path in (cloud.folder / "store.db", cloud.folder / "store.db-wal", cloud.log):
        assert globex.encode() not in path.read_bytes()


@pytest.mark.parametrize("budget", [None, "3.00"])
def test_caps_are_hard_while_callers_and_reporters_race(clouds, upstreams, budget):
    """3.00 are there, whoever comes first; reports and calls cost 0.05 each."""
    cloud = clouds()
    prices = [{"meter": meter, "model": "unit", "price": 0.05} for meter in ("calls", "jobs")]
    key, globex = market(cloud, upstreams(), "100.00" if budget else "3.00", budget,
                         {"payg": {"prices": prices, "max_units": {"jobs": 1}}})
    outcome = []

    def call():
        outcome.append(call_many(cloud.gateway, "echo", key, callers=4, calls=40))

    caller = threading.Thread(target=call)
    caller.start()
    with ThreadPoolExecutor(4) as reporters:
        told = list(reporters.map(lambda n: report(cloud, [jobs(n)], globex)["results"][0],
                                  range(40)))
    caller.join()
    accepted = [result for result in told if result["status"] == "accepted"]
    for result in told:
        if result["status"] == "refused":
            assert result["problem"]["type"] == "urn:stoa:problem:payment-required"
    quiet(cloud)
    calls = outcome[0].statuses.get(200, 0)
    spent = (calls + len(accepted)) * Decimal("0.05")
    assert balance(cloud, "globex") == spent and Decimal("2.90") <= spent <= 3
    # Every cent can be spent.
    left = int((3 - spent) / Decimal("0.05"))
    more = [report(cloud, [jobs(100 + n)], globex)["accepted"] for n in range(left + 1)]
    assert more == [1] * left + [0]
    quiet(cloud)
    assert balance(cloud, "globex") == 3
    check_books(cloud)


def test_what_was_refused_for_money_is_taken_once_there_is_some(clouds, upstreams):
    cloud = clouds()
    _, globex = market(cloud, upstreams(), "0.20")
    told = send(cloud, jobs(1), SINGLE, globex)
    assert told.status_code == 402
    cloud.fund("acme", "0.05")
    told = send(cloud, jobs(1), SINGLE, globex).json()
    assert told["accepted"] == 1 and told["results"][0]["charge"] == "0.25"
    settle(cloud)
    assert balance(cloud, "acme") == 0


def test_kills_neither_lose_nor_double_what_was_reported(clouds, upstreams):
    """A provider repeats what it got no answer to, as it is told to."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    cloud = clouds(CONFIG)
    _, globex = market(cloud, upstreams())
    taken = {}
    for number in range(12):
        batch = [jobs(f"{number}-{i}") for i in range(8)]
        kill = threading.Timer(chance.random() * 0.03, cloud.process.kill)
        kill.start()
        for _ in range(50):
            try:
                for result in report(cloud, batch, globex)["results"]:
                    before = taken.setdefault(result["id"], result["call"])
                    assert before == result["call"]
            except OSError:
                break
            except Exception as error:
                assert type(error).__module__.startswith(("httpx", "httpcore")), error
                break
        kill.join()
        cloud.kill9()
        cloud.start()
        for result in report(cloud, batch, globex)["results"]:
            before = taken.setdefault(result["id"], result["call"])
            assert before == result["call"], "what was answered is lost"
    assert len(taken) == 96
    quiet(cloud)
    records = records_by_call(cloud)
    assert set(records) == set(taken.values())
    assert balance(cloud, "globex") == 96 * Decimal("0.25") * Decimal("0.97")
    check_books(cloud)


def test_a_power_cut_of_the_journal_leaves_no_event_behind(clouds, upstreams):
    """What was put down and is not on record is taken again."""
    cloud = clouds()
    _, globex = market(cloud, upstreams())
    report(cloud, [jobs(1)], globex)
    settle(cloud)
    cloud.stop()
    with sqlite3.connect(cloud.folder / "store.db") as store:
        store.execute("INSERT INTO meter_reported"
                      " SELECT replace(key, substr(key, 1, 4), '0000'), digest, call,"
                      " stream, position + 1, at_ns FROM meter_reported")
    cloud.start()
    assert report(cloud, [jobs(1), jobs(2)], globex)["accepted"] == 1
    settle(cloud)
    assert balance(cloud, "globex") == Decimal("0.50")
    check_books(cloud)


def test_the_command_line_makes_tokens_and_reports(clouds, upstreams):
    cloud = clouds()
    market(cloud, upstreams())
    made = cloud.json("token", "create", "globex", "--expires", "1h")
    assert send(cloud, jobs(1), SINGLE, made["token"]).status_code == 200
    assert made["id"] in cloud.cli("token", "list", "globex").stdout
    assert f"{made['id']} of globex is revoked" in cloud.cli("token", "revoke", made["id"]).stdout
    assert send(cloud, jobs(2), SINGLE, made["token"]).status_code == 401
    command = ("usage", "report", "acme/shop", "echo", "jobs=3", "--id", "job-9")
    first, again = cloud.json(*command), cloud.json(*command)
    assert (first["status"], again["status"]) == ("accepted", "repeated")
    assert first["charge"] == again["charge"] == "0.75" and first["call"] == again["call"]
    assert "job-9 was on record already: 0.75 USD" in cloud.cli(*command).stdout
    other = cloud.cli(*command[:4], "jobs=4", "--id", "job-9", check=False)
    assert other.returncode == 1 and "something else" in other.stderr
    for wrong in ("jobs", "jobs=x", "=3"):
        assert cloud.cli(*command[:4], wrong, check=False).returncode == 2
