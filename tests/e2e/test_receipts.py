"""Receipts: the proof that a call is on record, checked by Stoa and by a second verifier."""

import json
import random
import re
import uuid

import pytest
import verifier
from books import settle, wait_until
from cloud import ROOT, upstream_manifest

CONFIG = "name: my town\ncurrency: USD\nfee: 3%\nrates: {call: 0.000001}\nworkers: 1\n"


@pytest.fixture
def town(clouds, upstreams):
    upstream = upstreams()
    cloud = clouds(CONFIG)
    cloud.account("globex")
    cloud.account("acme", "1000.00")
    cloud.publish(upstream_manifest("echo", upstream.address), "globex")
    cloud.key = cloud.app_with_key("acme/shop")
    cloud.subscribe("acme/shop", "echo")
    return cloud


def call(cloud, count=1):
    """Their ids; each is durable."""
    ids = [cloud.call("echo", f"/{i}", cloud.key).headers["stoa-call"] for i in range(count)]
    settle(cloud)
    return ids


def public_key(cloud):
    return (cloud.folder / "log.pub").read_text()


def test_every_call_has_a_receipt_that_two_verifiers_accept(town, tmp_path):
    calls = call(town, 20)
    for number, identifier in enumerate(calls):
        receipt = town.cli("receipt", identifier).stdout
        record, head = verifier.verify_receipt(receipt, public_key(town))
        assert str(uuid.UUID(bytes=record.call)) == identifier
        assert (record.position, head.size) == (number, 20)
        assert head.origin == "my%20town/node-1/journal-0"
        path = tmp_path / "receipt"
        path.write_text(receipt)
        told = town.cli("verify", path).stdout
        assert told == (f"call {identifier} is record {number} of 20 in {head.origin}, "
                        "signed by my%20town\n")
    told = town.json("verify", path, "--key", public_key(town).strip())
    assert told == {"verified": True, "kind": "receipt", "call": calls[-1],
                    "origin": head.origin, "position": 19, "size": 20}
    assert town.json("receipt", calls[3])["position"] == 3


def test_verify_needs_no_cloud(town, tmp_path):
    receipt = town.cli("receipt", call(town)[0]).stdout
    key = tmp_path / "log.pub"
    key.write_text(public_key(town))
    town.stop()
    done = town.cli("verify", "-", "--key", key, "--cloud", tmp_path / "none", input=receipt)
    assert done.stdout.startswith("call ")


def test_any_changed_character_of_a_receipt_is_found(town, tmp_path):
    receipt = town.cli("receipt", call(town, 5)[2]).stdout
    path = tmp_path / "receipt"
    chance = random.Random(3)
    for at in chance.sample(range(len(receipt)), 40):
        changed = receipt[:at] + chr(ord(receipt[at]) ^ 1) + receipt[at + 1:]
        path.write_text(changed)
        done = town.cli("verify", path, check=False)
        assert done.returncode == 1 and done.stderr.startswith(f"stoa verify: {path}: "), at
        with pytest.raises((verifier.Wrong, ValueError)):
            verifier.verify_receipt(changed, public_key(town))


def test_the_key_of_another_cloud_does_not_fit(town, clouds, tmp_path):
    receipt = town.cli("receipt", call(town)[0]).stdout
    other = clouds(CONFIG)
    done = other.cli("verify", "-", input=receipt, check=False)
    assert done.returncode == 1 and "is by the given key" in done.stderr
    done = town.cli("verify", "-", "--key", "nonsense+1+2", input=receipt, check=False)
    assert done.returncode == 1 and "no public key of a log" in done.stderr
    done = town.cli("verify", "-", "--key", tmp_path / "missing", input=receipt, check=False)
    assert done.returncode == 1 and "missing" in done.stderr


def test_a_call_that_is_not_on_record_has_no_receipt(town):
    done = town.cli("receipt", "019b0c5e-7a4e-7c6f-8a51-0d6d1f2f9f3a", check=False)
    assert done.returncode == 1 and "no call of this id is on record" in done.stderr
    done = town.cli("receipt", "42", check=False)
    assert done.returncode == 1 and "an id such as" in done.stderr
    town.ask("GET", "/v1/receipts/019b0c5e-7a4e-7c6f-8a51-0d6d1f2f9f3a", expected=(404,))


