"""TLS at the gateway, by clients of other makes: curl, Python's ssl, OpenSSL's s_client."""

import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading

import httpx
import pytest
from books import wait_until
from cloud import PLAIN_CONFIG, Cloud, Refused, upstream_manifest
from cryptography import x509
from market import Market

TLS = ["--gateway", "tls:127.0.0.1:0"]


@pytest.fixture
def market(clouds, upstreams):
    return Market(clouds(arguments=TLS), upstream_manifest("echo", upstreams().address))


def trusting(cloud, **options):
    context = ssl.create_default_context(cafile=cloud.folder / "tls" / "ca.pem")
    for name, value in options.items():
        setattr(context, name, value)
    return context


def address(cloud):
    host, port = cloud.tls.rsplit(":", 1)
    return host, int(port)


def shake(cloud, context, name="echo.localhost", **options):
    return context.wrap_socket(socket.create_connection(address(cloud)), server_hostname=name,
                               **options)


def ask(peer, key, path="/hello", host="echo.localhost", close=True):
    """A call on an open connection; its whole answer."""
    end = "Connection: close\r\n" if close else ""
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\n{end}\r\n".encode())
    received = b""
    while close or b"\r\n\r\n" not in received:
        part = peer.recv(65536)
        if not part:
            break
        received += part
    return received


def curl(cloud, *arguments):
    port = address(cloud)[1]
    return subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert",
                           cloud.folder / "tls" / "ca.pem",
                           "--resolve", f"echo.localhost:{port}:127.0.0.1", *arguments],
                          capture_output=True, text=True)


def test_curl_calls_a_new_cloud_with_nothing_but_its_authority(market):
    port = address(market.cloud)[1]
    done = curl(market.cloud, "-w", "%{http_code} %{ssl_verify_result}", "-o", "/dev/null",
                "-H", f"X-API-Key: {market.key}", f"https://echo.localhost:{port}/hello")
    assert (done.stdout, done.returncode) == ("200 0", 0), done.stderr
    record, = market.new_records()
    assert record["service"] == "echo" and record["status"] == 200


@pytest.mark.parametrize("name", ["echo.localhost", "localhost", "echo.stoa.internal",
                                  "127.0.0.1"])
def test_each_name_of_the_cloud_is_vouched_for(market, name):
    with shake(market.cloud, trusting(market.cloud), name) as peer:
        assert b"200 OK" in ask(peer, market.key)


def test_a_name_that_is_none_of_the_clouds_is_not_believed(market):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(market.cloud, trusting(market.cloud), "example.com")


def test_keys_are_for_their_owner_alone(market):
    folder = market.cloud.folder / "tls"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in ("ca.key", "server.key"):
        assert stat.S_IMODE((folder / file).stat().st_mode) == 0o600


def test_a_restored_cloud_is_believed_by_whoever_believed_the_first(market, tmp_path):
    market.cloud.cli("backup", tmp_path / "monday")
    market.cloud.stop()
    market.cloud.cli("restore", tmp_path / "monday", tmp_path / "restored")
    before = trusting(market.cloud)
    with Cloud(tmp_path / "restored", config=None, arguments=TLS) as restored:
        with shake(restored, before) as peer:
            assert b"200 OK" in ask(peer, market.key)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(market, version):
    context = trusting(market.cloud, minimum_version=version, maximum_version=version)
    with shake(market.cloud, context) as peer:
        assert b"200 OK" in ask(peer, market.key)
        session = peer.session
        assert not peer.session_reused
    with shake(market.cloud, context, session=session) as peer:
        assert peer.session_reused
        assert b"200 OK" in ask(peer, market.key)


