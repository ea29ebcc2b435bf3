"""A provider with one service and a consumer with a key: what a test of the call path needs first.

    market = Market(cloud, upstream_manifest("echo", upstream.address))
    with market.connect() as peer:
        peer.send(market.request("/call/n1"))
        assert peer.read().body == b"n1"
    market.check(billed=[...])
"""

from books import check_books, settle
from example_program import Peer


class Market:
    """The manifest's service, published by `globex`, called by `acme/shop` with `key`."""

    def __init__(self, cloud, manifest, folder=None, amount="1000.00", plan=None):
        self.cloud = cloud
        self.service = manifest["service"]
        cloud.account("globex")
        cloud.account("acme", amount)
        cloud.publish(manifest, "globex", folder)
        self.key = cloud.app_with_key("acme/shop")
        cloud.subscribe("acme/shop", self.service, plan)
        self.billed = 0
        self._number = 0
        self._after = None

    def nonce(self):
        self._number += 1
        return f"n{self._number}"

    def connect(self):
        host, port = self.cloud.gateway.rsplit(":", 1)
        return Peer((host, int(port)))

    def request(self, target, method="GET", fields="", body=b""):
        """The bytes of a well-formed request."""
        head = (f"{method} {target} HTTP/1.1\r\nHost: {self.service}.localhost\r\n"
                f"X-API-Key: {self.key}\r\n{fields}")
        if body or method == "POST":
            head += f"Content-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body

    def call(self, target=None, **more):
        """One well-formed call on a connection of its own."""
        with self.connect() as peer:
            peer.send(self.request(target or f"/call/{self.nonce()}", **more))
            return peer.read(head_only=more.get("method") == "HEAD")

    def normal_call(self):
        """A call that must be answered with its nonce; returns its call id."""
        nonce = self.nonce()
        answer = self.call(f"/call/{nonce}")
        assert (answer.status, answer.body) == (200, nonce.encode()), answer
        return answer.fields["stoa-call"]

    def new_records(self):
        """The call records since the last time."""
        found = []
        while True:
            query = {"after": self._after} if self._after else {}
            page = self.cloud.ask("GET", "/v1/journal", params=query)
            self._after = page["next"] or self._after
            if not page["items"]:
                return found
            found += page["items"]

    def forget(self):
        """Whatever a failed test left behind is none of the next one's affair."""
        self.billed += sum(record["billed"] for record in self.new_records())

    def check(self, billed=()):
        """Exactly these calls were billed since the last check, and the cloud goes on."""
        expected = sorted([*billed, self.normal_call()])
        records = self.new_records()
        found = sorted(record["call"] for record in records if record["billed"])
        self.billed += len(found)
        assert found == expected
        return records

    def check_statement(self):
        """At the end: what was billed call by call is what the consumer owes."""
        settle(self.cloud)
        lines = self.cloud.statement("acme")["lines"]
        calls = sum(line["quantity"] for line in lines
                    if (line["kind"], line["meter"]) == ("usage", "calls"))
        assert calls == self.billed
        check_books(self.cloud)
