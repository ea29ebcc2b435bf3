"""Client certificates in place of keys: by curl, Python's ssl and httpx."""

import json
import socket
import ssl
import stat
import subprocess
import time
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from cloud import Cloud, Refused, upstream_manifest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from market import Market
from streaming import StreamingService

OPTIONAL = ["--gateway", "tls:127.0.0.1:0,clients=optional"]
REQUIRED = ["--gateway", "tls:127.0.0.1:0,clients=required"]
ELSEWHERE = ["--gateway", "tls:127.0.0.1:0,clients=optional,ca=partners.pem"]
CUT_SECONDS = 0.1


def port_of(cloud):
    return int(cloud.tls.rsplit(":", 1)[1])


class Shown:
    """A certificate and its key, in files."""

    def __init__(self, certificate, key, id=None):
        self.certificate, self.key, self.id = certificate, key, id

    @property
    def files(self):
        return str(self.certificate), str(self.key)


def issued(cloud, folder, app="acme/shop", *more):
    """By `stoa tls client`."""
    folder.mkdir(exist_ok=True)
    made = cloud.json("tls", "client", app, "--out", folder, *more)
    return Shown(made["certificate_file"], made["key_file"], made["id"])


class Authority:
    """Another one than the cloud's own."""

    def __init__(self, folder, name="Partners"):
        self.folder = folder
        folder.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, [], authority=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject, key, names, days=30, authority=False, begins_days=-1):
        now = datetime.now(timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now + timedelta(days=begins_days))
                   .not_valid_after(now + timedelta(days=days))
                   .add_extension(x509.BasicConstraints(ca=authority, path_length=None), True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        if not authority:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, file, *names, **more):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        certificate = self._sign(subject, key, names, **more)
        paths = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                               serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return Shown(*paths)


@pytest.fixture
def market(clouds, upstreams):
    return Market(clouds(arguments=OPTIONAL), upstream_manifest("echo", upstreams().address))


def context_of(cloud, shown=None, http2=False, **options):
    context = ssl.create_default_context(cafile=cloud.folder / "tls" / "ca.pem")
    if shown:
        context.load_cert_chain(*shown.files)
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    for name, value in options.items():
        setattr(context, name, value)
    return context


def client_of(cloud, shown=None, http2=False):
    """An httpx client that keeps its connection."""
    return httpx.Client(base_url=f"https://localhost:{port_of(cloud)}", http2=http2,
                        verify=context_of(cloud, shown, http2), trust_env=False, timeout=30)


def get(cloud, shown=None, key=None, path="/echo/call/n1", http2=False):
    with client_of(cloud, shown, http2) as client:
        return client.get(path, headers={"X-API-Key": key} if key else {})


def problem(answer):
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[1]


def curl(cloud, shown, *arguments):
    port = port_of(cloud)
    files = ["--cert", shown.files[0], "--key", shown.files[1]] if shown else []
    return subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert",
                           cloud.folder / "tls" / "ca.pem", *files, "-w", "\n%{http_code}",
                           "--resolve", f"echo.localhost:{port}:127.0.0.1", *arguments,
                           f"https://echo.localhost:{port}/call/n1"],
                          capture_output=True, text=True)


# ---- in place of a key


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
@pytest.mark.parametrize("version", ["--tls-max=1.2", "--tls-max=1.3"])
def test_a_certificate_is_enough(market, tmp_path, protocol, version):
    shown = issued(market.cloud, tmp_path / "out")
    done = curl(market.cloud, shown, protocol, *version.split("="))
    assert done.stdout == "n1\n200", done.stderr
    record, = market.new_records()
    assert (record["key"], record["app"], record["status"]) == (shown.id, "acme/shop", 200)


