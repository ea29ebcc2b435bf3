"""What is not used, and what to use instead."""

import fnmatch
import re

import tree

# function: what to use instead
BANNED = {
    "strcpy": "base/text.h, or memcpy with a length that was checked",
    "strncpy": "base/text.h, or memcpy with a length that was checked",
    "stpcpy": "base/text.h, or memcpy with a length that was checked",
    "strcat": "text_append of base/text.h",
    "strncat": "text_append of base/text.h",
    "sprintf": "snprintf, or text_printf of base/text.h",
    "vsprintf": "vsnprintf, or text_printf of base/text.h",
    "gets": "the disk seam of base/disk.h",
    "atoi": "units_parse_count of base/units.h",
    "atol": "units_parse_count of base/units.h",
    "atoll": "units_parse_count of base/units.h",
    "atof": "units_parse_decimal of base/units.h",
    "strtok": "the slices of base/slice.h",
    "strtok_r": "the slices of base/slice.h",
    "alloca": "base/arena.h",
    "rand": "base/random.h",
    "srand": "base/random.h",
    "random": "base/random.h",
    "rand_r": "base/random.h",
    "drand48": "base/random.h",
    "vfork": "base/spawn.h",
    "sleep": "a timer of the loop, or waiting for the event",
    "usleep": "a timer of the loop, or waiting for the event",
    "nanosleep": "a timer of the loop, or waiting for the event",
    "signal": "sigaction, or the loop's signals",
    "localtime": "clock_format_wall of base/clock.h (UTC)",
    "gmtime": "clock_format_wall of base/clock.h",
    "ctime": "clock_format_wall of base/clock.h",
    "asctime": "clock_format_wall of base/clock.h",
}
# function: (folders that may use it, what the others use)
CONFINED = {
    **{name: ({"base"}, "units_parse_... of base/units.h")
       for name in ("strtol", "strtoll", "strtoul", "strtoull", "strtod", "strtof", "strtold",
                    "strtoimax", "strtoumax", "scanf", "sscanf", "fscanf")},
    **{name: ({"base", "loop"}, "the clock that was handed in (base/clock.h)")
       for name in ("time", "clock_gettime", "gettimeofday", "clock")},
    **{name: ({"base"}, "the random source that was handed in (base/random.h)")
       for name in ("getrandom", "getentropy", "randombytes_buf", "randombytes_random",
                    "randombytes_uniform")},
    **{name: ({"base"}, "base/spawn.h")
       for name in ("fork", "execv", "execve", "execvp", "execvpe", "posix_spawn", "system",
                    "popen")},
    "abort": ({"base"}, "check of base/check.h"),
    "assert": (set(), "check of base/check.h, which stays in release builds"),
}
# Files that a call passes through once it is set up; an allocation here would be one per call.
# What allocates on behalf of a connection, a worker or a snapshot stands in other files.
CALL_PATH = tree.read("tests/tidy/call_path.txt")
ALLOCATING = {"malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup",
              "asprintf"}
MONEY_FOLDERS = ("rating", "ledger", "billing")


def call_expression(names):
    """A call of one of the names; a member (`->free(`) or a declaration's own word is none."""
    words = "|".join(sorted(names))
    return re.compile(rf"(?<![\w.>])({words})\s*\(")


def is_test(path):
    """A test, or what the tests of a folder share."""
    return re.search(r"(_test|/rig|_rig|/testing)\.c$", path) is not None


def complaints_about_calls(files, names, sentence):
    pattern = call_expression(names)
    complaints = []
    for path, text in files.items():
        code = tree.code_of(text)
        for match in pattern.finditer(code):
            where = f"{path}:{tree.line_of(code, match.start())}"
            complaints.append(f"{where}: {match.group(1)}: {sentence(match.group(1))}")
    return complaints


def complaints_about_banned(files):
    return complaints_about_calls(files, BANNED, lambda name: f"use {BANNED[name]}")


def complaints_about_confined(files):
    """Tests may ask the system for numbers, time and processes; what they test may not."""
    complaints = []
    for name, (folders, instead) in CONFINED.items():
        elsewhere = {path: text for path, text in files.items()
                     if path.split("/")[1] not in folders and not is_test(path)}
        complaints += complaints_about_calls(elsewhere, [name], lambda _: f"use {instead}")
    return complaints


def parse_call_path(text):
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def complaints_about_call_path(files, patterns):
    on_path = {path: text for path, text in files.items() if not is_test(path)
               and any(fnmatch.fnmatch(path, pattern) for pattern in patterns)}
    return complaints_about_calls(on_path, ALLOCATING,
                                  lambda _: "a call allocates nothing; use the arena of its "
                                            "connection (base/arena.h)")


def complaints_about_patterns(files, patterns):
    """Every pattern names a file, once its folder has code."""
    folders = {path.split("/")[1] for path in files if path.endswith(".c")}
    return [f"tests/tidy/call_path.txt: {pattern} names no file" for pattern in patterns
            if pattern.split("/")[1] in folders
            and not any(fnmatch.fnmatch(path, pattern) for path in files)]


