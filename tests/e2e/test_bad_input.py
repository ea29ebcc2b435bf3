"""What is wrong is refused with its place and a hint, and the cloud goes on unharmed."""

import hashlib
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess

import pytest
from books import check_books, settle, wait_until
from cloud import PLAIN_CONFIG, STOA, Refused, upstream_manifest
from market import Market

HEAD = "service: thumbs\nversion: 1.4.0\n"
RUN = "run: {command: [./thumbs]}\n"
PLANS = "plans: {payg: {prices: [{meter: calls, price: 0.05}]}}\n"
RECORD_BYTES = 192
FIRST_RECORD = 4096  # offset in a segment
# Small files, so that a test can fill them.
SMALL = PLAIN_CONFIG + "workers: 1\njournal: {segment_records: 256}\n"


# ---- manifests

MANIFESTS = [
    ("an empty file", "", "1:1", "empty"),
    ("no YAML", "service: [thumbs\n", "2:1", "YAML"),
    ("a tab", "run:\n\tcommand: [x]\n", "2:1", "tab"),
    ("a key twice", "service: a\nservice: b\n", "2:1", "line 1"),
    ("an alias bomb", "a: &a [x, x]\nb: [*a, *a, *a]\n", "1:4", "anchors"),
    ("control characters", HEAD.replace("thumbs", "\x01\x02") + RUN + PLANS, "1:10", "a-z"),
    ("an unknown key", HEAD + RUN + PLANS + "sumary: x\n", "5:1", 'did you mean "summary"'),
    ("a capital in the name", "service: Thumbs\nversion: 1.0.0\n" + RUN + PLANS, "1:10", "a-z"),
    ("a version of two numbers", "service: thumbs\nversion: 1.4\n" + RUN + PLANS, "2:10", "1.4"),
    ("neither run nor upstream", HEAD + PLANS, "1:1", "upstream"),
    ("run and upstream", HEAD + RUN + "upstream: [http://127.0.0.1:1]\n" + PLANS, "4:1", "run"),
    ("an upstream with a path", HEAD + "upstream: [http://127.0.0.1:1/x]\n" + PLANS, "3:12", ""),
    ("a port of 99999", HEAD + "upstream: [http://127.0.0.1:99999]\n" + PLANS, "3:12", "99999"),
    ("memory of nonsense", HEAD + "run: {command: [x], memory: lots}\n" + PLANS, "3:29", "lots"),
    ("a variable of Stoa's", HEAD + "run: {command: [x], env: {PORT: 1}}\n" + PLANS, "3:27",
     "PORT"),
    ("a negative price", HEAD + RUN + PLANS.replace("0.05", "-1"), "4:47", "-1"),
    ("a price of ten decimals", HEAD + RUN + PLANS.replace("0.05", "0.0000000001"), "4:47", ""),
    ("an unknown meter", HEAD + RUN + PLANS.replace("calls", "pixels"), "4:33", "pixels"),
    ("an unknown model", HEAD + RUN + PLANS.replace("price:", "model: dear, price:"), "4:47",
     "dear"),
    ("units without a bound", HEAD + RUN + "meters: {pixels: {}}\n"
     + PLANS.replace("calls", "pixels"), "5:33", "max_units"),
    ("no plans", HEAD + RUN + "plans: {}\n", "4:8", ""),
]


def test_bad_manifests_are_told_with_file_line_and_column(cloud, tmp_path):
    """One cloud for all of them: it publishes a good one in the end."""
    cloud.account("globex")
    file = tmp_path / "service.yaml"
    for name, text, place, word in MANIFESTS:
        file.write_text(text)
        done = cloud.cli("publish", file, "--as", "globex", check=False)
        first = done.stderr.splitlines()[0]
        assert done.returncode == 1 and done.stdout == "", name
        assert first.startswith(f"{file}:{place}: ") and word in first, f"{name}: {first}"
    assert cloud.items("/v1/services") == []
    file.write_text(HEAD + "upstream: [http://127.0.0.1:9]\n" + PLANS)
    assert "thumbs 1.4.0" in cloud.cli("publish", file, "--as", "globex").stdout