def test_the_key_never_leaves_its_file(market, tmp_path):
    shown = issued(market.cloud, tmp_path / "out")
    assert shown.key == str(tmp_path / "out" / "acme-shop.key")
    assert stat.S_IMODE((tmp_path / "out" / "acme-shop.key").stat().st_mode) == 0o600
    secret = (tmp_path / "out" / "acme-shop.key").read_text().splitlines()[1]
    held = [path for path in market.cloud.folder.rglob("*") if path.is_file()
            and secret.encode() in path.read_bytes()]
    assert not held and secret not in market.cloud.serve_log()
    again = market.cloud.cli("tls", "client", "acme/shop", "--out", tmp_path / "out", check=False)
    assert again.returncode == 1 and "acme-shop.key is there already" in again.stderr


def test_without_a_certificate_a_key_is_needed_as_ever(market):
    assert problem(get(market.cloud)) == (401, "key-missing")
    assert get(market.cloud, key=market.key).status_code == 200


def test_calls_by_certificate_are_on_record_counted_and_paid(market, tmp_path):
    shown = issued(market.cloud, tmp_path / "out")
    for http2 in (False, True):
        with client_of(market.cloud, shown, http2) as client:
            for number in range(10):
                answer = client.get(f"/echo/call/n{number}")
                assert (answer.status_code, answer.text) == (200, f"n{number}")
                assert answer.headers["stoa-charge"] == "0.05 USD"
    records = market.cloud.journal()
    assert [record["key"] for record in records] == 20 * [shown.id]
    market.check(billed=[record["call"] for record in records])
    market.check_statement()
    listed, = market.cloud.json("tls", "list", "acme/shop")["items"]
    assert (listed["id"], listed["kind"], listed["calls"]) == (shown.id, "certificate", 20)
    certificate = x509.load_pem_x509_certificate(open(shown.certificate, "rb").read())
    assert int(listed["name"], 16) == certificate.serial_number
    assert listed["name"] in market.cloud.cli("key", "list", "acme/shop").stdout
    assert listed["name"] in market.cloud.cli("tls", "list").stdout


def test_it_is_for_what_its_app_is_subscribed_to(market, tmp_path):
    market.cloud.ask("POST", "/v1/apps", {"account": "acme", "name": "other"})
    other = issued(market.cloud, tmp_path / "out", "acme/other")
    assert problem(get(market.cloud, other)) == (403, "no-subscription")


def test_a_key_beside_it_is_of_the_same_app_and_may_narrow_it(market, tmp_path):
    shown = issued(market.cloud, tmp_path / "out")
    other = market.cloud.app_with_key("acme/other")
    narrow = market.cloud.key("acme/shop", scopes=["echo:GET:/narrow"])
    assert get(market.cloud, shown, market.key).status_code == 200
    assert problem(get(market.cloud, shown, other)) == (403, "key-of-another-app")
    assert problem(get(market.cloud, shown, "stoa_x")) == (401, "key-invalid")
    assert problem(get(market.cloud, shown, narrow)) == (403, "scope-missing")
    assert get(market.cloud, shown, narrow, "/echo/narrow/n1").status_code == 200
    assert get(market.cloud, shown, path="/echo/narrow/n1").status_code == 200


def test_required_means_no_connection_without_one(clouds, upstreams, tmp_path):
    market = Market(clouds(arguments=REQUIRED), upstream_manifest("echo", upstreams().address))
    shown = issued(market.cloud, tmp_path / "out")
    assert get(market.cloud, shown).status_code == 200
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        get(market.cloud, key=market.key)
    done = curl(market.cloud, None, "-H", f"X-API-Key: {market.key}")
    assert done.returncode != 0 and "200" not in done.stdout
    assert "did not return a certificate" in market.cloud.serve_log()


# ---- whom it does not let in


def test_a_certificate_of_another_authority_ends_in_the_handshake(market, tmp_path):
    stranger = Authority(tmp_path / "stranger").issue(
        "shop", x509.UniformResourceIdentifier("stoa://acme/shop"))
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        get(market.cloud, stranger, market.key)
    assert not market.new_records()


def test_the_nodes_own_certificate_is_no_clients(market):
    folder = market.cloud.folder / "tls"
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        get(market.cloud, Shown(folder / "server.pem", folder / "server.key"))


