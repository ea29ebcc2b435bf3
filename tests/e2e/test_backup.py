"""Backup and restore: one moment of a cloud, while calls go on, and what became of it."""

import asyncio
import hashlib
import json
import os
import random
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from books import check_books, quiet, settle, wait_until
from callers import Load
from cloud import STOA, upstream_manifest

CONFIG = """\
name: test
currency: USD
rates: {call: 0.000001}
fee: 3%
workers: 2
journal: {segment_records: 1024}
"""


def market(cloud, upstream):
    """A service, somebody who may call it and money for it; returns the key."""
    cloud.account("globex")
    cloud.account("acme", "100000.00")
    cloud.publish(upstream_manifest("echo", upstream.address), "globex")
    key = cloud.app_with_key("acme/shop")
    cloud.subscribe("acme/shop", "echo")
    return key


def stoa(*words, **more):
    return subprocess.run([STOA, *map(str, words)], capture_output=True, text=True, timeout=120,
                          **more)


def restored(clouds, backup):
    """A cloud, not started, from the backup."""
    cloud = clouds(None, start=False)
    done = stoa("restore", backup, cloud.folder)
    assert done.returncode == 0, done.stderr
    return cloud


def contents(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in sorted(Path(folder).rglob("*")) if path.is_file()}


@pytest.fixture
def used(clouds, upstreams):
    """A cloud with some calls; returns it, started, and the key."""
    cloud = clouds(CONFIG)
    key = market(cloud, upstreams())
    for number in range(20):
        assert cloud.call("echo", f"/{number}", key).status_code == 200
    return cloud, key


async def load_with(cloud, key, work, callers=8, calls=1 << 30):
    """Runs `work` in a thread while callers are busy; returns its result and the outcome."""
    load = Load(cloud.gateway, "echo", key, calls)
    calling = asyncio.ensure_future(load.run(callers))
    while len(load.outcome.whole) < 50:
        await asyncio.sleep(0)
    result = await asyncio.get_running_loop().run_in_executor(None, work)
    load.stopping = True
    return result, await calling


# ---- what a backup is


def test_a_backup_of_a_quiet_cloud_restores_to_the_same_books(used, clouds, tmp_path):
    cloud, key = used
    settle(cloud)
    ledger, journal = cloud.ledger(), cloud.journal()
    statements = [cloud.statement(name) for name in ("acme", "globex", "operator")]
    done = cloud.json("backup", tmp_path / "backup")
    assert done["records"] == done["posted"] == 20
    copy = restored(clouds, tmp_path / "backup").start()
    assert copy.journal() == journal
    assert [copy.statement(name) for name in ("acme", "globex", "operator")] == statements
    # Leases of the copied run are given back; what was posted is the same to the nano.
    for mine, theirs in zip(copy.ledger()["accounts"], ledger["accounts"]):
        assert (mine["name"], mine["debits_posted"], mine["credits_posted"]) == (
            theirs["name"], theirs["debits_posted"], theirs["credits_posted"])
    # Keys go on to work; the admin token is another.
    assert copy.call("echo", "/more", key).status_code == 200
    assert copy.token != cloud.token
    quiet(copy)
    check_books(copy)
    copy.stop()


def test_a_program_in_the_cloud_is_one_after_a_restore(used, tmp_path):
    """A service whose files lie there starts again, and nobody else may read them."""
    folder = used[0].folder / "service"
    folder.mkdir()
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "data").write_text("x")
    stoa("backup", tmp_path / "backup", "--cloud", used[0].folder)
    stoa("restore", tmp_path / "backup", tmp_path / "restored")
    modes = {path.name: path.stat().st_mode & 0o777
             for path in (tmp_path / "restored/service").iterdir()}
    assert modes == {"run": 0o700, "data": 0o600}


@pytest.mark.parametrize("name", ["manifest", "two\nlines", "\x1b[2J"])
def test_a_name_that_could_not_be_restored_is_told_when_it_is_backed_up(used, tmp_path, name):
    cloud, _ = used
    (cloud.folder / name).write_text("the operator's own")
    done = stoa("backup", tmp_path / "backup", "--cloud", cloud.folder)
    shown = name.replace("\n", "?").replace("\x1b", "?")
    assert done.returncode == 1
    assert done.stderr == (f'stoa backup: {cloud.folder.resolve()}: "{shown}" is no name that a '
                           "backup can hold; move it elsewhere\n")
    assert list(tmp_path.glob("backup*")) == []
    (cloud.folder / name).unlink()
    assert stoa("backup", tmp_path / "backup", "--cloud", cloud.folder).returncode == 0


