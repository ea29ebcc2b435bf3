"""What must hold between journal, statements and ledger, whatever happened before."""

import time
from decimal import Decimal

DEADLINE_SECONDS = 60


def wait_until(condition, what):
    """Polls what another process does soon."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {DEADLINE_SECONDS} s: {what}"
        time.sleep(0.02)


def posted(cloud):
    streams = cloud.status()["journal"]["streams"]
    return all(stream["posted"] == stream["written"] for stream in streams)


def settle(cloud):
    """Waits until every call record is posted."""
    wait_until(lambda: posted(cloud), "every record is posted")


def quiet(cloud):
    """Waits until also no money is leased. Idle leases are given back after seconds, so this is for
    tests of just that: what was posted, `settle` is enough for."""
    settle(cloud)
    wait_until(lambda: all(Decimal(account["debits_pending"]) == 0
                           for account in cloud.ledger()["accounts"]), "no lease is left")


def balance(cloud, name):
    """Credits less debits, posted: what the account has."""
    account = cloud.ledger_account(name)
    return Decimal(account["credits_posted"]) - Decimal(account["debits_posted"])


def check_books(cloud):
    """Every ledger sums to zero; every statement is what the ledger moved."""
    settle(cloud)
    ledger = cloud.ledger()
    for number in {account["ledger"] for account in ledger["accounts"]}:
        rows = [account for account in ledger["accounts"] if account["ledger"] == number]
        for side in ("posted", "pending"):
            debits = sum(Decimal(row[f"debits_{side}"]) for row in rows)
            credits = sum(Decimal(row[f"credits_{side}"]) for row in rows)
            assert debits == credits, f"ledger {number}: {side} {debits} != {credits}"
    totals = Decimal(0)
    for account in cloud.items("/v1/accounts"):
        statement = cloud.statement(account["name"])
        total = Decimal(statement["total"])
        assert total == sum((Decimal(line["amount"]) for line in statement["lines"]), Decimal(0))
        totals += total
    assert totals == 0, f"what is owed and what is earned differ by {totals}"
    counts = cloud.status()["poster"]
    assert counts["parked"] == counts["owed"] == counts["lease_overruns"] == 0, counts


def records_by_call(cloud):
    """The journal, one record a call id."""
    records = {}
    for record in cloud.journal():
        assert record["call"] not in records, f"{record['call']} is in the journal twice"
        records[record["call"]] = record
    return records
