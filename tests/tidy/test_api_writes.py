"""Every write of the API goes the one way that logs it."""

import re

from tree import ROOT


def test_only_one_file_of_the_api_begins_write_transactions():
    writers = [path.name for path in sorted((ROOT / "src" / "api").glob("*.c"))
               if re.search(r"\b(store_transaction|store_begin)\(", path.read_text())]
    assert writers == ["change.c"], "use api_change, which enters the change in the log"
