"""The entries of the ledger, account by account: what its balances come from."""

from decimal import Decimal

import pytest
from books import settle


@pytest.fixture(scope="module")
def traded(town):
    """acme/shop has called echo twice, which is posted."""
    for _ in range(2):
        assert town.call("echo", "/x", town.shop_key).status_code == 200
    settle(town)
    return town


def moved(transfers, name):
    """What came in, less what went out, of the transfers that move money now."""
    return sum((1 if transfer["credit"] == name else -1) * Decimal(transfer["amount"])
               for transfer in transfers if transfer["phase"] in ("single", "post"))


@pytest.mark.parametrize("name", ["acme", "globex", "operator", "outside"])
def test_the_transfers_of_an_account_sum_to_its_balance(traded, name):
    account = traded.ledger_account(name)
    balance = Decimal(account["credits_posted"]) - Decimal(account["debits_posted"])
    transfers = traded.items(f"/v1/ledger/{name}/transfers")
    assert moved(transfers, name) == balance
    assert all(name in (transfer["debit"], transfer["credit"]) for transfer in transfers)
    times = [transfer["at"] for transfer in transfers]
    assert times == sorted(times, reverse=True)


def test_the_kinds_tell_what_for(traded):
    transfers = traded.items("/v1/ledger/acme/transfers")
    assert transfers[-1]["kind"] == "funding" and transfers[-1]["debit"] == "outside"
    assert {transfer["currency"] for transfer in transfers} == {"USD"}
    assert transfers[-1]["amount"] == "10.00" and transfers[-1]["resolves"] is None
    usage = [transfer for transfer in transfers if transfer["kind"] == "usage"]
    assert sum(Decimal(transfer["amount"]) for transfer in usage) == Decimal("0.10")
    assert all(transfer["credit"] == "globex" and transfer["subscription"] == "sub_1"
               for transfer in usage)
    pending = {transfer["id"] for transfer in transfers if transfer["phase"] == "pending"}
    resolved = {transfer["resolves"] for transfer in transfers
                if transfer["phase"] in ("post", "void")}
    assert resolved and resolved <= pending


def test_pages_are_the_whole_list_and_what_is_new_moves_none(traded):
    first = traded.ask("GET", "/v1/ledger/acme/transfers", params={"limit": 2})
    traded.fund("acme", "1.00")
    rest = traded.items("/v1/ledger/acme/transfers", limit=2, after=first["next"])
    whole = traded.items("/v1/ledger/acme/transfers", limit=1000)
    told = first["items"] + rest
    assert len(told) > 2 and told == whole[-len(told):] and whole[-1]["kind"] == "funding"


def test_who_is_not_in_the_ledger_has_no_transfers(traded):
    problem = traded.ask("GET", "/v1/ledger/nobody/transfers", expected=[404])
    assert problem["parameter"] == "account" and "nobody" in problem["detail"]
    problem = traded.ask("GET", "/v1/ledger/acm/transfers", expected=[404])
    assert problem["suggestion"] == "acme" and problem["detail"].endswith('did you mean "acme"?')
    problem = traded.ask("GET", "/v1/ledger/acme/transfers", params={"after": "x"},
                         expected=[422])
    assert problem["parameter"] == "after"


def test_the_command_line_lists_them(traded):
    shown = traded.cli("ledger", "transfers", "acme", "--lines", "1")
    head, row = shown.stdout.splitlines()
    assert head.split() == ["TIME", "KIND", "PHASE", "FROM", "TO", "AMOUNT", "PERIOD"]
    assert "acme" in row and shown.stderr.startswith("there are more: --after transfer_")
    after = shown.stderr.split()[-1]
    assert traded.json("ledger", "transfers", "acme", "--after", after) == traded.ask(
        "GET", "/v1/ledger/acme/transfers", params={"after": after})
    refused = traded.cli("ledger", "transfers", "nobody", check=False)
    assert refused.returncode == 1 and "nobody" in refused.stderr
