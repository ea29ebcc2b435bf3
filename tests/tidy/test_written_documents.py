"""Documents that the program writes from its tables are as the program writes them."""

import os
import subprocess

import pytest
from tree import ROOT

BUILD = ROOT / os.environ.get("STOA_BUILD", "build")
WRITTEN = {
    "docs/api.md": "src/api/api_document",
    "docs/cli.md": "src/cli/command_document",
    "docs/metrics.md": "src/node/metrics_document",
    "docs/problems.md": "src/gateway/problem_document",
    "docs/settings.md": "src/node/settings_document",
}


@pytest.mark.parametrize("document", sorted(WRITTEN))
def test_a_document_is_what_its_table_says(document):
    program = BUILD / WRITTEN[document]
    assert program.exists(), "build first: make build"
    written = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert (ROOT / document).read_text() == written, f"{program.name} > {document}"
