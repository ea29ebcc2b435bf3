"""Other processes, as /proc shows them."""

import os
from pathlib import Path


def is_alive(pid):
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def any_alive(pids):
    return any(is_alive(pid) for pid in pids)


def mentioning(word):
    """Pids of the processes whose command line or environment contains the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(word) in text and is_alive(int(entry.name)):
            found.append(int(entry.name))
    return found
