"""A node that cannot start says why, and ends."""

import socket

import pytest
from cloud import Refused


@pytest.mark.parametrize("io", ["epoll", "auto"])
def test_a_gateway_address_that_is_taken_ends_the_start_though_another_was_free(clouds, io):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        cloud = clouds(arguments=["--gateway", address, "--io", io], start=False)
        with pytest.raises(Refused, match=f"listen on {address}: Address already in use"):
            cloud.start()
