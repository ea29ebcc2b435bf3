"""Fixtures of all suites: clouds and services that end with their test."""

import shutil

import pytest
from cloud import PLAIN_CONFIG, Cloud
from upstream import CountingUpstream


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    item.failed = report.failed or getattr(item, "failed", False)


@pytest.fixture
def clouds(tmp_path, request):
    """A function that makes a cloud, started, in a folder of its own; the folder of a test that
    failed stays to be looked at."""
    made = []

    def make(config=PLAIN_CONFIG, arguments=(), start=True, **more):
        cloud = Cloud(tmp_path / f"cloud{len(made)}", config, arguments, **more)
        made.append(cloud)
        return cloud.start() if start else cloud

    yield make
    for cloud in made:
        cloud.end()
        if not request.node.failed:
            shutil.rmtree(cloud.folder, ignore_errors=True)


@pytest.fixture
def cloud(clouds):
    """One started cloud."""
    return clouds()


@pytest.fixture
def upstreams():
    """A function that makes a CountingUpstream."""
    made = []

    def make(*arguments, **more):
        made.append(CountingUpstream(*arguments, **more))
        return made[-1]

    yield make
    for upstream in made:
        upstream.close()
