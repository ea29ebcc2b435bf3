"""Services that the cloud runs itself: started, watched, replaced, stopped; nothing is left."""

import asyncio
import json
import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest
import worker
from books import wait_until
from callers import Load
from cloud import PLAIN_CONFIG
from market import Market
from processes import any_alive, is_alive, mentioning

DRAINING = PLAIN_CONFIG + "workers: 2\ndrain: 60s\n"


@pytest.fixture
def run(clouds, tmp_path):
    """A function that publishes the worker in a new cloud; returns its market."""

    def make(environment=None, run=None, config=DRAINING):
        cloud = clouds(config)
        manifest = worker.manifest(tmp_path / "worker", environment=environment, run=run)
        market = Market(cloud, manifest, tmp_path / "worker")
        market.folder = tmp_path / "worker"
        return market

    yield make
    for name in ("STARTED", "RELEASE"):
        (tmp_path / "worker" / name).touch()  # whatever failed: nobody waits any more


def publish(market, **more):
    return market.cloud.publish(worker.manifest(market.folder, **more), "globex", market.folder)


def about(market):
    return json.loads(market.call("/about").body)


def instances(market):
    return market.cloud.status()["instances"]


def pids(market):
    return [place["pid"] for place in instances(market)]


def all_healthy(market, count, version=None):
    places = instances(market)
    return len(places) == count and all(
        place["state"] == "healthy" and version in (None, place["version"]) for place in places)


class Background:
    """Callers at work on a thread of their own until stop()."""

    def __init__(self, market, callers=8):
        self.load = Load(market.cloud.gateway, "worker", market.key, 1 << 30)
        self.thread = threading.Thread(
            target=lambda: asyncio.run(self.load.run(callers)))
        self.thread.start()
        self.wait_for_more(callers)

    def answers(self):
        return sum(self.load.outcome.statuses.values())

    def wait_for_more(self, number):
        enough = self.answers() + number
        wait_until(lambda: self.answers() >= enough, "more answers")

    def stop(self):
        self.load.stopping = True
        self.thread.join()
        return self.load.outcome


# ---- starting


def test_an_instance_is_started_and_answers_on_its_socket(run):
    market = run({"GREETING": "hello: you"})
    market.normal_call()  # right after publishing: it waits until the instance is ready
    told = about(market)
    environment = told["environment"]
    assert told["folder"] == str(market.folder)
    assert environment["GREETING"] == "hello: you"
    assert environment["STOA_SOCKET"].startswith(str(market.cloud.folder / "instances"))
    assert environment["STOA_SERVICE"] == "worker" and "PORT" not in environment
    # Nothing of the cloud's own environment leaks into it.
    assert set(environment) <= {"GREETING", "FLAGS", "STOA_SOCKET", "STOA_SERVICE",
                                "STOA_INSTANCE", "PATH", "HOME", "LC_CTYPE"}
    place, = instances(market)
    assert (place["pid"], place["state"], place["service"]) == (told["pid"], "healthy", "worker")
    assert place["id"] == environment["STOA_INSTANCE"]
    shown = market.cloud.cli("status").stdout
    assert "worker" in shown and "healthy" in shown


def test_an_instance_may_listen_on_a_port(run):
    market = run(run={"listen": "port"})
    market.normal_call()
    environment = about(market)["environment"]
    assert int(environment["PORT"]) > 0 and "STOA_SOCKET" not in environment


def test_what_it_writes_is_in_the_logs(run):
    market = run()
    assert market.call("/say/something").status == 200
    assert market.call("/say/%1b[31mred").status == 200

    def logged():
        text = market.cloud.cli("logs", "worker", "--lines", "100").stdout
        return "out something" in text and "err something" in text

    wait_until(logged, "both outputs are logged")
    assert market.cloud.cli("logs", "nobody", check=False).returncode == 1


def test_a_service_that_ends_at_once_is_told_with_its_last_words(run):
    market = run({"BROKEN": "yes"}, config=PLAIN_CONFIG + "instance_wait: 300ms\n")
    answer = market.call("/call/none")
    assert answer.status == 503 and b"no-instance" in answer.body

    def told():
        place, = instances(market)
        return "status 7" in place["reason"] and "BROKEN is set" in place["last_lines"]

    wait_until(told, "the reason is told")
    assert "BROKEN is set" in market.cloud.cli("logs", "worker").stdout
    # Corrected, it is called at once: the call waits for the start.
    publish(market, version="1.0.1")
    wait_until(lambda: market.call("/call/now").status == 200, "it serves")


