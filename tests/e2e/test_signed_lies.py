"""A cloud that signs what is wrong: its bills are refused all the same, by both verifiers.

The bill of docs/receipts.md, whose key has a known seed, is changed, its lines are worked out anew,
and the whole is signed again: so nothing but the lie itself can be found.
"""

import base64
import copy
import hashlib
import json
import re
import struct
import subprocess
from dataclasses import astuple, replace

import pytest
import verifier
from cloud import ROOT, STOA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

BLOCKS = dict(re.findall(r"^```([a-z-]+)\n(.*?)^```", (ROOT / "docs/receipts.md").read_text(),
                         re.DOTALL | re.MULTILINE))
KEY = BLOCKS["public-key"].strip()
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "cloud/node-1/journal-0"
SECOND = verifier.parse_record(bytes.fromhex(BLOCKS["record"]))


def base64_of(data):
    return base64.b64encode(data).decode()


def signed(text):
    origin = text.split("\n")[0]
    signature = verifier.key_id(origin, verifier.parse_key(KEY)[1]) + SIGNER.sign(text.encode())
    return f"{text}\n\u2014 {origin} {base64_of(signature)}\n"


def record_of(position, **changes):
    """Like the document's, but at the position and with the changes."""
    record = replace(SECOND, **{"position": position, "call": bytes([position]) * 16, **changes})
    values = list(astuple(record))
    values[12] = record.left_nano.to_bytes(6, "little")
    units = values.index(record.units)
    data = verifier.RECORD.pack(0, *values[1:units], *record.units, *values[units + 1:])
    return struct.pack("<I", verifier.crc32c(data[4:])) + data[4:]


def root_of(leaves):
    if len(leaves) == 1:
        return leaves[0]
    middle = verifier.split(len(leaves))
    return verifier.node_hash(root_of(leaves[:middle]), root_of(leaves[middle:]))


def stream_of(records, starts=(0, 2), late=()):
    """All of a log with these records."""
    root = root_of([verifier.leaf_hash(record) for record in records])
    return {"origin": ORIGIN,
            "checkpoint": signed(f"{ORIGIN}\n{len(records)}\n{base64_of(root)}\n"),
            "starts": list(starts), "late": list(late),
            "tree": [base64_of(record) for record in records]}


def decimal(nano):
    whole, fraction = divmod(abs(nano), verifier.NANO)
    digits = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}{whole}.{digits}"


def work_out(bill):
    """Its lines and total, as its terms and records give them."""
    quantities = verifier.quantities_of(bill, [
        (stream, verifier.open_stream(stream, KEY)) for stream in bill["streams"]])
    lines = verifier.expected_lines(bill, quantities)
    names = ("role", "kind", "service", "plan", "app", "subscription", "meter", "model")
    bill["lines"] = []
    for (role, kind, *ids, subscription, meter, model), (quantity, nano) in lines.items():
        named = [{"id": ids[i], "name": ids[i + 1]} for i in (0, 2, 4)]
        bill["lines"].append(dict(zip(names, (role, kind, *named, subscription, meter, model)),
                                  quantity=quantity, amount=decimal(nano)))
    bill["total"] = decimal(sum(nano for _, nano in lines.values()))


def sign(bill):
    members = {name: value for name, value in bill.items() if name != "signature"}
    covered = json.dumps(members, ensure_ascii=False)[:-1]
    digest = base64_of(hashlib.sha256(covered.encode()).digest())
    note = signed(f"{bill['cloud']}/bill\n{bill['account']} {bill['period']}\n{digest}\n")
    return f'{covered},\n"signature":{json.dumps(note, ensure_ascii=False)}}}\n'


def verify(tmp_path, text):
    path = tmp_path / "bill.json"
    path.write_text(text)
    return subprocess.run([STOA, "verify", path, "--key", KEY], capture_output=True, text=True,
                          timeout=60), f"stoa verify: {path}: "


def fresh():
    bill = json.loads(BLOCKS["bill"])
    bill["streams"] = [stream_of([record_of(i) for i in range(3)])]
    return bill