def test_every_mistake_of_a_manifest_is_told_at_once(cloud, tmp_path):
    cloud.account("globex")
    file = tmp_path / "service.yaml"
    file.write_text("service: Thumbs\nversion: one\n" + RUN + PLANS + "colour: red\n")
    told = cloud.cli("publish", file, "--as", "globex", check=False).stderr
    for place in ("1:10", "2:10", "5:1"):
        assert f"{file}:{place}: " in told


@pytest.mark.parametrize("make", [
    lambda path: None,
    lambda path: path.mkdir(),
    lambda path: path.write_bytes(b"\xff\xfe" * 100),
    lambda path: path.write_bytes(b"a: b\n" * 1000000),
], ids=["missing", "a folder", "UTF-16", "5 MB"])
def test_a_file_that_is_no_manifest_is_told(cloud, tmp_path, make):
    cloud.account("globex")
    make(tmp_path / "x.yaml")
    done = cloud.cli("publish", tmp_path / "x.yaml", "--as", "globex", check=False)
    assert done.returncode == 1 and "x.yaml" in done.stderr
    assert cloud.status()["calls"]


# ---- the command line

WRONG_USAGE = [
    ["creat"], ["account"], ["account", "creat", "x"], ["account", "create"],
    ["account", "create", "a", "b"], ["app", "create", "acme"], ["fund", "acme"],
    ["publish"], ["publish", "x.yaml"],
    ["publish", "x.yaml", "--as"], ["subscribe", "acme/shop"], ["key", "create"],
    ["key", "create", "acme/shop", "--count", "0"], ["statement"], ["ledger", "--nonsense"],
    ["ledger", "--as", "x"], ["call", "thumbs"], ["logs"], ["logs", "x", "--lines", "many"],
    ["serve", "x"], ["serve", "--workers", "0"], ["serve", "--workers", "many"],
    ["serve", "--io", "fast"], ["serve", "--nonsense"], ["serve", "--gateway"],
    ["serve", "--work", "1"], ["serve", "--gateway", "nowhere"], ["serve", "--api", "127.0.0.1"],
    ["serve", "--gateway", "127.0.0.1:99999"], ["serve", "--api", ""],
    ["serve", "--workers", "1", "--workers", "2"], ["serve", *["--gateway", "unix:/x"] * 9],
    ["backup"], ["backup", "a", "b"], ["backup", "a", "--wait"], ["restore", "a"],
    ["config", "check", "a", "b"], ["config", "show", "--jsn"],
]


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=" ".join)
def test_wrong_usage_exits_2_with_a_hint(clouds, arguments):
    cloud = clouds(start=False)
    there = sorted(cloud.folder.iterdir()) if cloud.folder.exists() else None
    done = cloud.cli(*arguments, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert re.search(r"--help|usage:|stoa help", done.stderr), done.stderr
    left = sorted(cloud.folder.iterdir()) if cloud.folder.exists() else None
    assert left == there, "nothing is made before the line is right"


@pytest.mark.parametrize("arguments, meant", [
    (["serve", "--gatway=x"], "--gateway"), (["serve", "--worker", "1"], "--workers"),
    (["backup", "--jsno", "x"], "--json"), (["key", "create", "a/b", "--scop", "x"], "--scope"),
    (["accont", "list"], "stoa account list"), (["catalog", "serch", "x"], "stoa catalog search"),
], ids=" ".join)
def test_a_mistyped_command_or_option_is_asked_about(clouds, arguments, meant):
    done = clouds(start=False).cli(*arguments, check=False)
    assert done.returncode == 2 and re.search(f'did you mean "?{meant}"?\\?$',
                                              done.stderr.splitlines()[0]), done.stderr


REFUSED = [
    (["account", "create", "Acme"], "Acme"), (["account", "create", "acme"], "acme"),
    (["account", "create", "x" * 64], "63"), (["fund", "nobody", "1"], "nobody"),
    (["fund", "acme", "--", "-1"], "-1"), (["fund", "acme", "1e3"], "1e3"),
    (["fund", "acme", "0.0000000001"], "0.0000000001"),
    (["fund", "acme", "99999999999999999999"], "99999999999999999999"),
    (["app", "create", "nobody/x"], "nobody"), (["key", "create", "acme/none"], "none"),
    (["key", "create", "acme/shop", "--expires", "yesterday"], "yesterday"),
    (["key", "revoke", "key_999"], "key_999"), (["subscribe", "acme/shop", "none"], "none"),
    (["publish", "/none/x.yaml", "--as", "acme"], "/none/x.yaml"),
    (["statement", "nobody"], "nobody"), (["statement", "acme", "--period", "2026-13"], "2026-13"),
    (["budget", "set", "acme", "5/"], 'period: ""'), (["budget", "set", "acme", "5 USD"], "5 USD"),
    (["token", "create", "acme", "--role", "admin"], 'allowed; "provider" is'),
    (["token", "revoke", "token_9"], "token_9"), (["price", "none", "calls=1"], "none"),
    (["logs", "none"], "none"), (["call", "none", "/x", "--key", "wrong"], ""),
]


def test_refused_commands_exit_1_and_say_why(cloud):
    cloud.account("acme")
    cloud.app_with_key("acme/shop")
    before = cloud.ledger()
    for arguments, word in REFUSED:
        done = cloud.cli(*arguments, check=False)
        assert done.returncode == 1, (arguments, done.stdout, done.stderr)
        assert word in done.stderr and len(done.stderr) > 15, (arguments, done.stderr)
    assert cloud.ledger() == before


def test_commands_without_a_cloud_say_how_to_start_one(clouds):
    cloud = clouds(start=False)
    done = cloud.cli("ledger", check=False)
    assert done.returncode == 1 and "stoa serve" in done.stderr
    cloud.start()
    cloud.kill9()  # its address is left behind
    done = cloud.cli("ledger", check=False)
    assert done.returncode == 1 and "stoa serve" in done.stderr


# ---- cloud.yaml and the folder


def start_refused(cloud, status=1):
    """What a start that must fail says."""
    with pytest.raises(Refused, match=f"status {status} before"):
        cloud.start()
    return cloud.serve_log()


CONFIGS = [
    ("nam: x\n", "1:1", "name"),
    ("name: x\ncurrency: dollars\n", "2:11", "allowed: 3 bytes"),
    ("fee: 3\n", "1:6", "3"), ("fee: 101%\n", "1:6", "101%"),
    ("rates: {call: -1}\n", "1:15", "-1"), ("rates: {call: cheap}\n", "1:15", "cheap"),
    ("rates:\n  gib: {hosts: 1}\n", "2:9", "host"), ("workers: 65\n", "1:10", "65"),
    ("io: fast\n", "1:5", "uring"), ("gateway: [nowhere]\n", "1:11", ""),
    ("gateway: [tls:127.0.0.1:0,clients=optional]\n", "1:27", "in quotes"),
    ("trusted_proxies: 10.0.0.0/8\n", "1:18", "such as [10.0.0.0/8]"),
    ("drain: 10\n", "1:8", "10"), ("name: [x\n", "2:1", "YAML"), ("name: x\nname: y\n", "2:1", ""),
    ("log: {level: loud}\n", "1:14", "loud"), ("http: {head_bytes: 1}\n", "1:20", "1"),
]


@pytest.mark.parametrize("text, place, word", CONFIGS, ids=[text.strip() for text, *_ in CONFIGS])
def test_a_bad_cloud_yaml_is_told_with_line_and_column(clouds, text, place, word):
    cloud = clouds(text, start=False)
    told = start_refused(cloud)
    assert f"cloud.yaml:{place}: " in told and word in told, told
    made = {path.name for path in cloud.folder.iterdir()} - {"lock"}
    assert {"cloud.yaml"} <= made <= {"cloud.yaml", "admin.token", "metrics.token", "identity.key"}


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "x", tmp_path / "none" / "x"):
        done = subprocess.run([STOA, "serve", "--cloud", folder], capture_output=True, text=True)
        assert done.returncode == 1 and str(folder) in done.stderr, done.stderr


