"""A subscription ends: no call more, those in flight are cut, what was used stays on the bill."""

from decimal import Decimal

import pytest
from books import check_books, quiet, settle
from cloud import upstream_manifest
from market import Market
from upstream import Answer

TWO_WORKERS = "name: test\ncurrency: USD\nfee: 0%\nworkers: 2\n"
BIG = 50_000_000


@pytest.fixture
def upstream(upstreams):
    return upstreams()


@pytest.fixture
def market(clouds, upstream):
    return Market(clouds(TWO_WORKERS), upstream_manifest("echo", upstream.address))


def subscription_of(cloud):
    return cloud.items("/v1/subscriptions", app="acme/shop")[0]


def is_refused(answer):
    assert answer.status == 403, answer
    return b"no-subscription" in answer.body


def test_calls_after_it_are_refused_and_what_was_used_stays_billed(market):
    cloud = market.cloud
    cloud.subscribe("acme/shop", "echo", budget="2.00")
    for _ in range(3):
        market.normal_call()
    ended = subscription_of(cloud)
    said = cloud.cli("unsubscribe", "acme/shop", "echo", "--wait").stdout.splitlines()
    assert said[0].startswith("acme/shop may not call echo any more, since 2")
    assert said[1].startswith("every worker has applied it, after ")
    assert all(is_refused(market.call()) for _ in range(4))
    assert cloud.items("/v1/subscriptions") == []
    # The budget has back what was leased of it, and the account too; the calls stay billed.
    quiet(cloud)
    assert Decimal(cloud.statement("acme")["total"]) == Decimal("0.15")
    budget = next(account for account in cloud.ledger()["accounts"]
                  if account["name"] == f"budget:{ended['id'].split('_')[1]}")
    assert Decimal(budget["debits_pending"]) == 0
    assert Decimal(budget["credits_posted"]) - Decimal(budget["debits_posted"]) == Decimal("1.85")
    change = cloud.items("/v1/changes", kind="subscription")[-1]
    assert change["name"] == "acme/shop" and change["facts"]["id"] == ended["id"]
    assert change["facts"]["ended"] is not None
    cloud.restart()
    assert is_refused(market.call())
    # Again later: another subscription, with a budget of its own.
    again = cloud.subscribe("acme/shop", "echo", budget="0.10")
    assert again["outcome"] == "new" and again["id"] != ended["id"]
    market.normal_call()
    market.normal_call()
    assert market.call().status == 402
    check_books(cloud)
    assert Decimal(cloud.statement("acme")["total"]) == Decimal("0.25")


def test_calls_in_flight_are_cut_where_they_stand(market, upstream):
    cloud = market.cloud
    upstream.answer = lambda request: Answer(body=b"x" * BIG)
    with market.connect() as stream, market.connect() as asking:
        stream.send(market.request("/call/stream"))
        stream.receive(lambda received: len(received) > 1000)
        upstream.hold()
        asking.send(market.request("/call/asking"))
        upstream.wait_for(2)
        ended = subscription_of(cloud)["id"]
        answer = cloud.ask("DELETE", f"/v1/subscriptions/{ended}", params={"wait": 5000})
        assert answer["applied_us"] >= 0
        # Nothing of its answer had left: it is refused, and costs nothing.
        assert is_refused(asking.read())
        with pytest.raises(EOFError):
            stream.receive(lambda received: len(received) > BIG)
        delivered = len(stream.received)
    upstream.release()
    assert delivered < BIG
    settle(cloud)
    records = {record["billed"]: record for record in market.new_records()}
    assert {record["outcome"] for record in records.values()} == {"cut"} and len(records) == 2
    assert 0 < records[True]["response_bytes"] < BIG
    assert Decimal(cloud.statement("acme")["total"]) == Decimal("0.05")
    check_books(cloud)


def test_what_does_not_end_is_told(market):
    cloud = market.cloud
    refused = cloud.cli("unsubscribe", "acme/shop", "ecko", check=False)
    assert refused.returncode == 1 and 'did you mean "echo"' in refused.stderr
    market.normal_call()
    ended = subscription_of(cloud)["id"]
    first = cloud.ask("DELETE", f"/v1/subscriptions/{ended}")
    assert first["applied_us"] is None and first["ended"] is not None
    changes = len(cloud.items("/v1/changes", kind="subscription"))
    # Once ended it stays ended since then, even where there is another now.
    cloud.subscribe("acme/shop", "echo")
    assert cloud.ask("DELETE", f"/v1/subscriptions/{ended}") == first
    assert len(cloud.items("/v1/changes", kind="subscription")) == changes + 1
    market.normal_call()
    for wrong in ("sub_99", "key_1", "x"):
        problem = cloud.ask("DELETE", f"/v1/subscriptions/{wrong}", expected=(404,))
        assert wrong in problem["detail"]
    cloud.json("unsubscribe", "acme/shop", "echo")
    refused = cloud.cli("unsubscribe", "acme/shop", "echo", check=False)
    assert refused.returncode == 1 and "is not subscribed to echo" in refused.stderr
