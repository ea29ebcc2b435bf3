"""What the service manager relies on: signs of life, log files that may be rotated, the unit."""

import queue
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest
import worker
from books import wait_until
from cloud import PLAIN_CONFIG, ROOT, STOA, WAIT_SECONDS_MAX
from market import Market

UNIT = ROOT / "packaging" / "stoa.service"


@pytest.fixture
def manager(tmp_path):
    """A service manager's socket. It is read at once, as a manager does: what does not fit into
    its queue is lost."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        manager = Manager(listener)
        manager.start()
        yield manager
        listener.shutdown(socket.SHUT_RDWR)
        manager.join()


class Manager(threading.Thread):
    def __init__(self, listener):
        super().__init__()
        self.listener, self.address = listener, listener.getsockname()
        self.messages = queue.Queue()

    def run(self):
        while message := self.listener.recv(4096):
            self.messages.put(message.decode().splitlines())


def told(manager):
    return manager.messages.get(timeout=WAIT_SECONDS_MAX)


def test_the_manager_is_told_of_readiness_life_and_end(clouds, manager, tmp_path):
    cloud = clouds(start=False, environment={"NOTIFY_SOCKET": manager.address,
                                             "WATCHDOG_USEC": "20000"})
    cloud.start()
    assert "READY=1" in told(manager)
    for _ in range(3):
        assert told(manager) == ["WATCHDOG=1"]
    market = Market(cloud, worker.manifest(tmp_path / "worker"), tmp_path / "worker")
    answer = market.call("/about")
    assert answer.status == 200 and b"NOTIFY_SOCKET" not in answer.body
    cloud.terminate()
    message = ["WATCHDOG=1"]
    while message == ["WATCHDOG=1"]:
        message = told(manager)
    assert "STOPPING=1" in message
    assert cloud.wait() == 0


def test_the_manager_is_not_told_of_readiness_by_a_start_that_failed(clouds, manager):
    cloud = clouds("colour: red\n", start=False,
                   environment={"NOTIFY_SOCKET": manager.address})
    done = subprocess.run([STOA, "serve", "--cloud", cloud.folder], env=cloud.environment,
                          capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)
    assert done.returncode == 1 and "cloud.yaml:1:1" in done.stderr
    while not manager.messages.empty():
        assert "READY=1" not in told(manager)


def test_a_manager_that_cannot_be_reached_is_told_and_nothing_started(clouds, tmp_path):
    cloud = clouds(start=False, environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    done = subprocess.run([STOA, "serve", "--cloud", cloud.folder], env=cloud.environment,
                          capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)
    assert done.returncode == 1 and "$NOTIFY_SOCKET" in done.stderr


def test_the_logs_of_node_and_service_may_be_renamed_at_any_time(clouds, tmp_path):
    cloud = clouds(PLAIN_CONFIG + "log: {file: stoa.log}\n")
    log = cloud.folder / "stoa.log"
    market = Market(cloud, worker.manifest(tmp_path / "worker"), tmp_path / "worker")
    service_log = cloud.folder / "log" / "worker.log"
    assert market.call("/say/before").status == 200
    wait_until(lambda: service_log.exists() and "err before" in service_log.read_text(),
               "it is logged")
    assert "event=node.ready" in log.read_text() and cloud.serve_log() == ""

    log.rename(tmp_path / "stoa.log.old")
    service_log.rename(tmp_path / "worker.log.old")
    cloud.process.send_signal(signal.SIGHUP)
    wait_until(log.exists, "the log is opened anew")
    assert market.call("/say/after").status == 200
    wait_until(lambda: service_log.exists() and "err after" in service_log.read_text(),
               "the service's log is opened anew")
    assert "before" not in service_log.read_text()
    assert "after" not in (tmp_path / "worker.log.old").read_text()
    cloud.stop()
    assert "event=node.stopped" in log.read_text()
    assert "event=node.stop" not in (tmp_path / "stoa.log.old").read_text()


def test_a_log_that_cannot_be_made_ends_the_start_by_name(clouds, tmp_path):
    cloud = clouds(PLAIN_CONFIG + f"log: {{file: {tmp_path}/none/stoa.log}}\n", start=False)
    done = subprocess.run([STOA, "serve", "--cloud", cloud.folder], env=cloud.environment,
                          capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)
    assert done.returncode == 1 and f"{tmp_path}/none/stoa.log" in done.stderr


# ---- the unit


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / "stoa.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/stoa", str(STOA)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                          text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_the_unit_is_sandboxed(tmp_path):
    """Its exposure, as systemd counts it from 0 to 10, is 2.5 at most."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager",
                           "--threshold=25", UNIT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-600:]


def test_the_unit_starts_what_there_is():
    line = re.search(r"^ExecStart=/usr/bin/stoa (.*)$", UNIT.read_text(), re.MULTILINE)
    assert subprocess.run([STOA, *line.group(1).split(), "--help"],
                          capture_output=True).returncode == 0
