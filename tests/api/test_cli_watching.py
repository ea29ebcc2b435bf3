"""What the command line shows of a cloud at work: usage, changes, metrics, logs; and a publication
that is only tried."""

import json
import os
import re
import subprocess

import pytest
import yaml
from cloud import STOA, upstream_manifest


@pytest.fixture(scope="module")
def used(town):
    """acme/shop called echo three times and acme/desk once."""
    town.desk_key = town.app_with_key("acme/desk")
    town.subscribe("acme/desk", "echo")
    for key, body in ((town.shop_key, b"abc"),) * 3 + ((town.desk_key, b""),):
        assert town.call("echo", "/x", key, method="POST", content=body).status_code == 200
    town.wait_until_posted()
    return town


def rows_of(text):
    """The words of a table's rows, by the heading's; apart by two spaces or more."""
    head, *rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    return [dict(zip(head, row)) for row in rows]


# ---- usage


def test_usage_shows_a_single_service_step_by_step(used):
    text = used.cli("usage").stdout
    heading, series, points = text.split("\n\n")
    assert re.fullmatch(r"calls from .* UTC to .* UTC, by the hour", heading)
    row, = rows_of(series)
    assert (row["SERVICE"], row["APP"], row["CALLS"], row["ERRORS"]) == ("echo", "all", "4", "0")
    assert row["IN"] == "9 B" and row["TREND"].strip() == "█"
    for column in ("P50", "P90", "P99"):
        assert re.fullmatch(r"\d+(\.\d)? (us|ms|s)", row[column])
    shown = rows_of(points)
    assert sum(int(row["CALLS"]) for row in shown) == 4
    assert any(line.endswith("█" * 24) for line in points.splitlines())


def test_usage_tells_apps_apart_and_sums_them(used):
    rows = rows_of(used.cli("usage", "--account", "acme").stdout.split("\n\n")[1])
    assert {row["APP"]: row["CALLS"] for row in rows if row["SERVICE"] == "echo"} == {
        "acme/shop": "3", "acme/desk": "1"}
    assert rows[-1]["SERVICE"] == "total"


def test_usage_as_json_is_what_the_api_answers(used):
    arguments = {"account": "acme", "app": "acme/desk", "service": "echo", "step": "day",
                 "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
    line = [word for name, value in arguments.items() for word in (f"--{name}", value)]
    assert used.json("usage", *line) == used.ask("GET", "/v1/usage", params=arguments)
    assert used.cli("usage", *line).stdout.endswith("\n\nnone\n")


@pytest.mark.parametrize("arguments,words", [
    (["--service", "ecko"], "echo"), (["--step", "week"], "minute"), (["--from", "now"], "from")],
    ids=" ".join)
def test_usage_that_cannot_be_told_is_refused(used, arguments, words):
    done = used.cli("usage", *arguments, check=False)
    assert done.returncode == 1 and words in done.stderr and done.stdout == ""


# ---- changes


def test_changes_tell_who_did_what(town):
    rows = rows_of(town.cli("changes", "--kind", "account", "--name", "acme").stdout)
    assert [row["OPERATION"] for row in rows] == ["accounts_create", "accounts_fund"]
    assert all(re.fullmatch(r"admin:[0-9a-f]{8}", row["WHO"]) for row in rows)
    assert "funded=10.00" in rows[1]["FACTS"]


def test_changes_as_json_are_one_a_line_and_longer_than_a_page(town):
    town.ask("POST", "/v1/apps", {"account": "acme", "name": "busy"})
    for _ in range(2):
        town.ask("POST", "/v1/keys", {"app": "acme/busy", "count": 600})
    listed = town.items("/v1/changes", limit=1000)
    assert town.json_lines("changes", "--json") == listed


def test_changes_of_no_kind_are_refused(town):
    assert "service" in town.cli("changes", "--kind", "servic", check=False).stderr


# ---- metrics


def test_metrics_are_a_table_of_what_has_the_word(town):
    rows = rows_of(town.cli("metrics", "journal_records").stdout)
    assert rows and {row["METRIC"] for row in rows} == {"stoa_journal_records_total"}
    assert any('stage="written"' in row["LABELS"] for row in rows)
    assert "_bucket" not in town.cli("metrics").stdout


def test_metrics_as_json_have_every_sample_of_the_page(town):
    page = town.cli("metrics", "--page").stdout
    assert page.startswith("# HELP ")
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    samples = town.json("metrics")
    assert [sample["metric"] for sample in samples] == [re.split("[{ ]", line)[0]
                                                        for line in lines]
    for line, sample in zip(lines, samples):
        labels = ",".join(f"{name}={json.dumps(value)}"
                          for name, value in sample["labels"].items())
        name = sample["metric"] + (f"{{{labels}}}" if labels else "")
        assert line.startswith(f"{name} ") and re.fullmatch(r"-?\d+(\.\d+)?", sample["value"])


# ---- logs


def test_logs_are_followed_until_nobody_reads(town):
    log = town.folder / "log" / "echo.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("zero\none\n")
    following = subprocess.Popen([STOA, "logs", "echo", "--follow", "-n", "1"],
                                 stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "STOA_CLOUD": str(town.folder)})
    assert following.stdout.readline() == "one\n"
    for word in ("two", "three"):
        with log.open("a") as file:
            file.write(f"{word}\n")
        assert following.stdout.readline() == f"{word}\n"
    following.stdout.close()
    assert following.wait(60) == 0
    log.unlink()


def test_logs_are_followed_as_json_until_the_cloud_ends(clouds, upstreams):
    cloud = clouds()
    cloud.account("globex")
    cloud.publish(upstream_manifest("echo", upstreams().address), "globex")
    following = subprocess.Popen([STOA, "logs", "echo", "--follow", "--json"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 env={**os.environ, "STOA_CLOUD": str(cloud.folder)})
    assert json.loads(following.stdout.readline())["lines"] == []
    (cloud.folder / "log" / "echo.log").write_text("one\ntwo\n")
    assert json.loads(following.stdout.readline())["lines"] == ["one", "two"]
    cloud.stop()
    _, told = following.communicate(timeout=60)
    assert following.returncode == 1 and "stoa serve" in told


# ---- a publication that is only tried


def test_a_tried_publication_tells_what_it_would_do_and_does_nothing(town, tmp_path):
    manifest = upstream_manifest("tried", town.upstream.address)
    file = tmp_path / "service.yaml"

    def tried():
        file.write_text(yaml.safe_dump(manifest))
        return town.cli("publish", file, "--as", "globex", "--dry-run").stdout

    assert tried() == "tried 1.0.0 would be published\n  plan payg version 1: new\n"
    town.ask("GET", "/v1/services/tried", expected=[404])
    town.cli("publish", file, "--as", "globex")
    assert tried().startswith("tried 1.0.0 is published already; nothing would change\n")
    manifest["version"] = "1.1.0"
    assert tried().startswith("tried 1.1.0 would be published anew\n")
    assert town.ask("GET", "/v1/services/tried")["version"] == "1.0.0"
    file.write_text("service: tried\nversion: [\n")
    refused = town.cli("publish", file, "--as", "globex", "--dry-run", check=False)
    assert refused.returncode == 1 and re.match(re.escape(f"{file}:"), refused.stderr)