def test_a_second_serve_on_the_same_folder_is_refused_and_the_first_goes_on(cloud, clouds):
    cloud.account("acme")
    second = subprocess.run([STOA, "serve", "--cloud", cloud.folder, "--gateway", "127.0.0.1:0",
                             "--api", "127.0.0.1:0"], capture_output=True, text=True)
    assert second.returncode == 1 and str(cloud.folder) in second.stderr
    assert "another" in second.stderr
    cloud.account("globex")
    assert cloud.cli("account", "list").returncode == 0


@pytest.mark.parametrize("which", ["--gateway", "--api"])
def test_an_address_in_use_is_told(clouds, which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        cloud = clouds(start=False)
        cloud.arguments = [which, address]
        told = start_refused(cloud)
        assert "in use" in told and address in told, told
    cloud.arguments = []
    cloud.start()


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:99999", "127.0.0.1", "unix:"])
@pytest.mark.parametrize("option", ["--gateway", "--api"])
def test_an_address_that_is_none_is_wrong_usage(clouds, option, address):
    cloud = clouds(start=False)
    cloud.arguments = [option, address]
    assert address in start_refused(cloud, status=2)


def test_an_address_where_no_socket_can_be_is_told(clouds):
    cloud = clouds(start=False)
    cloud.arguments = ["--gateway", "unix:/none/such/folder/s"]
    assert "unix:/none/such/folder/s" in start_refused(cloud)


def test_a_missing_token_is_made_anew_and_a_short_one_refused(clouds):
    cloud = clouds()
    first = cloud.token
    path = cloud.folder / "admin.token"
    assert path.stat().st_mode & 0o777 == 0o600 and len(first) >= 32
    cloud.stop()
    path.unlink()
    cloud.start()
    assert cloud.token != first
    assert path.stat().st_mode & 0o777 == 0o600
    cloud.ask("GET", "/v1/status", headers={"Authorization": f"Bearer {first}"}, expected=(401,))
    cloud.stop()
    for text in ("", "short\n", "\n\n"):
        path.write_text(text)
        assert str(path) in start_refused(cloud)
        assert path.read_text() == text


# ---- damage


@pytest.fixture
def used(clouds, upstreams):
    """A cloud with 20 calls in its books, stopped."""
    upstream = upstreams()
    cloud = clouds(SMALL)
    market = Market(cloud, upstream_manifest("echo", upstream.address))
    for _ in range(20):
        market.normal_call()
    market.calls = [record["call"] for record in market.new_records()]
    settle(cloud)
    cloud.stop()
    market.segment = cloud.folder / "journal" / "0" / "0000000000000000.journal"
    return market


def contents(folder):
    """{path: digest} of all files that hold anything."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def overwrite(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize("offset, data, told_offset", [
    (0, b"garbage!", 0),
    (20, b"\xff\xff", 0),
    (FIRST_RECORD + 3 * RECORD_BYTES + 100, b"\xaa", FIRST_RECORD + 3 * RECORD_BYTES),
    (FIRST_RECORD + 19 * RECORD_BYTES, b"\0" * RECORD_BYTES, FIRST_RECORD + 19 * RECORD_BYTES),
], ids=["magic", "header", "record", "record wiped out"])
def test_a_damaged_journal_is_told_by_file_and_offset_and_nothing_is_changed(
        used, offset, data, told_offset):
    cloud = used.cloud
    good = used.segment.read_bytes()
    overwrite(used.segment, offset, data)
    before = contents(cloud.folder)
    told = start_refused(cloud)
    assert f"{used.segment}: offset {told_offset}" in told, told
    assert contents(cloud.folder) == before
    used.segment.write_bytes(good)  # as from a backup
    cloud.start()
    used.normal_call()
    check_books(cloud)


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_journal_with_a_part_missing_is_refused(used, damage):
    if damage == "cut":
        os.truncate(used.segment, FIRST_RECORD + 5 * RECORD_BYTES)
    else:
        used.segment.unlink()
    before = contents(used.cloud.folder)
    assert str(used.segment) in start_refused(used.cloud)
    assert contents(used.cloud.folder) == before


def test_a_torn_tail_is_told_and_costs_nobody_anything(used):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    torn = random.Random(seed).randbytes(RECORD_BYTES)
    overwrite(used.segment, FIRST_RECORD + 20 * RECORD_BYTES, torn)
    used.cloud.start()
    assert "journal.torn" in used.cloud.serve_log() and "records=1" in used.cloud.serve_log()
    assert [record["call"] for record in used.cloud.journal()] == used.calls
    used.normal_call()
    assert len(used.cloud.journal()) == 21
    check_books(used.cloud)


def test_a_store_that_is_none_or_of_a_newer_program_is_refused_and_left_alone(used):
    cloud = used.cloud
    path = cloud.folder / "store.db"
    good = path.read_bytes()
    path.write_bytes(b"this is no database\n" * 1000)
    before = contents(cloud.folder)
    assert "store.db" in start_refused(cloud)
    assert contents(cloud.folder) == before
    path.write_bytes(good)
    with sqlite3.connect(path) as store:
        store.execute("INSERT INTO store_migrations (domain, number, digest) "
                      "VALUES ('ledger', 99, 'x')")
    store.close()
    assert "newer" in start_refused(cloud)
    path.write_bytes(good)
    cloud.start()
    used.normal_call()
    check_books(cloud)


# ---- a full disk


def private_mounts():
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not private_mounts(), reason="no private mount namespace is allowed here")
def test_a_full_journal_disk_refuses_calls_before_the_service_until_there_is_space(
        clouds, upstreams, tmp_path):
    upstream = upstreams()
    cloud = clouds(SMALL, start=False)
    journal = cloud.folder / "journal"
    journal.mkdir()
    # 256 records are 52 KiB a file: six files, and no seventh.
    cloud.wrapper = ["unshare", "-m", "sh", "-c",
                     'mount -t tmpfs -o size=320k stoa "$0" && exec "$@"', journal]
    cloud.start()
    market = Market(cloud, upstream_manifest("echo", upstream.address))
    statuses = []
    with market.connect() as peer:
        while not statuses or statuses[-1] == 200:
            peer.send(market.request("/call/n"))
            answer = peer.read()
            statuses.append(answer.status)
    assert (answer.status, answer.fields["retry-after"]) == (503, "1")
    assert b"journal-unavailable" in answer.body
    assert statuses.count(200) == upstream.answered == upstream.requests
    assert len(statuses) > 500
    wait_until(lambda: "event=journal.failed" in cloud.serve_log(), "the full disk is told")
    assert market.call("/call/n").status == 503
    assert upstream.requests == len(statuses) - 1
    assert "TROUBLE   journal, since " in cloud.cli("status").stdout
    settle(cloud)

    subprocess.run(["nsenter", "-m", "-t", str(cloud.process.pid), "mount", "-o",
                    "remount,size=2m", journal], check=True)
    wait_until(lambda: market.call("/call/n").status == 200, "space is found")
    wait_until(lambda: "event=journal.recovered" in cloud.serve_log(), "it is told")
    assert len(market.new_records()) == upstream.answered
    check_books(cloud)


# ---- signals at odd moments


def test_being_told_to_stop_thrice_ends_it_in_order(clouds):
    cloud = clouds()
    process = cloud.process
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
    assert cloud.wait() == 0
    cloud.start()


@pytest.mark.parametrize("made", ["", "admin.token", "store.db", "journal", "api.address"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_first_start_that_is_ended_halfway_can_be_begun_again(clouds, made, how):
    cloud = clouds(start=False)
    process = subprocess.Popen(
        [STOA, "serve", "--cloud", cloud.folder, "--gateway", "127.0.0.1:0",
         "--api", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until((cloud.folder / made).exists, f"{made} is made")
    process.send_signal(how)
    assert process.wait() in (0, -how)
    cloud.start()
    cloud.account("acme", "1.00")
    check_books(cloud)