def complaints_about_floats(files):
    complaints = []
    for path, text in files.items():
        code = tree.code_of(text)
        if path.split("/")[1] in MONEY_FOLDERS:
            complaints += [f"{path}:{tree.line_of(code, match.start())}: {match.group(0)}: money "
                           "is integer nano; use base/amount.h"
                           for match in re.finditer(r"\b(float|double)\b|\b\d+\.\d+\b", code)]
    return complaints


def complaints_about_leftovers(files):
    marks = "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"])
    return [f"{path}:{tree.line_of(text, match.start())}: {match.group()}: finish it or file it"
            for path, text in files.items() for match in re.finditer(rf"\b({marks})\b", text)]


def complaints_about_machine_paths(files):
    places = "|".join(["/wo" + "rk/", "/ro" + "ot/", "/ho" + r"me/\w+", "/tmp/st" + "oa-pl"])
    return [f"{path}:{tree.line_of(text, match.start())}: {match.group()}: a path of one machine"
            for path, text in files.items()
            for match in re.finditer(rf"(?<![\w.])({places})", text)]


TEXT_SUFFIXES = {"", ".build", ".c", ".css", ".h", ".html", ".ini", ".js", ".json", ".md", ".py",
                 ".sh", ".sql", ".ts", ".tsx", ".txt", ".yaml"}


def text_files():
    return {str(path): tree.read(path) for path in tree.tracked()
            if path.suffix in TEXT_SUFFIXES and path.name != "LICENSE"}


def test_no_banned_function_is_called():
    complaints = complaints_about_banned(
        {path: text for top in ("src", "tests", "examples")
         for path, text in tree.sources(".c", ".h", under=top).items()})
    assert not complaints, tree.told(complaints)


def test_time_randomness_numbers_and_processes_come_through_base():
    complaints = complaints_about_confined(tree.sources(".c", ".h"))
    assert not complaints, tree.told(complaints)


def test_the_call_path_allocates_nothing():
    complaints = complaints_about_call_path(tree.sources(".c", ".h"), parse_call_path(CALL_PATH))
    assert not complaints, tree.told(complaints)


def test_the_list_of_the_call_path_names_files_that_are_there():
    complaints = complaints_about_patterns(tree.sources(".c", ".h"), parse_call_path(CALL_PATH))
    assert not complaints, tree.told(complaints)


def test_money_is_never_floating_point():
    complaints = complaints_about_floats(tree.sources(".c", ".h"))
    assert not complaints, tree.told(complaints)


def test_nothing_is_left_for_later():
    complaints = complaints_about_leftovers(text_files())
    assert not complaints, tree.told(complaints)


def test_no_file_names_a_path_of_one_machine():
    complaints = complaints_about_machine_paths(text_files())
    assert not complaints, tree.told(complaints)


def test_every_banned_function_is_found_and_its_replacement_told():
    for name, instead in BANNED.items():
        complaints = complaints_about_banned({"src/base/a.c": f"\n\tx = {name}(y);\n"})
        assert len(complaints) == 1 and instead in complaints[0] and ":2:" in complaints[0]


def test_members_comments_strings_and_longer_names_are_not_calls():
    text = '/* strcpy(a, b) */ x = "atoi(1)"; a->rand(b); a.system(c); my_sleep(1); snprintf(a);'
    assert not complaints_about_banned({"src/base/a.c": text})


def test_confined_functions_are_found_outside_their_folders_only():
    text = "clock_gettime(CLOCK_REALTIME, &now); n = strtoull(text, &end, 10); assert(n);"
    assert len(complaints_about_confined({"src/ledger/a.c": text})) == 3
    assert len(complaints_about_confined({"src/base/a.c": text})) == 1
    assert len(complaints_about_confined({"src/ledger/a_test.c": text})) == 0


def test_allocation_is_found_on_the_call_path_only():
    text = "p = malloc(n); free(p); pool->free(p);"
    patterns = ["src/gateway/ad*.c"]
    assert len(complaints_about_call_path({"src/gateway/admit.c": text}, patterns)) == 2
    assert not complaints_about_call_path({"src/gateway/open.c": text}, patterns)


def test_a_pattern_that_names_no_file_is_found():
    files = {"src/gateway/call.c": ""}
    assert complaints_about_patterns(files, ["src/gateway/old.c"])
    assert not complaints_about_patterns(files, ["src/gateway/ca*.c", "src/journal/append.c"])


def test_floats_are_found_where_money_is():
    text = "double price = 0.5; /* 0.5 */ float f;"
    assert len(complaints_about_floats({"src/rating/a.c": text})) == 3
    assert not complaints_about_floats({"src/scaling/a.c": text})


def test_leftovers_and_machine_paths_are_found():
    assert complaints_about_leftovers({"a.md": "one\nTO" + "DO: two"})[0].startswith("a.md:2:")
    assert complaints_about_machine_paths({"a.md": "see /wo" + "rk/main"})
    assert complaints_about_machine_paths({"a.md": "see /ho" + "me/ada/x"})
    assert not complaints_about_machine_paths({"a.md": "my-home/x and a/work/b and net/root/"})
