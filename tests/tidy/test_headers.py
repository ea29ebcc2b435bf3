"""Every header compiles alone, with both compilers, and holds no mutable state."""

import re
import subprocess

import pytest
import tree

COMPILE = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
           "-Isrc", "-isystem", "/usr/share/include/llhttp", "-x", "c", "-"]
HEADERS = sorted(tree.sources(".h"))


def complaint_about_header(compiler, text):
    result = subprocess.run([compiler, *COMPILE], input=text, cwd=tree.ROOT, capture_output=True,
                            text=True)
    return result.stderr if result.returncode else ""


MUTABLE_EXTERN = re.compile(r"^[ \t]*extern\b(?![^;(]*\bconst\b)[^;(]*;", re.MULTILINE)


def complaints_about_externs(files):
    """Functions need no extern, and data that others see is constant."""
    return [f"{path}:{tree.line_of(code, match.start())}: mutable extern; hand the state down"
            for path, text in files.items()
            for code in [tree.code_of(text)] for match in MUTABLE_EXTERN.finditer(code)]


def complaints_about_guards(files):
    return [f"{path}: no #pragma once" for path, text in files.items()
            if "#pragma once" not in text]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("header", HEADERS)
def test_header_compiles_alone(header, compiler):
    complaint = complaint_about_header(compiler, f'#include "{header.removeprefix("src/")}"\n')
    assert not complaint, complaint


def test_no_header_shows_mutable_state():
    complaints = complaints_about_externs(tree.sources(".h", ".c"))
    assert not complaints, tree.told(complaints)


def test_every_header_may_be_included_twice():
    complaints = complaints_about_guards(tree.sources(".h"))
    assert not complaints, tree.told(complaints)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_header_checker_finds_a_missing_include(compiler):
    assert complaint_about_header(compiler, "uint32_t ledger_count(void);\n")
    assert not complaint_about_header(compiler, "#include <stdint.h>\nuint32_t count(void);\n")


def test_the_extern_checker_finds_mutable_data_only():
    files = {"src/base/log.h": "extern int log_level;\nextern const char *const names[];\n"
                               "/* extern int old; */\nextern int twice(int value);\n"}
    complaints = complaints_about_externs(files)
    assert len(complaints) == 1 and complaints[0].startswith("src/base/log.h:1:")


def test_the_guard_checker_finds_a_missing_guard():
    assert complaints_about_guards({"src/base/log.h": "int log_level(void);\n"})