def test_a_certificate_that_the_cloud_did_not_note_stands_for_nobody(market, tmp_path):
    """Whoever has the authority's key can sign, but not make the cloud know of it."""
    folder = market.cloud.folder / "tls"
    forger = Authority(tmp_path / "forger")
    forger.key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    forger.name = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes()).subject
    forged = forger.issue("shop", x509.UniformResourceIdentifier("stoa://acme/shop"))
    assert problem(get(market.cloud, forged)) == (401, "certificate-invalid")
    assert problem(get(market.cloud, forged, market.key)) == (401, "certificate-invalid")


def test_it_ends_with_its_time_on_connections_that_stand(market, tmp_path):
    ends = (datetime.now(timezone.utc) + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown = issued(market.cloud, tmp_path / "out", "acme/shop", "--expires", ends)
    with client_of(market.cloud, shown) as client:
        statuses = []
        while not statuses or statuses[-1] == 200:
            answer = client.get("/echo/call/n1")
            statuses.append(answer.status_code)
        assert statuses[0] == 200 and problem(answer) == (401, "certificate-invalid")
    time.sleep(1.1)  # of X.509 the last second counts whole
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        get(market.cloud, shown)


def test_a_revoked_one_is_over_at_once_on_connections_that_stand(market, tmp_path):
    cloud = market.cloud
    shown, renewed = issued(cloud, tmp_path / "out"), issued(cloud, tmp_path / "new")
    with client_of(cloud, shown) as one, client_of(cloud, shown, http2=True) as two, \
            client_of(cloud, renewed) as other:
        for client in (one, two, other):
            assert client.get("/echo/call/n1").status_code == 200
        told = cloud.cli("tls", "revoke", shown.id, "--wait").stdout
        assert "every worker has applied it" in told
        for client in (one, two):
            assert problem(client.get("/echo/call/n1")) == (401, "certificate-invalid")
        assert problem(one.get("/echo/call/n1", headers={"X-API-Key": market.key})) == \
            (401, "certificate-invalid")
        assert other.get("/echo/call/n1").status_code == 200


@pytest.mark.parametrize("http2", [False, True])
def test_an_open_stream_is_cut_with_its_certificate(clouds, tmp_path, http2):
    service = StreamingService()
    market = Market(clouds(arguments=OPTIONAL), upstream_manifest("feed", service.address))
    shown = issued(market.cloud, tmp_path / "out")
    with client_of(market.cloud, shown, http2) as client, \
            client.stream("GET", "/feed/events") as stream:
        service.send(service.wait_for(1), b"data: 1\n\n")
        pieces = stream.iter_raw()
        assert next(pieces) == b"data: 1\n\n"
        market.cloud.cli("tls", "revoke", shown.id, "--wait")
        begun = time.monotonic()
        rest = b"".join(pieces)
        assert time.monotonic() - begun < CUT_SECONDS
        assert b"certificate-invalid" in rest
    record, = market.new_records()
    assert (record["outcome"], record["key"], record["billed"]) == ("cut", shown.id, True)
    service.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_that_is_resumed_is_the_same_client(market, tmp_path, version):
    cloud = market.cloud
    shown = issued(cloud, tmp_path / "out")
    context = context_of(cloud, shown, minimum_version=version, maximum_version=version)

    def ask(session=None):
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port_of(cloud))),
                                 server_hostname="localhost", session=session) as peer:
            peer.sendall(b"GET /echo/call/n1 HTTP/1.1\r\nHost: localhost\r\n"
                         b"Connection: close\r\n\r\n")
            received = b""
            while piece := peer.recv(65536):
                received += piece
            return received, peer.session, peer.session_reused

    answer, session, _ = ask()
    assert b" 200 OK" in answer
    answer, session, reused = ask(session)
    assert reused and b" 200 OK" in answer
    assert [record["key"] for record in market.new_records()] == 2 * [shown.id]
    cloud.cli("tls", "revoke", shown.id, "--wait")
    answer, _, reused = ask(session)
    assert reused and b" 401 " in answer and b"certificate-invalid" in answer


