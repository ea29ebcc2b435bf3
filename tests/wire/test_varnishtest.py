"""Scripts of varnishtest (the package varnish), which have caller and service in one file, with
Stoa between them: tests/wire/vtc/*.vtc.

A script knows ${gateway}, the socket ${service} that its service listens on, the ${fields} of
HTTP/1.1 that make a request a call of it, and its ${host} and ${key}. A line `# protocol: h2` says
what its service speaks.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from books import check_books
from cloud import PLAIN_CONFIG, Cloud, upstream_manifest
from market import Market

SCRIPTS = sorted(Path(__file__).with_name("vtc").glob("*.vtc"))
SECONDS_MAX = 20

pytestmark = pytest.mark.skipif(not shutil.which("varnishtest"), reason="there is no varnishtest")


def name_of(script):
    return script.stem.replace("_", "-")


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vtc")
    manifests = [{**upstream_manifest(name_of(script), f"unix:{folder / name_of(script)}"),
                  **({"protocol": "h2"} if "# protocol: h2\n" in script.read_text() else {})}
                 for script in SCRIPTS]
    with Cloud(folder / "cloud", PLAIN_CONFIG + "workers: 1\n") as cloud:
        market = Market(cloud, manifests[0])
        for manifest in manifests[1:]:
            cloud.publish(manifest, "globex")
            cloud.subscribe("acme/shop", manifest["service"])
        market.folder = folder
        yield market
        check_books(cloud)


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_script(market, script):
    name = name_of(script)
    macros = {"gateway": market.cloud.gateway, "service": market.folder / name,
              "host": f"{name}.localhost", "key": market.key,
              "fields": f"Host: {name}.localhost\\r\\nX-API-Key: {market.key}\\r\\n"}
    done = subprocess.run(["varnishtest", "-t", str(SECONDS_MAX),
                           *(f"-D{macro}={value}" for macro, value in macros.items()), script],
                          capture_output=True, text=True, timeout=2 * SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
