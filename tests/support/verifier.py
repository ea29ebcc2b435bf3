"""A second verifier of what a cloud signs, written from docs/receipts.md alone.

    head = open_checkpoint(note, vkey)
    record, head = verify_receipt(text, vkey)
    bill, records = verify_bill(text, vkey)

Nothing of Stoa is called. Wrong says what does not hold.
"""

import base64
import binascii
import hashlib
import json
import re
import struct
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Wrong(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Wrong(what)


def decode(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Wrong(f"{text[:20]!r} is not base64") from error
    demand(base64.b64encode(data).decode() == text, "base64 has bits to spare")
    return data


# ---- Merkle trees (RFC 6962)

def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count):
    """The largest power of two below it."""
    return 1 << (count - 1).bit_length() - 1


def root_by_proof(index, size, leaf, proof):
    """RFC 6962, section 2.1.1, read backwards: the proof goes from the leaf up."""
    if size == 1:
        demand(not proof, "the proof is too long")
        return leaf
    demand(proof, "the proof is too short")
    left = split(size)
    if index < left:
        return node_hash(root_by_proof(index, left, leaf, proof[:-1]), proof[-1])
    return node_hash(proof[-1], root_by_proof(index - left, size - left, leaf, proof[:-1]))


# ---- signed notes and checkpoints (C2SP)

def parse_key(vkey):
    name, identifier, data = vkey.strip().split("+", 2)
    data = decode(data)
    demand(data[0] == 1 and len(data) == 33, "not an Ed25519 key")
    demand(key_id(name, data[1:]).hex() == identifier, "the key's id is not its own")
    return name, data[1:]


def key_id(name, public):
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def open_note(note, vkey):
    """The signed text."""
    cloud, public = parse_key(vkey)
    text, separator, signatures = note.rpartition("\n\n")
    demand(separator and signatures.endswith("\n"), "the note has no signature")
    text += "\n"
    origin = text.split("\n")[0]
    demand(origin.startswith(cloud + "/"), "the note is another cloud's")
    for line in signatures[:-1].split("\n"):
        match = re.fullmatch(r"\u2014 (\S+) (\S+)", line)
        demand(match, "a line is no signature")
        data = decode(match[2])
        if match[1] == origin and data[:4] == key_id(origin, public):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(data[4:], text.encode())
            except InvalidSignature as error:
                raise Wrong("the signature is not the key's") from error
            return text
    raise Wrong("the key did not sign the note")


@dataclass
class Head:
    origin: str
    size: int
    root: bytes


def open_checkpoint(note, vkey):
    origin, size, root = open_note(note, vkey).split("\n")[:3]
    demand(re.fullmatch("0|[1-9][0-9]*", size), "the size is not a number")
    return Head(origin, int(size), decode(root))


# ---- call records

RECORD = struct.Struct("<I4B Q 16s QQ II H6s QQQQQQ II QQ 4Q QQ q")
assert RECORD.size == 192


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


@dataclass
class Record:
    crc: int
    version: int
    outcome: int
    flags: int
    path: int
    position: int
    call: bytes
    started_ns: int
    settled_ns: int
    duration_us: int
    service_us: int
    status: int
    left_nano: int
    account: int
    app: int
    key: int
    subscription: int
    service: int
    plan: int
    instance: int
    unit_excess: int
    request_bytes: int
    response_bytes: int
    units: tuple
    memory_mib_us: int
    cpu_milli_us: int
    charge_nano: int


def parse_record(data):
    demand(len(data) == 192, "a record has 192 bytes")
    values = RECORD.unpack(data)
    record = Record(*values[:12], int.from_bytes(values[12], "little"), *values[13:23],
                    values[23:27], *values[27:])
    demand(record.crc == crc32c(data[4:]), "the record's checksum is wrong")
    demand(record.version == 1 and (record.flags & 2 or record.left_nano == 0),
           "not a record of version 1")
    return record


# ---- receipts (C2SP tlog-proof)

def verify_receipt(text, vkey):
    """(Record, Head)"""
    head, separator, note = text.partition("\n\n")
    demand(separator, "there is no checkpoint")
    first, extra, index, *proof = head.split("\n")
    demand(first == "c2sp.org/tlog-proof@v1", "not a receipt")
    demand(extra.startswith("extra ") and index.startswith("index "), "a line is missing")
    data = decode(extra[6:])
    record = parse_record(data)
    demand(index == f"index {record.position}", "the index is not the record's position")
    checkpoint = open_checkpoint(note, vkey)
    demand(record.position < checkpoint.size, "the tree has no such record")
    root = root_by_proof(record.position, checkpoint.size, leaf_hash(data),
                         [decode(line) for line in proof])
    demand(root == checkpoint.root, "the proof does not lead to the root")
    return record, checkpoint


# ---- bills

METERS = ("calls", "request_bytes", "response_bytes", "duration_ms",
          "unit_0", "unit_1", "unit_2", "unit_3")
TERMS = ("units", "max_charge", "discount_ppm", "discount", "bill_always", "prices")
PATHS = ("bytes_host", "bytes_zone", "bytes_cloud", "bytes_intercloud")
NANO = 10**9
# round() of a Fraction is half to even.


def nano_of(amount):
    value = Fraction(amount) * NANO
    demand(value.denominator == 1, f"{amount} has more than nine decimals")
    return int(value)


def month_of(nanoseconds):
    moment = datetime.fromtimestamp(nanoseconds // NANO, timezone.utc)
    return f"{moment:%Y-%m}"


def rate(price):
    return Fraction(price["nano"], price["per"])


def packages(price, units):
    return -(-units // price["rate"]["per"]) * price["rate"]["nano"]


def charge(price, quantity):
    """R(Q), in nano."""
    least = nano_of(price.get("minimum", "0.00")) if quantity > 0 else 0
    demand(least >= 0, "a minimum is below zero")
    return max(least, by_rates(price, quantity))


def by_rates(price, quantity):
    units = max(0, quantity - price["free"])
    if price["model"] == "flat":
        return price["rate"]["nano"] if quantity > 0 else 0
    if price["model"] == "unit":
        return round(units * rate(price["rate"]))
    if price["model"] == "package":
        return packages(price, units)
    below, total = 0, Fraction(0)
    for tier in price["tiers"]:
        upper = units if tier["up_to"] is None else min(units, tier["up_to"])
        total += max(0, upper - below) * rate(tier["rate"])
        below = max(below, upper)
    return round(total)


def most(price, units):
    """The most that so many units of one call can add."""
    if price["model"] in ("free", "flat"):
        return 0
    if price["model"] == "package":
        return packages(price, units)
    rates = [rate(tier["rate"]) for tier in price["tiers"]] or [rate(price["rate"])]
    product = units * max(rates)
    rounds = any(one.denominator != 1 for one in rates)
    return int(product) + (rounds and product > 0)


def most_units(price, units, nano):
    """The most of the units, of one call, that cost at most so much: most() ascends."""
    low, high = 0, units
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if most(price, middle) <= nano else (low, middle - 1)
    return low


def count(record, subscription):
    """What the record counts, by meter."""
    calls = 0 if record.flags & 2 else 1
    counted = dict(zip(METERS, (calls, record.request_bytes, record.response_bytes,
                                -(-record.service_us // 1000), *record.units)))
    for slot, unit in enumerate(subscription["units"]):
        if unit["max"] is not None:
            counted[f"unit_{slot}"] = min(counted[f"unit_{slot}"], unit["max"])
    if subscription["max_charge"] is None:
        return counted
    prices = subscription["prices"]
    left = nano_of(subscription["max_charge"])
    if record.flags & 2:
        demand(record.left_nano <= left, "a part of a call may cost more than the call")
        left = record.left_nano
    left -= sum(most(price, calls) for price in prices if price["meter"] == "calls")
    for price in prices:
        if price["meter"] != "calls":
            counted[price["meter"]] = most_units(price, counted[price["meter"]], left)
            left -= most(price, counted[price["meter"]])
    return counted


def check_parts(streams, subscriptions):
    """The records of a long call keep together within its bounds."""
    calls = {}
    for stream, records in streams:
        for record in records:
            subscription = subscriptions[record.subscription]
            counted = count(record, subscription)
            capped = subscription["max_charge"] is not None
            cost = sum(most(price, counted[price["meter"]]) for price in subscription["prices"])
            before = calls.get(record.call)
            if before is not None:
                origin, left, units = before
                demand(record.flags & 2, "a call begins behind one of its parts")
                demand(origin == stream["origin"], "a call has parts in two streams")
                demand(not capped or record.left_nano <= left, "a call costs more than it may")
            else:
                units = [0] * 4
            units = [one + counted[f"unit_{slot}"] for slot, one in enumerate(units)]
            for unit, used in zip(subscription["units"], units):
                demand(unit["max"] is None or used <= unit["max"], "a call counts too much")
            left = record.left_nano
            if capped and not record.flags & 2:
                left = nano_of(subscription["max_charge"])
            left -= cost
            calls[record.call] = stream["origin"], left, units


def count_cloud(record):
    return {"calls": 0 if record.flags & 2 else 1,
            "gib_seconds": record.memory_mib_us, "vcpu_seconds": record.cpu_milli_us,
            PATHS[record.path]: record.request_bytes + record.response_bytes}


def read_tree(items, start, end, positions):
    """The hash of the subtree of the leaves from start to end, of the next items: each a position
    of a record, or None, and a hash."""
    demand(items, "the tree is cut short")
    chosen = bisect_left(positions, end) - bisect_left(positions, start)
    if chosen == 0 or end - start == 1:
        position, digest = items.popleft()
        demand(position == (start if chosen else None), "an item of the tree is not in its place")
        return digest
    middle = start + split(end - start)
    left = read_tree(items, start, middle, positions)
    return node_hash(left, read_tree(items, middle, end, positions))


def open_stream(stream, vkey):
    """Its records, which are leaves of the signed tree."""
    head = open_checkpoint(stream["checkpoint"], vkey)
    demand(head.origin == stream["origin"], "the checkpoint is another stream's")
    items, records = deque(), []
    for text in stream["tree"]:
        data = decode(text)
        if len(data) == 32:
            items.append((None, data))
            continue
        record = parse_record(data)
        demand(not records or record.position > records[-1].position, "records are out of order")
        items.append((record.position, leaf_hash(data)))
        records.append(record)
    demand(not records or records[-1].position < head.size, "a record is beyond the tree")
    root = read_tree(items, 0, head.size, [record.position for record in records])
    demand(root == head.root and not items, "the tree is not the one that was signed")
    return records


def phase_of(bill, stream, position):
    for late in stream["late"]:
        if late["position"] == position:
            demand(late["phase"] >= phase_at(bill, stream, position), "a late phase is early")
            return late["phase"]
    return phase_at(bill, stream, position)


def phase_at(bill, stream, position):
    found = bill["phases"][0]["phase"]
    for phase, start in zip(bill["phases"], stream["starts"], strict=True):
        if start <= position:
            found = phase["phase"]
    return found


def check_belongs(bill, record, subscription):
    demand(subscription, "a record is of no subscription")
    ids = [subscription[name]["id"] for name in ("account", "app", "service", "plan")]
    demand(ids == [record.account, record.app, record.service, record.plan],
           "a record is not its subscription's")
    demand(bill["account"] in (subscription["account"]["name"], subscription["provider"]["name"],
                               "operator"), "a subscription is none of the account's")
    demand(month_of(record.settled_ns) == bill["period"], "a record is of another month")
    demand(record.flags & 1 and record.outcome in (1, 2, 4, 5, 6)
           and (record.status < 500 or subscription["bill_always"]), "a record is not billed")
    demand(record.outcome != 6 or record.flags & 2, "what was reported counts no call")
    demand(record.path < len(PATHS) and record.charge_nano >= 0 and
           max(record.request_bytes + record.response_bytes, record.memory_mib_us,
               record.cpu_milli_us, *record.units) < 1 << 63, "a quantity is no number")


def add(sums, quantities):
    for name, quantity in quantities.items():
        sums[name] = sums.get(name, 0) + quantity


def quantities_of(bill, streams):
    """{subscription: {phase: (its own, the cloud's)}} of streams with their records."""
    subscriptions = {item["subscription"]: item for item in bill["subscriptions"]}
    quantities = {}
    for stream, records in streams:
        for record in records:
            phase = phase_of(bill, stream, record.position)
            counted, cloud = quantities.setdefault(record.subscription, {}).setdefault(
                phase, ({}, {}))
            add(counted, count(record, subscriptions[record.subscription]))
            add(cloud, count_cloud(record))
    return quantities


def discounts(subscription, usage):
    """(name, of how much, how much is taken off), one after the other."""
    ppm = subscription.get("discount_ppm", 0)
    amount = nano_of(subscription.get("discount", "0.00"))
    demand(0 <= ppm <= 10**6 and subscription.get("discount_ppm") != 0 and amount >= 0,
           "a discount is none")
    if ppm > 0 and usage > 0:
        left = round(Fraction(usage * (10**6 - ppm), 10**6))
        yield "percent_off", usage, usage - left
        usage = left
    if amount > 0 and usage > 0:
        yield "amount_off", usage, min(usage, amount)


def list_usage(subscription, quantities):
    return sum(charge(price, quantities.get(price["meter"], 0))
               for price in subscription["prices"])


def charged(subscription, quantities):
    """N(U), in nano."""
    usage = list_usage(subscription, quantities)
    return usage - sum(off for _, _, off in discounts(subscription, usage))


def charges_of(bill, subscription, phases):
    """(kind, meter, model, quantity, nano) of a subscription; `phases` has its quantities."""
    total, cloud, usage = {}, {}, {}
    for phase in bill["phases"]:
        counted, counted_cloud = phases.get(phase["phase"], ({}, {}))
        before = charged(subscription, total)
        add(total, counted)
        usage[phase["card"]] = usage.get(phase["card"], 0) + charged(subscription, total) - before
        add(cloud.setdefault(phase["card"], {}), counted_cloud)
    for price in subscription["prices"]:
        quantity = total.get(price["meter"], 0)
        if quantity > 0:
            slot = METERS.index(price["meter"]) - 4
            name = subscription["units"][slot]["name"] if slot >= 0 else ""
            yield "usage", name or price["meter"], price["model"], quantity, charge(price, quantity)
    for name, base, off in discounts(subscription, list_usage(subscription, total)):
        yield "usage", "usage", name, base, -off
    for card in bill["cards"]:
        for meter, quantity in cloud.get(card["card"], {}).items():
            if quantity > 0 and card["rates"][meter]["nano"] > 0:
                yield ("cloud", meter, "", quantity,
                       round(quantity * rate(card["rates"][meter])))
        base = usage.get(card["card"], 0)
        if base > 0 and card["fee_ppm"] > 0:
            fee = round(Fraction(base * card["fee_ppm"], 10**6))
            yield "fee", "usage", "", base, fee


def expected_lines(bill, quantities):
    """{what a line is: [quantity, nano]}"""
    lines = {}
    for subscription in bill["subscriptions"]:
        phases = quantities.get(subscription["subscription"], {})
        is_role = {"consumer": subscription["account"]["name"] == bill["account"],
                   "provider": subscription["provider"]["name"] == bill["account"],
                   "operator": bill["account"] == "operator"}
        for kind, meter, model, quantity, nano in charges_of(bill, subscription, phases):
            pays = "provider" if kind == "fee" else "consumer"
            earns = "provider" if kind == "usage" else "operator"
            for role, sign in ((pays, 1), (earns, -1)):
                if not is_role[role]:
                    continue
                mine = role == "consumer"
                app = subscription["app"] if mine else {"id": 0, "name": ""}
                what = (role, kind, *pair(subscription["service"]), *pair(subscription["plan"]),
                        *pair(app), subscription["subscription"] if mine else 0, meter, model)
                line = lines.setdefault(what, [0, 0])
                line[0] += quantity
                line[1] += sign * nano
    return lines


def pair(named):
    return named["id"], named["name"]


def check_signature(text, bill, vkey):
    covered, mark, rest = text.rpartition(',\n"signature":')
    demand(mark and rest == json.dumps(bill["signature"], ensure_ascii=False) + "}\n",
           "the signature is not the end of the file")
    digest = base64.b64encode(hashlib.sha256(covered.encode()).digest()).decode()
    demand(open_note(bill["signature"], vkey) ==
           f"{bill['cloud']}/bill\n{bill['account']} {bill['period']}\n{digest}\n",
           "the signature is of another bill")


def once(pairs):
    members = dict(pairs)
    demand(len(members) == len(pairs), "a member is there twice")
    return members


def number(text):
    demand(int(text) < 1 << 63, "a number is too great")
    return int(text)


def no_number(text):
    raise Wrong(f"{text} is no whole number")


def read_json(text):
    return json.loads(text, object_pairs_hook=once, parse_int=number, parse_float=no_number,
                      parse_constant=no_number)


def check_plain(value):
    """No text that is told has a control character; notes have newlines, and are not."""
    if isinstance(value, str):
        demand(not re.search("[\0-\x1f\x7f-\x9f]", value), "a text has a control character")
    for item in value.values() if isinstance(value, dict) else \
            value if isinstance(value, list) else ():
        check_plain(item)


def check_terms(bill):
    """Each id has one name, an account's name one id, and a plan the same terms everywhere."""
    known = {}
    for subscription in bill["subscriptions"]:
        for kind in ("account", "provider", "app", "service", "plan"):
            named = subscription[kind]
            table = "account" if kind == "provider" else kind
            demand(known.setdefault((table, named["id"]), named["name"]) == named["name"],
                   "an id has two names")
            if table == "account":
                demand(known.setdefault(named["name"], named["id"]) == named["id"],
                       "an account's name has two ids")
        terms = {name: subscription.get(name) for name in TERMS}
        demand(known.setdefault(("terms", subscription["plan"]["id"]), terms) == terms,
               "a plan has two kinds of terms")
        demand(subscription["max_charge"] is None or nano_of(subscription["max_charge"]) >= 0,
               "the most of a call is below zero")
        for price in subscription["prices"]:
            demand(price["model"] == "graduated" or not price["tiers"], "tiers without a use")


def verify_bill(text, vkey):
    """(the bill, its records)"""
    bill = read_json(text)
    check_plain({name: value for name, value in bill.items()
                 if name not in ("signature", "streams")})
    demand(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", bill["made"]), "no time")
    check_terms(bill)
    demand(bill["format"] == "stoa-bill/1", "not a bill")
    demand(bill["cloud"] == parse_key(vkey)[0], "the bill is another cloud's")
    check_signature(text, bill, vkey)
    subscriptions = {item["subscription"]: item for item in bill["subscriptions"]}
    demand(len(subscriptions) == len(bill["subscriptions"]), "a subscription is there twice")
    streams = [(stream, open_stream(stream, vkey)) for stream in bill["streams"]]
    records = [record for _, found in streams for record in found]
    for record in records:
        check_belongs(bill, record, subscriptions.get(record.subscription))
    quantities = quantities_of(bill, streams)
    begun = [record.call for record in records if not record.flags & 2]
    demand(len(set(begun)) == len(begun), "a call is there twice")
    check_parts(streams, subscriptions)
    lines = {(line["role"], line["kind"], *pair(line["service"]), *pair(line["plan"]),
              *pair(line["app"]), line["subscription"], line["meter"], line["model"]):
             [line["quantity"], nano_of(line["amount"])] for line in bill["lines"]}
    demand(len(lines) == len(bill["lines"]), "a line is there twice")
    demand(lines == expected_lines(bill, quantities), "the lines are not what the records give")
    demand(nano_of(bill["total"]) == sum(nano for _, nano in lines.values()), "the total is wrong")
    return bill, records
