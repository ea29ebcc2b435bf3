"""hledger reads the whole ledger, and agrees with it; what was tampered with it finds."""

import re
import sqlite3
import subprocess
from decimal import Decimal

import pytest
from books import balance, settle
from callers import call_many
from cloud import upstream_manifest
from test_money import CARD


def hledger(journal, *arguments, good=True):
    done = subprocess.run(["hledger", "-f", "-", "--color=no", *arguments],
                          input=journal, capture_output=True, text=True, timeout=120)
    assert (done.returncode == 0) == good, done.stderr + done.stdout[-2000:]
    return done.stdout if good else done.stderr


def export(cloud, *arguments):
    return cloud.cli("ledger", "export", "--hledger", *arguments).stdout


@pytest.fixture
def traded(clouds, upstreams):
    """Calls were made and paid, with a rate card and a fee, and all of them are posted."""
    cloud, upstream = clouds(CARD), upstreams()
    cloud.account("globex")
    cloud.account("acme", "100.00")
    cloud.publish(upstream_manifest("echo", upstream.address), "globex")
    key = cloud.app_with_key("acme/shop")
    cloud.subscribe("acme/shop", "echo", budget="50.00", monthly=True)
    assert call_many(cloud.gateway, "echo", key, callers=8, calls=300).statuses == {200: 300}
    settle(cloud)
    return cloud


def test_hledger_comes_to_the_same_balances(traded):
    journal = export(traded)
    hledger(journal, "check", "--strict", "ordereddates")
    rows = hledger(journal, "balance", "--flat", "--empty", "--no-total", "--layout=bare",
                   "-O", "csv").splitlines()[1:]
    told = {account: Decimal(amount) for account, _, amount in
            (row.replace('"', "").split(",") for row in rows)}
    assert told.pop("assets:outside") == -balance(traded, "outside")
    assert told.pop("revenues:operator") == -balance(traded, "operator")
    for name in ("acme", "globex"):
        assert told.pop(f"liabilities:accounts:{name}") == -balance(traded, name)
    assert not any(told.values()), told
    # Each transfer that moved money is there once, under its id.
    codes = re.findall(r"\* \(([0-9a-f]{32})\)", journal)
    moved = {transfer["id"] for name in ("acme", "globex", "operator", "outside")
             for transfer in traded.items(f"/v1/ledger/{name}/transfers", limit=1000)
             if transfer["phase"] in ("single", "post")}
    assert len(codes) == len(set(codes)) and set(codes) == moved


def test_an_amount_that_was_changed_is_found(traded):
    journal = export(traded)
    changed, count = re.subn(r"(usage .*\n.*  )(\d+\.\d+)( USD\n.*  )-\2 USD",
                             r"\g<1>99.000000000\g<3>-99.000000000 USD", journal, count=1)
    assert count == 1
    assert "assertion" in hledger(changed, "check", good=False)


def test_a_balance_that_was_changed_in_the_store_is_found(traded):
    traded.stop()
    with sqlite3.connect(traded.folder / "store.db") as store:
        done = store.execute("UPDATE ledger_account SET credits_posted = credits_posted + 1"
                             " WHERE name = 'globex'")
        assert done.rowcount == 1
    store.close()
    traded.start()
    complaint = hledger(export(traded), "check", good=False)
    assert "assertion" in complaint and "globex" in complaint


def test_months_are_whole_and_in_order(traded):
    month = traded.statement("acme")["period"]
    journal = export(traded, "--from", month, "--to", month)
    hledger(journal, "check", "--strict")
    assert f"{month}-01 * opening balances" in journal
    wrong = traded.cli("ledger", "export", "--hledger", "--from", "2026-05", "--to", "2026-04",
                       check=False)
    assert wrong.returncode == 1 and "first month is behind its last" in wrong.stderr
    assert traded.cli("ledger", "export", check=False).returncode == 2