def test_backups_under_load_restore_to_whole_clouds(clouds, upstreams, tmp_path):
    cloud = clouds(CONFIG)
    key = market(cloud, upstreams())

    def work():
        return [cloud.json("backup", tmp_path / f"backup{number}") for number in range(2)]

    made, outcome = asyncio.run(load_with(cloud, key, work))
    assert set(outcome.statuses) == {200}, "a backup cost somebody a call"
    settle(cloud)
    records = {record["call"]: record for record in cloud.journal()}
    before = 0
    for number, told in enumerate(made):
        assert told["records"] > before
        before = told["records"]
        copy = restored(clouds, tmp_path / f"backup{number}").start()
        settle(copy)
        # What it has is what the original has, and billed alike: the rest was replayed.
        copied = {record["call"]: record for record in copy.journal()}
        assert len(copied) == told["records"]
        assert all(records[call] == record for call, record in copied.items())
        billed = sum(record["billed"] for record in copied.values())
        lines = copy.statement("acme")["lines"]
        assert sum(line["quantity"] for line in lines if line["kind"] == "usage") == billed
        assert Decimal(copy.statement("acme")["total"]) == billed * Decimal("0.050001")
        # Its bill holds by the key of the original, with nothing but the file.
        bill = tmp_path / f"bill{number}.json"
        wait_until(lambda: copy.cli("statement", "acme", "--bill", bill, check=False)
                   .returncode == 0, "its calls are signed")
        key_text = (cloud.folder / "log.pub").read_text().strip()
        verdict = json.loads(stoa("verify", bill, "--key", key_text, "--json",
                                  "--cloud", tmp_path / "none").stdout)
        assert verdict["verified"] and verdict["calls"] == len(copied)
        assert Decimal(verdict["total"]) == billed * Decimal("0.050001")
        status = copy.status()["poster"]
        assert status["parked"] == 0 and status["owed"] == 0 and status["mismatches"] == 0
        check_books(copy)
        copy.stop()


def test_a_cloud_that_was_killed_is_backed_up_with_every_whole_answer(used, clouds, tmp_path):
    cloud, _ = used
    calls = {record["call"] for record in cloud.journal()}
    cloud.kill9()
    before = contents(cloud.folder / "journal")
    done = stoa("backup", tmp_path / "backup", "--cloud", cloud.folder)
    assert done.returncode == 0, done.stderr
    assert contents(cloud.folder / "journal") == before
    copy = restored(clouds, tmp_path / "backup").start()
    assert {record["call"] for record in copy.journal()} == calls
    quiet(copy)
    check_books(copy)
    copy.stop()


def test_what_a_backup_holds_is_the_owners_alone_and_not_the_admin_token(used, tmp_path):
    cloud, key = used
    cloud.cli("backup", tmp_path / "backup")
    for path in [tmp_path / "backup", *(tmp_path / "backup").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file():
            assert cloud.token.encode() not in path.read_bytes(), path
            assert key.encode() not in path.read_bytes(), path
    names = {str(path) for path in contents(tmp_path / "backup")}
    assert {"cloud.yaml", "store.db", "manifest", "journal/0/ready"} <= names
    assert not any(name.startswith(("instances", "lock", "api.address")) for name in names)


# ---- what is refused


def test_a_target_that_is_there_or_in_the_cloud_is_refused_and_left_alone(used, tmp_path):
    cloud, _ = used
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "other.partial").mkdir()
    (tmp_path / "other.partial" / "mine").write_text("x")
    before = contents(tmp_path / "full")
    for target, word in [(tmp_path / "full", "not empty"), (tmp_path / "file", "file"),
                         (tmp_path / "other", "other.partial"),
                         (cloud.folder / "backup", "own folder"),
                         (tmp_path / "none" / "x", "none")]:
        done = cloud.cli("backup", target, check=False)
        assert done.returncode == 1 and word in done.stderr, done.stderr
    assert contents(tmp_path / "full") == before
    assert (tmp_path / "other.partial" / "mine").exists()
    assert not (cloud.folder / "backup").exists()
    assert not (cloud.folder / "backup.partial").exists()
    done = stoa("backup", tmp_path / "x", "--cloud", tmp_path / "full")
    assert done.returncode == 1 and "no cloud" in done.stderr
    assert contents(tmp_path / "full") == before


