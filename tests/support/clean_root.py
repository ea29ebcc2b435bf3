"""A clean Debian of its own: nothing but the required packages and those that are named.

    root = CleanRoot(tmp_path / "root", ["libcurl4", "libssl3"])
    root.run("dpkg", "-i", "/package.deb")

Making one takes a mirror and a minute, so its archive is kept in ~/.cache/stoa by the names of the
packages; what a test changes is in its own copy.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

# Every command in a root has a mount namespace of its own, so that no mount is left behind.
ENTER = ["unshare", "-m", "sh", "-c",
         'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"']


class Impossible(Exception):
    """This machine cannot make or enter a root; says why."""


def release():
    """The release that runs here: what was linked here wants its libraries."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")


def archive_of(packages):
    """The archive of a root with them, made where it is not there yet."""
    if os.geteuid() != 0:
        raise Impossible("only root can enter a root")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        raise Impossible("no private mount namespace is allowed here")
    if not shutil.which("mmdebstrap"):
        raise Impossible("mmdebstrap is not installed")
    name = hashlib.sha256(" ".join([release(), *sorted(packages)]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stoa"
    archive = cache / f"clean-root-{name}.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(f".{os.getpid()}.tar")
        made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase",
                               f"--include={','.join(packages)}", release(), partial],
                              capture_output=True, text=True)
        if made.returncode != 0:
            partial.unlink(missing_ok=True)
            raise Impossible(f"mmdebstrap failed: {made.stderr.strip()[-300:]}")
        partial.rename(archive)
    return archive


class CleanRoot:
    def __init__(self, folder, packages):
        self.folder = Path(folder)
        archive = archive_of(packages)
        self.folder.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", self.folder, "--numeric-owner"], check=True)
        # The names of this host, for whoever looks up localhost.
        shutil.copy("/etc/hosts", self.folder / "etc" / "hosts")

    def command(self, *words):
        """What runs `words` in the root, by exec."""
        return [*ENTER, self.folder, *words]

    def run(self, *words, check=True, **more):
        done = subprocess.run(self.command(*words), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
                              **more)
        if check:
            assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done
