"""The command line against a whole cloud: what it prints, to people and to programs, and how it
fails."""

import json
import os
import re
import subprocess
import uuid

import pytest
import yaml
from cloud import STOA, upstream_manifest
from upstream import Answer

KEY = re.compile(r"stoa_[0-9A-Za-z]{49}")


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:8]}"


def name_of(value):
    """Of a parameter, in the test's name."""
    return ascii(" ".join(value))[1:-1][:40] if isinstance(value, list) else ""


def failed(town, *arguments, status=1, **more):
    done = town.cli(*arguments, check=False, **more)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert done.stderr
    return done


# ---- a first session


def test_a_first_session_by_the_command_line_alone(clouds, upstreams, tmp_path):
    cloud, upstream = clouds(), upstreams()
    manifest = tmp_path / "service.yaml"
    manifest.write_text(yaml.safe_dump(upstream_manifest("echo", upstream.address)))

    made = cloud.cli("account", "create", "acme")
    assert re.fullmatch(r"account acme \(acct_\d+\)\n", made.stdout)
    cloud.cli("account", "create", "globex")
    assert cloud.cli("fund", "acme", "10").stdout == (
        "acme was funded with 10.00 USD; its balance is 10.00 USD\n")
    assert cloud.cli("app", "create", "acme/shop").stdout.startswith("app acme/shop (app_")
    assert cloud.cli("publish", manifest, "--as", "globex").stdout == (
        "echo 1.0.0 is published\n  plan payg version 1: new\n")
    assert cloud.cli("publish", manifest, "--as", "globex").stdout == (
        "echo 1.0.0 is published already; nothing changed\n  plan payg version 1: same\n")
    assert cloud.cli("subscribe", "acme/shop", "echo:payg", "--budget", "5.00/month").stdout == (
        "acme/shop may call echo on plan payg (version 1), for at most 5.00 USD a month\n")
    made = cloud.cli("key", "create", "acme/shop")
    key = made.stdout.strip()
    assert KEY.fullmatch(key) and "not shown again" in made.stderr and key not in made.stderr

    called = cloud.cli("call", "echo", "/hello/world", environment={"STOA_KEY": key})
    assert called.stdout == "world"
    assert re.fullmatch(r"200 OK, 0\.05 USD, call [0-9a-f-]{36}\n", called.stderr)

    cloud.wait_until_posted()
    statement = cloud.cli("statement", "acme").stdout
    assert re.search(r"^echo +payg +acme/shop +consumer +usage +calls +1 +0\.05 USD$", statement,
                     re.MULTILINE)
    assert re.search(r"^total +0\.05 USD$", statement, re.MULTILINE)
    ledger = cloud.cli("ledger").stdout
    assert "it balances" in ledger and re.search(r"^globex .* 0\.050* USD$", ledger, re.MULTILINE)
    record, = cloud.json_lines("journal", "cat")
    assert record["service"] == "echo" and record["call"] in called.stderr
    status = cloud.cli("status").stdout
    assert cloud.gateway in status and "1 records, 1 durable, 1 posted" in status


# ---- JSON


@pytest.mark.parametrize("arguments,path", [
    (["account", "list"], "/v1/accounts"), (["app", "list"], "/v1/apps"),
    (["app", "list", "acme"], "/v1/apps"), (["key", "list", "acme/shop"], "/v1/keys"),
    (["catalog"], "/v1/services"), (["catalog", "search", "echo"], "/v1/services"),
    (["subscription", "list"], "/v1/subscriptions"), (["catalog", "show", "echo"],
                                                      "/v1/services/echo"),
    (["statement", "acme"], "/v1/accounts/acme/statement"), (["ledger"], "/v1/ledger"),
    (["logs", "echo"], "/v1/services/echo/logs")], ids=" ".join)
def test_json_is_what_the_api_answers(town, arguments, path):
    printed = town.json(*arguments)
    assert printed == town.ask("GET", path)


def test_the_status_is_told_as_json(town):
    assert town.json("status").keys() == town.status().keys()


