"""A cloud under test: `stoa serve` in a folder of its own, the command line, the API, the gateway.

    with Cloud(tmp_path / "cloud") as cloud:
        cloud.account("acme", "10.00")
        key = cloud.app_with_key("acme/shop")
        cloud.publish(manifest, "globex")
        cloud.subscribe("acme/shop", "echo")
        answer = cloud.call("echo", "/hello", key)

Tests get clouds from the fixture `clouds` (tests/conftest.py), which ends what is left.
"""

import json
import os
import re
import signal
import subprocess
import threading
import uuid
from pathlib import Path

import answers
import httpx
import yaml

ROOT = Path(__file__).resolve().parents[2]
STOA = ROOT / os.environ.get("STOA_BUILD", "build") / "stoa"
# Only so that a test that hangs ends some day; nothing is measured by it.
WAIT_SECONDS_MAX = 120

# No rate card and no fee: tests that want charges of the cloud say so.
PLAIN_CONFIG = """\
name: test
currency: USD
fee: 0%
"""


class Refused(AssertionError):
    """A command or a request of the harness that should have worked did not."""


def free_of_secrets(environment):
    """The environment without what would change the command line's behaviour."""
    return {name: value for name, value in environment.items() if not name.startswith("STOA_")}


class Cloud:
    """One cloud folder and, while started, its `stoa serve` process.

    `config` is the text of cloud.yaml (None: what serve makes by itself), `arguments` go to serve.
    """

    def __init__(self, folder, config=PLAIN_CONFIG, arguments=(), environment=None):
        self.folder = Path(folder)
        self.arguments = list(arguments)
        self.wrapper = []  # a command that runs serve by exec, such as unshare
        self.environment = {**free_of_secrets(os.environ), **(environment or {})}
        self.process = None
        self.gateway = None  # "127.0.0.1:40001"
        self.api = None
        self.tls = None  # the first of the listeners of TLS
        self.log = self.folder.parent / f"{self.folder.name}.serve.log"
        self._client = None
        self._gateway_client = None
        if config is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "cloud.yaml").write_text(config)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None and self.process:
            self.stop()
        self.end()

    # ---- its life

    def start(self):
        """Starts `stoa serve` on free ports and waits until it says that it is ready."""
        assert self.process is None, "the cloud runs already"
        api = [] if "--api" in self.arguments else ["--api", "127.0.0.1:0"]
        command = [*self.wrapper, STOA, "serve", "--cloud", self.folder,
                   "--gateway", "127.0.0.1:0", *api, *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True,
                                            env=self.environment)
        for line in self.process.stdout:
            told = re.match(r"ready gateway=(\S+) api=(\S+)(?: tls=(\S+))?$", line)
            if told:
                self.tls = told.group(3)
                self.gateway, self.api = told.group(1).split(",")[0], told.group(2)
                self._drain_output()
                return self
        status = self._forget()
        raise Refused(f"stoa serve ended with status {status} before it was ready\n"
                      f"{self.log.read_text()[-4000:]}")

    def _drain_output(self):
        output = self.process.stdout
        threading.Thread(target=output.read, daemon=True).start()

    def _forget(self):
        self._close_clients()
        status = self.process.wait(WAIT_SECONDS_MAX)
        self.process = None
        self.gateway = self.api = None
        return status

    def _close_clients(self):
        for client in (self._client, self._gateway_client):
            if client:
                client.close()
        self._client = self._gateway_client = None

    def terminate(self):
        """SIGTERM: it begins to drain."""
        self._close_clients()
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """Until it has ended; returns its exit status."""
        return self._forget()

    def stop(self, expected=0):
        """SIGTERM: drains and ends."""
        self.terminate()
        status = self.wait()
        if status != expected:
            raise Refused(f"stoa serve ended with status {status}\n"
                          f"{self.log.read_text()[-4000:]}")

    def kill9(self):
        self.process.kill()
        self._forget()

    def restart(self):
        """Starts it again, on other ports; stops it first where it runs."""
        if self.process:
            self.stop()
        return self.start()

    def end(self):
        """Whatever happened: no process is left."""
        if self.process:
            self.kill9()

    def serve_log(self):
        return self.log.read_text(errors="replace")

    # ---- the command line

    def cli(self, *arguments, input=None, check=True, environment=None):
        """Runs `stoa ARGUMENTS`; returns the finished process with text output."""
        done = subprocess.run([STOA, *map(str, arguments)], capture_output=True, text=True,
                              input=input,
                              stdin=subprocess.DEVNULL if input is None else None,
                              timeout=WAIT_SECONDS_MAX,
                              env={**self.environment, "STOA_CLOUD": str(self.folder),
                                   **(environment or {})})
        if check and done.returncode != 0:
            raise Refused(f"stoa {' '.join(map(str, arguments))}: exit status {done.returncode}\n"
                          f"{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments):
        """What `stoa ARGUMENTS --json` prints."""
        return json.loads(self.cli(*arguments, "--json").stdout)

    def json_lines(self, *arguments):
        return [json.loads(line) for line in self.cli(*arguments).stdout.splitlines()]

    # ---- the API

    @property
    def token(self):
        return (self.folder / "admin.token").read_text().strip()

    @property
    def client(self):
        """An httpx client of the API, with the admin token; it checks every answer."""
        if self._client is None:
            self._client = httpx.Client(base_url=f"http://{self.api}",
                                        headers={"Authorization": f"Bearer {self.token}"},
                                        timeout=WAIT_SECONDS_MAX, trust_env=False,
                                        event_hooks={"response": [answers.check]})
        return self._client

    def ask(self, method, path, body=None, expected=(200, 201), **more):
        """A request to the API; returns the JSON answer, which must have an expected status."""
        answer = self.client.request(method, path, json=body, **more)
        if answer.status_code not in expected:
            raise Refused(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def whole(self, path, name, **query):
        """An answer with the list `name` of all its pages."""
        found, answer = [], {"next": ""}
        while answer["next"] is not None:
            after = {"after": answer["next"]} if answer["next"] else {}
            answer = self.ask("GET", path, params={"limit": 1000, **query, **after})
            found += answer[name]
        return {**answer, name: found}

    def items(self, path, **query):
        """All items of a list, page by page."""
        found, after = [], None
        while True:
            page = self.ask("GET", path, params={**query, **({"after": after} if after else {})})
            found += page["items"]
            after = page["next"]
            if not after or not page["items"]:
                return found

    # ---- what most tests need first

    def account(self, name, amount=None):
        self.ask("POST", "/v1/accounts", {"name": name})
        if amount is not None:
            self.fund(name, amount)

    def fund(self, account, amount, key=None):
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return self.ask("POST", f"/v1/accounts/{account}/funds", {"amount": str(amount)},
                        headers=headers)

    def app_with_key(self, path):
        """Makes the app; returns the text of a key of it."""
        account, name = path.split("/")
        self.ask("POST", "/v1/apps", {"account": account, "name": name})
        return self.key(path)

    def key(self, path, **more):
        return self.ask("POST", "/v1/keys", {"app": path, **more})["items"][0]["key"]

    def keys(self, path, count):
        """Makes many keys; returns their texts."""
        texts = []
        while len(texts) < count:
            more = min(count - len(texts), 10000)
            made = self.ask("POST", "/v1/keys", {"app": path, "count": more})
            texts += [item["key"] for item in made["items"]]
        return texts

    def publish(self, manifest, account, folder=None, file="service.yaml"):
        """`manifest` is the text, or what YAML would make of it."""
        text = manifest if isinstance(manifest, str) else yaml.safe_dump(manifest, sort_keys=False)
        return self.ask("POST", "/v1/services", {
            "account": account, "file": file, "folder": str(folder or self.folder),
            "manifest": text})

    def subscribe(self, app, service, plan=None, budget=None, monthly=False):
        body = {"app": app, "service": service}
        if plan:
            body["plan"] = plan
        if budget is not None:
            body["budget"] = str(budget)
            body["budget_period"] = "month" if monthly else "once"
        return self.ask("POST", "/v1/subscriptions", body)

    def statement(self, account, **query):
        return self.whole(f"/v1/accounts/{account}/statement", "lines", **query)

    def ledger(self):
        return self.whole("/v1/ledger", "accounts")

    def ledger_account(self, name, number=1):
        for account in self.ledger()["accounts"]:
            if (account["name"], account["ledger"]) == (name, number):
                return account
        raise Refused(f"the ledger has no account {name}")

    def journal(self):
        return self.items("/v1/journal")

    def status(self):
        return self.ask("GET", "/v1/status")

    def wait_until_posted(self):
        """Until every call record written so far is in the ledger."""
        written = None
        while True:
            streams = self.status()["journal"]["streams"]
            written = written or [stream["written"] for stream in streams]
            if all(stream["posted"] >= count for stream, count in zip(streams, written)):
                return

    # ---- the gateway

    @property
    def gateway_client(self):
        """An httpx client of the gateway: give it `Host: SERVICE.localhost`."""
        if self._gateway_client is None:
            self._gateway_client = httpx.Client(base_url=f"http://{self.gateway}",
                                                timeout=WAIT_SECONDS_MAX, trust_env=False)
        return self._gateway_client

    def call(self, service, path, key=None, method="GET", headers=None, **more):
        """One call through the gateway, by the host's first label."""
        fields = {"Host": f"{service}.localhost", **(headers or {})}
        if key:
            fields["Authorization"] = f"Bearer {key}"
        return self.gateway_client.request(method, path, headers=fields, **more)


def upstream_manifest(name, address, plans=None, meters=None):
    """A manifest of a service that runs elsewhere; by default a call costs 0.05."""
    manifest = {"service": name, "version": "1.0.0", "upstream": [address]}
    if meters:
        manifest["meters"] = meters
    manifest["plans"] = plans or {
        "payg": {"prices": [{"meter": "calls", "model": "unit", "price": 0.05}]}}
    return manifest
