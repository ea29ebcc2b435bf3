"""The access log: a line for each call, without secrets, that never holds a call."""

import json
import os
import shlex

import pytest
from books import wait_until
from cloud import PLAIN_CONFIG, upstream_manifest
from market import Market
from upstream import Answer

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def market_of(clouds, upstreams, tmp_path):
    def make(more="", file="access.log"):
        config = PLAIN_CONFIG + f"workers: 2\naccess_log: {{file: {file}{more}}}\n"
        upstream = upstreams(lambda request: Answer(404 if request.nonce == "nothing" else 200))
        market = Market(clouds(config), upstream_manifest("echo", upstream.address))
        market.log = market.cloud.folder / file
        return market

    return make


def dropped(cloud):
    return cloud.status()["calls"]["access_lines_dropped"]


def test_no_log_by_default(cloud):
    assert not (cloud.folder / "access.log").exists()


def test_a_line_says_what_the_journal_says(market_of):
    market = market_of(", format: json")
    market.call("/call/x?token=hush", fields=f"traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n")
    market.call("/call/y?token=hush", method="POST", body=b"0123456789")
    market.cloud.stop()
    market.cloud.start()
    lines = [json.loads(line) for line in market.log.read_text().splitlines()]
    records = {record["call"]: record for record in market.new_records()}
    assert [line["path"] for line in lines] == ["/call/x", "/call/y"]
    assert [line["protocol"] for line in lines] == ["HTTP/1.1", "HTTP/1.1"]
    assert lines[0]["trace"] == TRACE
    assert lines[1]["trace"] == lines[1]["call"].replace("-", "")
    for line in lines:
        record = records.pop(line["call"])
        for name in ("service", "app", "plan", "status", "request_bytes", "response_bytes",
                     "duration_us", "charge"):
            assert line[name] == record[name], name
        assert line["outcome"] == "answered" and line["time"] == record["started"]
    assert not records
    assert (market.log.stat().st_mode & 0o777) == 0o640
    assert market.key[8:] not in market.log.read_text()


def test_refusals_have_their_reason_and_no_key(market_of):
    market = market_of()
    host, key = market.service, market.key
    with market.connect() as peer:
        peer.send(f"GET /a%0Ab HTTP/1.1\r\nHost: {host}.localhost\r\nX-API-Key: {key}x\r\n"
                  f"traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n\r\n".encode())
        assert peer.read().status == 401
        peer.send(b"GET /x?api_key=hush HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
        assert peer.read().status == 404
        peer.send(b"NO HTTP\r\n\r\n")
        assert peer.read().status == 400
    market.cloud.stop()
    text = market.log.read_text()
    lines = [dict(part.split("=", 1) for part in shlex.split(line)) for line in text.splitlines()]
    assert [(line["outcome"], line["status"], line["problem"]) for line in lines] == [
        ("refused", "401", "key-invalid"), ("refused", "404", "no-such-service"),
        ("refused", "400", "request-invalid")]
    assert (lines[0]["path"], lines[0]["service"], lines[0]["trace"]) == ("/a%0Ab", "echo", TRACE)
    assert (lines[1]["method"], lines[1]["path"]) == ("GET", "/x")
    assert "call" not in lines[0] and "hush" not in text and key[8:] not in text


def test_the_query_is_there_where_it_is_asked_for(market_of):
    market = market_of(", query: true")
    market.call("/call/x?w=200&h=\"1\"")
    market.cloud.stop()
    assert 'path="/call/x?w=200&h=\\"1\\""' in market.log.read_text()


def test_a_sample_has_whole_traces_and_everything_that_went_wrong(market_of):
    market = market_of(", sample: 50%, format: json")
    sampled, skipped = "f" * 32, "f" * 18 + "7" + "f" * 13
    for trace in [sampled, skipped] * 2:
        market.call("/call/x", fields=f"traceparent: 00-{trace}-b7ad6b7169203331-01\r\n")
    field = f"traceparent: 00-{skipped}-b7ad6b7169203331-01\r\n"
    market.call("/call/nothing", fields=field)
    with market.connect() as peer:
        peer.send(f"GET / HTTP/1.1\r\nHost: {market.service}.localhost\r\n{field}\r\n".encode())
        assert peer.read().status == 401
    for _ in range(200):
        market.call("/call/y")
    market.cloud.stop()
    lines = [json.loads(line) for line in market.log.read_text().splitlines()]
    # Lines of several workers stand in no order.
    chosen = [line for line in lines if line["trace"] in (sampled, skipped)]
    assert sorted((line["trace"], line["status"]) for line in chosen) == [
        (skipped, 401), (skipped, 404), (sampled, 200), (sampled, 200)]
    # Of 200 traces half, give or take seven times the standard deviation.
    assert 50 < len(lines) - len(chosen) < 150


def test_a_log_that_is_moved_away_is_begun_anew(market_of):
    market = market_of()
    market.normal_call()
    wait_until(lambda: market.log.read_text().count("\n") == 1, "the first line")
    older = market.log.rename(market.log.with_suffix(".older"))
    wait_until(market.log.exists, "the new file")
    market.normal_call()
    market.cloud.stop()
    assert older.read_text().count("\n") == market.log.read_text().count("\n") == 1


def test_a_log_that_nobody_reads_holds_no_call_and_its_losses_are_counted(market_of, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    market = market_of(file=pipe)
    with market.connect() as peer:
        # One connection is one worker: its ring has 2,048 entries, pipe and thread some more.
        for _ in range(60):
            peer.send(market.request("/call/x") * 50)
            for _ in range(50):
                answer = peer.read()
                assert (answer.status, answer.body) == (200, b"x")
    lost = dropped(market.cloud)
    assert 0 < lost < 3000 - 2048
    metrics = market.cloud.client.get("/metrics").text
    assert f"\nstoa_gateway_access_lines_dropped_total {lost}\n" in metrics
    market.cloud.stop()
    data = os.read(reader, 1 << 20).decode()
    os.close(reader)
    assert data.count("\n") > 100 and data.startswith("time=")


def test_a_log_that_cannot_be_opened_is_told_at_the_start(market_of):
    with pytest.raises(AssertionError, match=r"cannot open the access log /nowhere/log"):
        market_of(file="/nowhere/log")