def test_every_table_has_its_head_and_rows(town):
    for arguments, head, row in [
            (["account", "list"], "NAME", "acme "), (["app", "list"], "APP", "acme/shop "),
            (["key", "list"], "ID", "key_1 "), (["catalog"], "SERVICE", "echo "),
            (["subscription", "list", "acme/shop"], "APP", "acme/shop ")]:
        lines = town.cli(*arguments).stdout.splitlines()
        assert lines[0].startswith(head)
        assert any(line.startswith(row) for line in lines[1:]), arguments
    assert "0.05 USD" in town.cli("catalog", "show", "echo").stdout


def test_made_things_are_told_as_json(town):
    name = unique("a")
    assert town.json("account", "create", name)["name"] == name
    assert town.json("fund", name, "1.5")["balance"] == "1.50"
    assert town.json("app", "create", f"{name}/app")["app"] == f"{name}/app"
    key = town.json("key", "create", f"{name}/app", "--scope", "a", "--scope", "b")
    assert KEY.fullmatch(key["key"]) and key["scopes"] == ["a", "b"]
    assert town.json("subscribe", f"{name}/app", "echo")["outcome"] == "new"
    assert town.json("key", "revoke", key["id"])["revoked"]


def test_a_key_whose_scope_misspells_its_service_is_made_with_a_warning(town):
    made = town.cli("key", "create", "acme/shop", "--scope", "ehco:GET")
    assert made.returncode == 0 and KEY.fullmatch(made.stdout.strip())
    assert 'warning: there is no service "ehco"; did you mean "echo"?' in made.stderr


def test_lists_longer_than_a_page_are_whole(town):
    app = unique("many")
    town.cli("app", "create", f"acme/{app}")
    made = town.json_lines("key", "create", f"acme/{app}", "--count", "2500")
    assert len({item["key"] for item in made}) == 2500
    listed = town.json("key", "list", f"acme/{app}")["items"]
    assert [item["id"] for item in listed] == [item["id"] for item in made]


def test_more_keys_than_one_request_makes_are_made(town):
    app = unique("many")
    town.cli("app", "create", f"acme/{app}")
    made = town.json_lines("key", "create", f"acme/{app}", "--count", "10001")
    assert len({item["key"] for item in made}) == 10001
    assert town.call("echo", "/x", made[-1]["key"]).status_code in (200, 403)


def test_funding_with_a_key_happens_once(town):
    name = unique("a")
    town.cli("account", "create", name)
    town.cli("fund", name, "2.00", "--idempotency-key", name)
    assert town.cli("fund", name, "2.00", "--idempotency-key", name).stdout == (
        f"{name} had been funded with 2.00 USD under this key; its balance was then 2.00 USD\n")


# ---- calls


@pytest.fixture
def caller(town):
    def call(*arguments, **more):
        return town.cli("call", "echo", *arguments, environment={"STOA_KEY": town.shop_key},
                        **more)
    return call


def test_standard_input_is_the_body(town, caller):
    assert caller("/from/stdin", input="hello body").stdout == "stdin"
    assert (town.upstream.last.method, town.upstream.last.body) == ("POST", b"hello body")


def test_a_piped_body_has_a_length_if_it_is_short(town, caller):
    """Many services read by Content-Length only; what is long is sent as it comes."""
    for length, sent in [(0, "0"), (65535, "65535"), (65536, None), (300000, None)]:
        caller("/from/pipe", input="x" * length)
        assert town.upstream.last.fields.get("content-length") == sent
        assert town.upstream.last.body == b"x" * length


