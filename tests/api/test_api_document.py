"""docs/api.md is what the routes table says."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / os.environ.get("STOA_BUILD", "build") / "src" / "api" / "api_document"


def test_the_page_is_what_the_table_says():
    made = subprocess.run([DOCUMENT], check=True, capture_output=True, text=True).stdout
    assert made == (ROOT / "docs" / "api.md").read_text(), \
        "run build/src/api/api_document > docs/api.md"
