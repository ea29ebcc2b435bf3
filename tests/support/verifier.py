"""A second verifier of what a cloud signs, written from docs/receipts.md alone.

    head = open_checkpoint(note, vkey)
    record, head = verify_receipt(text, vkey)

Nothing of Stoa is called. Wrong says what does not hold.
"""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass

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

RECORD = struct.Struct("<I4B Q 16s QQ II H6x QQQQQQ II QQ 4Q QQ q")
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
    record = Record(*values[:22], values[22:26], *values[26:])
    demand(record.crc == crc32c(data[4:]), "the record's checksum is wrong")
    demand(record.version == 1 and data[58:64] == bytes(6), "not a record of version 1")
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
