"""The tables of bad inputs keep their number, and each class of ambiguity in HTTP is in them."""

import ast

import tree

# file: its tables
TABLES = {
    "tests/support/ambiguities.py": ["REFUSED", "PASSED"],
    "tests/wire/test_bad_requests.py": ["UNWELCOME"],
    "tests/wire/test_bad_frames.py": ["REFUSED", "ODD"],
    "tests/wire/test_bad_answers.py": ["INVALID", "BROKEN", "UNITS"],
    "tests/e2e/test_bad_input.py": ["MANIFESTS", "WRONG_USAGE", "REFUSED", "CONFIGS"],
    "tests/e2e/test_bad_bills.py": ["LIES"],
    "tests/e2e/test_bad_folders.py": ["MANIFESTS", "LOGS"],
    "tests/api/test_api_problems.py": ["BAD_BODIES", "BAD_QUERIES"],
}
ROWS_LEAST = 600
# class: (file, table, the row that shows it)
REQUESTS, ANSWERS = "tests/support/ambiguities.py", "tests/wire/test_bad_answers.py"
CLASSES = {
    "Content-Length beside Transfer-Encoding": (REQUESTS, "REFUSED", "length and chunked"),
    "Transfer-Encoding beside Content-Length": (REQUESTS, "REFUSED", "chunked and length"),
    "two lengths": (REQUESTS, "REFUSED", "two lengths"),
    "a list of lengths": (REQUESTS, "REFUSED", "list of lengths"),
    "a length that is no number": (REQUESTS, "REFUSED", "length 0x5"),
    "a length beyond 64 bits": (REQUESTS, "REFUSED", "length 2^64+5"),
    "a coding that only looks like chunked": (REQUESTS, "REFUSED", "xchunked"),
    "chunked not last": (REQUESTS, "REFUSED", "chunked, identity"),
    "chunked in HTTP/1.0": (REQUESTS, "REFUSED", "chunked in HTTP/1.0"),
    "a chunk's size that is no number": (REQUESTS, "REFUSED", "chunk size 0x5"),
    "a chunk's size beyond 64 bits": (REQUESTS, "REFUSED", "chunk size of 17 digits"),
    "a large chunk extension": (REQUESTS, "REFUSED", "chunk extension of 1 MB"),
    "a bare CR within framing": (REQUESTS, "REFUSED", "CR in a chunk extension"),
    "a chunk that is not as long as told": (REQUESTS, "REFUSED", "chunk longer than its size"),
    "many trailers": (REQUESTS, "REFUSED", "a thousand trailers"),
    "a bare LF": (REQUESTS, "REFUSED", "LF everywhere"),
    "a bare CR": (REQUESTS, "REFUSED", "bare CR in a value"),
    "NUL": (REQUESTS, "REFUSED", "NUL in a value"),
    "a folded line": (REQUESTS, "REFUSED", "folded line"),
    "a space before the colon": (REQUESTS, "REFUSED", "space before the colon"),
    "an empty name": (REQUESTS, "REFUSED", "empty name"),
    "fields without end": (REQUESTS, "REFUSED", "100,000 fields"),
    "a field without end": (REQUESTS, "REFUSED", "value of 10 MB"),
    "absolute form against Host": (REQUESTS, "REFUSED", "absolute form of another host"),
    "two Hosts": (REQUESTS, "REFUSED", "two Hosts"),
    "another version": (REQUESTS, "REFUSED", "HTTP/1.2"),
    "another protocol": (REQUESTS, "REFUSED", "a TLS client"),
    "a target that is none": (REQUESTS, "REFUSED", "* with GET"),
    "a target without end": (REQUESTS, "REFUSED", "target of 1 MB"),
    "Expect in disguise": (REQUESTS, "REFUSED", "Expect in disguise"),
    "an answer framed twice": (ANSWERS, "INVALID", "length and chunked"),
    "an answer's bare LF": (ANSWERS, "INVALID", "bare LF"),
    "an answer's folded line": (ANSWERS, "INVALID", "folded line"),
    "a field split by a bare CR": (ANSWERS, "INVALID", "CR in a value"),
    "interim answers without end": (ANSWERS, "INVALID", "interim flood"),
    "101 unasked": (ANSWERS, "INVALID", "switched"),
    "an end within the body": (ANSWERS, "BROKEN", "closed within a chunk"),
    "a body shorter than told": (ANSWERS, "BROKEN", "length too long"),
}


def rows_of(path, table):
    """The rows of a module's table, without running the module."""
    for node in ast.parse(tree.read(path)).body:
        if isinstance(node, ast.Assign) and [target.id for target in node.targets
                                             if isinstance(target, ast.Name)] == [table]:
            return node.value.keys if isinstance(node.value, ast.Dict) else node.value.elts
    raise AssertionError(f"{path} has no table {table}")


def name_of(row):
    name = row.elts[0] if isinstance(row, ast.Tuple) else row
    return name.value if isinstance(name, ast.Constant) else None


def test_the_tables_of_bad_inputs_keep_their_number():
    counts = {(path, table): len(rows_of(path, table))
              for path, tables in TABLES.items() for table in tables}
    print(sum(counts.values()), counts)
    assert all(count >= 5 for count in counts.values()), counts
    assert sum(counts.values()) >= ROWS_LEAST, counts


def test_each_class_of_ambiguity_has_its_row():
    missing = [f"{what}: no row \"{row}\" in {table} of {path}"
               for what, (path, table, row) in CLASSES.items()
               if row not in [name_of(found) for found in rows_of(path, table)]]
    assert not missing, tree.told(missing)
