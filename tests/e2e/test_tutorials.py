"""Every tutorial, done as it is written: each command works, and prints what the page shows."""

import subprocess

import pytest
import sessions

PAGES = sorted((sessions.ROOT / "docs" / "tutorials").glob("*.md"))
OPERATIONS = sessions.ROOT / "docs" / "operations.md"
SHORT = """\
```text dice.txt
six
```

```console
$ cat dice.txt
six
$ echo one; echo 2.50 USD; echo three
one
...
$ false
$ echo $?
1
```
"""


def networks_are_allowed():
    return subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not networks_are_allowed(),
                                reason="no network of one's own is allowed here")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_tutorial_says_happens(page, tmp_path):
    (tmp_path / "here").mkdir()
    sessions.play(page.read_text(), tmp_path / "here")


def test_what_the_page_for_operators_says_happens(tmp_path):
    (tmp_path / "here").mkdir()
    sessions.play(OPERATIONS.read_text(), tmp_path / "here")


def test_there_is_a_tutorial_for_each_kind_of_user():
    assert [page.stem for page in PAGES] == ["developer", "owner", "provider"]


def test_a_session_that_is_as_the_page_says_passes(tmp_path):
    sessions.play(SHORT, tmp_path)


@pytest.mark.parametrize("right, wrong", [
    ("\nsix\n$ echo", "\nseven\n$ echo"),  # another word
    ("\nsix\n$ echo", "\nsix\nsix\n$ echo"),  # a line more
    ("\nsix\n$ echo", "\n$ echo"),  # a line less
    ("$ echo $?\n1\n", ""),  # a command that fails, unannounced
])
def test_a_session_that_differs_from_its_page_fails(right, wrong, tmp_path):
    assert right in SHORT
    with pytest.raises(sessions.Differs):
        sessions.play(SHORT.replace(right, wrong), tmp_path)


def test_numbers_may_differ_and_what_they_measure_may_not():
    assert sessions.same_shape(["total  0.25 USD"], ["total  17.1234 USD"])
    assert not sessions.same_shape(["total  0.25 USD"], ["total  0.25 EUR"])
    assert sessions.same_shape(["after 3.2 ms"], ["after 912 us"])
    assert not sessions.same_shape(["2 calls"], ["no calls"])
    assert sessions.same_shape(["a", "...", "d"], ["a", "b", "c", "d"])
    assert not sessions.same_shape(["a", "...", "d"], ["a", "b", "c"])