def another_subscription(bill, **ids):
    """And a record of it."""
    other = copy.deepcopy(bill["subscriptions"][0])
    other["subscription"] = 44
    bill["subscriptions"].append(other)
    records = [record_of(i) for i in range(3)] + [record_of(3, subscription=44, **ids)]
    bill["streams"] = [stream_of(records)]
    return other


# ---- the lies: each changes the bill before it is worked out; what is told

def another_account(bill):
    another_subscription(bill, account=77)["account"]["id"] = 77
    return "/subscriptions/1: the account acme has another id in a subscription before"


def another_name(bill):
    another_subscription(bill)["service"]["name"] = "other"
    return "/subscriptions/1: service 5 has another name in a subscription before"


def other_terms(bill):
    another_subscription(bill)["prices"][0]["rate"]["nano"] = 60000000
    return "/subscriptions/1: plan 6 has other terms in a subscription before"


def early_phase(bill):
    bill["streams"][0]["late"] = [{"position": 2, "phase": 1}]
    return "/streams/0/late/0: its phase 1 is before that of its position"


def terminal_codes(bill):
    bill["subscriptions"][0]["app"]["name"] = "\x1b[2K\rthe bill of acme holds"
    return "/subscriptions/0/app/name: it has a control character"


def terminal_codes_of_eight_bits(bill):
    bill["subscriptions"][0]["app"]["name"] = "\x9b2K"
    return "/subscriptions/0/app/name: it has a control character"


def newline_in_what_is_signed(bill):
    bill["account"] = bill["subscriptions"][0]["account"]["name"] = "acme 2023-11\nx"
    return "/account: it has a control character"


def no_time(bill):
    bill["made"] = "last night"
    return "/made: it is not a time"


def tiers_without_use(bill):
    bill["subscriptions"][0]["prices"][0]["tiers"] = [
        {"up_to": None, "rate": {"nano": 1, "per": 1}}]
    return "/subscriptions/0/prices/0: its model has no tiers"


def negative_bound(bill):
    bill["subscriptions"][0]["max_charge"] = "-0.000000001"
    return "/subscriptions/0: its max_charge is below zero"


def discount_of_nothing(bill):
    bill["subscriptions"][0]["discount_ppm"] = 0
    return "/subscriptions/0/discount_ppm: it is not a whole number that may stand here"


def discount_of_more_than_all(bill):
    bill["subscriptions"][0]["discount_ppm"] = 1_000_001
    return "/subscriptions/0/discount_ppm: it is not a whole number that may stand here"


def discount_below_zero(bill):
    bill["subscriptions"][0]["discount"] = "-0.01"
    return "/subscriptions/0: its prices are no plan that can be rated"


def minimum_below_zero(bill):
    bill["subscriptions"][0]["prices"][0]["minimum"] = "-0.01"
    return "/subscriptions/0: its prices are no plan that can be rated"


def call_twice(bill):
    bill["streams"] = [stream_of([record_of(0), record_of(1), record_of(2, call=bytes([1]) * 16)])]
    return "/streams: call 01010101-0101-0101-0101-010101010101 is on record twice"


LONG = {"call": bytes([9]) * 16}
LEFT = 200_000_000 - 50_000_000 - 21  # of max_charge: without the call and a pixel at the dearest


def in_parts(bill, *later):
    bill["streams"] = [stream_of([record_of(0, outcome=5, units=(1, 0, 0, 0), **LONG),
                                  *(record_of(i + 1, **LONG, **part)
                                    for i, part in enumerate(later))])]


def part_that_costs_too_much(bill):
    in_parts(bill, {"flags": 3, "left_nano": LEFT + 1})
    return "/streams: call 09090909-0909-0909-0909-090909090909 counts more than max_charge covers"


def part_that_counts_too_much(bill):
    bill["subscriptions"][0]["max_charge"] = None
    in_parts(bill, {"flags": 3, "units": (500, 0, 0, 0)})
    return ("/streams: call 09090909-0909-0909-0909-090909090909 counts more of a unit than one "
            "call may")


def part_that_is_a_call(bill):
    in_parts(bill, {"flags": 1, "outcome": 5})
    return "/streams: call 09090909-0909-0909-0909-090909090909 begins behind one of its parts"


def more_left_than_there_was(bill):
    in_parts(bill, {"flags": 3, "left_nano": 200_000_001})
    return "/streams/0/tree/1: a quantity of the record is no number that counts"


