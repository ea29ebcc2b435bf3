"""A node that dies at a system call of its own, one after the other: whichever it is, the books are
exact after the next start, and what callers received whole is billed once.

strace counts the system calls of one thread and kills the program at the Nth, before it is done.
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from books import balance, check_books, records_by_call, settle, wait_until
from cloud import PLAIN_CONFIG, Refused, upstream_manifest
from market import Market

# What changes files; a call that only reads leaves the same behind as the one before it.
WRITING = "pwrite64,write,writev,fdatasync,fsync,msync,ftruncate,fallocate,unlink,rename,openat"
CONFIG = PLAIN_CONFIG.replace("0%", "3%") + "workers: 1\nrates: {call: 0.000001}\n"
# Beyond every number that was seen; where the work ends, the loop does.
POINTS_MAX = 500


def may_trace():
    try:
        return subprocess.run(["strace", "-o", "/dev/null", "true"],
                              capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not may_trace(), reason="strace may not trace here")


def killing(calls, number, output):
    """strace's arguments: it kills at the number-th of the system calls."""
    return ["strace", "-qq", "-o", str(output), "-e", f"trace={calls}", "-e",
            f"inject={calls}:signal=KILL:when={number}"]


def thread_of(process, name):
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise AssertionError(f"no thread is called {name}")


def child_of(process):
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def is_traced(process, thread):
    status = Path(f"/proc/{process.pid}/task/{thread}/status").read_text()
    return re.search(r"^TracerPid:\t([1-9])", status, re.MULTILINE) is not None


class Attached:
    """strace at one thread of a running cloud, set to kill."""

    def __init__(self, cloud, thread, calls, number, output):
        self.process = subprocess.Popen([*killing(calls, number, output), "-p", str(thread)],
                                        stderr=subprocess.DEVNULL)
        wait_until(lambda: is_traced(cloud.process, thread), "strace is there")

    def end(self):
        self.process.terminate()
        self.process.wait()


class Shop(Market):
    """A market that knows which answers were received whole."""

    def __init__(self, cloud, upstream):
        super().__init__(cloud, upstream_manifest("echo", upstream.address))
        self.whole = set()
        self.asked = 0

    def ask(self):
        self.asked += 1
        try:
            self.whole.add(self.normal_call())
        except (EOFError, ConnectionError):
            pass  # it died before the answer was whole

    def check_everything(self):
        """What was answered whole is billed once, and at most the calls that were cut beside it."""
        settle(self.cloud)
        billed = {call for call, record in records_by_call(self.cloud).items()
                  if record["billed"]}
        assert self.whole <= billed
        assert len(billed) <= self.asked
        lines = self.cloud.statement("acme")["lines"]
        calls = [line["quantity"] for line in lines
                 if (line["kind"], line["meter"]) == ("usage", "calls")]
        assert calls == [len(billed)]
        assert balance(self.cloud, "globex") * 10000 == len(billed) * 485
        check_books(self.cloud)


@pytest.fixture
def shop(clouds, upstreams):
    shop = Shop(clouds(CONFIG), upstreams())
    shop.ask()
    settle(shop.cloud)
    return shop


def is_over(shop):
    """Whether the node has died, or has posted all there is."""
    if shop.cloud.process.poll() is not None:
        return True
    try:
        streams = shop.cloud.status()["journal"]["streams"]
    except (Refused, httpx.TransportError):
        return False
    return all(stream["posted"] == stream["written"] for stream in streams)


def test_the_poster_may_die_at_any_system_call(shop, tmp_path):
    """From the lease that a first call needs to the posting of what it cost."""
    cloud = shop.cloud
    # All but waiting: the number of these is another each time.
    calls = "!futex,restart_syscall,sched_yield,mprotect,madvise"
    for number in range(1, POINTS_MAX):
        cloud.kill9()
        cloud.start()
        shop.check_everything()
        poster = thread_of(cloud.process, "poster")
        strace = Attached(cloud, poster, calls, number, tmp_path / "strace")
        shop.ask()
        wait_until(lambda: is_over(shop), "it is dead, or has posted")
        killed = cloud.process.poll() is not None
        strace.end()
        if not killed:
            break
    shop.check_everything()
    print("killed at", number - 1, "system calls")
    assert number > 20, "that was no transaction"


def test_an_orderly_end_may_be_cut_at_any_write(shop, tmp_path):
    cloud = shop.cloud
    for number in range(1, POINTS_MAX):
        shop.ask()
        strace = Attached(cloud, cloud.process.pid, WRITING, number, tmp_path / "strace")
        cloud.terminate()
        status = cloud.wait()
        strace.end()
        cloud.start()
        shop.check_everything()
        if status == 0:
            break
    print("killed at", number - 1, "writes")
    assert number > 5, "that was no end"


def test_a_start_may_be_cut_at_any_write(shop, tmp_path):
    """After a death that left records unposted."""
    cloud = shop.cloud
    started = False
    for number in range(1, POINTS_MAX):
        shop.ask()
        cloud.kill9()
        cloud.wrapper = killing(WRITING, number, tmp_path / "strace")
        try:
            cloud.start()
            started = True
            os.kill(child_of(cloud.process), signal.SIGKILL)  # strace would let go of it
        except Refused:
            pass
        cloud.end()
        cloud.wrapper = []
        cloud.start()
        shop.check_everything()
        if started:
            break
    print("killed at", number - 1, "writes")
    assert number > 10, "that was no start"
