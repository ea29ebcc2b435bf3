"""The Debian package: what is in it, and that it installs, serves and leaves on a clean system."""

import gzip
import re
import shutil
import subprocess

import pytest
from books import check_books, settle
from clean_root import CleanRoot, Impossible
from cloud import ROOT, STOA, Cloud, upstream_manifest
from market import Market

# What lintian says of a package without a real maintainer, made without debhelper.
EXPECTED_TAGS = {"bogus-mail-host", "bogus-mail-host-in-debian-changelog",
                 "maintainer-script-calls-systemctl"}
HOME = "var/lib/stoa"


@pytest.fixture(scope="module")
def package():
    done = subprocess.run([ROOT / "scripts" / "deb", STOA.parent], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ROOT / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def contents(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    return folder


def fields(contents):
    text = (contents / "DEBIAN" / "control").read_text()
    return dict(re.findall(r"^([A-Z][\w-]*): (.*)$", text, re.MULTILINE))


def libraries(contents):
    """The packages that it depends on, without their versions."""
    return [name.split()[0] for name in fields(contents)["Depends"].split(", ")]


def test_it_has_what_belongs_to_the_program(contents):
    files = {str(path.relative_to(contents)): path.stat().st_mode & 0o777
             for path in contents.rglob("*") if path.is_file()}
    assert files.pop("usr/bin/stoa") == 0o755
    assert {"lib/systemd/system/stoa.service", "usr/lib/sysusers.d/stoa.conf",
            "etc/logrotate.d/stoa", "usr/share/doc/stoa/operations.md",
            "usr/share/doc/stoa/copyright", "usr/share/man/man1/stoa.1.gz",
            "usr/share/bash-completion/completions/stoa",
            "usr/share/zsh/vendor-completions/_stoa",
            "usr/share/fish/vendor_completions.d/stoa.fish"} <= set(files)
    for name, mode in files.items():
        script = name.startswith("DEBIAN/p")
        assert mode == (0o755 if script else 0o644), name
    sums = (contents / "DEBIAN" / "md5sums").read_text()
    assert subprocess.run(["md5sum", "--quiet", "-c", "-"], input=sums, text=True,
                          cwd=contents).returncode == 0
    assert {"libc6", "libsodium23"} <= set(libraries(contents))


def test_the_manual_has_every_command_and_no_mistake(contents):
    page = gzip.decompress((contents / "usr/share/man/man1/stoa.1.gz").read_bytes())
    commands = re.findall(r"^  (\w[\w -]*?)(?=  |$)",
                          subprocess.run([STOA, "--help"], capture_output=True,
                                         text=True).stdout, re.MULTILINE)
    titles = re.findall(r"^\.SS stoa (.*)$", page.decode().replace("\\-", "-"), re.MULTILINE)
    assert len(commands) > 20
    for command in commands:
        assert any(f"{title} ".startswith(f"{command} ") for title in titles), command
    if shutil.which("man"):
        done = subprocess.run(["man", "-l", "--warnings", "-"], input=page, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not shutil.which("lintian"), reason="lintian is not installed")
def test_lintian_finds_what_is_known_alone(package):
    done = subprocess.run(["lintian", "--allow-root", package], capture_output=True, text=True)
    tags = set(re.findall(r"^[EW]: stoa: ([\w-]+)", done.stdout, re.MULTILINE))
    assert tags <= EXPECTED_TAGS, done.stdout


@pytest.mark.skipif(not shutil.which("logrotate"), reason="logrotate is not installed")
def test_logrotate_takes_the_file(contents, tmp_path):
    done = subprocess.run(["logrotate", "-d", "-s", tmp_path / "state",
                           contents / "etc/logrotate.d/stoa"], capture_output=True, text=True)
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr


# ---- on a clean system


@pytest.fixture
def root(contents, package, tmp_path):
    """A Debian with the libraries and nothing of Stoa, and the package in it."""
    try:
        root = CleanRoot(tmp_path / "root", libraries(contents))
    except Impossible as why:
        pytest.skip(str(why))
    shutil.copy(package, root.folder / "stoa.deb")
    yield root
    shutil.rmtree(root.folder)


@pytest.fixture
def installed(root, tmp_path):
    """The cloud of the installed unit, not started: as its account and with its arguments, on
    free ports."""
    root.run("dpkg", "-i", "/stoa.deb")
    unit = (root.folder / "lib/systemd/system/stoa.service").read_text()
    command = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE).group(1).split()
    cloud = Cloud(root.folder / HOME, config=None)
    cloud.log = tmp_path / "serve.log"
    # The harness's words up to the folder are the unit's to say.
    cloud.wrapper = [*root.command("sh", "-c", 'shift 3; exec setpriv --reuid=stoa --regid=stoa '
                                   f'--clear-groups {" ".join(command)} "$@"')]
    yield cloud
    cloud.end()


def test_it_installs_serves_and_leaves_the_money_where_it_is(root, installed, upstreams):
    assert root.run("stoa", "--version").stdout == f"stoa {version(root)}\n"
    home = (installed.folder).stat()
    assert (home.st_mode & 0o777, root.run("stat", "-c", "%U", f"/{HOME}").stdout) == (
        0o700, "stoa\n")
    installed.start()
    upstream = upstreams()
    market = Market(installed, upstream_manifest("echo", upstream.address))
    market.normal_call()
    told = root.run("stoa", "call", "echo", "/call/clean", "--key", market.key, "--cloud",
                    f"/{HOME}")
    assert told.stdout == "clean"
    settle(installed)
    check_books(installed)

    root.run("dpkg", "-i", "/stoa.deb")
    installed.restart()
    market.normal_call()
    installed.stop()
    kept = {path.name for path in installed.folder.iterdir()}
    assert {"cloud.yaml", "store.db", "journal", "admin.token"} <= kept
    root.run("dpkg", "--purge", "stoa")
    left = root.run("find", "/", "-xdev", "-path", "/proc", "-prune", "-o", "-name", "*stoa*",
                    "!", "-path", "/stoa.deb", "-print").stdout.splitlines()
    assert left == [f"/{HOME}"]
    assert {path.name for path in installed.folder.iterdir()} == kept

    root.run("dpkg", "-i", "/stoa.deb")
    installed.start()
    market.normal_call()
    settle(installed)
    check_books(installed)
    assert len(market.new_records()) == upstream.answered == 4
    installed.stop()


def version(root):
    return root.run("dpkg-query", "-W", "-f", "${Version}", "stoa").stdout
