"""Services that misbehave: the caller gets a clear 502 or 504 or a connection that is visibly cut,
never another's bytes; what was not answered whole is not billed; and the cloud goes on."""

import asyncio
import json
import shutil
import threading

import pytest
from callers import Load
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from market import Market
from rogue import KEEP, RogueService, answer

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PLAN = {"prices": [{"meter": "calls", "model": "unit", "price": 0.05},
                   {"meter": "pixels", "model": "unit", "price": "0.01 per 1000"}],
        "max_units": {"pixels": 5000}}
METERS = {"pixels": {"unit": "pixel"}}
# Answers of one piece that cannot be understood, each followed by the connection's end.
INVALID = {
    "garbage": b"\0\1\2\xff garbage\r\n\r\n",
    "no http": b"ICY 200 OK\r\n\r\n",
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "half a head": OK + b"Content-Len",
    "http 1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http 2": b"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
    "status 2000": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "blank line first": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "folded line": OK + b"X: y\r\n z\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "empty name": OK + b": y\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "CR in a value": OK + b"X: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "length and chunked": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length -1": OK + b"Content-Length: -1\r\n\r\nhello",
    "length 2^64+5": OK + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "gzip coding": OK + b"Transfer-Encoding: gzip\r\n\r\nhello",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "switched": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "value of 1 MB": OK + b"X: " + b"y" * 1000000 + b"\r\n\r\n",
    "101 fields": OK + b"X: y\r\n" * 101 + b"Content-Length: 0\r\n\r\n",
    "interim flood": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + OK + b"Content-Length: 0\r\n\r\n",
    "interim, then the end": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
}
# Answers that begin well and end badly: the caller may have got their head by then.
BROKEN = {
    "length too long": OK + b"Content-Length: 10\r\n\r\nhello",
    "closed within a chunk": CHUNKED + b"a\r\nhello",
    "closed between chunks": CHUNKED + b"5\r\nhello\r\n",
    "closed before the last line": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "chunk longer than told": CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    "chunk size no number": CHUNKED + b"5\r\nhello\r\nzz\r\n",
    "chunk size 2^64-1": CHUNKED + b"ffffffffffffffff\r\nhello",
    "folded trailer": CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
}


def sends(data):
    def script(peer, request):
        peer.send(data)

    return script


def endless_head(peer, request):
    peer.send(OK)
    while True:
        peer.send(b"X: y\r\n" * 100)


def endless_interim(peer, request):
    while True:
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)


def two_answers(peer, request):
    peer.send(answer(request.nonce) + answer(b"another's"))
    peer.wait_for_close()


def second_answer_later(peer, request):
    peer.send(answer(request.nonce))
    SECOND["told"].wait()
    peer.send(answer(b"another's"))
    peer.wait_for_close()
    SECOND["closed"].set()


def body_beyond_length(peer, request):
    peer.send(answer(request.nonce) + b"another's")
    peer.wait_for_close()


def body_with_head(peer, request):
    """To HEAD, with the body that must not follow."""
    peer.send(answer(request.nonce) + b"HTTP/1.1 200 OK\r\n")
    peer.wait_for_close()


def body_with_status(status):
    def script(peer, request):
        peer.send(f"HTTP/1.1 {status} X\r\n\r\n".encode() + answer(b"another's"))
        peer.wait_for_close()

    return script


def early_answer(peer, request):
    """Before the body is read; the gateway may send the rest of it, or close."""
    peer.send(answer(request.nonce))
    peer.read_body(request)
    return KEEP


def drips(peer, request):
    for byte in answer(request.nonce):
        peer.send(bytes([byte]))
    return KEEP


def resets(data):
    def script(peer, request):
        peer.send(data)
        peer.reset()

    return script


def stalls(data):
    """Never ends; the plan's timeout does."""
    def script(peer, request):
        peer.send(data)
        peer.wait_for_close()

    return script


