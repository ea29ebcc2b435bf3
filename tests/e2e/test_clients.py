"""Clients of other makes against one running cloud, with services of other makes behind it. Each
call has a nonce of its own; at the end the ledger has all of them, and no call more."""

import asyncio
import json
import os
import queue
import re
import shutil
import subprocess

import grpc
import httpx
import pytest
from cloud import ROOT, WAIT_SECONDS_MAX, Cloud, upstream_manifest
from grpc_service import GrpcService, channel_of, stub
from market import Market
from upstream import Answer, CountingUpstream
from websocket import WebSocketService

COUNT = 20
CLIENTS = ROOT / "tests" / "clients"
MODULES = ROOT / "build" / "clients"


def answer(request):
    """/events/N is a stream of N events, anything else the nonce."""
    if "/events/" in request.target:
        events = [b"data: events%d\n\n" % number for number in range(int(request.nonce))]
        return Answer(chunks=events, fields={"Content-Type": "text/event-stream"})
    return Answer()


class Fair(Market):
    """A market with more services; `made` counts the calls that were made, by service."""

    def __init__(self, cloud, services):
        self.made = {name: 0 for name in services}
        first, *others = services.values()
        super().__init__(cloud, first)
        for manifest in others:
            cloud.publish(manifest, "globex")
            cloud.subscribe("acme/shop", manifest["service"])

    def expect(self, service, calls):
        self.made[service] += calls
        self.billed += calls

    def check_all(self):
        """The journal has each call made, billed, and no other; and so has the statement."""
        records = [record for record in self.new_records() if record["billed"]]
        found = {name: sum(record["service"].split("/")[-1] == name for record in records)
                 for name in self.made}
        assert found == self.made
        self.check_statement()


@pytest.fixture(scope="module")
def grpc_service():
    with GrpcService() as service:
        yield service


@pytest.fixture(scope="module")
def fair(tmp_path_factory, grpc_service):
    folder = tmp_path_factory.mktemp("fair")
    with CountingUpstream(answer) as upstream, WebSocketService() as chat, \
            Cloud(folder / "cloud",
                  arguments=["--gateway", "tls:127.0.0.1:0"]) as cloud:
        services = {"echo": upstream_manifest("echo", upstream.address),
                    "chat": upstream_manifest("chat", chat.address),
                    "calls": {**upstream_manifest("calls", grpc_service.address),
                              "protocol": "h2"}}
        made = Fair(cloud, services)
        made.upstream = upstream
        made.authority = cloud.folder / "tls" / "ca.pem"
        yield made
        made.check_all()
        assert upstream.answered == made.made["echo"]
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def modules():
    """The packages of tests/clients/package.json, installed once a build folder."""
    if not shutil.which("npm"):
        pytest.skip("there is no npm")
    wanted = (CLIENTS / "package.json").read_text()
    MODULES.mkdir(parents=True, exist_ok=True)
    installed = MODULES / "installed.json"
    if not installed.exists() or installed.read_text() != wanted:
        (MODULES / "package.json").write_text(wanted)
        done = subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund",
                               "--ignore-scripts"], cwd=MODULES, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            pytest.skip(f"npm install failed: {done.stderr[-500:]}")
        installed.write_text(wanted)
    return MODULES / "node_modules"


def run(*command, said="", **more):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, input=said,
                          timeout=WAIT_SECONDS_MAX, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def urls(fair, word):
    return [f"http://{fair.cloud.gateway}/call/{word}{number}" for number in range(COUNT)]


def curl(fair, *arguments):
    return run("curl", "-sS", "--fail", "-H", "Host: echo.localhost", "-H",
               f"X-API-Key: {fair.key}", *arguments)


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
def test_curl(fair, version):
    told = curl(fair, version, "-w", " %{http_version}\\n", *urls(fair, "c"))
    assert told.splitlines() == [f"c{number} 1.1" for number in range(COUNT)]
    fair.expect("echo", COUNT)


def test_curl_with_prior_knowledge(fair):
    """A connection for each: curl 7.88 cannot use one again that began so, with any server."""
    for url in urls(fair, "k")[:3]:
        told = curl(fair, "--http2-prior-knowledge", "-w", " %{http_version}", url)
        assert told == url.rsplit("/", 1)[-1] + " 2"
        fair.expect("echo", 1)


def test_curl_uploads_and_asks_for_leave(fair, tmp_path):
    """Above 1 MiB curl sends Expect: 100-continue by itself."""
    file = tmp_path / "upload"
    file.write_bytes(os.urandom(2_000_000))
    for version in ("--http1.1", "--http2-prior-knowledge"):
        told = curl(fair, version, "-T", file, f"http://{fair.cloud.gateway}/call/upload")
        assert told == "upload"
        assert fair.upstream.last.body == file.read_bytes()
        fair.expect("echo", 1)


