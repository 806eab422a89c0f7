# SPDX-License-Identifier: GPL-2.0-or-later
import re

import pytest

from lab import probe
from lab.world import Lab, World


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    why = probe.lacks_lab()
    if why:
        pytest.skip(why)
    made = World(tmp_path_factory.mktemp("lab"))
    yield made
    made.close()


@pytest.fixture
def lab(world, tmp_path, request):
    """The two sides without a requirement on BPF."""
    tmp_path.chmod(0o755)
    made = Lab(world, tmp_path, re.sub(r"\W+", "-", request.node.name)[:60])
    yield made
    left = made.close()
    assert not left, f"left over: {left}"


@pytest.fixture
def bpf():
    """Skips a story that is about attribution in the kernel where that cannot be had."""
    why = probe.lacks_bpf()
    if why:
        pytest.skip(why)