def test_a_file_is_the_body(town, caller, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(b"\0" * 300000)
    assert caller("/from/file", "--data", file, "--method", "PUT").returncode == 0
    assert (town.upstream.last.method, len(town.upstream.last.body)) == ("PUT", 300000)
    with file.open("rb") as redirected:
        done = subprocess.run([STOA, "call", "echo", "/from/redirection"], stdin=redirected,
                              capture_output=True, text=True,
                              env={**os.environ, "STOA_CLOUD": str(town.folder),
                                   "STOA_KEY": town.shop_key})
    assert (done.stdout, len(town.upstream.last.body)) == ("redirection", 300000)


def test_headers_are_sent_and_the_key_is_not(town, caller):
    caller("/x", "--header", "X-Colour: green")
    assert town.upstream.last.fields["x-colour"] == "green"
    assert "authorization" not in town.upstream.last.fields


def test_an_answer_with_an_error_is_printed_and_fails(town, caller):
    town.upstream.answer = Answer(status=503, body=b"not today")
    try:
        done = caller("/x", check=False)
    finally:
        town.upstream.answer = Answer()
    assert (done.returncode, done.stdout) == (1, "not today")
    assert done.stderr.startswith("503 ")


def test_the_head_of_an_answer_is_printed_before_its_body(town, caller):
    head, body = caller("/x", "-i").stdout.split("\n\n")
    lines = head.splitlines()
    assert lines[0] == "HTTP/1.1 200 OK" and body == "x"
    assert any(line.lower().startswith("stoa-call: ") for line in lines)


def test_a_call_is_given_up_after_its_timeout(town, caller):
    town.upstream.answer = Answer(delay=60)
    try:
        done = caller("/x", "--timeout", "50ms", check=False)
    finally:
        town.upstream.answer = Answer()
    assert (done.returncode, done.stdout) == (1, "") and "imeout" in done.stderr


def test_a_call_is_told_as_json(town, caller):
    told = json.loads(caller("/x", "--json").stderr)
    assert (told["status"], told["charge"]) == (200, "0.05 USD")


def test_a_wrong_key_and_an_unknown_service_fail(town):
    wrong = failed(town, "call", "echo", "/x", "--key", "stoa_wrong")
    assert "401" in wrong.stderr and "key-invalid" in wrong.stdout
    assert "404" in failed(town, "call", "nope", "/x", "--key", town.shop_key).stderr


# ---- manifests


def test_a_bad_manifest_is_told_line_by_line(town, tmp_path):
    file = tmp_path / "service.yaml"
    file.write_text("service: bad\nversion: one\nupstream: [ftp://x]\nplans: {}\n")
    done = failed(town, "publish", file, "--as", "globex")
    lines = done.stderr.splitlines()
    assert len(lines) >= 3 and lines[-1] == "stoa publish: nothing was published"
    for line in lines[:-1]:
        assert re.match(re.escape(str(file)) + r":\d+:\d+: ", line)


def test_the_folder_of_a_manifest_is_absolute(town, tmp_path):
    name = unique("svc")
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(upstream_manifest(name, "http://127.0.0.1:1")))
    subprocess.run([STOA, "publish", "s.yaml", "--as", "globex"], cwd=tmp_path, check=True,
                   capture_output=True, env={**os.environ, "STOA_CLOUD": str(town.folder)})
    assert town.ask("GET", f"/v1/services/{name}")["folder"] == str(tmp_path.resolve())


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"x" * (1 << 21)], ids=["binary", "empty",
                                                                                "large"])
def test_what_is_no_manifest_is_refused(town, tmp_path, content):
    (tmp_path / "m.yaml").write_bytes(content)
    failed(town, "publish", tmp_path / "m.yaml", "--as", "globex")
    failed(town, "publish", tmp_path, "--as", "globex")
    failed(town, "publish", tmp_path / "none.yaml", "--as", "globex")


# ---- what is refused, and wrong usage


