"""Changes reach the gateway one by one: the same again costs nothing, calls in flight go on."""

import sqlite3

import exposition
from books import check_books, settle
from callers import Background
from cloud import upstream_manifest
from market import Market
from upstream import Answer


def directory_of(cloud):
    token = (cloud.folder / "metrics.token").read_text().strip()
    answer = cloud.client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    told = exposition.read(answer.text)
    entries = told["stoa_directory_entries"]
    return {
        "complete": told["stoa_directory_complete"].value(),
        "changes": told["stoa_directory_changes_total"].value(),
        **{kind: entries.value(kind=kind) for kind in ("services", "subscriptions", "keys")},
    }


class Commits:
    """Tells whether anything was committed to the cloud's store since it was last asked."""

    def __init__(self, cloud):
        self.store = sqlite3.connect(f"file:{cloud.folder}/store.db?mode=ro", uri=True)
        self.seen = self.version()

    def version(self):
        return self.store.execute("PRAGMA data_version").fetchone()[0]

    def any(self):
        before, self.seen = self.seen, self.version()
        return before != self.seen


def test_what_is_published_again_costs_nothing(clouds, upstreams):
    manifest = upstream_manifest("echo", upstreams().address)
    market = Market(clouds(), manifest)
    cloud = market.cloud
    market.normal_call()
    settle(cloud)
    before = directory_of(cloud)
    assert before["complete"] == before["services"] == before["subscriptions"] == 1
    commits = Commits(cloud)
    for _ in range(3):
        assert not cloud.publish(manifest, "globex")["changed"]
        assert cloud.subscribe("acme/shop", "echo")["outcome"] == "same"
    assert not commits.any()
    assert directory_of(cloud) == before
    # The counters would have told: a key is one entry and one commit.
    cloud.ask("POST", "/v1/keys", {"app": "acme/shop"})
    assert commits.any()
    after = directory_of(cloud)
    assert (after["keys"], after["changes"]) == (before["keys"] + 1, before["changes"] + 1)


def test_changes_do_not_touch_a_call_in_flight(clouds, upstreams):
    old, new = upstreams(), upstreams()
    market = Market(clouds(), upstream_manifest("echo", old.address))
    cloud = market.cloud
    old.answer = lambda request: Answer(body=b"old")
    new.answer = lambda request: Answer(body=b"new")
    old.hold()
    with market.connect() as peer:
        peer.send(market.request("/call/x"))
        old.wait_for(1)
        # Another upstream, another plan's version, another key, another budget, another service.
        plans = {"payg": {"prices": [{"meter": "calls", "model": "unit", "price": 0.25}]}}
        cloud.publish(upstream_manifest("echo", new.address, plans), "globex")
        cloud.publish(upstream_manifest("other", new.address), "globex")
        cloud.key("acme/shop")
        assert cloud.subscribe("acme/shop", "echo", budget="100")["outcome"] == "replaced"
        assert market.call("/call/y").body == b"new"
        old.release()
        answer = peer.read()
        assert (answer.status, answer.body) == (200, b"old")


def test_another_plan_under_load_refuses_no_call(clouds, upstreams):
    """There is no moment in which the app has neither plan."""
    plans = {name: {"prices": [{"meter": "calls", "price": 0.05}]} for name in ("one", "other")}
    manifest = upstream_manifest("echo", upstreams().address, plans)
    market = Market(clouds("name: test\ncurrency: USD\nfee: 0%\nworkers: 2\n"), manifest,
                    amount="1000000", plan="one")
    with Background(market) as background:
        for plan in ["other", "one"] * 15:
            told = market.cloud.subscribe("acme/shop", "echo", plan)
            assert (told["outcome"], told["plan"]) == ("replaced", plan)
            background.wait_for(20)
    outcome = background.load.outcome
    assert set(outcome.statuses) == {200} and outcome.unknown == 0
    check_books(market.cloud)
