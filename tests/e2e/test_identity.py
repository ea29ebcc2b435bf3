"""Signed calls: what services of other makes verify, and that nobody else can make them."""

import itertools
import re
import subprocess
import sys

import pytest
import yaml
from cloud import PLAIN_CONFIG, upstream_manifest
from example_program import EXAMPLES, Peer
from market import Market

FOLDER = EXAMPLES / "identity"
VERIFIERS = {"C": [FOLDER / "verify"], "Python": [sys.executable, FOLDER / "verify.py"]}
COVERED = ("date", "stoa-call", "stoa-app", "stoa-account", "stoa-plan")
# docs/identity.md's vector, which src/gateway/identity_test.c makes.
VECTOR_KEYS = "svc_3-1:" + bytes(range(32)).hex()
VECTOR_TIME = 1795493457
VECTOR = ("GET", "/resize?w=200", {
    "Date": "Tue, 24 Nov 2026 04:10:57 GMT",
    "Stoa-Call": "019aa0c1-2e5d-7d4b-9c3a-8f1e6b7a5c42",
    "Stoa-App": "acme/shop",
    "Stoa-Account": "acme",
    "Stoa-Plan": "payg",
    "Signature-Input": 'stoa=("@method" "@path" "@query" "date" "stoa-call" "stoa-app" '
                       '"stoa-account" "stoa-plan");created=1795493457;keyid="svc_3-1"'
                       ';alg="hmac-sha256"',
    "Signature": "stoa=:4w+0X+hGe1St2J4YrFoVRgUmTCpS9ULIT9v/8z9re8o=:",
})


@pytest.fixture(params=sorted(VERIFIERS))
def verify(request):
    """A function of keys, a request's parts and the time: (accepted, what was said)."""

    def run(keys, method, target, fields, now=None):
        if isinstance(fields, dict):
            fields = fields.items()
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        now = [] if now is None else [str(now)] if request.param == "C" else ["--now", str(now)]
        done = subprocess.run([*VERIFIERS[request.param], *now], input=head, timeout=60,
                              env={"STOA_IDENTITY_KEYS": keys}, capture_output=True)
        assert done.returncode in (0, 1) and not done.stderr, done
        said = done.stdout.decode()
        assert said.startswith("refused: ") == (done.returncode == 1)
        return done.returncode == 0, said

    return run


def keys_text(identity):
    return " ".join(f"{key['keyid']}:{key['secret']}" for key in identity["keys"])


def identity_of(cloud, service):
    return cloud.ask("GET", f"/v1/services/{service}/identity")


@pytest.fixture
def market(clouds, upstreams):
    upstream = upstreams()
    manifest = {**upstream_manifest("echo", upstream.address), "identity": "signed"}
    made = Market(clouds(PLAIN_CONFIG), manifest)
    made.upstream = upstream
    return made


def test_the_documented_vector_is_accepted(verify):
    good, said = verify(VECTOR_KEYS, *VECTOR, VECTOR_TIME)
    assert good and said == ("call 019aa0c1-2e5d-7d4b-9c3a-8f1e6b7a5c42 of acme/shop, "
                             "account acme, plan payg\n")


def test_whatever_is_changed_is_refused(verify):
    method, target, fields = VECTOR
    changed = [("POST", target, fields), ("get", target, fields), (method, "/resize", fields),
               (method, "/resize?w=201", fields), (method, "/Resize?w=200", fields),
               (method, "//resize?w=200", fields), (method, "/resize?w=200&x", fields)]
    for name in fields:
        value = fields[name]
        without = {other: fields[other] for other in fields if other != name}
        changed += [(method, target, without),
                    (method, target, [*fields.items(), (name, value)]),
                    (method, target, {**fields, name: value[:-1]}),
                    (method, target, {**fields, name: value + "x"})]
    changed += [(method, target, {**fields, "Stoa-Account": "globex"}),
                (method, target, {**fields, "Stoa-App": "acme/admin"}),
                (method, target, [*fields.items(), ("STOA-ACCOUNT", "globex")])]
    for parts in changed:
        good, said = verify(VECTOR_KEYS, *parts, VECTOR_TIME)
        assert not good and len(said) > 25, (parts, said)