@pytest.mark.parametrize("arguments,words", [
    (["account", "create", "Acme"], "a-z"), (["account", "create", "acme"], "exists"),
    (["fund", "nobody", "1"], "nobody"), (["fund", "acme", "abc"], "abc"),
    (["fund", "acme", "-1"], "more than zero"), (["fund", "../acme", "1"], ""),
    (["app", "create", "nobody/app"], "nobody"), (["app", "list", "acmee"], 'mean "acme"'),
    (["key", "create", "acme/none"], "none"), (["key", "create", "acme/shop", "--expires", "x"],
                                               "30d"),
    (["key", "revoke", "key_99999"], "key_99999"), (["subscribe", "acme/shop", "nope"], "nope"),
    (["subscribe", "acme/shop", "echo:gold"], "gold"),
    (["subscribe", "acme/shop", "echo", "--budget", "1/week"], "month"),
    (["catalog", "show", "ecko"], "echo"), (["statement", "nobody"], "nobody"),
    (["statement", "acme", "--period", "now"], "2026-11"), (["logs", "nope"], "nope")],
    ids=name_of)
def test_a_refusal_is_one_sentence_and_status_1(town, arguments, words):
    done = failed(town, *arguments)
    assert done.stdout == ""
    assert done.stderr.startswith("stoa ") and done.stderr.count("\n") == 1
    assert words in done.stderr


def test_a_refusal_is_told_as_json(town):
    problem = json.loads(failed(town, "statement", "nobody", "--json").stderr)
    assert problem["type"] == "urn:stoa:problem:not-found" and problem["parameter"] == "account"
    problem = json.loads(failed(town, "catalog", "show", "ecko", "--json").stderr)
    assert problem["suggestion"] == "echo"


@pytest.mark.parametrize("arguments,words", [
    ([], ""), (["acount", "create", "x"], "account create"), (["keys", "list"], "key list"),
    (["key"], "half a command"), (["fund", "acme"], "missing"), (["fund"], "missing"),
    (["status", "now"], "too much"), (["status", "--jsn"], "--json"),
    (["publish", "x.yaml"], "--as"), (["key", "create", "a/b", "--count", "0"], "1 to"),
    (["key", "create", "a/b", "--count", "1000001"], "1000000"),
    (["logs", "echo", "--lines", "0"], "1 to"),
    (["app", "create", "acme"], "ACCOUNT/APP"), (["call", "echo", "/x"], "STOA_KEY"),
    (["call", "echo", "x", "--key", "k"], "/x"), (["call", "echo", "", "--key", "k"], "slash"),
    (["call", "echo", "/x", "--key", "k", "-H", "colour"], "NAME: VALUE"),
    (["call", "echo", "/x", "--key", "k", "--timeout", "0"], "1ms"),
    (["call", "echo", "/x", "--key", "k", "--timeout", "2d"], "1d"),
    (["--cloud", "x", "serve", "--workers", "0"], "63"), (["nonsense"], "nonsense"),
    (["catalog", "serch", "words"], "stoa catalog search"),
    (["statement", "acme", "--month", "2026-11"], "--period"),
    (["metrics", "--page", "calls"], "--page"), (["metrics", "--page", "--json"], "--page"),
    # An empty variable of a script must not mean that nothing was asked for.
    (["fund", "acme", "1", "--idempotency-key", ""], "--idempotency-key needs a value"),
    (["subscribe", "acme/shop", "echo", "--budget="], "--budget needs a value"),
    (["account", "list", "--cloud", ""], "--cloud needs a value"),
    # What JSON cannot hold: a scope left out would make a key that may do everything.
    (["key", "create", "acme/shop", "--scope", "\udcff"], "--scope ?: this is not UTF-8"),
    (["key", "create", "acme/shop", "--expires", "\udcff"], "--expires ?: this is not UTF-8"),
    (["key", "create", "\udcff"], '"?" is not UTF-8'), (["fund", "acme", "\udcff"], "UTF-8"),
    (["call", "a" * 70000, "/", "--key", "k"], "SERVICE has more than 65536 bytes"),
    (["call", "echo", "/" * 70000, "--key", "k"], "PATH has more than 65536 bytes"),
    (["call", "echo", "/", "--key", "k" * 70000], "key has more than 65536 bytes"),
    (["call", "echo", "/a b", "--key", "k"], "a space is written %20"),
    (["call", "echo\r\nX: y", "/", "--key", "k"], "control character"),
    (["call", "echo", "/", "--key", "k", "-X", "GET /"], "--method has a space"),
    (["call", "echo", "/", "--key", "k", "-H", "X: y\r\nZ: w"], "control character"),
    (["call", "echo", "/", "--key", "k", "-H", ": y"], "NAME: VALUE"),
    (["key", "revoke", "stoa_" + "x" * 49], "a key's text"),
    (["key", "rotate", "stoa_" + "x" * 49], "`stoa key list` shows it"),
    (["token", "revoke", "stoa_" + "x" * 49], "`stoa token list` shows it")],
    ids=name_of)