def told(*lines):
    def script(peer, request):
        peer.send(answer(request.nonce, "HTTP/1.1 200 OK", *lines))
        return KEEP

    return script


def trailers(peer, request):
    peer.send(CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(request.nonce), request.nonce)
              + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nStoa-Charge: 0 USD\r\n"
              b"Stoa-Call: forged\r\nConnection: close\r\nStoa-Units: pixels=2000\r\n"
              b"X-Fine: yes\r\n\r\n")
    return KEEP


UNITS = {
    "letters": "pixels=many", "negative": "pixels=-5", "exponent": "pixels=1e9",
    "fraction": "pixels=1.5", "beyond 64 bits": "pixels=99999999999999999999999",
    "no name": "=5", "no number": "pixels", "semicolon": "pixels=5;x", "spaces": "pixels=5 6",
    "unknown": "voxels=5", "other case": "PIXELS=5", "empty": "", "commas": ",,,",
    "long": "pixels=" + "9" * 20000,
}
SECOND = {"told": threading.Event(), "closed": threading.Event()}
SCRIPTS = {
    **{name.replace(" ", "-"): sends(data) for name, data in {**INVALID, **BROKEN}.items()},
    **{f"units-{name}".replace(" ", "-"): told(f"Stoa-Units: {value}")
       for name, value in UNITS.items()},
    "endless-head": endless_head,
    "endless-interim": endless_interim,
    "two-answers": two_answers,
    "second-answer-later": second_answer_later,
    "body-beyond-length": body_beyond_length,
    "body-with-head": body_with_head,
    "body-with-204": body_with_status(204),
    "body-with-304": body_with_status(304),
    "early-answer": early_answer,
    "drips": drips,
    "reset-at-once": resets(b""),
    "reset-within-a-head": resets(OK),
    "reset-within-a-length": resets(OK + b"Content-Length: 10\r\n\r\nhello"),
    "reset-of-unframed": resets(OK + b"\r\nhello"),
    "stall-at-once": stalls(b""),
    "stall-in-head": stalls(OK + b"X: y\r\n"),
    "stall-in-length": stalls(OK + b"Content-Length: 10\r\n\r\nhello"),
    "stall-in-chunks": stalls(CHUNKED + b"5\r\nhello\r\n"),
    "stoa-fields": told("Stoa-Call: forged", "Stoa-Charge: 0.00 USD", "Stoa-Account: globex",
                        "stoa-anything: x", "Connection: x-private", "X-Private: 1",
                        "Keep-Alive: timeout=1", "X-Kept: yes"),
    "units-huge": told("Stoa-Units: pixels=9223372036854775807"),
    "units-twice": told("Stoa-Units: pixels=1000, pixels=1000", "Stoa-Units: pixels=1000"),
    "trailers": trailers,
}


@pytest.fixture(scope="module")
def rogue():
    with RogueService(SCRIPTS) as service:
        yield service


def open_market(folder, rogue, timeout):
    plans = {"payg": {**PLAN, "limits": {"timeout": timeout}}}
    with Cloud(folder / "cloud", PLAIN_CONFIG + "workers: 2\n") as cloud:
        market = Market(cloud, upstream_manifest("echo", rogue.address, plans, METERS))
        yield market
        market.check_statement()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def one_market(tmp_path_factory, rogue):
    yield from open_market(tmp_path_factory.mktemp("market"), rogue, "60s")


@pytest.fixture(scope="module")
def one_hasty_market(tmp_path_factory, rogue):
    yield from open_market(tmp_path_factory.mktemp("hasty"), rogue, "500ms")


@pytest.fixture
def market(one_market):
    one_market.forget()
    return one_market


@pytest.fixture
def hasty(one_hasty_market):
    """Its plan's timeout is short."""
    one_hasty_market.forget()
    return one_hasty_market


