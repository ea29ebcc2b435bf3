"""A key's text and the admin token stand where they must, and nowhere else."""

import itertools
import re

import worker
import yaml
from books import settle, wait_until
from cloud import PLAIN_CONFIG, upstream_manifest
from processes import mentioning

LOUD = PLAIN_CONFIG + "log: {level: debug}\n"


class Session:
    """A person at work: every output is kept, with what it may show since it was asked for."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.outputs = []

    def cli(self, *arguments, may_show="", **more):
        done = self.cloud.cli(*arguments, check=False, **more)
        self.outputs.append((arguments[:2], done.stdout + done.stderr, may_show))
        return done

    def api(self, method, path, may_show="", **more):
        answer = self.cloud.client.request(method, path, **more)
        self.outputs.append(((method, path), f"{answer.headers}{answer.text}", may_show))
        return answer


def a_whole_session(cloud, upstream, folder):
    """Returns (session, keys)."""
    session = Session(cloud)
    session.cli("account", "create", "globex")
    session.cli("account", "create", "acme")
    session.cli("fund", "acme", "10.00")
    session.cli("app", "create", "acme/shop")
    for manifest, place in ((upstream_manifest("echo", upstream.address), folder / "echo"),
                            (worker.manifest(folder / "worker"), folder / "worker")):
        place.mkdir(exist_ok=True)
        (place / "service.yaml").write_text(yaml.safe_dump(manifest))
        session.cli("publish", place / "service.yaml", "--as", "globex")
        session.cli("subscribe", "acme/shop", manifest["service"])
    # Shown once: by the command that makes them.
    made = [cloud.cli("key", "create", "acme/shop") for _ in range(2)]
    keys = [re.fullmatch(r"(stoa_\w+)\n", done.stdout).group(1) for done in made]
    ids = [re.match(r"key_\d+", done.stderr).group() for done in made]
    key = keys[0]
    for service in ("echo", "worker"):
        assert session.cli("call", service, "/call/x", "--key", key).returncode == 0
    session.cli("call", "worker", "/say/hello", environment={"STOA_KEY": key})
    about = session.cli("call", "worker", "/about", "--key", key)
    assert "STOA_SERVICE" in about.stdout
    # What goes wrong must not tell more: typos, wrong places, refused calls.
    session.cli("call", "echo", "/call/x", "--key", key + "x")
    session.cli("call", "none", "/call/x", "--key", key)
    session.cli("key", "revoke", keys[1])  # by its text: refused, and not shown
    assert session.cli("key", "revoke", ids[1]).returncode == 0
    assert session.cli("call", "echo", "/call/x", "--key", keys[1]).returncode == 1
    # A name that is refused is shown to who gave it.
    session.cli("account", "create", key, may_show=key)
    session.cli("logs", key, may_show=key)
    for path in ("/v1/keys", "/v1/apps", "/v1/accounts", "/v1/services", "/v1/services/echo",
                 "/v1/services/worker", "/v1/services/worker/logs", "/v1/subscriptions",
                 "/v1/journal", "/v1/ledger", "/v1/status", "/v1/accounts/acme/statement",
                 "/healthz"):
        session.api("GET", path)
    session.api("GET", "/v1/status", headers={"Authorization": f"Bearer {cloud.token}x"})
    session.api("GET", f"/v1/accounts/{cloud.token}", may_show=cloud.token)
    session.api("POST", "/v1/accounts", content=b'{"name": "' + cloud.token.encode(),
                may_show=cloud.token)
    session.api("POST", "/v1/accounts", json={"name": cloud.token}, may_show=cloud.token)
    for command in (["account", "list"], ["app", "list"], ["key", "list", "acme/shop"],
                    ["catalog"], ["statement", "acme"], ["ledger"], ["journal", "cat"],
                    ["logs", "worker"], ["status"]):
        session.cli(*command)
        session.cli(*command, "--json")
    return session, keys


def test_secrets_stand_where_they_must_and_nowhere_else(clouds, upstreams, tmp_path):
    upstream = upstreams()
    cloud = clouds(LOUD)
    session, keys = a_whole_session(cloud, upstream, tmp_path)
    token = cloud.token
    secrets = [*keys, token]
    # The middle is enough to guess nothing but to find a copy in another form.
    parts = [secret[8:-8] for secret in secrets]

    assert all(part not in str(upstream.last.fields) for part in parts)
    for part in parts:
        assert mentioning(part) == []  # neither in arguments nor in environments
    for (name, output, may_show), part in itertools.product(session.outputs, parts):
        assert part in may_show or part not in output, f"{name} shows a secret: {output}"
    settle(cloud)

    def search():
        found = []
        for path in cloud.folder.rglob("*"):
            if path.is_file() and not path.is_socket():
                data = path.read_bytes()
                found += [(path.name, part) for part in parts if part.encode() in data]
        return found

    only_there = [("admin.token", token[8:-8])]
    wait_until(lambda: "hello" in cloud.cli("logs", "worker").stdout, "the service's log")
    assert search() == only_there  # with its write-ahead log and everything in use
    assert not [part for part in parts if part in cloud.serve_log()]
    cloud.restart()
    assert cloud.call("echo", "/call/y", keys[0]).status_code == 200  # digests are enough
    cloud.kill9()
    assert search() == only_there
    assert not [part for part in parts if part in cloud.serve_log()]


def test_files_that_hold_secrets_or_money_are_for_the_owner_only(cloud):
    cloud.account("acme", "1.00")
    assert cloud.folder.stat().st_mode & 0o077 == 0 or all(
        path.stat().st_mode & 0o077 == 0 for path in (
            cloud.folder / "admin.token", cloud.folder / "store.db", cloud.folder / "journal"))
    assert (cloud.folder / "admin.token").stat().st_mode & 0o777 == 0o600
