"""Files that somebody changed in a log's folder or in a backup: each is named, none is believed."""

import hashlib
import shutil
import subprocess

import pytest
from books import settle
from cloud import PLAIN_CONFIG, STOA, upstream_manifest
from market import Market

HASH = "a" * 64
TITLE = "stoa backup 1\ncloud x\nmade now\n"
# name, lines behind the title (or the whole, where it begins with "stoa"), what is told
MANIFESTS = [
    ("no line at all", "", "cloud.yaml or store.db is not in its manifest"),
    ("a block without a file", f"block {HASH}\n", "a block's line is not sound"),
    ("a file without its block", "file 5 5 a\n", "files or blocks are missing"),
    ("a file without its block before another", "file 5 5 a\nfile 0 0 b\n", "a file lacks blocks"),
    ("a block too many", f"file 0 0 a\nblock {HASH}\n", "a block's line is not sound"),
    ("a short digest", f"file 5 5 a\nblock {HASH[1:]}\n", "a block's line is not sound"),
    ("a digest that is no number", f"file 5 5 a\nblock {'g' * 64}\n",
     "a block's line is not sound"),
    ("a file that shrinks", f"file 5 4 a\nblock {HASH}\n", "a file's line is not sound"),
    ("a size below zero", "file -1 5 a\n", "a file's line is not sound"),
    ("a size beyond 63 bits", "file 0 9223372036854775808 a\n", "a file's line is not sound"),
    ("a size in words", "file five 5 a\n", "a file's line is not sound"),
    ("no path", "file 0 0\n", "a file's line is not sound"),
    ("an unknown line", "link a b\n", "a line is neither a file's nor a block's"),
    ("another version", TITLE.replace("1", "2", 1), "this program reads backups that begin with"),
    ("no title", "stoa backup 1\n", "the title is not sound"),
    ("a name without end", TITLE.replace("x", "x" * 70), "the title is not sound"),
]
# name, file below audit/0, what is done to its bytes, what `stoa receipt` tells (None: all is well)
LOGS = [
    ("a checkpoint cut in half", "checkpoint", lambda data: data[:len(data) // 2], "checkpoint"),
    ("an empty checkpoint", "checkpoint", lambda data: b"", "checkpoint"),
    ("a checkpoint without its signature", "checkpoint",
     lambda data: data.split(b"\n\n")[0] + b"\n", "checkpoint"),
    ("a checkpoint of another size", "checkpoint", lambda data: data.replace(b"\n4\n", b"\n3\n"),
     "checkpoint"),
    ("a checkpoint of more than there is", "checkpoint",
     lambda data: data.replace(b"\n4\n", b"\n400\n"), "checkpoint"),
    ("a checkpoint with CRLF", "checkpoint", lambda data: data.replace(b"\n", b"\r\n"),
     "checkpoint"),
    ("a checkpoint of noise", "checkpoint", lambda data: bytes(range(256)) * 16, "checkpoint"),
    ("a checkpoint without end", "checkpoint", lambda data: data + b"a" * (1 << 20), "checkpoint"),
    ("a tile with another hash", "tile/0/000.p/4", lambda data: b"x" + data[1:],
     "is not that of record"),
    ("a tile in another order", "tile/0/000.p/4", lambda data: data[32:64] + data[:32] + data[64:],
     "is not that of record"),
    ("a tile that is cut", "tile/0/000.p/4", lambda data: data[:-1], None),
    ("a tile that is too long", "tile/0/000.p/4", lambda data: data + b"x", None),
    ("an empty tile", "tile/0/000.p/4", lambda data: b"", None),
]


@pytest.mark.parametrize("name, lines, told", MANIFESTS, ids=[row[0] for row in MANIFESTS])
def test_a_manifest_that_is_not_sound_is_named_and_nothing_is_restored(tmp_path, name, lines, told):
    backup = tmp_path / "backup"
    backup.mkdir()
    text = (lines if lines.startswith("stoa") else TITLE + lines).encode()
    files = text.count(b"\nfile ")
    digest = hashlib.sha256(text).hexdigest()
    (backup / "manifest").write_bytes(text + f"end {files} {digest}\n".encode())
    done = subprocess.run([STOA, "restore", backup, tmp_path / "restored"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 1 and told in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_what_was_changed_in_a_logs_folder_is_named_or_made_anew(clouds, upstreams, tmp_path):
    town = clouds(PLAIN_CONFIG + "workers: 1\n")
    market = Market(town, upstream_manifest("echo", upstreams().address))
    calls = [market.normal_call() for _ in range(4)]
    settle(town)
    good = town.cli("receipt", calls[0]).stdout
    town.stop()
    kept = tmp_path / "kept"
    shutil.copytree(town.folder, kept)
    for name, file, change, told in LOGS:
        shutil.rmtree(town.folder)
        shutil.copytree(kept, town.folder)
        path = town.folder / "audit/0" / file
        path.write_bytes(change(path.read_bytes()))
        town.start()
        done = town.cli("receipt", calls[0], check=False)
        if told is None:
            assert (done.returncode, done.stdout) == (0, good), f"{name}: {done.stderr}"
        else:
            assert done.returncode == 1 and told in done.stderr, f"{name}: {done.stderr}"
        market.normal_call()  # calls are served and billed all the same
        town.stop()