def test_restore_takes_no_folder_that_is_not_empty(used, tmp_path):
    cloud, _ = used
    cloud.cli("backup", tmp_path / "backup")
    before = contents(cloud.folder / "journal")
    done = stoa("restore", tmp_path / "backup", cloud.folder)
    assert done.returncode == 1 and "not empty" in done.stderr
    assert contents(cloud.folder / "journal") == before
    (tmp_path / "empty").mkdir()
    assert stoa("restore", tmp_path / "backup", tmp_path / "empty").returncode == 0
    done = stoa("restore", tmp_path, tmp_path / "x")
    assert done.returncode == 1 and "no backup" in done.stderr


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_changed_or_cut_backup_is_refused_by_file_and_offset(used, tmp_path):
    cloud, _ = used
    cloud.cli("backup", tmp_path / "backup")
    sound = contents(tmp_path / "backup")
    chance = random.Random(7)
    tried = 0
    for name, data in sound.items():
        changes = [lambda path: path.write_bytes(data + b"\0"), lambda path: path.unlink()]
        if data:
            changes += [lambda path, at=chance.randrange(len(data)): flip(path, at),
                        lambda path, at=chance.randrange(len(data)): os.truncate(path, at)]
        for change in changes:
            damaged = tmp_path / "damaged"
            shutil.copytree(tmp_path / "backup", damaged)
            change(damaged / name)
            done = stoa("restore", damaged, tmp_path / "restored")
            assert done.returncode == 1, (name, done.stdout)
            assert str(name) in done.stderr, (name, done.stderr)
            assert "offset" in done.stderr or "no backup" in done.stderr, done.stderr
            assert not (tmp_path / "restored").exists()
            assert not (tmp_path / "restored.partial").exists()
            shutil.rmtree(damaged)
            tried += 1
    assert tried > 20


@pytest.mark.parametrize("path", ["../escaped", "/tmp/escaped", "a/../../escaped", "", "a//b",
                                  "journal/", "./cloud.yaml", "a\x1bb", "x" * 600,
                                  "admin.token", "lock", "instances/1", "store.db-wal"],
                         ids=lambda path: repr(path[:20]))
def test_a_manifest_that_leads_out_of_its_folder_is_refused(tmp_path, path):
    backup = tmp_path / "backup"
    backup.mkdir()
    text = f"stoa backup 1\ncloud x\nmade now\nfile 0 0 {path}\n".encode()
    (backup / "manifest").write_bytes(
        text + b"end 1 " + hashlib.sha256(text).hexdigest().encode() + b"\n")
    done = stoa("restore", backup, tmp_path / "restored")
    assert done.returncode == 1 and "manifest: offset 31" in done.stderr, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup"]


# ---- a kill


def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(used, tmp_path):
    cloud, _ = used
    target = tmp_path / "backup"
    # Whatever it got to: strace would tell where, a random moment visits all of them.
    chance = random.Random(3)
    killed = 0
    for _ in range(20):
        child = subprocess.Popen([STOA, "backup", target, "--cloud", cloud.folder],
                                 stdout=subprocess.DEVNULL)
        try:
            child.wait(chance.random() * 0.03)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            killed += 1
        if target.exists():  # it was quicker: then it is whole
            assert stoa("restore", target, tmp_path / "restored").returncode == 0
            shutil.rmtree(target)
            shutil.rmtree(tmp_path / "restored")
    assert killed > 0
    assert cloud.cli("backup", target).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == ["backup"]


def test_a_backup_without_room_is_refused_before_it_copies(used, tmp_path):
    cloud, _ = used
    mount = tmp_path / "small"
    mount.mkdir()
    script = (f"mount -t tmpfs -o size=2m small {mount} && "
              f"{STOA} backup {mount}/backup --cloud {cloud.folder}; status=$?; "
              f"ls -A {mount}; exit $status")
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                          capture_output=True, text=True)
    if "unshare" in done.stderr or "mount" in done.stderr.split("stoa")[0]:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 1 and "are needed" in done.stderr, done.stderr
    assert done.stdout == ""
    assert cloud.status()["calls"]
