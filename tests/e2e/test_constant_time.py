"""Nothing of a secret is told by how long it takes: no branch and no address depends on it.

valgrind finds what does (tests/constant_time); a program whose comparison stops at the first byte
that differs shows that it would be found.
"""

import subprocess

import pytest
from cloud import ROOT

PROGRAMS = ROOT / "build" / "tests" / "constant_time"
FOUND = 99
CASES = ["key", "checksum", "digest", "directory"]


def run(program, case):
    assert (PROGRAMS / program).exists(), \
        "it is built where valgrind's headers are: scripts/bootstrap installs them"
    return subprocess.run(
        ["valgrind", "-q", f"--error-exitcode={FOUND}",
         f"--suppressions={ROOT}/tests/constant_time/constant_time.supp",
         PROGRAMS / program, case], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("case", CASES)
def test_secrets_are_compared_in_constant_time(case):
    done = run("constant_time", case)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", CASES)
def test_a_comparison_that_stops_early_is_found(case):
    done = run("constant_time_leaky", case)
    assert done.returncode == FOUND, done.stderr
    assert "depends on uninitialised value" in done.stderr and "secret_equal" in done.stderr
