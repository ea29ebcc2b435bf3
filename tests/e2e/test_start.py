"""A node that cannot start says why, and ends."""

import socket
import subprocess
import sys

import pytest
from cloud import STOA, WAIT_SECONDS_MAX, Refused

# On addresses of its own: the default port of TLS is taken, and the node's ready line is printed.
TAKEN_BY_ANOTHER = """
import socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with socket.create_server(("127.0.0.1", 8443)):
    node = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
    sys.stdout.buffer.write(node.stdout.readline())
    node.terminate()
    sys.exit(node.wait())
"""


def networks_are_allowed():
    return subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0


@pytest.mark.parametrize("io", ["epoll", "auto"])
def test_a_gateway_address_that_is_taken_ends_the_start_though_another_was_free(clouds, io):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        cloud = clouds(arguments=["--gateway", address, "--io", io], start=False)
        with pytest.raises(Refused, match=f"listen on {address}: Address already in use"):
            cloud.start()


@pytest.mark.skipif(not networks_are_allowed(), reason="no network of one's own is allowed here")
def test_where_the_default_port_of_tls_is_taken_the_ready_line_names_no_listener_of_tls(tmp_path):
    done = subprocess.run(["unshare", "--net", sys.executable, "-c", TAKEN_BY_ANOTHER,
                           STOA, "serve", "--cloud", tmp_path / "cloud"],
                          capture_output=True, text=True, timeout=WAIT_SECONDS_MAX)
    assert done.stdout == "ready gateway=127.0.0.1:8080 api=127.0.0.1:7070\n"
    assert done.returncode == 0, done.stderr
