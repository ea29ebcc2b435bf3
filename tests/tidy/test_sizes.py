"""A function fits a screen, a file has one subject, a line 100 columns."""

import re

import tree

FUNCTION_LINES_MAX = 80  # 70 is the aim
FILE_LINES_MAX = 600
COLUMNS_MAX = 100
README_LINES_MAX = 40


def functions_of(text):
    """[(line, name, lines)] of the functions of a C file as clang-format lays them out: the body's
    braces stand in the first column."""
    lines = tree.code_of(text).splitlines()
    found = []
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            found.append((start, name_before(lines, start - 1), number - start + 1))
            start = None
    return found


def name_before(lines, end):
    """The name of the function whose body opens after lines[:end]."""
    head = ""
    for line in reversed(lines[:end]):
        head = line + "\n" + head
        match = re.match(r"\S.*?\b(\w+)\s*\(", head)
        if match and not line[:1].isspace():
            return match.group(1)
    return "?"


def complaints_about_functions(files):
    return [f"{path}:{line}: {name} has {count} lines, more than {FUNCTION_LINES_MAX}"
            for path, text in files.items() for line, name, count in functions_of(text)
            if count > FUNCTION_LINES_MAX]


def complaints_about_files(files):
    return [f"{path}: {len(text.splitlines())} lines, more than {FILE_LINES_MAX}"
            for path, text in files.items() if len(text.splitlines()) > FILE_LINES_MAX]


# A table is laid out by hand where clang-format is told to keep off.
HAND_LAID = re.compile(r"/\* clang-format off.*?\*/.*?/\* clang-format on \*/", re.DOTALL)


def complaints_about_lines(files):
    complaints = []
    for path, text in files.items():
        text = HAND_LAID.sub(lambda table: "\n" * table.group().count("\n"), text)
        for number, line in enumerate(text.splitlines(), 1):
            columns = len(line.expandtabs(8))
            if columns > COLUMNS_MAX:
                complaints.append(f"{path}:{number}: {columns} columns, more than {COLUMNS_MAX}")
    return complaints


def complaints_about_readmes(files):
    """`files` is {path: text or None} of all files below src/."""
    complaints = []
    for folder in sorted({path.split("/")[1] for path in files
                          if path.endswith(".c") and path != tree.PROGRAM}):
        text = files.get(f"src/{folder}/README.md")
        if text is None:
            complaints.append(f"src/{folder}: no README.md")
        elif len(text.splitlines()) > README_LINES_MAX:
            complaints.append(f"src/{folder}/README.md: more than {README_LINES_MAX} lines")
    return complaints


def c_files():
    return {path: text for folder in ("src", "examples", "tests")
            for path, text in tree.sources(".c", ".h", under=folder).items()}


def test_functions_fit_a_screen():
    complaints = complaints_about_functions(c_files())
    assert not complaints, tree.told(complaints)


def test_files_have_one_subject():
    complaints = complaints_about_files({**c_files(), **tree.sources(".py", under="tests")})
    assert not complaints, tree.told(complaints)


def test_lines_fit_the_columns():
    complaints = complaints_about_lines({**c_files(), **tree.sources(".py", under="tests")})
    assert not complaints, tree.told(complaints)


def test_every_folder_has_a_short_readme():
    complaints = complaints_about_readmes(tree.sources(".c", ".md"))
    assert not complaints, tree.told(complaints)


def test_the_function_checker_finds_the_long_one_and_its_name():
    body = "\twork();\n" * 90
    text = ("static int short_one(void)\n{\n\treturn 0;\n}\n\n"
            f"int ledger_long_one(int a,\n\t\t    int b)\n{{\n{body}}}\n")
    complaints = complaints_about_functions({"src/ledger/a.c": text})
    assert len(complaints) == 1 and "ledger_long_one has 92 lines" in complaints[0]


def test_the_file_checker_finds_the_long_one():
    assert complaints_about_files({"a.c": "\n" * 601})
    assert not complaints_about_files({"a.c": "\n" * 600})


def test_the_line_checker_counts_a_tab_as_eight():
    assert complaints_about_lines({"a.c": "\t" + "x" * 93})
    assert not complaints_about_lines({"a.c": "\t" + "x" * 92})
    table = "/* clang-format off */\n" + "x" * 101 + "\n/* clang-format on */\n"
    assert not complaints_about_lines({"a.c": table})
    assert complaints_about_lines({"a.c": table + "x" * 101})[0].startswith("a.c:4:")


def test_the_readme_checker_finds_a_missing_and_a_long_one():
    files = {"src/base/a.c": "", "src/loop/b.c": "", "src/loop/README.md": "x\n" * 41}
    assert len(complaints_about_readmes(files)) == 2