def test_it_is_valid_after_a_restart_and_what_was_revoked_stays_so(market, tmp_path):
    cloud = market.cloud
    shown, revoked = issued(cloud, tmp_path / "a"), issued(cloud, tmp_path / "b")
    cloud.cli("tls", "revoke", revoked.id)
    cloud.restart()
    assert get(cloud, shown).status_code == 200
    assert problem(get(cloud, revoked)) == (401, "certificate-invalid")


# ---- from elsewhere


@pytest.fixture
def partners(clouds, upstreams, tmp_path):
    """A market whose listener believes another authority."""
    authority = Authority(tmp_path / "partners")
    cloud = clouds(arguments=ELSEWHERE, start=False)
    (cloud.folder / "partners.pem").write_bytes(authority.file.read_bytes())
    market = Market(cloud.start(), upstream_manifest("echo", upstreams().address))
    market.authority = authority
    return market


def test_a_name_in_it_is_mapped_to_an_app(partners):
    cloud = partners.cloud
    by_dns = partners.authority.issue("dns", x509.DNSName("Shop.Partner.example"))
    by_uri = partners.authority.issue("uri", x509.DNSName("unmapped.example"),
                                      x509.UniformResourceIdentifier("spiffe://p.example/shop"))
    assert problem(get(cloud, by_dns)) == (401, "certificate-invalid")
    first = cloud.json("tls", "map", "dns:shop.partner.example", "acme/shop")
    second = cloud.json("tls", "map", "uri:spiffe://p.example/shop", "acme/shop")
    assert get(cloud, by_dns).status_code == 200
    assert get(cloud, by_uri).status_code == 200
    assert [record["key"] for record in partners.new_records()] == [first["id"], second["id"]]
    assert [item["name"] for item in cloud.json("tls", "list")["items"]] == \
        ["dns:shop.partner.example", "uri:spiffe://p.example/shop"]


def test_a_mapping_moves_to_another_app_on_a_connection_that_stands(partners):
    cloud = partners.cloud
    shown = partners.authority.issue("dns", x509.DNSName("shop.partner.example"))
    cloud.ask("POST", "/v1/apps", {"account": "acme", "name": "other"})
    first = cloud.json("tls", "map", "dns:shop.partner.example", "acme/shop")
    taken = cloud.cli("tls", "map", "dns:shop.partner.example", "acme/other", check=False)
    assert taken.returncode == 1 and f"stoa tls revoke {first['id']}" in taken.stderr
    with client_of(cloud, shown) as client:
        assert client.get("/echo/call/n1").status_code == 200
        cloud.cli("tls", "revoke", first["id"], "--wait")
        assert problem(client.get("/echo/call/n1")) == (401, "certificate-invalid")
        cloud.cli("tls", "map", "dns:shop.partner.example", "acme/other")
        assert problem(client.get("/echo/call/n1")) == (403, "no-subscription")


def test_the_clouds_uris_are_nobodys_to_give_away(partners):
    """An authority from elsewhere can write stoa:// into a certificate; it means nothing."""
    forged = partners.authority.issue("forged",
                                      x509.UniformResourceIdentifier("stoa://acme/shop"))
    assert problem(get(partners.cloud, forged)) == (401, "certificate-invalid")
    refused = partners.cloud.cli("tls", "map", "uri:stoa://acme/shop", "acme/shop", check=False)
    assert refused.returncode == 1 and "no stoa: URI" in refused.stderr


def test_a_wildcard_or_an_odd_name_in_it_stands_for_nothing(partners):
    partners.cloud.cli("tls", "map", "dns:shop.partner.example", "acme/shop")
    odd = partners.authority.issue("odd", x509.DNSName("*.partner.example"),
                                   x509.DNSName("shop.partner.example.evil.example"),
                                   x509.DNSName("ashop.partner.example"))
    assert problem(get(partners.cloud, odd)) == (401, "certificate-invalid")


