"""Who includes whom: layers.txt is obeyed, by includes and by the build."""

import re
from pathlib import PurePath

import tree

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)

# A library has one folder that speaks to it; the others speak to the folder.
LIBRARY_FOLDERS = {
    "liburing.h": {"loop"},
    "sys/epoll.h": {"loop"},
    "llhttp.h": {"http"},
    "nghttp2/nghttp2.h": {"http"},
    "sqlite3.h": {"store"},
    "libpq-fe.h": {"store"},
    "libfyaml.h": {"base"},
    "math.h": set(),
}


def folder_of(path):
    return PurePath(path).parts[1]


def complaints_about_includes(files, layers):
    """`files` is {"src/folder/file.c": text}."""
    complaints = []
    for path, text in files.items():
        if path == tree.PROGRAM:
            continue
        folder = folder_of(path)
        if folder not in layers:
            complaints.append(f"{path}: layers.txt does not know the folder {folder}")
            continue
        for match in INCLUDE.finditer(text):
            where = f"{path}:{tree.line_of(text, match.start(2))}"
            kind, name = match.groups()
            target = name.split("/")[0]
            if kind == "<":
                if folder not in LIBRARY_FOLDERS.get(name, {folder}) and not is_test(path):
                    complaints.append(f"{where}: {folder} includes <{name}>, which only "
                                      f"{sorted(LIBRARY_FOLDERS[name]) or 'nobody'} may")
            elif name.count("/") < 1 or target not in layers:
                complaints.append(f'{where}: "{name}" is not written "folder/file.h" from src/')
            elif target != folder and target not in layers[folder]:
                complaints.append(f"{where}: {folder} may not include {target} (layers.txt)")
            elif target != folder and name.endswith("_internal.h"):
                complaints.append(f"{where}: {name} is private to {target}")
    return complaints


def is_test(path):
    return path.endswith("_test.c")


def complaints_about_own_header(files):
    """x.c includes "folder/x.h" first, where there is one, so that x.h needs nothing before it;
    or the private header "folder/x_internal.h", or the folder's public one."""
    complaints = []
    for path, text in files.items():
        stem = path.removeprefix("src/").removesuffix(".c")
        folder = folder_of(path)
        own = [name for name in (f"{stem}.h", f"{stem}_internal.h") if f"src/{name}" in files]
        if path.endswith(".c") and own:
            first = INCLUDE.search(text)
            if not first or first.group(2) not in [*own, f"{folder}/{folder}.h"]:
                complaints.append(f'{path}: its first include is not its own header "{own[0]}"')
    return complaints


def complaints_about_order(layers):
    """Each folder may include only folders above it: so there is no cycle."""
    known = set()
    complaints = []
    for folder, allowed in layers.items():
        complaints += [f"layers.txt: {folder} may include {name}, which does not stand above it"
                       for name in allowed if name not in known]
        known.add(folder)
    return complaints


def folders_of_build(text):
    """The folders that src/meson.build builds, in order."""
    listed = re.search(r"foreach folder : \[(.*?)\]", text, re.DOTALL)
    return re.findall(r"'(\w+)'", listed.group(1)) if listed else []


def complaints_about_links(builds, layers):
    """`builds` is {folder: text of its meson.build}: it names no folder that it may not include."""
    complaints = []
    for folder, text in builds.items():
        code = re.sub(r"'[^'\n]*'|#[^\n]*", "", text)
        for name in sorted(set(re.findall(r"\b[a-z_]+\b(?!\s*:)", code)) & set(layers)):
            if name != folder and name not in layers[folder]:
                complaints.append(f"src/{folder}/meson.build: links {name}, which layers.txt "
                                  f"does not let {folder} include")
    return complaints


def test_every_include_obeys_layers_txt():
    complaints = complaints_about_includes(tree.sources(".c", ".h"), tree.layers())
    assert not complaints, tree.told(complaints)


def test_every_source_includes_its_own_header_first():
    complaints = complaints_about_own_header(tree.sources(".c", ".h"))
    assert not complaints, tree.told(complaints)


def test_layers_txt_has_no_cycle():
    complaints = complaints_about_order(tree.layers())
    assert not complaints, tree.told(complaints)


def test_the_build_lists_the_folders_of_layers_txt_in_order():
    assert folders_of_build(tree.read("src/meson.build")) == list(tree.layers())


def test_no_folder_links_what_it_may_not_include():
    builds = {path.parts[1]: tree.read(path) for path in tree.tracked()
              if path.match("src/*/meson.build")}
    complaints = complaints_about_links(builds, tree.layers())
    assert not complaints, tree.told(complaints)


LAYERS = {"base": [], "loop": ["base"], "store": ["base"], "gateway": ["base", "loop"]}


def test_the_include_checker_finds_each_kind_of_offence():
    files = {
        "src/gateway/call.c": '#include "store/store.h"\n#include "loop/loop.h"\n',
        "src/store/open.c": '#include "open.h"\n#include "../base/check.h"\n',
        "src/loop/timer.c": '#include "base/map_internal.h"\n#include "loop/ring_internal.h"\n',
        "src/base/map.c": "#include <sqlite3.h>\n#include <stdint.h>\n",
        "src/cash/cash.c": "",
    }
    complaints = complaints_about_includes(files, LAYERS)
    assert [text.split(": ")[0] for text in complaints] == [
        "src/gateway/call.c:1", "src/store/open.c:1", "src/store/open.c:2",
        "src/loop/timer.c:1", "src/base/map.c:1", "src/cash/cash.c"]


def test_the_own_header_checker_finds_a_late_own_header():
    files = {"src/base/map.h": "", "src/base/map.c": '#include <stdint.h>\n#include "base/map.h"\n',
             "src/base/arena.h": "", "src/base/arena.c": '#include "base/arena.h"\n'}
    assert len(complaints_about_own_header(files)) == 1


def test_the_cycle_checker_finds_a_cycle():
    assert complaints_about_order({"base": ["loop"], "loop": ["base"]})
    assert not complaints_about_order(LAYERS)


def test_the_link_checker_finds_a_forbidden_library():
    builds = {"gateway": "# store\ngateway = declare_dependency(dependencies: [base, store])\n",
              "loop": "loop = static_library('store.c', dependencies: [base])\n"}
    complaints = complaints_about_links(builds, LAYERS)
    assert len(complaints) == 1 and "links store" in complaints[0]