def test_wrong_usage_is_told_with_what_is_right_and_status_2(town, arguments, words):
    done = town.cli(*arguments, check=False)
    assert done.returncode == 2
    assert words in done.stderr + done.stdout


# ---- without a cloud


def test_a_cloud_that_is_not_there_is_told(tmp_path):
    environment = {**os.environ, "STOA_CLOUD": str(tmp_path / "none")}
    done = subprocess.run([STOA, "status"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert f"there is no running cloud in {tmp_path}/none" in done.stderr
    assert "stoa serve --cloud" in done.stderr


def test_a_cloud_that_was_killed_is_told(clouds):
    cloud = clouds()
    cloud.kill9()
    assert "stoa serve" in failed(cloud, "status").stderr


def test_a_cloud_that_was_stopped_is_told(clouds):
    cloud = clouds()
    cloud.stop()
    assert "stoa serve" in failed(cloud, "account", "list").stderr


def test_a_wrong_token_is_told(town, tmp_path):
    for name, text in (("api.address", town.api), ("admin.token", "wrong")):
        (tmp_path / name).write_text(text + "\n")
    assert "admin.token" in failed(town, "status", "--cloud", tmp_path).stderr


@pytest.mark.parametrize("words", [["account", "list"], ["config", "show"]])
def test_a_full_standard_output_is_a_failure(town, words):
    with open("/dev/full", "w") as full:
        done = subprocess.run([STOA, *words], stdout=full, stderr=subprocess.PIPE,
                              text=True, env={**os.environ, "STOA_CLOUD": str(town.folder)})
    assert done.returncode == 1 and "standard output" in done.stderr


def test_what_a_call_cost_is_told_though_its_answer_could_not_be_written(town):
    with open("/dev/full", "w") as full:
        done = subprocess.run([STOA, "call", "echo", "/full", "--key", town.shop_key], stdout=full,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                              env={**os.environ, "STOA_CLOUD": str(town.folder)})
    assert done.returncode == 1 and "standard output" in done.stderr
    assert re.search(r"^200 OK, .*call [0-9a-f-]{36}$", done.stderr, re.MULTILINE), done.stderr


def test_who_finds_nothing_is_told_so(town):
    for words in (["catalog", "search", "zzz"], ["metrics", "zzz"]):
        done = town.cli(*words)
        assert done.stderr == f"stoa {' '.join(words[:-1])}: nothing matches \"zzz\"\n"
        assert json.loads(town.cli(*words, "--json").stdout) in ([], {"items": [], "next": None})
        assert town.cli(*words, "--json").stderr == ""


# ---- help


def test_help_lists_every_command_and_each_teaches_by_example(town):
    overview = town.cli("help").stdout
    names = re.findall(r"^  ([a-z]+(?: [a-z]+)?) {2,}[A-Z]", overview, re.MULTILINE)
    assert len(names) >= 20 and "serve" in names
    for name in names:
        for arguments in ([*name.split(), "--help"], ["help", *name.split()]):
            text = town.cli(*arguments).stdout
            assert text.startswith("usage: stoa ") and "example" in text, name
            assert f"stoa {name}" in text


def test_a_group_lists_its_commands(town):
    assert "key revoke" in town.cli("key", "--help").stdout


def test_the_version_is_told(town):
    assert re.fullmatch(r"stoa \d+\.\d+\.\d+\n", town.cli("--version").stdout)