@pytest.mark.parametrize("versions", [{"http1": True}, {"http1": False, "http2": True}],
                         ids=["http1", "http2"])
def test_httpx(fair, versions):
    async def ask_all():
        fields = {"Host": "echo.localhost", "Authorization": f"Bearer {fair.key}"}
        async with httpx.AsyncClient(base_url=f"http://{fair.cloud.gateway}", headers=fields,
                                     trust_env=False, timeout=WAIT_SECONDS_MAX,
                                     **versions) as client:
            return await asyncio.gather(*(client.post(f"/call/x{number}", content=b"hello")
                                          for number in range(COUNT)))

    answers = asyncio.run(ask_all())
    assert [answer.text for answer in answers] == [f"x{number}" for number in range(COUNT)]
    assert {answer.http_version for answer in answers} == {
        "HTTP/2" if "http2" in versions else "HTTP/1.1"}
    fair.expect("echo", COUNT)


def test_nghttp(fair):
    told = run("nghttp", "-H", ":authority: echo.localhost", "-H", f"x-api-key: {fair.key}",
               *urls(fair, "g"))
    assert sorted(re.findall(r"g\d+", told)) == sorted(f"g{number}" for number in range(COUNT))
    fair.expect("echo", COUNT)


@pytest.mark.parametrize("protocol", ["h1", "h2c"])
def test_h2load(fair, protocol):
    """It sends a Host of its own in HTTP/1.1, so the path names the service."""
    arguments = ["--h1"] if protocol == "h1" else ["-p", "h2c", "-m", "8"]
    told = run("h2load", *arguments, "-c", "4", "-n", 10 * COUNT, "-H", f"x-api-key: {fair.key}",
               f"http://{fair.cloud.gateway}/echo/call/load")
    assert f"{10 * COUNT} succeeded, 0 failed, 0 errored" in told, told
    assert f"status codes: {10 * COUNT} 2xx" in told
    fair.expect("echo", 10 * COUNT)


@pytest.mark.parametrize("kind, service, calls", [
    ("fetch", "echo", COUNT), ("http2", "echo", COUNT), ("ws", "chat", 1), ("events", "echo", 1),
    ("grpc", "calls", COUNT)])
def test_node(fair, modules, kind, service, calls):
    told = run("node", CLIENTS / "client.js", kind, fair.cloud.gateway, service, fair.key, COUNT,
               env={**os.environ, "NODE_PATH": str(modules)})
    assert json.loads(told) == [f"{kind}{number}" for number in range(COUNT)]
    fair.expect(service, calls)


@pytest.fixture
def channel(fair):
    with channel_of(fair.cloud.gateway, "calls") as channel:
        yield channel


def key_of(fair):
    return (("x-api-key", fair.key),)


def test_grpcio_of_each_kind(fair, grpc_service, channel):
    more = {"metadata": key_of(fair), "timeout": WAIT_SECONDS_MAX}
    messages = [b"m%d" % number for number in range(COUNT)]
    answer, call = stub(channel, "Unary").with_call(b"hello", **more)
    assert answer == b"hello" and ("x-noted", "yes") in call.trailing_metadata()
    assert list(stub(channel, "ServerStream")(b"hello", **more)) == [
        b"h", b"e", b"l", b"l", b"o"]
    assert stub(channel, "ClientStream")(iter(messages), **more) == b"".join(messages)
    assert list(stub(channel, "BothStreams")(iter(messages), **more)) == messages
    assert all("x-api-key" not in metadata and metadata["stoa-account"] == "acme"
               for metadata in grpc_service.metadata[-4:])
    fair.expect("calls", 4)


def test_grpcio_answers_a_message_before_the_next_is_sent(fair, channel):
    """A conversation: nothing is held back until the request has ended."""
    said = queue.Queue()
    answers = stub(channel, "BothStreams")(iter(said.get, None), metadata=key_of(fair),
                                           timeout=WAIT_SECONDS_MAX)
    for message in (b"first", b"second"):
        said.put(message)
        assert next(answers) == message
    said.put(None)
    assert list(answers) == []
    fair.expect("calls", 1)


def test_grpcio_learns_the_services_error(fair, channel):
    with pytest.raises(grpc.RpcError) as failed:
        stub(channel, "Fails")(b"", metadata=key_of(fair), timeout=WAIT_SECONDS_MAX)
    assert failed.value.code() == grpc.StatusCode.ABORTED
    assert failed.value.details() == "it was not to be"
    # What ABORTED means in HTTP, 409, is an answer, and is billed as one.
    fair.expect("calls", 1)


def test_grpcio_is_refused_in_its_own_language(fair, channel):
    with pytest.raises(grpc.RpcError) as failed:
        stub(channel, "Unary")(b"", timeout=WAIT_SECONDS_MAX)
    assert failed.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert len(failed.value.details()) > 20


