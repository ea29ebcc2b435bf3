"""A key's text and the admin token stand where they must, and nowhere else."""

import itertools
import os
import re
import signal
import subprocess
from pathlib import Path

import worker
import yaml
from books import settle, wait_until
from cloud import PLAIN_CONFIG, upstream_manifest
from processes import mentioning

PASSWORD = "c0rrect-h0rse-battery-staple-of-the-service"
LOUD = PLAIN_CONFIG + "log: {level: debug}\naccess_log: {file: access.log, query: true}\n"


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
                            (worker.manifest(folder / "worker",
                                             environment={"DATABASE_PASSWORD": PASSWORD}),
                             folder / "worker")):
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
    # The service itself tells its environment: that is its own affair, and shows that it has it.
    about = session.cli("call", "worker", "/about", "--key", key, may_show=PASSWORD)
    assert "STOA_SERVICE" in about.stdout and PASSWORD in about.stdout
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
    # A backup is for somebody else's eyes: not even the admin token is in it.
    assert session.cli("backup", tmp_path / "backup").returncode == 0
    backup = [path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert len(backup) > 3
    assert not [part for part in parts for data in backup if part.encode() in data]
    cloud.restart()
    assert cloud.call("echo", "/call/y", keys[0]).status_code == 200  # digests are enough
    cloud.kill9()
    assert search() == only_there
    assert not [part for part in parts if part in cloud.serve_log()]


def test_a_services_secret_value_is_with_its_instance_and_its_description_alone(
        clouds, upstreams, tmp_path):
    """A value of `env` in a manifest: the store must keep it, the instance must get it."""
    cloud = clouds(LOUD)
    session, _ = a_whole_session(cloud, upstreams(), tmp_path)
    for name, output, may_show in session.outputs:
        assert PASSWORD in may_show or PASSWORD not in output, f"{name} shows it: {output}"
    assert PASSWORD not in cloud.serve_log()
    settle(cloud)
    instance, = [place["pid"] for place in cloud.status()["instances"]]
    assert mentioning(PASSWORD) == [instance]
    cloud.stop()
    holding = {path.name for path in cloud.folder.rglob("*")
               if path.is_file() and PASSWORD.encode() in path.read_bytes()}
    assert holding <= {"store.db", "store.db-wal"}


def test_the_signing_key_is_shown_nowhere(clouds, upstreams, tmp_path):
    cloud = clouds(LOUD)
    session, _ = a_whole_session(cloud, upstreams(), tmp_path)
    path = cloud.folder / "log.key"
    assert path.stat().st_mode & 0o777 == 0o600
    secret = path.read_text().strip().split("+", 4)[-1]  # PRIVATE+KEY+name+id+base64
    assert len(secret) > 40
    settle(cloud)
    assert not [name for name, output, _ in session.outputs if secret in output]
    assert secret not in cloud.serve_log()
    assert mentioning(secret) == []
    holding = [path.name for path in cloud.folder.rglob("*")
               if path.is_file() and secret.encode() in path.read_bytes()]
    assert holding == ["log.key"]


def test_a_dying_node_leaves_no_image_of_its_memory(cloud):
    """What is not dumpable leaves no core, and its memory is for nobody but root: the kernel then
    gives the process's files to root."""
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat",
               f"/proc/{cloud.process.pid}/environ"]
    if os.geteuid() == 0:
        assert subprocess.run(command, capture_output=True).returncode != 0
    assert os.stat(f"/proc/{cloud.process.pid}/mem").st_uid == 0
    cloud.process.send_signal(signal.SIGABRT)
    assert cloud.process.wait() == -signal.SIGABRT
    assert not [path for folder in (cloud.folder, Path.cwd())
                for path in folder.glob("core*") if path.is_file()]
    cloud.end()
    cloud.start()


def test_files_that_hold_secrets_or_money_are_for_the_owner_only(cloud):
    cloud.account("acme", "1.00")
    assert cloud.folder.stat().st_mode & 0o077 == 0 or all(
        path.stat().st_mode & 0o077 == 0 for path in (
            cloud.folder / "admin.token", cloud.folder / "store.db", cloud.folder / "journal"))
    assert (cloud.folder / "admin.token").stat().st_mode & 0o777 == 0o600


def test_keys_of_tls_and_of_signed_calls_stand_in_their_files_alone(clouds, upstreams, tmp_path):
    cloud = clouds(LOUD, arguments=["--gateway", "tls:127.0.0.1:0"])
    session, _ = a_whole_session(cloud, upstreams(), tmp_path)
    session.cli("status", "--json")
    session.api("GET", "/v1/services/echo")
    settle(cloud)
    homes = {name: cloud.folder / name for name in ("tls/ca.key", "tls/server.key",
                                                    "identity.key")}
    parts = {}
    for name, path in homes.items():
        assert path.stat().st_mode & 0o777 == 0o600, name
        parts[name] = max(path.read_text().splitlines(), key=len)[8:-8]
        assert len(parts[name]) >= 16, name
    for path in cloud.folder.rglob("*"):
        if path.is_file() and path not in homes.values():
            data = path.read_bytes()
            assert not [name for name, part in parts.items() if part.encode() in data], path
    told = [output for _, output, _ in session.outputs] + [cloud.serve_log()]
    for name, part in parts.items():
        assert all(part not in text for text in told), name
        assert mentioning(part) == []
