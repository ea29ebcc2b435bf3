"""What is wrong with a bill is named, with its place; the bill is that of docs/receipts.md.

Nothing is signed again here, so that each is refused by the signature in the end; but what it says
is looked at before, and told first. src/billing/bill_test.c has clouds that sign their lies.
"""

import json
import re
import subprocess

import pytest
import verifier
from cloud import ROOT, STOA

BLOCKS = dict(re.findall(r"^```([a-z-]+)\n(.*?)^```", (ROOT / "docs/receipts.md").read_text(),
                         re.DOTALL | re.MULTILINE))
BILL, KEY = BLOCKS["bill"], BLOCKS["public-key"].strip()
STREAM, = json.loads(BILL)["streams"]
HASH, FIRST, SECOND = (f'"{item}"' for item in STREAM["tree"])
LINE = re.search(r'\{"role".*\},\n', BILL).group()
PRICE = re.search(r'\{"meter":"calls".*?\[\]\},', BILL).group()

# What it is, what is replaced by what (None: the whole), what is told.
LIES = [
    ("a quantity", '"quantity":2,"amount":"0.10"', '"quantity":1,"amount":"0.10"',
     "/lines/0/quantity: the records come to 2"),
    ("an amount", '"0.10"', '"0.11"', "/lines/0/amount: the quantity comes to 0.10"),
    ("an amount with a zero too many", '"0.10"', '"0.100"',
     "/lines/0/amount: it is not written as amounts are"),
    ("an amount that is none", '"0.10"', '"1e1"', "/lines/0/amount: it is not an amount"),
    ("the total", '"total":"0.1', '"total":"0.2', "/total: the lines come to 0.100000025"),
    ("a price", '"nano":50000000', '"nano":50000001', "/lines/0/amount: "),
    ("an allowance", '"free":1', '"free":2', "/lines/1/amount: the quantity comes to 0.00000002"),
    ("the end of a tier", '"up_to":1', '"up_to":2', "/lines/1/amount: "),
    ("a rate of the card", '"nano":3', '"nano":30', "/lines/2/amount: "),
    ("where a phase begins", '"starts":[0,2]', '"starts":[0,1]', "/lines/2/amount: "),
    ("a bound of a unit", '"max":500', '"max":1', "/lines/1/quantity: the records come to 2"),
    ("a bound of a charge", '"max_charge":"0.20"', '"max_charge":"0.05"',
     "/lines/1: no record gives this line"),
    ("the month", '"2023-11"', '"2023-12"', "/streams/0/tree/1: the call is of another month"),
    ("a month that is none", '"2023-11"', '"2023-13"', "/period: it is not a month"),
    ("the account", '"account":"acme"', '"account":"bert"', "/subscriptions/0: it is none of bert"),
    ("the cloud", '"cloud":"cloud"', '"cloud":"other"', "/cloud: the given key is that of cloud"),
    ("the format", "stoa-bill/1", "stoa-bill/2", "/format: it is not stoa-bill/1"),
    ("the currency", '"USD"', '"EUR"', "/signature: it was signed for other bytes"),
    ("when it was made", "22:13:21", "22:13:22", "/signature: it was signed for other bytes"),
    ("the ids of the account", '"account":{"id":1', '"account":{"id":7',
     "/streams/0/tree/1: the call is of none of the bill's subscriptions"),
    ("no account's id", '"account":{"id":1', '"account":{"id":"1"', "/subscriptions/0/account/"),
    ("a line twice", LINE, LINE + LINE, "/lines/1: the line is there twice"),
    ("a line less", LINE, "", "/lines: the line of thumbs's usage, meter calls, is missing"),
    ("a line of another model", '"graduated","quantity"', '"unit","quantity"',
     "/lines/1: no record gives this line"),
    ("a line of another app", '"app":{"id":2,"name":"acme/shop"},"subscription":4,"meter"',
     '"app":{"id":2,"name":"acme/back"},"subscription":4,"meter"', "/lines/0: it names another "),
    ("a line of no role", '"role":"consumer"', '"role":"king"', '/lines/0/role: "king" is not '),
    ("a role that clears the screen", '"role":"consumer"', '"role":"\\u001b[2J"',
     "/lines/0/role: it has a control character"),
    ("a member too many", '"fee_ppm":30000', '"fee_ppm":30000,"tip":1',
     "/cards/0: it has a member too many"),
    ("a member less", '"bill_always":false,', "", "/subscriptions/0/bill_always: the member is "),
    ("a member twice", '"fee_ppm":30000', '"fee_ppm":30000,"fee_ppm":30000',
     "/cards/0: no JSON value"),
    ("members in another order", '"cloud":"cloud",\n"currency":"USD"',
     '"currency":"USD",\n"cloud":"cloud"', "/cloud: the member is missing, or not in its place"),
    ("a number below zero", '"fee_ppm":30000', '"fee_ppm":-1', "/cards/0/fee_ppm: it is not "),
    ("a number of 2^63", '"nano":50000000', f'"nano":{1 << 63}', "/subscriptions/0: no JSON value"),
    ("a fraction", '"fee_ppm":30000', '"fee_ppm":30000.0', "/cards/0/fee_ppm: it is not a whole"),
    ("a list of nothing per unit", '"per":2', '"per":0', "/cards/0/rates/calls/per: "),
    ("a card twice", '{"card":2', '{"card":1', "/cards/1: the card is there twice"),
    ("a phase of no card", '"phase":2,"card":2', '"phase":2,"card":3', "/phases/1: its card 3 is "),
    ("phases out of order", '"phase":2', '"phase":1', "/phases/1: it does not come behind"),
    ("a phase without a start", '"starts":[0,2]', '"starts":[0]', "/streams/0/starts: "),
    ("starts that fall", '"starts":[0,2]', '"starts":[2,0]', "/streams/0/starts: item 1 "),
    ("a late record of no phase", '"late":[]', '"late":[{"position":1,"phase":7}]',
     "/streams/0/late/0: its phase 7 is not among the phases"),
    ("a record charged late", '"late":[]', '"late":[{"position":1,"phase":2}]', "/lines/2/"),
    ("a price twice", PRICE, PRICE + PRICE, "/subscriptions/0: its prices are no plan"),
    ("a meter of no name", '"meter":"calls","model":"unit","free"',
     '"meter":"cats","model":"unit","free"', "/subscriptions/0/prices/0: its meter or its model"),
    ("a subscription twice", re.search(r'\{"subscription":4.*\]\}', BILL).group(),
     2 * (re.search(r'\{"subscription":4.*\]\}', BILL).group() + ",\n"),
     "/subscriptions/1: the subscription is there twice"),
    ("a record less", FIRST + ",\n", "",
     "/streams/0/tree: the records are not those that the checkpoint was signed for"),
    ("the last record less", ",\n" + SECOND, "", "/streams/0/tree: a hash is missing before it"),
    ("a record twice", FIRST, f"{FIRST},\n{FIRST}",
     "/streams/0/tree/2: record 1 does not come behind the one before it"),
    ("records out of order", f"{FIRST},\n{SECOND}", f"{SECOND},\n{FIRST}",
     "/streams/0/tree/2: record 1 does not come behind the one before it"),
    ("a flipped bit of a record", FIRST, FIRST.replace("C/x0", "C/x1"),
     "/streams/0/tree/1: the record is not whole"),
    ("a hash less", HASH + ",\n", "", "/streams/0/tree/0: a hash is missing before it"),
    ("a hash too many", HASH, f"{HASH},\n{HASH}", "/streams/0/tree/2: 1 hashes too many"),
    ("another hash", HASH, HASH.replace("mU39", "mU38"),
     "/streams/0/tree: the records are not those that the checkpoint was signed for"),
    ("a hash of 31 bytes", HASH, '"' + HASH[5:], "/streams/0/tree/0: it is neither a hash nor"),
    ("a hash of other characters", HASH, HASH.replace("mU39", "mU3*"), "/streams/0/tree/0: "),
    ("another count of records", "journal-0\\n3\\n", "journal-0\\n4\\n", "/streams/0/checkpoint: "),
    ("a checkpoint of another log", '"origin":"cloud/node-1/journal-0"',
     '"origin":"cloud/node-1/journal-1"', "/streams/0/checkpoint: it is not a checkpoint of"),
    ("a stream twice", ']}],\n"signature"',
     ']},{"origin":"cloud/node-1/journal-0"}],\n"signature"',
     "/streams/1/origin: the stream is there twice"),
    ("no signature", ',\n"signature"', ',\n"autograph"', "/signature: the member is missing"),
    ("something behind the end", "=\\n\"}\n", "=\\n\"}\n{}", "the file does not end behind its"),
    ("another signer", "— cloud/bill ", "— other/bill ", "/signature: "),
    ("an empty object", None, "{}", "/format: "),
    ("a list", None, " {]", "/format: "),
    ("lists without end", None, '{"format":' + 100000 * "[", "/format: no JSON value"),
    ("a text without end", None, '{"format":"' + (2 << 20) * "a", "/format: no JSON value"),
    ("a text that is too long", '"USD"', json.dumps(300 * "$"), "/currency: the text is too long"),
    ("NUL in a text", '"USD"', '"U\\u0000D"', "/currency: "),
    ("a text that is not UTF-8", '"USD"', '"\udcff"', "/currency: no JSON value"),
    ("something else", None, "%PDF-1.4", "line 1 is not"),
    ("nothing", None, "", "line 1 is not"),
]