# ---- ending


def test_a_crashed_instance_is_replaced_and_the_call_it_had_is_not_billed(run):
    market = run()
    market.check()
    before = about(market)["pid"]
    answer = market.call("/crash")
    assert answer.status == 502 and answer.fields["content-type"] == "application/problem+json"
    wait_until(lambda: pids(market) != [before], "its end is noticed")
    market.normal_call()  # waits for the next one
    place, = instances(market)
    assert place["pid"] not in (before, 0)
    assert (place["starts"], place["reason"]) == (2, "exited with status 3")
    unbilled = [record["status"] for record in market.new_records() if not record["billed"]]
    assert unbilled == [502]


def test_killing_an_instance_under_load_fails_only_the_calls_it_had(run):
    market = run({"CHILD": "yes"}, {"instances": 2})
    wait_until(lambda: all_healthy(market, 2), "two are healthy")
    first, second = instances(market)
    background = Background(market, callers=8)
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: first["pid"] not in pids(market), "it is replaced")
    wait_until(lambda: all_healthy(market, 2), "two are healthy again")
    background.wait_for_more(50)
    outcome = background.stop()
    assert set(outcome.statuses) <= {200, 502} and outcome.unknown == 0, outcome.statuses
    assert outcome.statuses[502] <= 8, outcome.statuses
    assert second["pid"] in pids(market)
    billed = [record["call"] for record in market.new_records() if record["billed"]]
    assert sorted(billed) == sorted(outcome.whole)


def test_calls_to_the_only_instance_wait_for_the_one_in_its_place(run):
    market = run()
    market.normal_call()
    background = Background(market, callers=8)
    for _ in range(3):
        first, = instances(market)
        os.kill(first["pid"], signal.SIGKILL)
        wait_until(lambda: first["pid"] not in pids(market), "it is replaced")  # noqa: B023
        wait_until(lambda: all_healthy(market, 1), "one is healthy again")
        background.wait_for_more(50)
    outcome = background.stop()
    # Those that it had begun; whatever it had not seen waits.
    assert set(outcome.statuses) <= {200, 502} and outcome.unknown == 0, outcome.statuses
    assert outcome.statuses[502] <= 3 * 8, outcome.statuses
    lost = [record for record in market.new_records() if record["status"] == 502]
    assert len(lost) == outcome.statuses[502]
    # The instance had seen them: none was lost to a connection that could not be made.
    assert all(record["service_us"] > 0 for record in lost)


# ---- replacing


def test_publishing_the_same_again_changes_nothing(run):
    market = run()
    market.normal_call()
    before = pids(market)
    changed = publish(market)
    assert changed["changed"] is False
    assert [plan["change"] for plan in changed["plans"]] == ["same"]
    market.normal_call()
    assert pids(market) == before


def test_a_new_version_replaces_the_old_one_without_a_failed_call(run):
    market = run(run={"instances": 2})
    wait_until(lambda: all_healthy(market, 2), "two are healthy")
    old = pids(market)
    background = Background(market)
    for version in ("1.1.0", "1.2.0"):
        publish(market, version=version, run={"instances": 2})
        wait_until(lambda version=version: all_healthy(market, 2, version), f"{version} serves")
        background.wait_for_more(50)
    outcome = background.stop()
    assert set(outcome.statuses) == {200} and outcome.unknown == 0, outcome.statuses
    assert not any_alive(old)
    billed = Counter(record["call"] for record in market.new_records() if record["billed"])
    assert billed == Counter(outcome.whole.keys())


def test_a_new_version_that_is_never_healthy_leaves_the_old_one_serving(run):
    market = run()
    market.normal_call()
    old = about(market)["pid"]
    publish(market, version="2.0.0", environment={"HEALTHY": "no"},
            run={"start_timeout": "200ms"})

    def failed():
        return any(place["version"] == "2.0.0" and place["failures"] > 0
                   for place in instances(market))

    wait_until(failed, "the new version has failed")
    assert about(market)["pid"] == old
    reasons = [place["reason"] for place in instances(market) if place["version"] == "2.0.0"]
    assert "not healthy within 200 ms" in reasons[0]
    publish(market, version="2.0.1")
    wait_until(lambda: all_healthy(market, 1, "2.0.1"), "the next version serves")
    wait_until(lambda: not is_alive(old), "the old one is gone")
    market.normal_call()