def test_a_signature_that_covers_less_or_by_another_way_is_refused(verify):
    method, target, fields = VECTOR
    given = fields["Signature-Input"]
    for other in (given.replace(' "stoa-account"', ""), given.replace('"@method" ', ""),
                  given.replace("stoa=", "sig1="), given.replace(";alg=\"hmac-sha256\"", ""),
                  given.replace("hmac-sha256", "ed25519"), given + ";nonce=\"a\"",
                  given.replace("1795493457", "-1"), given.replace("1795493457", "9" * 40),
                  given.replace("svc_3-1", "svc_3-9"), given.replace("svc_3-1", "a" * 4000),
                  "stoa=()", "", given + ", sig1=()"):
        good, said = verify(VECTOR_KEYS, method, target, {**fields, "Signature-Input": other},
                            VECTOR_TIME)
        assert not good, (other, said)
    for other in ("stoa=::", "stoa=:AAAA:", "sig1" + fields["Signature"][4:], "stoa", ""):
        assert not verify(VECTOR_KEYS, method, target, {**fields, "Signature": other},
                          VECTOR_TIME)[0]


def test_a_replay_and_another_key_are_refused_and_say_so(verify):
    for seconds, expected in ((-61, False), (-60, True), (60, True), (61, False)):
        good, said = verify(VECTOR_KEYS, *VECTOR, VECTOR_TIME + seconds)
        assert good == expected and ("created" in said) == (not expected)
    for keys, why in ((VECTOR_KEYS.replace("svc_3", "svc_4"), "not known"),
                      (VECTOR_KEYS[:-1] + "0", "not that of this request")):
        good, said = verify(keys, *VECTOR, VECTOR_TIME)
        assert not good and why in said
    for head in (b"", b"GET / HTTP/1.1\r\n", b"\0" * 100, b"\xff\xfe\r\n\r\n", b"a\r\n\r\n"):
        done = subprocess.run(VERIFIERS["C"], input=head, capture_output=True,
                              env={"STOA_IDENTITY_KEYS": VECTOR_KEYS}, timeout=60)
        assert (done.returncode, done.stderr) == (1, b"")


TARGETS = ["/call/n1", "/?", "/?a=b&c=%00%0a", '/"quoted"/\\?"\'', "/%22%0d%0aStoa-App:%20evil",
           "//a/../b/./;x=y", "/caf%C3%A9/%c3%a9", "/a?b?c", "/~:@!$&'()*+,;=", "/" + "x" * 7000]


def test_what_the_gateway_signs_is_accepted_whatever_the_path(verify, market):
    keys = keys_text(identity_of(market.cloud, "echo"))
    forged = ("Signature: stoa=:AAAA:\r\nSignature-Input: stoa=()\r\nStoa-App: evil\r\n"
              "Date: Tue, 20 Apr 2021 02:07:55 GMT\r\n")
    for method, target in [*(("GET", target) for target in TARGETS), ("POST", "/call/n1"),
                           ("PATCH", "/x"), ("OPTIONS", "*")]:
        body = b"body" if method in ("POST", "PATCH") else b""
        answer = market.call(target, method=method, body=body, fields=forged)
        assert answer.status == 200, (target, answer)
        seen = market.upstream.last
        assert seen.target == target
        good, said = verify(keys, seen.method, seen.target, seen.fields)
        assert good and f"call {answer.fields['stoa-call']} of acme/shop" in said, (target, said)


def test_a_service_that_did_not_ask_is_not_signed(clouds, upstreams):
    upstream = upstreams()
    market = Market(clouds(PLAIN_CONFIG), upstream_manifest("echo", upstream.address))
    market.call("/call/n1", fields="Signature: sig1=:AAAA:\r\n")
    assert upstream.last.fields["signature"] == "sig1=:AAAA:"
    assert "signature-input" not in upstream.last.fields
    assert identity_of(market.cloud, "echo")["signed"] is False
    assert market.cloud.ask("GET", "/v1/services/echo")["identity"] == "unsigned"