def outcome(market, script, method="GET", body=b""):
    """(status, problem type) of a refusal, or "cut", or the whole answer."""
    nonce = market.nonce()
    with market.connect() as peer:
        peer.send(market.request(f"/bad/{script.replace(' ', '-')}/{nonce}", method, body=body))
        status, fields = peer.read_head()
        if fields.get("content-type") == "application/problem+json":
            length = int(fields["content-length"])
            peer.receive(lambda data: len(data) >= length)
            problem = json.loads(peer.received)
            assert (problem["status"], problem["call"]) == (status, fields["stoa-call"])
            return status, problem["type"].removeprefix("urn:stoa:problem:")
        # The head is here, so the end must show that the body is not whole.
        try:
            while True:
                peer.receive(lambda data, had=len(peer.received): len(data) > had)
        except (EOFError, ConnectionResetError):
            pass
        if fields.get("transfer-encoding") == "chunked":
            assert not peer.received.endswith(b"0\r\n\r\n"), peer.received
        else:
            assert len(peer.received) < int(fields["content-length"]), peer.received
        return "cut"


def whole(market, script, method="GET", body=b""):
    """The answer must be whole and the caller's own."""
    nonce = market.nonce()
    with market.connect() as peer:
        peer.send(market.request(f"/bad/{script.replace(' ', '-')}/{nonce}", method, body=body))
        answer = peer.read(head_only=method == "HEAD")
        assert answer.status == 200
        assert answer.body == (b"" if method == "HEAD" else nonce.encode())
        return answer


@pytest.mark.parametrize("script", [*INVALID, "endless head", "endless interim", "reset at once",
                                    "reset within a head"])
def test_an_answer_that_is_not_http_becomes_502_and_is_not_billed(market, script):
    status, type = outcome(market, script)
    assert status == 502 and type in ("service-invalid", "service-unreachable")
    market.check()


@pytest.mark.parametrize("script", [*BROKEN, "reset within a length", "reset of unframed"])
def test_an_answer_that_breaks_off_is_seen_to_be_cut_and_is_not_billed(market, script):
    assert outcome(market, script) in ("cut", (502, "service-invalid"))
    market.check()


# A short answer is held until it is whole, so that its stalling is told too.
@pytest.mark.parametrize("script", ["stall at once", "stall in head", "stall in length"])
def test_a_service_that_never_answers_is_a_504_after_the_plans_timeout(hasty, script):
    assert outcome(hasty, script) == (504, "timeout")
    hasty.check()


def test_a_service_that_stalls_within_a_long_answer_is_cut_after_the_plans_timeout(hasty):
    assert outcome(hasty, "stall in chunks") == "cut"
    hasty.check()


@pytest.mark.parametrize("script", ["two answers", "body beyond length"])
def test_bytes_beyond_an_answer_reach_nobody(market, script):
    answers = [whole(market, script) for _ in range(5)]
    market.check([answer.fields["stoa-call"] for answer in answers])


def test_a_second_answer_to_a_request_reaches_nobody(market):
    first = whole(market, "second answer later")
    SECOND["told"].set()
    SECOND["closed"].wait()  # the gateway let go of a connection that speaks unasked
    market.check([first.fields["stoa-call"]])


def test_a_body_behind_an_answer_to_head_reaches_nobody(market):
    answers = [whole(market, "body with head", "HEAD") for _ in range(5)]
    market.check([answer.fields["stoa-call"] for answer in answers])


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_behind_an_answer_without_one_reaches_nobody(market, status):
    with market.connect() as peer:
        peer.send(market.request(f"/bad/body-with-{status}/x") + market.request("/call/behind"))
        code, fields = peer.read_head()
        assert code == status
        behind = peer.read()
        assert behind.body == b"behind"
    market.check([fields["stoa-call"], behind.fields["stoa-call"]])


