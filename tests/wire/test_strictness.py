"""Strictness, beside others: what Stoa passes on has one reading, which nginx and HAProxy share;
what has several it refuses, and no byte of it reaches a service as it came."""

import pytest
import strictness
from ambiguities import PASSED, REFUSED
from cloud import ROOT


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    with strictness.Comparison(tmp_path_factory.mktemp("peers")) as made:
        yield made


@pytest.mark.parametrize("row, status", [pytest.param(name, status, id=name)
                                         for name, status, *_ in REFUSED])
def test_what_is_ambiguous_is_refused_and_what_the_service_got_of_it_is_clean(comparison, row,
                                                                              status):
    found = comparison.direct("stoa", row)
    assert (found.statuses, found.requests) == ([status], [])
    service = comparison.services["stoa"]
    service.wait_until_idle()
    assert all(strictness.is_clean(raw) for raw in service.leftovers), service.leftovers
    service.leftovers.clear()


@pytest.mark.parametrize("row, seen, body", [pytest.param(name, seen, body, id=name)
                                             for name, _, _, seen, body in PASSED])
def test_what_is_passed_on_is_clean_and_read_alike_by_others(comparison, row, seen, body):
    [request] = comparison.direct("stoa", row).requests
    assert (f"{request.method} {request.target}", request.body) == (seen, body)
    assert strictness.is_clean(request.raw), request.raw
    for kind in comparison.references:
        # A refusal is no other reading.
        assert comparison.behind(kind, row).readings in ([(seen, body)], []), kind


def test_the_others_refuse_little_of_what_is_passed_on(comparison):
    refused = {(kind, name) for kind in comparison.references for name, *_ in PASSED
               if not comparison.behind(kind, name).requests}
    assert refused == {("nginx", "OPTIONS *"), ("nginx", "a percent sign alone"),
                       ("nginx", "dots and slashes")}


def test_the_document_is_what_was_found(comparison):
    written = (ROOT / "docs" / "strictness.md").read_text()
    assert strictness.document(strictness.all_verdicts(comparison)) == written


@pytest.mark.parametrize("raw", [
    b"GET / HTTP/1.1\nHost: a\r\n\r\n", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello", b"GET / HT\rTP",
])
def test_the_checker_of_clean_bytes_finds_what_is_not(raw):
    assert not strictness.is_clean(raw)