def verify(tmp_path, text, *options):
    path = tmp_path / "bill.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    done = subprocess.run([STOA, "verify", path, "--key", KEY, *options], capture_output=True,
                          text=True, timeout=60)
    return done, f"stoa verify: {path}: "


def test_the_bill_of_the_document_holds(tmp_path):
    done, _ = verify(tmp_path, BILL)
    assert done.stdout == ("the bill of acme for 2023-11 holds: 2 calls on record, 3 lines, "
                           "total 0.100000025 USD, signed by cloud\n")
    bill, records = verifier.verify_bill(BILL, KEY)
    assert [record.position for record in records] == [1, 2]
    assert bill["total"] == "0.100000025"


@pytest.mark.parametrize("change", LIES, ids=[lie[0] for lie in LIES])
def test_what_is_wrong_is_named(tmp_path, change):
    _, old, new, told = change
    text = new if old is None else BILL.replace(old, new, 1)
    assert text != BILL
    done, prefix = verify(tmp_path, text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(prefix + told), done.stderr
    assert done.stderr.count("\n") == 1
    with pytest.raises((verifier.Wrong, ValueError, LookupError, TypeError,
                        RecursionError)):
        verifier.verify_bill(text, KEY)


def test_programs_are_told_the_place_and_the_reason(tmp_path):
    done, _ = verify(tmp_path, BILL.replace('"0.10"', '"0.11"'), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "verified": False, "kind": "bill", "pointer": "/lines/0/amount",
        "reason": "the quantity comes to 0.10"}
