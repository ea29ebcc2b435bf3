"""Nothing lies dead: every source is in its folder's build file and every test file is run."""

import re
import subprocess

import tree


def complaints_about_dead_sources(sources, builds):
    """`sources`: paths of .c files; `builds`: {"src/folder/meson.build": text}. A file is named
    with its path below its folder, with or without the suffix."""
    complaints = []
    for path in sources:
        top, folder, *rest = path.split("/")
        build = f"{top}/{folder}/meson.build" if rest else "meson.build"
        name = "/".join(rest) or path
        quoted = set(re.findall(r"'([^'\n]*)'", builds.get(build, "")))
        if not quoted & {name, name.removesuffix(".c")}:
            complaints.append(f"{path}: dead: {build} does not name it")
    return complaints


def complaints_about_tests_not_collected(paths):
    """pytest collects test_*.py only."""
    return [f"{path}: holds tests but is not called test_*.py"
            for path, text in paths.items()
            if not path.split("/")[-1].startswith("test_")
            and re.search(r"^def test_", text, re.MULTILINE)]


def test_every_source_is_built():
    for top in ("src", "examples"):
        builds = {str(path): tree.read(path) for path in tree.tracked()
                  if path.match(f"{top}/*/meson.build") or str(path) == "meson.build"}
        complaints = complaints_about_dead_sources(tree.sources(".c", under=top), builds)
        assert not complaints, tree.told(complaints)


def test_every_python_test_is_collected():
    complaints = complaints_about_tests_not_collected(tree.sources(".py", under="tests"))
    assert not complaints, tree.told(complaints)


def test_python_test_files_have_names_of_their_own():
    names = [path.split("/")[-1] for path in tree.sources(".py", under="tests")
             if path.split("/")[-1].startswith("test_")]
    assert len(names) == len(set(names)), sorted(names)


def test_the_dead_source_checker_finds_dead_ones():
    sources = ["src/base/a.c", "src/base/a_test.c", "src/base/old.c", "src/none/b.c"]
    builds = {"src/base/meson.build": "static_library('base', 'a.c')\nforeach n : ['a_test']\n"}
    complaints = complaints_about_dead_sources(sources, builds)
    assert [text.split(":")[0] for text in complaints] == ["src/base/old.c", "src/none/b.c"]


def test_the_collection_checker_finds_a_misnamed_file():
    assert complaints_about_tests_not_collected({"tests/api/accounts.py": "def test_it():\n"})
    assert not complaints_about_tests_not_collected({"tests/api/test_a.py": "def test_it():\n"})


def test_bootstrap_lists_every_package_with_what_it_is_for():
    script = tree.ROOT / "scripts" / "bootstrap"
    run = subprocess.run([script, "--list"], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    lines = [line for line in run.stdout.splitlines() if line]
    wrong = [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]* +\| \S.*", line)]
    assert len(lines) > 20 and not wrong, tree.told(wrong)
    names = [line.split()[0] for line in lines]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, tree.told(sorted(twice))
