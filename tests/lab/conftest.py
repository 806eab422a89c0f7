# SPDX-License-Identifier: GPL-2.0-or-later
import pathlib
import re
import shutil
import tempfile

import pytest

from lab import probe
from lab.world import Lab, World


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A story that failed shows what its daemons said."""
    report = (yield).get_result()
    if report.when == "call" and report.failed and "lab" in item.funcargs:
        for gate in item.funcargs["lab"].gates:
            if gate.daemon:
                report.sections.append(("scupperd", gate.log[-6000:]))


@pytest.fixture(scope="session")
def world():
    why = probe.lacks_lab()
    if why:
        pytest.skip(why)
    tmp = pathlib.Path(tempfile.mkdtemp(prefix="scupper-lab-"))
    tmp.chmod(0o755)  # other users' programs run from below
    made = World(tmp)
    yield made
    made.close()
    shutil.rmtree(tmp)


@pytest.fixture
def lab(world, request):
    """A story's own cgroup, directory and view of the far DNS, between the two sides."""
    made = Lab(world, re.sub(r"\W+", "-", request.node.name)[:40].strip("-"))
    yield made
    left = made.close()
    assert not left, f"left over: {left}"


@pytest.fixture
def bpf():
    """Skips a story that is about attribution in the kernel where that cannot be had."""
    why = probe.lacks_bpf()
    if why:
        pytest.skip(why)
