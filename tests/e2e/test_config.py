"""`stoa config check` and `show`: cloud.yaml read as `stoa serve` reads it, and nothing started."""

import json

import pytest


@pytest.fixture
def config(clouds):
    """A function that writes cloud.yaml and runs `stoa config WORDS`."""
    cloud = clouds(start=False)

    def run(text, *words):
        (cloud.folder / "cloud.yaml").write_text(text)
        return cloud.cli("config", *words, check=False)

    run.folder = cloud.folder
    return run


WRONG = [
    ("colour: red\n", "1:1", "allowed are name, currency"),
    ("rates: {gib: 3}\n", "1:14", "rates.gib.host, rates.gib.zone"),
    ("rate: {call: 1}\n", "1:1", 'unknown setting "rate"'),
    ("head_timeout: 5s\n", "1:1", 'did you mean "http.head_timeout"'),
    ("workers: 1\nwokers: 2\n", "2:1", 'did you mean "workers"'),
    ("durability: always\n", "1:13", "allowed: interval, answer"),
    ("trusted_proxies: 10.0.0.0/8\n", "1:18", "a list is needed"),
    ("trusted_proxies: [unix, 10.0.0.0/33]\n", "1:25", "behind / 0 to 32 is needed"),
    ("trusted_proxies:\n  - 10.0.0.1/8\n", "2:5", "bits set behind its /8"),
    ("trusted_proxies: [proxy.example.com]\n", "1:19", "is no address such as"),
    ("trusted_proxies: [{}]\n", "1:19", "an address, a block such as"),
    ("trusted_fields: x-real-ip\n", "1:17", "allowed: x-forwarded, forwarded"),
    ("", "1:1", "the file is empty"),
    ("", "1:1", ""),
]


@pytest.mark.parametrize("text, place, word", WRONG, ids=[text.strip() for text, *_ in WRONG])
def test_what_is_wrong_is_told_with_its_place(config, text, place, word):
    done = config(text, "check")
    assert done.returncode == 1 and done.stdout == ""
    assert f"cloud.yaml:{place}: " in done.stderr and word in done.stderr, done.stderr
    shown = config(text, "show")
    assert shown.returncode == 1 and shown.stdout == "" and shown.stderr.endswith(
        done.stderr.split(": ", 1)[1])


def test_a_file_elsewhere_and_a_folder_are_checked_alike(config, tmp_path):
    config("name: x\n", "check")
    other = tmp_path / "other.yaml"
    other.write_text("fee: 4%\n")
    for path in (config.folder, config.folder / "cloud.yaml", other):
        done = config("name: x\n", "check", path)
        assert done.returncode == 0 and str(path) in done.stdout
    done = config("name: x\n", "check", tmp_path / "none.yaml")
    assert done.returncode == 1 and "none.yaml" in done.stderr
    assert sorted(path.name for path in config.folder.iterdir()) == ["cloud.yaml"]


def test_show_tells_every_setting_and_where_it_was_set(config):
    text = ("name: shop\nrates:\n  call: 0.01\ngateway: [127.0.0.1:1, unix:/x]\n"
            "trusted_proxies: [unix, fd00::/8]\n")
    rows = json.loads(config(text, "show", "--json").stdout)["settings"]
    found = [(row["name"], row["value"], row["origin"], row["line"]) for row in rows]
    assert ("name", "shop", "file", 1) in found
    assert ("rates.call", "0.01", "file", 3) in found
    assert ("fee", "3%", "default", 0) in found
    assert [row for row in found if row[0] == "gateway"] == [
        ("gateway", "127.0.0.1:1", "file", 4), ("gateway", "unix:/x", "file", 4)]
    assert [row[1:] for row in found if row[0] == "trusted_proxies"] == [
        ("unix", "file", 5), ("fd00::/8", "file", 5)]
    printed = config(text, "show").stdout
    assert len(printed.splitlines()) == len(rows)
    assert all(row["name"] in printed for row in rows)


@pytest.mark.parametrize("words", [["check", "--nonsense"], ["check", "a", "b"], ["shwo"], [],
                                   ["show", "--cloud"]])
def test_wrong_usage_exits_2(config, words):
    done = config("name: x\n", *words)
    assert done.returncode == 2 and done.stdout == ""
    assert "--help" in done.stderr or "stoa help" in done.stderr
