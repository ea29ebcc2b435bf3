"""Services behind https://: whom the cloud believes, whom not, and that nothing is lost by it."""

import re
import socket
import ssl
import stat

import httpx
import pytest
import yaml
from books import check_books, settle, wait_until
from callers import call_many
from certificates import DAY, Authority, write_key
from cloud import PLAIN_CONFIG, upstream_manifest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from h2_upstream import H2Upstream
from market import Market
from processes import mentioning
from rogue import RogueService
from tls_front import TlsFront
from upstream import Answer
from websocket import WebSocket, WebSocketService

QUICK = PLAIN_CONFIG + "http: {connect_timeout: 300ms}\n"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "good")


@pytest.fixture
def fronts():
    made = []

    def make(*arguments, **more):
        made.append(TlsFront(*arguments, **more))
        return made[-1]

    yield make
    for front in made:
        front.close()


def serving(issued, protocols=("http/1.1",), clients=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


def publish(cloud, folder, address, check=True, **more):
    """By the command line, from the folder."""
    manifest = {**upstream_manifest("echo", address), **more}
    if isinstance(address, list):
        manifest["upstream"] = address
    (folder / "service.yaml").write_text(yaml.safe_dump(manifest))
    return cloud.cli("publish", folder / "service.yaml", "--as", "globex", check=check)


def market_of(cloud, folder, address, **more):
    market = Market(cloud, upstream_manifest("echo", "http://127.0.0.1:1"))
    publish(cloud, folder, address, **more)
    return market


def reason_of(cloud):
    """What the log says of the latest connection that failed."""
    def lines():
        return [line for line in cloud.serve_log().splitlines() if "service.tls_failed" in line]

    wait_until(lines, "the log to tell why")
    return lines()[-1]


def assert_refused(market, reason):
    answer = market.call()
    assert answer.status == 502, answer
    assert b"urn:stoa:problem:service-tls" in answer.body, answer.body
    assert f"reason={reason}" in reason_of(market.cloud).replace('"', "")
    record, = market.new_records()
    assert not record["billed"] and record["outcome"] == "failed"


def test_a_call_goes_to_a_service_that_is_whom_it_should_be(cloud, authority, upstreams, fronts,
                                                            tmp_path):
    upstream = upstreams()
    front = fronts(serving(authority.issue("127.0.0.1")), upstream.address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
    call = market.normal_call()
    assert front.protocol == "http/1.1"
    market.check(billed=[call])
    # A connection is kept: no call but the first shakes hands.
    for _ in range(20):
        market.normal_call()
    assert front.shaken == 1 and upstream.answered == 22


def test_its_name_may_be_another_than_its_address(cloud, authority, upstreams, fronts, tmp_path):
    upstream = upstreams()
    front = fronts(serving(authority.issue("api.internal")), upstream.address)
    market = market_of(cloud, tmp_path, front.address,
                       tls={"ca": authority.file.name, "server_name": "api.internal"})
    market.check()
    assert upstream.last.fields["host"] == f"api.internal:{front.port}"
    service = cloud.ask("GET", "/v1/services/echo")
    assert service["tls"] == {"verified_as": ["api.internal"], "authorities": "own",
                              "client_certificate": False}
    assert "tls: yes, verified as api.internal" in cloud.cli("catalog", "show", "echo").stdout


def test_the_clouds_own_authority_vouches_where_it_is_asked_to(clouds, upstreams, fronts, tmp_path):
    cloud = clouds(arguments=["--gateway", "127.0.0.1:0", "--gateway", "tls:127.0.0.1:0"])
    folder = cloud.folder / "tls"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    front = fronts(context, upstreams().address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": "cloud"})
    market.check()


def test_the_clouds_authority_is_needed_where_it_is_to_vouch(cloud, fronts, tmp_path):
    cloud.account("globex")
    done = publish(cloud, tmp_path, "https://127.0.0.1:1", check=False, tls={"ca": "cloud"})
    assert done.returncode != 0 and "first listener of TLS" in done.stderr
    assert re.search(r"service\.yaml:\d+:\d+: ca:", done.stderr)
    assert cloud.items("/v1/services") == [], "what is refused is not stored"


def test_the_system_is_believed_where_nothing_is_said(cloud, authority, upstreams, fronts,
                                                      tmp_path):
    front = fronts(serving(authority.issue("127.0.0.1")), upstreams().address)
    market = market_of(cloud, tmp_path, front.address)
    assert_refused(market, "untrusted")
    assert cloud.ask("GET", "/v1/services/echo")["tls"]["authorities"] == "system"


def untrusted(authority, folder):
    return serving(Authority(folder, "other").issue("127.0.0.1"))


def wrong_name(authority, folder):
    return serving(authority.issue("other.internal"))


def expired(authority, folder):
    return serving(authority.issue("127.0.0.1", ends=-DAY))


def old_version(authority, folder):
    context = serving(authority.issue("127.0.0.1"))
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def wants_client(authority, folder):
    return serving(authority.issue("127.0.0.1"), clients=authority.file)


def wants_client_by_1_2(authority, folder):
    context = wants_client(authority, folder)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("context, reason", [
    (untrusted, "untrusted"), (wrong_name, "wrong-name"), (expired, "expired"),
    (old_version, "version"), (wants_client, "client-certificate"),
    (wants_client_by_1_2, "client-certificate")])
def test_a_service_that_is_not_to_be_believed_is_not_asked(context, reason, cloud, authority,
                                                           upstreams, fronts, tmp_path):
    upstream = upstreams()
    front = fronts(context(authority, tmp_path), upstream.address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
    assert_refused(market, reason)
    assert upstream.requests == 0


def test_a_certificate_of_the_cloud_opens_a_service_that_wants_one(cloud, authority, upstreams,
                                                                   fronts, tmp_path):
    own = authority.issue("stoa.internal")
    front = fronts(wants_client(authority, tmp_path), upstreams().address)
    market = market_of(cloud, tmp_path, front.address,
                       tls={"ca": authority.file.name, "certificate": own.certificate.name,
                            "key": own.key.name})
    market.check()
    assert ("DNS", "stoa.internal") in front.client["subjectAltName"]
    assert cloud.ask("GET", "/v1/services/echo")["tls"]["client_certificate"] is True


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_another_authoritys_certificate_does_not(version, cloud, authority, upstreams, fronts,
                                                 tmp_path):
    other = Authority(tmp_path, "other").issue("stoa.internal")
    context = wants_client(authority, tmp_path)
    context.maximum_version = version
    front = fronts(context, upstreams().address)
    market = market_of(cloud, tmp_path, front.address,
                       tls={"ca": authority.file.name, "certificate": other.certificate.name,
                            "key": other.key.name})
    assert_refused(market, "client-certificate")


def test_plain_http_behind_https_is_told(cloud, authority, upstreams, tmp_path):
    with RogueService({}) as rogue:
        market = market_of(cloud, tmp_path, rogue.address.replace("http:", "https:"),
                           tls={"ca": authority.file.name})
        answer = market.call()
        assert answer.status == 502 and b"service-tls" in answer.body


def test_tls_behind_http_is_no_answer(cloud, authority, upstreams, fronts, tmp_path):
    upstream = upstreams()
    front = fronts(serving(authority.issue("127.0.0.1")), upstream.address)
    market = market_of(cloud, tmp_path, front.address.replace("https:", "http:"))
    assert market.call().status == 502 and upstream.requests == 0
    assert not market.new_records()[0]["billed"]


def test_a_handshake_that_stalls_ends_with_the_time_to_connect(clouds, authority, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        market = market_of(clouds(QUICK), tmp_path, f"https://127.0.0.1:{silent.getsockname()[1]}",
                           tls={"ca": authority.file.name})
        assert_refused(market, "stalled")


def test_nobody_there_is_unreachable_as_ever(cloud, authority, tmp_path):
    market = market_of(cloud, tmp_path, "https://127.0.0.1:1", tls={"ca": authority.file.name})
    answer = market.call()
    assert answer.status == 502 and b"service-unreachable" in answer.body


def until_close(peer, _):
    peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")


@pytest.mark.parametrize("cuts", [False, True])
def test_an_answer_until_the_end_is_whole_only_where_tls_says_so(cuts, cloud, authority, fronts,
                                                                 tmp_path):
    with RogueService({"rest": until_close}) as rogue:
        front = fronts(serving(authority.issue("127.0.0.1")), rogue.address, cuts=cuts)
        market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
        if cuts:
            with pytest.raises(httpx.RemoteProtocolError):
                cloud.call("echo", "/bad/rest/x", market.key)
        else:
            assert cloud.call("echo", "/bad/rest/x", market.key).content == b"half of it"
        record, = market.new_records()
        assert record["billed"] == (not cuts)


def test_http_2_over_tls(cloud, authority, fronts, tmp_path):
    with H2Upstream() as upstream:
        front = fronts(serving(authority.issue("127.0.0.1"), ("h2",)), upstream.address)
        market = market_of(cloud, tmp_path, front.address, protocol="h2",
                           tls={"ca": authority.file.name})
        for _ in range(20):
            market.normal_call()
        assert front.protocol == "h2" and front.shaken == 1
        assert upstream.requests[-1].field(":scheme") == "https"
        market.new_records()
        market.check()


@pytest.mark.parametrize("context", [untrusted, wants_client])
def test_http_2_is_as_careful(context, cloud, authority, fronts, tmp_path):
    with H2Upstream() as upstream:
        tls = context(authority, tmp_path)
        tls.set_alpn_protocols(["h2"])
        front = fronts(tls, upstream.address)
        market = market_of(cloud, tmp_path, front.address, protocol="h2",
                           tls={"ca": authority.file.name})
        assert_refused(market, {untrusted: "untrusted",
                                wants_client: "client-certificate"}[context])
        assert upstream.requests == []


def test_http_2_is_refused_by_a_service_that_does_not_choose_it(cloud, authority, upstreams, fronts,
                                                                tmp_path):
    front = fronts(serving(authority.issue("127.0.0.1"), None), upstreams().address)
    market = market_of(cloud, tmp_path, front.address, protocol="h2",
                       tls={"ca": authority.file.name})
    assert_refused(market, "protocol")


def test_http_1_is_spoken_where_a_service_chooses_nothing(cloud, authority, upstreams, fronts,
                                                          tmp_path):
    front = fronts(serving(authority.issue("127.0.0.1"), None), upstreams().address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
    market.check()
    assert front.protocol is None


def test_new_connections_resume_the_session(cloud, authority, upstreams, fronts, tmp_path):
    upstream = upstreams(Answer(fields={"Connection": "close"}))
    front = fronts(serving(authority.issue("127.0.0.1")), upstream.address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
    for _ in range(12):
        market.normal_call()
    workers = cloud.status()["workers"]
    assert front.shaken >= 12 - workers and front.resumed >= front.shaken - workers


def test_a_service_that_cannot_be_believed_is_left_out_for_a_while(cloud, authority, upstreams,
                                                                   fronts, tmp_path):
    good = upstreams()
    fine = fronts(serving(authority.issue("127.0.0.1")), good.address)
    bad = fronts(expired(authority, tmp_path), upstreams().address)
    market = market_of(cloud, tmp_path, [fine.address, bad.address],
                       tls={"ca": authority.file.name})
    # Nothing was sent to the bad one, so each call is answered by the other.
    for _ in range(60):
        market.normal_call()
    assert good.answered == 60 and bad.shaken == 0
    assert "instance.ejected" in cloud.serve_log()


def test_a_new_revision_brings_its_own_certificates(cloud, authority, upstreams, fronts, tmp_path):
    other = Authority(tmp_path, "other")
    front = fronts(serving(other.issue("127.0.0.1")), upstreams().address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
    assert market.call().status == 502
    before = cloud.ask("GET", "/v1/services/echo")["revision"]
    # The same name of the file, and other contents.
    authority.file.write_bytes(other.file.read_bytes())
    assert "published anew" in publish(cloud, tmp_path, front.address,
                                       tls={"ca": authority.file.name}).stdout
    assert "nothing changed" in publish(cloud, tmp_path, front.address,
                                        tls={"ca": authority.file.name}).stdout
    market.new_records()
    market.check()
    assert cloud.ask("GET", "/v1/services/echo")["revision"] == before + 1
    cloud.restart()
    market.check()


def test_a_tunnel_goes_through_tls(cloud, authority, fronts, tmp_path):
    with WebSocketService() as service:
        front = fronts(serving(authority.issue("127.0.0.1")), service.address)
        market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
        with WebSocket(cloud.gateway, "echo", "/echo", market.key) as caller:
            for size in (1, 1000, 200_000):
                caller.send(bytes(size))
                assert caller.receive() == bytes(size)


def test_a_large_answer_comes_whole(cloud, authority, upstreams, fronts, tmp_path):
    body = bytes(range(256)) * 40_000
    upstream = upstreams(Answer(body=body))
    front = fronts(serving(authority.issue("127.0.0.1")), upstream.address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
    assert market.call(method="POST", body=body).body == body
    assert upstream.last.body == body


def test_money_is_exact_under_load(cloud, authority, upstreams, fronts, tmp_path):
    upstream = upstreams()
    front = fronts(serving(authority.issue("127.0.0.1")), upstream.address)
    market = market_of(cloud, tmp_path, front.address, tls={"ca": authority.file.name})
    outcome = call_many(cloud.gateway, "echo", market.key, 16, 1000)
    assert outcome.statuses == {200: 1000} and len(outcome.whole) == 1000
    assert sorted(upstream.nonces.values()) == [1] * 1000
    settle(cloud)
    billed = [record for record in market.new_records() if record["billed"]]
    assert {record["call"] for record in billed} == set(outcome.whole)
    check_books(cloud)


# ---- what the manifest says wrong


def test_mistakes_are_told_with_their_place(cloud, authority, tmp_path):
    cloud.account("globex")
    good, other = authority.issue("127.0.0.1"), authority.issue("127.0.0.1")
    locked = tmp_path / "locked.key"
    write_key(load_pem_private_key(good.key.read_bytes(), None), locked, b"phrase")
    (tmp_path / "not.pem").write_bytes(b"\x30\x82\x01\xff")

    def complaint(tls, address="https://127.0.0.1:1"):
        done = publish(cloud, tmp_path, address, check=False, tls=tls)
        assert done.returncode != 0 and "service.yaml:" in done.stderr, done.stderr
        return done.stderr

    pair = {"certificate": good.certificate.name, "key": good.key.name}
    assert 'ca: the file "none.pem" is not there' in complaint({"ca": "none.pem"})
    assert 'ca: "not.pem" holds no certificate in PEM' in complaint({"ca": "not.pem"})
    assert '"key" is missing' in complaint({"certificate": pair["certificate"]})
    assert '"certificate" is missing' in complaint({"key": pair["key"]})
    assert "is not the key of" in complaint({**pair, "key": other.key.name})
    assert "locked by a pass phrase" in complaint({**pair, "key": locked.name})
    assert "holds no private key" in complaint({**pair, "key": authority.file.name})
    assert "the name of a host" in complaint({"server_name": "a/b"})
    assert "no upstream begins with https://" in complaint(pair, "http://127.0.0.1:1")
    assert "unknown key" in complaint({"verify": False})


def test_a_certificate_that_is_over_is_warned_of(cloud, authority, tmp_path):
    cloud.account("globex")
    over = authority.issue("stoa.internal", ends=-DAY)
    done = publish(cloud, tmp_path, "https://127.0.0.1:1",
                   tls={"certificate": over.certificate.name, "key": over.key.name})
    assert done.returncode == 0 and "warning: " in done.stderr and "ended on" in done.stderr


def test_the_key_is_told_nowhere_and_stands_in_the_store_alone(cloud, authority, tmp_path):
    cloud.account("globex")
    own = authority.issue("stoa.internal")
    publish(cloud, tmp_path, "https://127.0.0.1:1",
            tls={"certificate": own.certificate.name, "key": own.key.name})
    secret = max(own.key.read_text().splitlines(), key=len)[8:-8]
    told = [str(cloud.ask("GET", path)) for path in
            ("/v1/services", "/v1/services/echo", "/v1/changes", "/v1/status")]
    told += [cloud.cli("catalog", "show", "echo", "--json").stdout, cloud.serve_log()]
    assert not [text for text in told if secret in text]
    assert mentioning(secret) == []
    settle(cloud)
    holding = [path for path in cloud.folder.rglob("*")
               if path.is_file() and secret.encode() in path.read_bytes()]
    assert {path.name for path in holding} <= {"store.db", "store.db-wal"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in holding)