def test_a_call_in_flight_is_finished_by_the_instance_that_is_replaced(run):
    market = run()
    market.normal_call()
    old = about(market)["pid"]
    with market.connect() as peer:
        peer.send(market.request("/slow/patient"))
        wait_until((market.folder / "STARTED").exists, "the service has the call")
        publish(market, version="1.1.0")
        wait_until(lambda: about(market)["pid"] != old, "the new one serves")
        assert is_alive(old)
        (market.folder / "RELEASE").touch()
        assert peer.read().body == b"patient"
    wait_until(lambda: not is_alive(old), "the old one is gone")


# ---- the cloud's own end


def test_stopping_finishes_calls_in_flight_and_leaves_no_process(run):
    market = run({"CHILD": "yes"})
    told = about(market)
    cloud, gateway = market.cloud, market.cloud.gateway
    host, port = gateway.rsplit(":", 1)

    def refuses():
        try:
            socket.create_connection((host, int(port))).close()
        except ConnectionRefusedError:
            return True
        return False

    with market.connect() as peer:
        peer.send(market.request("/slow/patient"))
        wait_until((market.folder / "STARTED").exists, "the service has the call")
        cloud.terminate()
        wait_until(refuses, "no new connection is taken")
        assert is_alive(told["pid"])
        (market.folder / "RELEASE").touch()
        answer = peer.read()
        assert answer.body == b"patient" and peer.is_closed()
    assert cloud.wait() == 0
    assert not any_alive([told["pid"], told["child"]])
    assert mentioning(str(cloud.folder / "instances")) == []
    cloud.start()
    assert answer.fields["stoa-call"] in [record["call"] for record in market.new_records()
                                          if record["billed"]]


def test_an_instance_that_ignores_sigterm_is_killed(run):
    market = run({"STUBBORN": "yes", "CHILD": "yes"})
    told = about(market)
    market.cloud.stop()
    assert not any_alive([told["pid"], told["child"]])


def test_kill_9_of_the_cloud_leaves_no_orphan_and_the_next_start_serves(run):
    market = run({"CHILD": "yes", "STUBBORN": "yes"}, {"instances": 3})
    wait_until(lambda: all_healthy(market, 3), "three are healthy")
    left = [*pids(market), about(market)["child"]]
    market.cloud.kill9()
    wait_until(lambda: not any_alive(left), "no instance outlives the cloud")
    wait_until(lambda: not mentioning(str(market.cloud.folder / "instances")), "no child does")
    market.cloud.start()
    market.normal_call()
    wait_until(lambda: all_healthy(market, 3), "three are healthy again")


def test_what_leaves_its_session_ends_with_its_instance_and_with_the_cloud(run):
    market = run({"CHILD": "away"})
    if not market.cloud.status()["instances_are"].startswith("control groups"):
        pytest.skip(market.cloud.status()["instances_are"])
    first = about(market)
    assert os.getsid(first["child"]) == first["child"] != os.getsid(first["pid"])
    market.call("/crash")
    wait_until(lambda: not any_alive([first["pid"], first["child"]]), "both are gone")
    wait_until(lambda: all_healthy(market, 1), "another is healthy")
    second = about(market)
    market.cloud.kill9()
    wait_until(lambda: not any_alive([second["pid"], second["child"]]), "both are gone")
    market.cloud.start()
    wait_until(lambda: all_healthy(market, 1), "another is healthy")
    third = about(market)
    group = Path((market.cloud.folder / "instances" / "group").read_text())
    assert (group / "cgroup.kill").exists()
    market.cloud.stop()
    assert not any_alive([third["pid"], third["child"]])
    assert not group.exists()


def test_instances_come_back_with_the_cloud(run):
    market = run()
    before = about(market)
    market.cloud.restart()
    market.normal_call()
    after = about(market)
    assert after["pid"] != before["pid"]
    # An instance's id is never given twice, so that old records keep their meaning.
    assert after["environment"]["STOA_INSTANCE"] != before["environment"]["STOA_INSTANCE"]