def test_an_answer_before_the_request_has_ended_is_handed_on(market):
    first = whole(market, "early answer", "POST", b"x" * 100000)
    with market.connect() as peer:
        nonce = market.nonce()
        size = 50000
        peer.send(market.request(f"/bad/early-answer/{nonce}",
                                 fields=f"Content-Length: {size}\r\n"))
        answer = peer.read()
        assert answer.body == nonce.encode()
        # What is left of the body is no request.
        peer.send(market.request("/call/smuggled").ljust(size, b"x"))
        peer.send(market.request("/call/behind"))
        behind = peer.read()
        assert behind.body == b"behind"
    market.check([first.fields["stoa-call"], answer.fields["stoa-call"],
                  behind.fields["stoa-call"]])


def test_an_answer_byte_by_byte_is_put_together(market):
    market.check([whole(market, "drips").fields["stoa-call"]])


def test_what_the_service_says_in_stoas_name_is_dropped(market):
    answer = whole(market, "stoa fields")
    assert answer.fields["stoa-call"] != "forged"
    assert answer.fields["stoa-charge"] == "0.05 USD"
    assert answer.fields["x-kept"] == "yes"
    for name in ("stoa-account", "stoa-anything", "x-private", "keep-alive"):
        assert name not in answer.fields
    market.check([answer.fields["stoa-call"]])


@pytest.mark.parametrize("units", UNITS)
def test_units_that_make_no_sense_count_nothing(market, units):
    answer = whole(market, f"units {units}")
    assert answer.fields["stoa-charge"] == "0.05 USD"
    market.check([answer.fields["stoa-call"]])


@pytest.mark.parametrize("units, charge", [("huge", "0.10 USD"), ("twice", "0.08 USD")])
def test_units_are_summed_and_capped_by_the_plan(market, units, charge):
    answer = whole(market, f"units {units}")
    assert answer.fields["stoa-charge"] == charge
    market.check([answer.fields["stoa-call"]])


def test_trailers_that_frame_or_speak_for_stoa_are_dropped(market):
    with market.connect() as peer:
        nonce = market.nonce()
        peer.send(market.request(f"/bad/trailers/{nonce}", fields="TE: trailers\r\n")
                  + market.request("/call/behind"))
        status, fields = peer.read_head()
        assert (status, fields["transfer-encoding"]) == (200, "chunked")
        peer.receive(lambda data: b"\r\n\r\nHTTP/1.1" in data)
        body, peer.received = peer.received.split(b"\r\n\r\nHTTP/1.1", 1)
        peer.received = b"HTTP/1.1" + peer.received
        chunk, trailers = body.split(b"\r\n0\r\n", 1)
        assert chunk.split(b"\r\n")[1] == nonce.encode()
        names = sorted(line.split(b":")[0].lower() for line in trailers.split(b"\r\n"))
        assert b"x-fine" in names
        assert set(names) <= {b"x-fine", b"stoa-charge", b"stoa-units"}
        assert b"stoa-charge: 0 usd" not in trailers.lower()
        behind = peer.read()
        assert behind.body == b"behind"
    records = market.check([fields["stoa-call"], behind.fields["stoa-call"]])
    units = {record["call"]: record["units"] for record in records}
    assert units[fields["stoa-call"]] == {"pixels": 2000}


def test_other_callers_get_their_own_answers_meanwhile(market):
    load = Load(market.cloud.gateway, "echo", market.key, 1500, prefix="load")
    work = threading.Thread(target=lambda: asyncio.run(load.run(8)))
    work.start()
    calls = []
    while work.is_alive():
        for script in [*INVALID, *BROKEN, "reset at once", "reset within a head"]:
            result = outcome(market, script)
            assert result == "cut" or result[0] == 502
        calls += [whole(market, script).fields["stoa-call"]
                  for script in ("two answers", "body beyond length", "drips")]
    work.join()
    assert load.outcome.statuses == {200: 1500}  # each compared with its nonce
    market.check([*load.outcome.whole, *calls])
