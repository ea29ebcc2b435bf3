"""The test runner counts right, and does not call nothing a success."""

import importlib.machinery
import importlib.util
import sys

import pytest
import tree


def load():
    path = str(tree.ROOT / "tests" / "support" / "run_checks")
    loader = importlib.machinery.SourceFileLoader("run_checks", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_checks", loader))
    sys.modules["run_checks"] = module
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


checks = load()


def entry(result, stdout="", stderr="", status=0):
    return {"name": "stoa:unit / base/amount", "result": result, "stdout": stdout,
            "stderr": stderr, "returncode": status}


PASSING = ("[==========] Running 2 test(s).\n[ RUN      ] add_is_exact\n[       OK ] add_is_exact\n"
           "[ RUN      ] add_refuses_overflow\n[       OK ] add_refuses_overflow\n"
           "[==========] 2 test(s) run.\n[  PASSED  ] 2 test(s).\n")
FAILING = ("[ RUN      ] add_is_exact\n[       OK ] add_is_exact\n[ RUN      ] halves\n"
           "[  ERROR   ] --- 1 != 2\n[   LINE   ] --- amount_test.c:9: error: Failure!\n"
           "[  FAILED  ] halves\n[==========] 2 test(s) run.\n[  PASSED  ] 1 test(s).\n"
           "[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] halves\n\n 1 FAILED TEST(S)\n")


def test_unit_tests_are_counted_by_function():
    tally = checks.tally_of_unit_test(entry("OK", PASSING))
    assert (tally.passed, tally.failed, tally.skipped) == (2, [], [])


def test_a_failed_function_is_named_and_shown_in_full():
    tally = checks.tally_of_unit_test(entry("FAIL", "", FAILING, 1))
    assert tally.passed == 1 and len(tally.failed) == 1
    name, text = tally.failed[0]
    assert name == "base/amount: halves" and "amount_test.c:9" in text


def test_an_executable_that_dies_after_its_last_success_has_failed():
    tally = checks.tally_of_unit_test(entry("FAIL", PASSING, "LeakSanitizer: 8 bytes", 1))
    assert tally.passed == 2 and len(tally.failed) == 1
    assert "LeakSanitizer" in tally.failed[0][1]


@pytest.mark.parametrize("result", ["TIMEOUT", "ERROR", "INTERRUPT"])
def test_any_other_end_has_failed(result):
    assert len(checks.tally_of_unit_test(entry(result)).failed) == 1


def test_a_test_without_functions_counts_as_one():
    assert checks.tally_of_unit_test(entry("OK", "fine\n")).passed == 1


def test_skipped_functions_are_counted():
    output = "[ RUN      ] uring\n[  SKIPPED ] uring\n[       OK ] epoll\n"
    tally = checks.tally_of_unit_test(entry("OK", output))
    assert tally.passed == 1 and tally.skipped == [("base/amount uring", "")]


def test_a_pytest_report_is_counted_and_failures_keep_their_text(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="a" name="good"/>'
        '<testcase classname="a" name="bad"><failure message="m">why it failed</failure>'
        "<system-out>it said</system-out></testcase>"
        '<testcase classname="a" name="broken"><error message="m">fixture</error></testcase>'
        '<testcase classname="a" name="no"><skipped message="no uring"/></testcase>'
        "</testsuite></testsuites>")
    tally = checks.tally_of_junit(report)
    assert tally.passed == 1 and tally.skipped == [("a.no", "no uring")]
    assert tally.failed == [("a.bad", "why it failed\nit said"), ("a.broken", "fixture")]


def test_the_last_line_and_the_exit_status_tell_the_same():
    assert checks.Tally(passed=3).line() == "stoa: 3 passed, 0 failed, 0 skipped"
    assert checks.Tally(passed=3).exit_status() == 0
    assert checks.Tally(passed=3, failed=[("a", "")]).exit_status() == 1
    assert checks.Tally(skipped=[("a", "")]).exit_status() == 1
    assert checks.Tally().exit_status() == 1


def test_a_command_that_fails_is_heard(tmp_path):
    status, output = checks.run(["sh", "-c", "echo told; exit 3"], tmp_path / "log", show=False)
    assert (status, output) == (3, "told\n")
    assert (tmp_path / "log").read_text() == "told\n"


def test_a_route_that_no_test_called_has_failed(tmp_path):
    nothing = checks.check_routes(tmp_path)
    routes = [route for route, _ in nothing.failed]
    assert nothing.passed == 0 and "GET /v1/status" in routes
    (tmp_path / "1").write_text("GET /v1/status 200\nGET /v1/status 401\n")
    (tmp_path / "2").write_text("".join(f"{route} 200\n" for route in routes[2:]))
    some = checks.check_routes(tmp_path)
    assert [route for route, _ in some.failed] == [
        route for route in routes[:2] if route != "GET /v1/status"]