def test_grpcio_gives_up_at_its_deadline(fair, grpc_service, channel):
    with pytest.raises(grpc.RpcError) as failed:
        stub(channel, "Waits")(b"", metadata=key_of(fair), timeout=0.5)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert grpc_service.left.wait(WAIT_SECONDS_MAX)


# ---- over TLS, trusting nothing but the cloud's own authority


@pytest.mark.parametrize("version, told", [("--http1.1", "1.1"), ("--http2", "2")])
def test_curl_over_tls(fair, version, told):
    port = fair.cloud.tls.rsplit(":", 1)[1]
    answers = run("curl", "-sS", "--fail", "--noproxy", "*", "--cacert", fair.authority,
                  "--resolve", f"echo.localhost:{port}:127.0.0.1", version, "-H",
                  f"X-API-Key: {fair.key}", "-w", " %{http_version} %{ssl_verify_result}\\n",
                  *(f"https://echo.localhost:{port}/call/s{number}" for number in range(COUNT)))
    assert answers.splitlines() == [f"s{number} {told} 0" for number in range(COUNT)]
    fair.expect("echo", COUNT)


@pytest.mark.parametrize("http_2", [False, True])
def test_httpx_over_tls(fair, http_2):
    fields = {"Host": "echo.localhost", "Authorization": f"Bearer {fair.key}"}

    async def ask_all():
        async with httpx.AsyncClient(base_url=f"https://{fair.cloud.tls}", headers=fields,
                                     verify=str(fair.authority), trust_env=False, http2=http_2,
                                     timeout=WAIT_SECONDS_MAX) as client:
            return await asyncio.gather(*(client.post(f"/call/y{number}", content=b"hello")
                                          for number in range(COUNT)))

    answers = asyncio.run(ask_all())
    assert [answer.text for answer in answers] == [f"y{number}" for number in range(COUNT)]
    assert {answer.http_version for answer in answers} == {"HTTP/2" if http_2 else "HTTP/1.1"}
    fair.expect("echo", COUNT)


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_h2load_over_tls(fair, protocol):
    told = run("h2load", f"--npn-list={protocol}", "-c", "4", "-m", "4", "-n", 10 * COUNT, "-H",
               f"x-api-key: {fair.key}", f"https://{fair.cloud.tls}/echo/call/load")
    assert f"Application protocol: {protocol}" in told
    assert f"{10 * COUNT} succeeded, 0 failed, 0 errored" in told, told
    assert f"status codes: {10 * COUNT} 2xx" in told
    fair.expect("echo", 10 * COUNT)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_over_tls(fair, version):
    told = run("openssl", "s_client", "-quiet", version, "-connect", fair.cloud.tls, "-CAfile",
               fair.authority, "-verify_return_error", "-verify_hostname", "echo.localhost",
               "-servername", "echo.localhost", "-alpn", "http/1.1",
               said="GET /call/o1 HTTP/1.1\r\nHost: echo.localhost\r\nConnection: close\r\n"
                    f"X-API-Key: {fair.key}\r\n\r\n")
    assert told.startswith("HTTP/1.1 200 OK") and told.endswith("\n\no1")
    fair.expect("echo", 1)


@pytest.mark.parametrize("kind, service, calls", [
    ("fetch", "echo", COUNT), ("http2", "echo", COUNT), ("ws", "chat", 1), ("events", "echo", 1),
    ("grpc", "calls", COUNT)])
def test_node_over_tls(fair, modules, kind, service, calls):
    told = run("node", CLIENTS / "client.js", kind, fair.cloud.tls, service, fair.key, COUNT, "tls",
               env={**os.environ, "NODE_PATH": str(modules),
                    "NODE_EXTRA_CA_CERTS": str(fair.authority)})
    assert json.loads(told) == [f"{kind}{number}" for number in range(COUNT)]
    fair.expect(service, calls)


def test_grpcio_over_tls(fair):
    messages = [b"m%d" % number for number in range(COUNT)]
    with channel_of(fair.cloud.tls, "calls", fair.authority.read_bytes()) as channel:
        answers = stub(channel, "BothStreams")(iter(messages), metadata=key_of(fair),
                                               timeout=WAIT_SECONDS_MAX)
        assert list(answers) == messages
    fair.expect("calls", 1)


def test_a_client_that_trusts_others_alone_is_not_served(fair, modules):
    done = subprocess.run(["node", CLIENTS / "client.js", "fetch", fair.cloud.tls, "echo", fair.key,
                           "1", "tls"], env={**os.environ, "NODE_PATH": str(modules)},
                          capture_output=True, text=True, timeout=WAIT_SECONDS_MAX, check=False)
    assert done.returncode != 0
    assert "SELF_SIGNED" in done.stderr or "UNABLE_TO_" in done.stderr, done.stderr