def test_a_rotation_uses_the_key_that_was_told_before(market):
    cloud = market.cloud
    before = identity_of(cloud, "echo")
    assert [key["use"] for key in before["keys"]] == ["now", "next"]
    assert len({key["secret"] for key in before["keys"]}) == 2
    market.normal_call()
    assert before["keys"][0]["keyid"] in market.upstream.last.fields["signature-input"]

    after = cloud.ask("POST", "/v1/services/echo/identity/rotate",
                      headers={"Idempotency-Key": "once"})
    again = cloud.ask("POST", "/v1/services/echo/identity/rotate",
                      headers={"Idempotency-Key": "once"})
    assert [key["keyid"] for key in again["keys"]] == [key["keyid"] for key in after["keys"]]
    assert [key["secret"] for key in again["keys"]] == [None, None]
    assert after["keys"][0] == {**before["keys"][1], "use": "now"}
    for _ in range(2):
        market.normal_call()
        assert after["keys"][0]["keyid"] in market.upstream.last.fields["signature-input"]
        cloud.restart()
    assert identity_of(cloud, "echo") == after
    change = cloud.ask("GET", "/v1/changes")["items"][-1]
    assert change["kind"] == "service" and after["keys"][0]["keyid"] in str(change)
    text = (cloud.folder / "serve.log").read_text() if (cloud.folder / "serve.log").exists() else ""
    for key in (*before["keys"], *after["keys"]):
        assert key["secret"] not in str(change) + text + cloud.cli("journal", "cat").stdout


def test_the_command_line_shows_and_rotates(market):
    shown = market.cloud.cli("identity", "show", "echo").stdout
    ids = re.findall(r"^(svc_\d+-\d+) +(now|next) +[0-9a-f]{64}$", shown, re.MULTILINE)
    assert [use for _, use in ids] == ["now", "next"]
    rotated = market.cloud.json("identity", "rotate", "echo")
    assert rotated["keys"][0]["keyid"] == ids[1][0]
    refused = market.cloud.cli("identity", "show", "ecko", check=False)
    assert refused.returncode == 1 and "echo" in refused.stderr


def test_a_damaged_key_file_stops_the_start_and_its_loss_makes_others(market):
    cloud = market.cloud
    path = cloud.folder / "identity.key"
    assert (path.stat().st_mode & 0o777) == 0o600
    before = identity_of(cloud, "echo")
    cloud.stop()
    good = path.read_text()
    for bad in ("", good[:-3], good.strip() + "00\n", "zz" + good[2:]):
        path.write_text(bad)
        with pytest.raises(AssertionError, match="identity.key does not hold"):
            cloud.start()
    path.write_text(good)
    cloud.start()
    assert identity_of(cloud, "echo") == before


def test_instances_get_the_keys_and_outlive_rotations(clouds):
    manifest = yaml.safe_load((FOLDER / "service.yaml").read_text())
    cloud = clouds(PLAIN_CONFIG)
    market = Market(cloud, manifest, FOLDER)
    answer = cloud.call("whoami", "/who?am=i", market.key)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["app"], answer.json()["account"]) == ("acme/shop", "acme")

    def instances():
        return {item["id"]: item for item in cloud.status()["instances"]
                if item["state"] == "healthy"}

    for _ in range(2):
        old = set(instances())
        cloud.ask("POST", "/v1/services/whoami/identity/rotate")
        for number in itertools.count():
            answer = cloud.call("whoami", f"/n{number}", market.key)
            assert answer.status_code == 200, answer.text
            if instances().keys() - old and not old & instances().keys():
                break
    # Whoever is on the machine reaches the port, and gets nothing by it.
    (instance,) = instances().values()
    host, port = instance["address"].rsplit(":", 1)
    with Peer((host, int(port))) as peer:
        peer.send(b"GET /who HTTP/1.1\r\nHost: whoami\r\nStoa-App: acme/shop\r\n"
                  b"Stoa-Account: acme\r\n\r\n")
        answer = peer.read()
    assert (answer.status, b"refused" in answer.body) == (401, True)