def test_those_of_the_cloud_are_not_believed_where_another_authority_is_asked_for(partners,
                                                                                  tmp_path):
    shown = issued(partners.cloud, tmp_path / "out")
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        get(partners.cloud, shown)


@pytest.mark.parametrize("days", [{"days": -0.5}, {"begins_days": 1}])
def test_one_that_is_over_or_not_yet_valid_ends_in_the_handshake(partners, days):
    partners.cloud.cli("tls", "map", "dns:shop.partner.example", "acme/shop")
    shown = partners.authority.issue("old", x509.DNSName("shop.partner.example"), **days)
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        get(partners.cloud, shown)


def test_other_authorities_hold_once_their_file_is_looked_at(partners, tmp_path):
    cloud = partners.cloud
    cloud.cli("tls", "map", "dns:shop.partner.example", "acme/shop")
    assert cloud.cli("tls", "reload").stdout == "nothing has changed\n"
    second = Authority(tmp_path / "second", "Second")
    shown = second.issue("shop", x509.DNSName("shop.partner.example"))
    before = partners.authority.issue("shop", x509.DNSName("shop.partner.example"))
    with client_of(cloud, before) as standing:
        assert standing.get("/echo/call/n1").status_code == 200
        (cloud.folder / "partners.pem").write_bytes(second.file.read_bytes())
        assert cloud.json("tls", "reload") == {"changed": True, "refused": None}
        assert_reloaded_once(cloud)
        assert get(cloud, shown).status_code == 200
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            get(cloud, before)
        assert standing.get("/echo/call/n1").status_code == 200
    (cloud.folder / "partners.pem").write_text("nothing\n")
    refused = cloud.cli("tls", "reload", check=False)
    assert refused.returncode == 1
    assert "partners.pem" in refused.stderr and "what was in force goes on" in refused.stderr
    assert get(cloud, shown).status_code == 200
    assert_reloaded_once(cloud)


def assert_reloaded_once(cloud):
    """The change log has the one time that other certificates came to be in force."""
    change, = cloud.items("/v1/changes", kind="tls")
    assert (change["operation"], change["name"]) == ("tls_reload", "gateway")
    own, = cloud.json("tls", "show")["certificates"]
    assert change["facts"] == {"certificates": {own["file"]: own["expires"]}}


# ---- what is shown and refused


def test_listeners_and_certificates_are_shown(partners, tmp_path):
    cloud = partners.cloud
    shown = cloud.json("tls", "show")
    listener, = shown["listeners"]
    assert listener == {"address": cloud.tls, "clients": "optional",
                        "authorities": str(cloud.folder / "partners.pem")}
    own, = shown["certificates"]
    assert {"localhost", "127.0.0.1", "::1"} <= set(own["names"])
    assert own["file"] == str(cloud.folder / "tls" / "server.pem")
    assert shown["authority"]["subject"] == "CN=test Stoa CA"
    table = cloud.cli("tls", "show").stdout
    assert "CLIENTS" in table and "optional" in table and "server.pem" in table


def test_a_cloud_without_tls_issues_none(clouds, tmp_path):
    cloud = clouds()
    cloud.account("acme")
    cloud.app_with_key("acme/shop")
    refused = cloud.cli("tls", "client", "acme/shop", "--out", tmp_path, check=False)
    assert refused.returncode == 1 and "no listener of it speaks TLS" in refused.stderr
    assert not list(tmp_path.glob("acme-*"))
    assert cloud.cli("tls", "show").stdout == "no listener of the gateway speaks TLS\n"
    assert cloud.json("tls", "reload") == {"changed": False, "refused": None}


