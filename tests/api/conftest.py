"""One cloud with two accounts, an app and a service, shared by the tests that leave it as it is."""

import pytest
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from upstream import CountingUpstream


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """acme (10.00) with the app acme/shop, globex with the service echo, a subscription."""
    folder = tmp_path_factory.mktemp("town")
    with CountingUpstream() as upstream, Cloud(folder / "cloud", PLAIN_CONFIG) as cloud:
        cloud.upstream = upstream
        cloud.account("acme", "10.00")
        cloud.account("globex")
        cloud.shop_key = cloud.app_with_key("acme/shop")
        cloud.publish(upstream_manifest("echo", upstream.address), "globex")
        cloud.subscribe("acme/shop", "echo")
        yield cloud