def left_of_a_whole_call(bill):
    bill["streams"] = [stream_of([record_of(0, left_nano=1)])]
    return "/streams/0/tree/0: the record is not whole: its reserved bytes are not zero"


def negative_charge(bill):
    bill["streams"] = [stream_of([record_of(0), record_of(1, charge_nano=-1), record_of(2)])]
    return "/streams/0/tree/1: a quantity of the record is no number that counts"


def too_many_bytes(bill):
    bill["streams"] = [stream_of([record_of(0, request_bytes=1 << 63), record_of(1)])]
    return "/streams/0/tree/0: a quantity of the record is no number that counts"


LIES = [another_account, another_name, other_terms, early_phase, terminal_codes,
        terminal_codes_of_eight_bits, newline_in_what_is_signed, no_time, tiers_without_use,
        negative_bound, discount_of_nothing, discount_of_more_than_all, discount_below_zero,
        minimum_below_zero, call_twice, part_that_costs_too_much, part_that_counts_too_much,
        part_that_is_a_call, more_left_than_there_was, left_of_a_whole_call,
        negative_charge, too_many_bytes]


def refused(tmp_path, text, told):
    done, prefix = verify(tmp_path, text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{prefix}{told}\n"
    with pytest.raises(verifier.Wrong):
        verifier.verify_bill(text, KEY)


def test_what_is_true_is_accepted(tmp_path):
    bill = fresh()
    another_subscription(bill)
    bill["streams"][0]["late"] = [{"position": 1, "phase": 2}]
    work_out(bill)
    text = sign(bill)
    done, _ = verify(tmp_path, text)
    assert done.stdout.startswith("the bill of acme for 2023-11 holds: 4 calls on record, ")
    assert len(verifier.verify_bill(text, KEY)[1]) == 4


def test_the_parts_of_a_long_call_are_one_call(tmp_path):
    bill = fresh()
    in_parts(bill, {"flags": 3, "outcome": 5, "left_nano": LEFT},
             {"flags": 3, "outcome": 2, "left_nano": LEFT - 41, "units": (0, 0, 0, 0)})
    work_out(bill)
    text = sign(bill)
    done, _ = verify(tmp_path, text)
    assert done.stdout.startswith("the bill of acme for 2023-11 holds: 1 call on record, ")
    verifier.verify_bill(text, KEY)
    calls = [line for line in bill["lines"] if line["meter"] == "calls"]
    assert [line["quantity"] for line in calls] == [1, 1]


@pytest.mark.parametrize("without", ("percent_off", "amount_off"))
def test_a_discount_that_was_agreed_is_a_line(tmp_path, without):
    bill = fresh()
    bill["subscriptions"][0] |= {"discount_ppm": 125_000, "discount": "0.05"}
    bill["subscriptions"][0]["prices"][0]["minimum"] = "0.20"
    work_out(bill)
    done, _ = verify(tmp_path, sign(bill))
    assert done.returncode == 0, done.stderr
    verifier.verify_bill(sign(bill), KEY)
    line = next(line for line in bill["lines"] if line["model"] == without)
    bill["lines"].remove(line)
    bill["total"] = decimal(verifier.nano_of(bill["total"]) - verifier.nano_of(line["amount"]))
    refused(tmp_path, sign(bill), "/lines: the line of thumbs's usage, meter usage, is missing")


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_signed_lie_is_named(tmp_path, lie):
    bill = fresh()
    told = lie(bill)
    if lie not in (early_phase, more_left_than_there_was, left_of_a_whole_call,
                   discount_of_nothing, discount_of_more_than_all, discount_below_zero,
                   minimum_below_zero):
        work_out(bill)
    refused(tmp_path, sign(bill), told)


def test_a_meter_is_not_read_as_part_of_its_model(tmp_path):
    bill = fresh()
    bill["subscriptions"][0]["units"][0]["name"] = "big pixels"
    work_out(bill)
    index, line = next(pair for pair in enumerate(bill["lines"])
                       if pair[1]["meter"] == "big pixels")
    line["model"], line["meter"] = "graduated big", "pixels"
    refused(tmp_path, sign(bill), f"/lines/{index}: no record gives this line")
