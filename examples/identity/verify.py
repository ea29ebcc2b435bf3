#!/usr/bin/python3
"""Whether a request comes from the cloud, and who calls: docs/identity.md, in the standard library.

    keys = read_keys(os.environ["STOA_IDENTITY_KEYS"])
    caller = verify(keys, "GET", "/resize?w=200", fields, time.time())
    caller.app  # "acme/shop"

As a program it reads a request's head on standard input, and the keys from STOA_IDENTITY_KEYS:

    verify.py [--now SECONDS] < head
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import os
import re
import sys
import time
from typing import NamedTuple

WINDOW = 60  # seconds that a signature may be old, or ahead of a clock that runs behind
FIELDS = ("date", "stoa-call", "stoa-app", "stoa-account", "stoa-plan")
COVERED = " ".join(f'"{name}"' for name in ("@method", "@path", "@query", *FIELDS))
# All of it, in this order and nothing else: what is not covered, nobody vouches for.
INPUT = re.compile(rf'stoa=(\({re.escape(COVERED)}\);created=(\d{{1,12}});'
                   r'keyid="([A-Za-z0-9_-]{1,39})";alg="hmac-sha256")')
SIGNATURE = re.compile(r"stoa=:([A-Za-z0-9+/]{43}=):")


class Refused(Exception):
    """The request is not the cloud's, or not any more; says why."""


class Caller(NamedTuple):
    call: str
    app: str
    account: str
    plan: str


def read_keys(text):
    """{key id: secret} of "ID:HEX ID:HEX"."""
    keys = {}
    for entry in text.split():
        key_id, _, secret = entry.partition(":")
        keys[key_id] = binascii.unhexlify(secret)
        if len(keys[key_id]) != 32:
            raise ValueError(f"the secret of {key_id} is not 32 bytes")
    return keys


def one(fields, name):
    """The value of a field that must be there once: two are two stories."""
    values = [value for found, value in fields if found.lower() == name]
    if len(values) != 1:
        raise Refused(f"{name}: is there {len(values)} times, not once")
    return values[0].strip(" \t")


def verify(keys, method, target, fields, now, window=WINDOW):
    """The caller of a request with this target, as it stood in its first line, and these fields,
    [(name, value)], as latin-1 texts. Raises Refused."""
    given = INPUT.fullmatch(one(fields, "signature-input"))
    if given is None:
        raise Refused("signature-input: does not cover what it must, or not as it must")
    parameters, created, key_id = given.groups()
    signature = SIGNATURE.fullmatch(one(fields, "signature"))
    if signature is None:
        raise Refused("signature: is not one of 32 bytes under the label stoa")
    if key_id not in keys:
        raise Refused(f"signature-input: the key {key_id} is not known")
    path, mark, query = target.partition("?")
    values = {name: one(fields, name) for name in FIELDS}
    components = {"@method": method, "@path": "/" if path in ("", "*") else path,
                  "@query": "?" + query if mark else "?", **values,
                  "@signature-params": parameters}
    base = "\n".join(f'"{name}": {value}' for name, value in components.items())
    wanted = hmac.new(keys[key_id], base.encode("latin-1"), hashlib.sha256).digest()
    if not hmac.compare_digest(wanted, base64.b64decode(signature[1])):
        raise Refused("signature: is not that of this request")
    # Only now: what is not signed has no time either.
    if abs(now - int(created)) > window:
        raise Refused(f"signature-input: created {int(now) - int(created)} seconds ago; "
                      f"at most {window} are allowed")
    return Caller(*(values[name] for name in FIELDS[1:]))


def main():
    parser = argparse.ArgumentParser(description="Verifies the head of a request.")
    parser.add_argument("--now", type=int, default=int(time.time()), help="Unix seconds")
    now = parser.parse_args().now
    head = sys.stdin.buffer.read(65536).decode("latin-1")
    first, *lines = head.split("\r\n\r\n", 1)[0].split("\r\n")
    fields = [tuple(line.split(":", 1)) for line in lines if ":" in line]
    try:
        method, target, _ = first.split(" ")
        caller = verify(read_keys(os.environ["STOA_IDENTITY_KEYS"]), method, target, fields, now)
    except (Refused, ValueError, KeyError) as reason:
        print(f"refused: {reason}")
        return 1
    print(f"call {caller.call} of {caller.app}, account {caller.account}, plan {caller.plan}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