def test_what_was_made_and_revoked_is_in_the_change_log(market, tmp_path):
    shown = issued(market.cloud, tmp_path / "out")
    market.cloud.cli("tls", "map", "dns:shop.partner.example", "acme/shop")
    market.cloud.cli("tls", "revoke", shown.id)
    changes = [change for change in market.cloud.items("/v1/changes")
               if change["operation"].startswith("certificates_") or change["name"] == shown.id]
    assert [change["operation"] for change in changes] == \
        ["certificates_create", "certificates_map", "keys_revoke"]
    assert changes[0]["facts"]["app"] == "acme/shop" and "certificate" in changes[0]["facts"]
    assert changes[1]["facts"]["name"] == "dns:shop.partner.example"


def test_bad_requests_are_refused_by_what_is_wrong(market):
    def refused(status, path, **body):
        answer = market.cloud.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    key = ec.generate_private_key(ec.SECP256R1())
    request = (x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
               .sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())
    assert refused(422, "/v1/certificates", app="acme/shop",
                   request="hello")["pointer"] == "/request"
    assert refused(404, "/v1/certificates", app="acme/nope", request=request)["pointer"] == "/app"
    assert "behind the cloud's authority" in refused(
        422, "/v1/certificates", app="acme/shop", request=request, expires="4000d")["detail"]
    # Its last whole second has begun already.
    this_second = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.999Z")
    refused(422, "/v1/certificates", app="acme/shop", request=request, expires=this_second)
    assert refused(422, "/v1/certificates/names", app="acme/shop",
                   name="shop.example")["pointer"] == "/name"
    made = market.cloud.ask("POST", "/v1/certificates", {"app": "acme/shop", "request": request})
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert certificate.public_key().public_numbers() == key.public_key().public_numbers()
    rotated = market.cloud.cli("key", "rotate", made["id"], check=False)
    assert rotated.returncode == 1 and "stoa tls client" in rotated.stderr


@pytest.mark.parametrize("listener, why", [
    ("tls:127.0.0.1:0,clients=maybe", "clients=optional"),
    ("tls:127.0.0.1:0,", "clients=optional"),
    ("tls:127.0.0.1:0,ca=x.pem", "needs clients="),
    ("tls:127.0.0.1:0,clients=optional,ca=", "ca=FILE"),
    ("127.0.0.1:0,clients=optional", "127.0.0.1:0,clients=optional"),
    ("127.0.0.1:0,clients=optional", "only a tls: address"),
    ("clients=optional", "in quotes"),
    ("tls:127.0.0.1:0,clients=required,clients=optional", '"clients=optional" is the second'),
    ("tls:127.0.0.1:0,clients=optional,ca=a.pem,ca=b.pem", '"ca=b.pem" is the second'),
])
def test_a_listener_that_is_not_understood_is_wrong_usage(clouds, tmp_path, listener, why):
    done = Cloud(tmp_path / "cloud").cli("serve", "--gateway", listener, check=False)
    assert done.returncode == 2 and why in done.stderr


def test_a_file_of_authorities_that_is_not_there_keeps_the_cloud_from_starting(clouds):
    with pytest.raises(Refused, match="nowhere.pem"):
        clouds(arguments=["--gateway", "tls:127.0.0.1:0,clients=required,ca=nowhere.pem"])


def test_cloud_yaml_says_it_the_same_way(clouds, upstreams, tmp_path):
    config = ("name: test\ncurrency: USD\nfee: 0%\naccess_log: {file: access.log, format: json}\n"
              "gateway:\n  - tls:127.0.0.1:0,clients=required\n")
    cloud = clouds(config, start=False)
    shown = cloud.cli("config", "show", cloud.folder).stdout
    assert "tls:127.0.0.1:0,clients=required" in shown
    cloud.arguments = OPTIONAL
    market = Market(cloud.start(), upstream_manifest("echo", upstreams().address))
    certificate = issued(cloud, tmp_path / "out")
    assert get(cloud, certificate).status_code == 200
    assert get(cloud, certificate, market.key).status_code == 200
    cloud.stop()
    lines = [json.loads(line) for line in (cloud.folder / "access.log").read_text().splitlines()]
    assert [(line.get("key") is None, line["certificate"]) for line in lines] == \
        [(True, certificate.id), (False, certificate.id)]
