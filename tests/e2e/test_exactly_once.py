"""Exactly once under kill -9: what a caller received whole is billed once, and nothing else is."""

import asyncio
import os
import random
import signal
import threading
import uuid
from decimal import Decimal

import verifier
import worker
from books import balance, check_books, quiet, wait_until
from callers import Load
from cloud import upstream_manifest
from market import Market
from upstream import Answer

KILLS = int(os.environ.get("STOA_KILLS", "100"))
INSTANCE_KILLS = 10
CALLERS = 16
PRICE = Decimal("0.05")
PARTIES = ("acme", "globex")  # consumer and provider
CONFIG = """\
name: test
currency: USD
rates: {call: 0.000001}
fee: 3%
workers: 2
"""


async def load_and_kill(cloud, key, number, chance):
    """Callers at work; the node dies after a random number of answers. Returns the outcome."""
    load = Load(cloud.gateway, "echo", key, 1 << 30, prefix=f"k{number}-")
    work = asyncio.ensure_future(load.run(CALLERS))
    enough = chance.randrange(1, 400)
    while len(load.outcome.whole) < enough and not work.done():
        await asyncio.sleep(0)
    await asyncio.sleep(chance.random() * 0.01)
    load.stopping = True
    cloud.process.kill()
    return await work


def new_records(cloud, after):
    """({call: record} behind the cursor, the next cursor)."""
    records = {}
    while True:
        page = cloud.ask("GET", "/v1/journal", params={"after": after} if after else {})
        after = page["next"] or after
        if not page["items"]:
            return records, after
        for record in page["items"]:
            assert record["call"] not in records, f"{record['call']} is in the journal twice"
            records[record["call"]] = record


def check_bill(cloud, calls):
    """The bill as it stands is for exactly so many calls, and the books are exact."""
    check_books(cloud)
    lines = [line for line in cloud.statement("acme")["lines"] if line["kind"] == "usage"]
    assert sum(line["quantity"] for line in lines) == calls
    assert sum(Decimal(line["amount"]) for line in lines) == calls * PRICE


def verify_receipt(cloud, call):
    """The call is in the signed log, whatever end the node has had since."""
    wait_until(lambda: cloud.cli("receipt", call, check=False).returncode == 0, "a head has it")
    receipt = cloud.cli("receipt", call).stdout
    told = cloud.cli("verify", "-", input=receipt).stdout
    assert told.startswith(f"call {call} is record ")


def verify_bill(cloud, account, folder, calls):
    """The account's bill proves exactly so many calls, and what they come to."""
    cloud.cli("statement", account, "--bill", folder / account)
    told = cloud.json("verify", folder / account)
    assert told["calls"] == calls
    assert told["total"] == cloud.statement(account)["total"]


def test_every_whole_answer_is_billed_once_over_many_kills(clouds, upstreams, tmp_path):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    upstream = upstreams()
    answered = []  # Stoa-Call of each answer that the service began to write whole

    def answer(request):
        answered.append(request.fields["stoa-call"])
        return Answer()

    upstream.answer = answer
    cloud = clouds(CONFIG)
    cloud.account("globex")
    cloud.account("acme", "100000.00")
    cloud.publish(upstream_manifest("echo", upstream.address), "globex")
    key = cloud.app_with_key("acme/shop")
    cloud.subscribe("acme/shop", "echo")

    whole, billed, recorded = {}, set(), set()
    after = None
    for number in range(KILLS):
        outcome = asyncio.run(load_and_kill(cloud, key, number, chance))
        assert set(outcome.statuses) <= {200}, outcome.statuses
        assert not whole.keys() & outcome.whole.keys()
        whole.update(outcome.whole)
        cloud.kill9()  # it is dead already: forgets the process
        cloud.start()
        # At each kill: recorded and received differ by at most the calls in flight.
        records, after = new_records(cloud, after)
        assert not recorded & records.keys(), "a call is in the journal twice"
        recorded |= records.keys()
        billed |= {call for call, record in records.items() if record["billed"]}
        assert whole.keys() <= billed
        assert len(billed) - len(whole) <= CALLERS * (number + 1)
        assert billed <= set(answered), "a call was billed that the service had not answered"
        check_bill(cloud, len(billed))
        verify_receipt(cloud, chance.choice(sorted(billed)))
        verify_bill(cloud, PARTIES[number % 2], tmp_path, len(billed))
    assert len(answered) == len(set(answered)), "a call reached the service twice"
    assert len(whole) > KILLS

    quiet(cloud)
    calls = len(billed)
    check_bill(cloud, calls)
    for account in PARTIES:
        verify_bill(cloud, account, tmp_path, calls)
        _, records = verifier.verify_bill((tmp_path / account).read_text(),
                                          (cloud.folder / "log.pub").read_text())
        assert {str(uuid.UUID(bytes=record.call)) for record in records} == billed
    assert balance(cloud, "globex") == calls * PRICE * Decimal("0.97")
    assert balance(cloud, "acme") == Decimal("100000.00") - calls * (PRICE + Decimal("0.000001"))


def test_a_kill_strands_no_money(clouds, upstreams):
    upstream = upstreams()
    cloud = clouds("name: test\ncurrency: USD\nfee: 0%\n")
    cloud.account("globex")
    cloud.account("acme", "0.50")
    cloud.publish(upstream_manifest("echo", upstream.address), "globex")
    key = cloud.app_with_key("acme/shop")
    cloud.subscribe("acme/shop", "echo")
    for number in range(10):
        assert cloud.call("echo", f"/call/{number}", key).status_code == 200
        cloud.kill9()
        cloud.start()
    assert cloud.call("echo", "/call/more", key).status_code == 402
    assert upstream.answered == 10
    quiet(cloud)
    assert balance(cloud, "acme") == 0
    check_books(cloud)


def test_killing_instances_under_load_bills_what_was_answered_whole(clouds, tmp_path):
    """One after the other, ten times; the calls that a killed one had are 502 and free."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    folder = tmp_path / "worker"
    cloud = clouds("name: test\ncurrency: USD\nfee: 3%\nworkers: 2\n")
    market = Market(cloud, worker.manifest(folder, run={"instances": 3}), folder,
                    amount="100000.00")  # more than all calls until the last kill can cost
    market.check()
    load = Load(cloud.gateway, "worker", market.key, 1 << 30)
    work = threading.Thread(target=lambda: asyncio.run(load.run(CALLERS)))
    work.start()

    def healthy():
        return [place["pid"] for place in cloud.status()["instances"]
                if place["state"] == "healthy"]

    for _ in range(INSTANCE_KILLS):
        enough = len(load.outcome.whole) + chance.randrange(20, 100)
        wait_until(lambda: len(load.outcome.whole) >= enough and len(healthy()) > 1,
                   "more answers, and more than one instance")
        pid = chance.choice(healthy())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in healthy(), "its end is noticed")
    load.stopping = True
    work.join()
    outcome = load.outcome
    assert set(outcome.statuses) <= {200, 502} and outcome.unknown == 0, outcome.statuses
    assert outcome.statuses[502] <= INSTANCE_KILLS * CALLERS
    market.check(outcome.whole)
    market.check_statement()