def test_the_api_gives_the_receipt_that_the_command_line_prints(town):
    identifier = call(town)[0]
    told = town.ask("GET", f"/v1/receipts/{identifier}")
    assert told["receipt"] == town.cli("receipt", identifier).stdout
    verifier.verify_receipt(told["receipt"], public_key(town))


def test_tiles_give_the_root_that_was_signed(town):
    call(town, 7)
    town.cli("receipt", call(town)[0])
    log, = town.items("/v1/audit")
    head = verifier.open_checkpoint(log["checkpoint"], public_key(town))
    assert (log["size"], head.size, log["damage"]) == (8, 8, None)
    # Tools that know a key by its log's name take this one.
    assert log["key"].startswith(head.origin + "+")
    verifier.parse_key(log["key"])
    tile = town.ask("GET", "/v1/audit/0/tiles/0/0", params={"width": 8})["hashes"]
    hashes = [verifier.decode(text) for text in tile]
    stored = (town.folder / "audit/0/tile/0/000.p/8").read_bytes()
    assert stored == b"".join(hashes)
    assert (town.folder / "audit/0/checkpoint").read_text() == log["checkpoint"]
    while len(hashes) > 1:
        hashes = [verifier.node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2])]
    assert hashes[0] == head.root
    for path in ("/v1/audit/0/tiles/0/0", "/v1/audit/0/tiles/1/0?width=1",
                 "/v1/audit/7/tiles/0/0"):
        town.ask("GET", path, expected=(404,))
    town.ask("GET", "/v1/audit/64/tiles/0/0", expected=(422,))
    town.ask("GET", "/v1/audit/0/tiles/0/x", expected=(422,))


def test_kills_leave_a_log_that_goes_on(town):
    seen = []
    for _ in range(5):
        seen += call(town, 3)
        receipts = [town.cli("receipt", identifier).stdout for identifier in seen]
        town.kill9()
        town.start()
        sizes = [verifier.verify_receipt(text, public_key(town))[1].size for text in receipts]
        assert sizes == [len(seen)] * len(seen)
    receipt = town.cli("receipt", seen[0]).stdout
    assert verifier.verify_receipt(receipt, public_key(town))[1].size == len(seen)


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name, what", [
    ("tile/0/000.p/4", "is not that of record"), ("checkpoint", "checkpoint")])
def test_damage_is_told_and_never_signed_over(town, name, what):
    calls = call(town, 4)
    town.cli("receipt", calls[0])
    town.stop()
    path = town.folder / "audit/0" / name
    before = path.read_bytes()
    flip(path, len(before) // 2)
    town.start()
    done = town.cli("receipt", calls[0], check=False)
    assert done.returncode == 1 and what in done.stderr
    # Calls are served and billed all the same.
    call(town)
    wait_until(lambda: town.items("/v1/audit"), "the log")
    assert what in town.items("/v1/audit")[0]["damage"]
    town.stop()
    path.write_bytes(before)
    town.start()
    verifier.verify_receipt(town.cli("receipt", calls[0]).stdout, public_key(town))


def test_missing_tiles_are_built_again(town):
    calls = call(town, 4)
    town.cli("receipt", calls[0])
    town.stop()
    (town.folder / "audit/0/tile/0/000.p/4").unlink()
    town.start()
    verifier.verify_receipt(town.cli("receipt", calls[2]).stdout, public_key(town))
    assert "audit.tile_rebuilt" in town.serve_log()


def test_status_tells_the_key(town):
    assert town.status()["log_key"] == public_key(town).strip()
    assert json.dumps(public_key(town).strip())[1:-1] in town.cli("status").stdout


def test_the_second_verifier_accepts_the_receipt_of_the_document():
    text = (ROOT / "docs" / "receipts.md").read_text()
    blocks = dict(re.findall(r"^```([a-z-]+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    record, head = verifier.verify_receipt(blocks["receipt"], blocks["public-key"])
    assert (record.position, head.size, record.charge_nano) == (1, 3, 50000000)
