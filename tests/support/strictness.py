"""What Stoa, nginx and HAProxy make of each row of ambiguities.py, and docs/strictness.md of it.

    tests/support/strictness.py > docs/strictness.md
"""

import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ambiguities
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from market import Market
from references import Recorder, Reference, observe, version_of

PEERS = {"stoa": "Stoa", "nginx": "nginx", "haproxy": "HAProxy"}
ROWS = {name: wire for name, _, _, wire in ambiguities.REFUSED} | {
    name: wire for name, _, wire, _, _ in ambiguities.PASSED}
CLASSES = {name: kind for name, _, kind, _ in ambiguities.REFUSED} | {
    name: kind for name, kind, *_ in ambiguities.PASSED}

# Not the same twice: HAProxy may have sent on what stands before it when it finds the fault.
VARIES = {("haproxy", "trailer with a space before the colon")}

LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/1\.1")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]?(?:[!-~\x80-\xff][\t -~\x80-\xff]*)?")


def is_clean(raw):
    """The bytes are a request, or the front of one, that can be read in one way only: as Stoa
    writes them."""
    head, end, body = raw.partition(b"\r\n\r\n")
    if not end:
        return not re.search(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)|(?<!\r)\n", head)
    line, *fields = head.split(b"\r\n")
    framing = [field.lower() for field in fields
               if re.match(rb"(?i)(content-length|transfer-encoding)[^:]*:", field)]
    if not LINE.fullmatch(line) or not all(FIELD.fullmatch(field) for field in fields):
        return False
    if len(framing) > 1 or sum(field.lower().startswith(b"host:") for field in fields) != 1:
        return False
    if not framing:
        return body == b""
    if framing[0].startswith(b"content-length"):
        return re.fullmatch(rb"content-length: \d+", framing[0]) is not None
    return framing[0] == b"transfer-encoding: chunked" and is_clean_chunks(body)


def is_clean_chunks(body):
    while body:
        size, end, body = body.partition(b"\r\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
            return False
        count = int(size, 16)
        if not end or count == 0 or len(body) < count + 2:
            return True  # nothing more, or trailers, which are fields
        if body[count:count + 2] != b"\r\n":
            return False
        body = body[count + 2:]
    return True


def answers_of(row):
    """As many as whoever sees the second request gives."""
    return 2 if b"/call/smuggled" in ROWS[row] else 1


class Comparison:
    """A cloud, nginx and HAProxy, each before a service of its own that notes what it gets; and the
    same two behind the cloud."""

    def __init__(self, folder):
        self.folder = folder
        self.open = []
        self.services = {peer: self._enter(Recorder(folder / f"{peer}.service"))
                         for peer in PEERS}
        self.references = {kind: self._enter(Reference(kind, folder, self.services[kind]))
                           for kind in ("nginx", "haproxy")}
        self.cloud = self._enter(Cloud(folder / "cloud", PLAIN_CONFIG + "workers: 1\n"))
        self.market = Market(self.cloud, upstream_manifest("stoa", self.services["stoa"].address))
        for kind, reference in self.references.items():
            self.cloud.publish(upstream_manifest(kind, f"unix:{reference.address}"), "globex")
            self.cloud.subscribe("acme/shop", kind)
        host, port = self.cloud.gateway.rsplit(":", 1)
        self.gateway = (host, int(port))

    def _enter(self, thing):
        self.open.append(thing)
        return thing.__enter__()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self.open:
            self.open.pop().__exit__(None, None, None)

    def bytes_of(self, row, service="stoa"):
        return ambiguities.sent(ROWS[row], self.market.key, service)

    def direct(self, peer, row):
        """What the peer makes of the row."""
        address = self.gateway if peer == "stoa" else self.references[peer].address
        return observe(address, self.services[peer], self.bytes_of(row), answers_of(row))

    def behind(self, kind, row):
        """What the other make reads in what Stoa made of the row."""
        return observe(self.gateway, self.services[kind], self.bytes_of(row, kind),
                       answers_of(row))

    def verdict(self, peer, row):
        if (peer, row) in VARIES:
            return "depends on timing"
        odd = ambiguities.odd_piece(ROWS[row], self.market.key, "stoa")
        return self.direct(peer, row).verdict(odd)


HEAD = """\
# Strictness

What Stoa makes of requests that parsers disagree on, beside Debian's nginx {nginx} and HAProxy
{haproxy} as a newcomer would configure them. Written by
[strictness.py](../tests/support/strictness.py), which sends each row's bytes
([ambiguities.py](../tests/support/ambiguities.py)) to all three, with a service behind each that
notes what it gets; [test_strictness.py](../tests/wire/test_strictness.py) finds it unchanged.

- **refused**: no whole request reached the service; with the status that the caller got.
- **closed**: the same, without an answer.
- **normalized**: a request reached the service, without what was odd about it.
- **passed on**: a request reached the service with it.
- **(2)**: and what stood behind it was taken for a second request. That is right where the first
  one ends there beyond doubt, and smuggling where the next parser sees its end elsewhere.

Being strict costs clients that break the standards. A caller that is refused is told why; a
reading that differs from the next hop's is noticed by nobody.
"""


def row_names():
    """By class, in the order of the tables."""
    return {kind: [name for name in CLASSES if CLASSES[name] == kind]
            for kind in ambiguities.RULES}


def document(verdicts):
    """`verdicts` is {row: {peer: words}}."""
    text = HEAD.format(nginx=version_of("nginx"), haproxy=version_of("haproxy"))
    for kind, names in row_names().items():
        title, rule = ambiguities.RULES[kind]
        text += f"\n## {title}\n\n{rule}.\n\n"
        text += "| request | " + " | ".join(PEERS.values()) + " |\n|---|---|---|---|\n"
        for name in names:
            cells = [name.replace("|", "\\|"), *(verdicts[name][peer] for peer in PEERS)]
            text += "| " + " | ".join(cells) + " |\n"
    return text


def all_verdicts(comparison):
    def of_peer(peer):
        return {row: comparison.verdict(peer, row) for row in ROWS}

    with ThreadPoolExecutor(len(PEERS)) as pool:
        found = dict(zip(PEERS, pool.map(of_peer, PEERS)))
    return {row: {peer: found[peer][row] for peer in PEERS} for row in ROWS}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, Comparison(Path(place)) as made:
        sys.stdout.write(document(all_verdicts(made)))