def test_tls_1_1_is_refused(market):
    context = trusting(market.cloud, minimum_version=ssl.TLSVersion.TLSv1,
                       maximum_version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake(market.cloud, context)


def test_http_1_1_is_chosen_by_name_and_an_unknown_protocol_is_refused(market):
    context = trusting(market.cloud)
    context.set_alpn_protocols(["http/1.1"])
    with shake(market.cloud, context) as peer:
        assert peer.selected_alpn_protocol() == "http/1.1"
    context.set_alpn_protocols(["spdy/3"])
    with pytest.raises(ssl.SSLError):
        shake(market.cloud, context)


def test_plain_http_to_the_tls_port_is_told_so(market):
    with socket.create_connection(address(market.cloud)) as peer:
        answer = ask(peer, market.key)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"https://" in answer


def test_garbage_ends_its_connection_and_no_other(market):
    with shake(market.cloud, trusting(market.cloud)) as good:
        for garbage in (b"\x16\x03\x01\xff\xff" + b"\x00" * 70000, b"\x00" * 100, b"\x15\x03",
                        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"):
            with socket.create_connection(address(market.cloud)) as peer:
                try:
                    peer.sendall(garbage)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(4096):
                        pass
                except ConnectionError:
                    pass
        assert b"200 OK" in ask(good, market.key)


def test_a_handshake_may_come_byte_by_byte(market):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = trusting(market.cloud).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(address(market.cloud)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def work(step, *arguments):
            while True:
                try:
                    return step(*arguments)
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        raw.sendall(bytes([byte]))
                    incoming.write(raw.recv(1))

        work(peer.do_handshake)
        peer.write(f"GET /hello HTTP/1.1\r\nHost: echo.localhost\r\n"
                   f"X-API-Key: {market.key}\r\n\r\n".encode())
        assert work(peer.read, 15) == b"HTTP/1.1 200 OK"


# ---- certificates from elsewhere


class Authority:
    """Another one than the cloud's own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=Other", "-days", "30")

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def issue(self, file, name, serial, days=30):
        (self.folder / "names").write_text(f"subjectAltName=DNS:{name}\n")
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", f"{file}.key", "-out", "request", "-subj", f"/CN={name}")
        self.run("x509", "-req", "-in", "request", "-CA", "other.pem", "-CAkey", "other.key",
                 "-set_serial", str(serial), "-days", str(days), "-out", f"{file}.pem",
                 "-extfile", "names")
        return self.folder / f"{file}.pem", self.folder / f"{file}.key"


def put(pair, folder):
    """Each file is replaced whole, as tools that renew certificates do."""
    for source, name in zip(pair, ("site.pem", "site.key")):
        shutil.copy(source, folder / f"{name}.new")
        (folder / f"{name}.new").rename(folder / name)


def serial_seen(cloud, context, name):
    with shake(cloud, context, name) as peer:
        return x509.load_der_x509_certificate(peer.getpeercert(True)).serial_number


@pytest.fixture
def site(clouds, upstreams, tmp_path):
    """A cloud with a certificate for api.example.com beside its own."""
    authority = Authority(tmp_path / "other")
    config = PLAIN_CONFIG + "tls: {certificates: [{certificate: site.pem, key: site.key}]}\n"
    cloud = clouds(config, arguments=TLS, start=False)
    put(authority.issue("first", "api.example.com", 1001), cloud.folder)
    market = Market(cloud.start(), upstream_manifest("echo", upstreams().address))
    market.authority = authority
    market.context = trusting(cloud)
    market.context.load_verify_locations(authority.folder / "other.pem")
    return market


def test_the_name_that_a_client_asks_for_chooses_the_certificate(site):
    assert serial_seen(site.cloud, site.context, "api.example.com") == 1001
    assert serial_seen(site.cloud, site.context, "localhost") != 1001
    assert serial_seen(site.cloud, site.context, "echo.localhost") != 1001
    context = trusting(site.cloud, check_hostname=False)
    context.load_verify_locations(site.authority.folder / "other.pem")
    assert serial_seen(site.cloud, context, None) == 1001  # the first, where no name is given
    assert serial_seen(site.cloud, context, "example.org") == 1001


def swapped(site, serial):
    """SIGHUP, and the answer of the certificate that holds once it has."""
    site.cloud.process.send_signal(signal.SIGHUP)
    while serial_seen(site.cloud, site.context, "api.example.com") != serial:
        pass


def test_a_new_certificate_holds_without_a_lost_call(site):
    stop, failures, calls = threading.Event(), [], []

    def go_on_calling(number):
        while not stop.is_set():
            try:
                with shake(site.cloud, site.context, "api.example.com") as peer:
                    for turn in range(5):
                        nonce = f"{number}-{len(calls)}"
                        answer = ask(peer, site.key, f"/call/{nonce}", close=False)
                        if not answer.endswith(nonce.encode()):
                            failures.append(answer)
                        calls.append(nonce)
            except OSError as fault:
                failures.append(fault)

    threads = [threading.Thread(target=go_on_calling, args=(number,)) for number in range(4)]
    with shake(site.cloud, site.context, "api.example.com") as old:
        assert b"200 OK" in ask(old, site.key, close=False)
        for thread in threads:
            thread.start()
        try:
            for serial in (1002, 1003, 1004):
                put(site.authority.issue("next", "api.example.com", serial), site.cloud.folder)
                swapped(site, serial)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        # A connection from before the first swap goes on with what it has.
        assert b"200 OK" in ask(old, site.key)
    assert not failures
    assert len(calls) > 20


def test_a_broken_certificate_is_refused_by_name_and_the_old_one_holds(site):
    first = (site.cloud.folder / "site.pem").read_bytes()
    (site.cloud.folder / "site.pem").write_text("no certificate\n")
    site.cloud.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=tls.refused" in site.cloud.serve_log(), "a refusal in the log")
    line, = [line for line in site.cloud.serve_log().splitlines() if "event=tls.refused" in line]
    assert "site.pem" in line and "no certificate in PEM" in line
    assert serial_seen(site.cloud, site.context, "api.example.com") == 1001
    (site.cloud.folder / "site.pem").write_bytes(first)
    put(site.authority.issue("next", "api.example.com", 1005), site.cloud.folder)
    swapped(site, 1005)


def test_a_key_that_others_may_read_keeps_the_cloud_from_starting(site):
    site.cloud.stop()
    (site.cloud.folder / "site.key").chmod(0o644)
    with pytest.raises(Refused, match="site.key can be read by others"):
        site.cloud.start()
    (site.cloud.folder / "site.key").chmod(0o600)
    (site.cloud.folder / "tls" / "server.key").rename(site.cloud.folder / "site.key")
    with pytest.raises(Refused, match="is not the key of the first certificate"):
        site.cloud.start()


@pytest.mark.parametrize("protocol, version", [("--http2", "2"), ("--http1.1", "1.1")])
def test_a_caller_chooses_the_protocol_in_its_handshake(market, protocol, version):
    port = address(market.cloud)[1]
    done = curl(market.cloud, protocol, "-w", "%{http_code} %{http_version}", "-o", "/dev/null",
                "-H", f"X-API-Key: {market.key}", f"https://echo.localhost:{port}/hello")
    assert (done.stdout, done.returncode) == (f"200 {version}", 0), done.stderr
    record, = market.new_records()
    assert record["service"] == "echo" and record["status"] == 200


def test_calls_over_http2_and_tls_share_a_connection_and_are_billed(market):
    context = httpx.create_ssl_context(verify=str(market.cloud.folder / "tls" / "ca.pem"))
    host, port = address(market.cloud)
    with httpx.Client(http2=True, http1=False, verify=context, trust_env=False) as client:
        for number in range(50):
            answer = client.get(f"https://localhost:{port}/echo/call/n{number}",
                                headers={"X-API-Key": market.key})
            assert (answer.status_code, answer.text) == (200, f"n{number}")
            assert answer.http_version == "HTTP/2"
    market.check(billed=[record["call"] for record in market.cloud.journal()])
    market.check_statement()


def test_a_tls_client_at_a_plain_port_learns_that_it_is_none(clouds):
    cloud = clouds()
    host, port = cloud.gateway.rsplit(":", 1)
    context = ssl.create_default_context()
    with socket.create_connection((host, int(port))) as plain:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="localhost")


def test_status_tells_tls_apart_and_the_command_line_calls_in_plain(market):
    plain, encrypted = market.cloud.gateway, f"tls:{market.cloud.tls}"
    assert market.cloud.status()["gateway"] == [plain, encrypted]
    assert f"{plain}, {encrypted}" in market.cloud.cli("status").stdout
    done = market.cloud.cli("call", "echo", "/call/one", "--key", market.key)
    assert done.stdout == "one"
