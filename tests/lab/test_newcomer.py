# SPDX-License-Identifier: GPL-2.0-or-later
"""A newcomer's first ten minutes: a clean clone, ./quickstart as the README has it, the page
in Chromium with real traffic of this machine's own package registries, a rule by click, undo,
Ctrl-C, nothing left. In a namespace with a way out of its own, whose cgroups begin with ours,
so that all that is guarded there is what the story starts."""

import os
import pathlib
import re
import shutil
import time
from urllib.parse import urlsplit

import pytest
from lab import cgroup
from lab.netns import Netns
from lab.process import Place, sh
from lab.quick import Quick, machine

pytestmark = pytest.mark.usefixtures("bpf")

OURS = "/proc/self/ns/net"


class Home:
    """The namespaces; place: where the newcomer sits."""

    def __init__(self, world, undo):
        self.tmp = world.tmp / "newcomer"
        self.tmp.mkdir()
        self.cgroups = cgroup.Cgroup(world.cgroups.path / "newcomer")
        undo(self.cgroups.end)
        self.scope = self.cgroups.child("machine").path
        netns = Netns(f"snew-{os.getpid()}")
        undo(netns.end)
        # no address that is only tentative when the machine is first looked at
        netns.sysctl("net.ipv6.conf.default.addr_gen_mode=1")
        enter = world.tools / "enter"
        aside = Place(enter, self.cgroups.child("aside").path, OURS, None, self.tmp)
        way = aside.start("slirp4netns", "--configure", "--mtu=65520", "--netns-type=path",
                          netns.path, "out0")
        undo(way.stop)
        resolv = self.tmp / "resolv.conf"
        resolv.write_text("nameserver 10.0.2.3\n")
        mounts = (f"mount --bind {resolv} /etc/resolv.conf && mount -t bpf bpf /sys/fs/bpf && "
                  f"umount {cgroup.mount()} && mount -t cgroup2 cgroup2 {cgroup.mount()}")
        holder = Place(enter, self.scope, netns.path, None, self.tmp).start(
            "unshare", "--cgroup", "--mount", "--propagation", "private", "sh", "-c",
            f"{mounts} && echo ready && exec sleep infinity")
        undo(holder.stop)
        holder.wait_out("ready")
        self.place = Place(enter, self.scope, netns.path, f"/proc/{holder.pid}/ns/mnt", self.tmp)

    def reaches(self, url):
        done = self.place.run("curl", "-sS", "-o", "/dev/null", "--retry", "5",
                              "--retry-connrefused", "--retry-all-errors", "--retry-max-time",
                              "15", "-m", "10", url, timeout=300)
        return "" if done.ok else f"no way to {url} here: {done.err.strip().splitlines()[-1:]}"


def registries():
    """(apt's, npm's) address, as this machine is configured"""
    sites = sh("apt-get", "indextargets", "--format", "$(SITE)").split()
    npm = sh("npm", "config", "get", "registry").strip()
    return next((s for s in sites if s.startswith("http")), ""), npm


@pytest.fixture
def tree(world):
    top = world.build.parent
    if not (top / ".git").exists() or not (top / "quickstart").exists():
        pytest.skip("needs a build in ./build of a git checkout")
    for program in ("git", "slirp4netns", "chromium", "node", "npm", "apt-get"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing")
    return top


@pytest.fixture
def home(world, tree):
    undo = []
    try:
        yield Home(world, undo.append)
    finally:
        for step in reversed(undo):
            step()


def test_first_ten_minutes(home, tree, capsys):
    apt, npm = registries()
    for url in (apt, npm):
        why = home.reaches(url) if url else "no registry is configured"
        if why:
            pytest.skip(why)
    at = home.tmp / "scupper"
    mount = cgroup.mount()
    before = machine(home.place, at, mount)
    began = time.monotonic()
    sh("git", "-c", f"safe.directory={tree}/.git", "clone", "-q", str(tree), str(at))
    quick = Quick(home.place, at)
    try:
        quick.up(300)
        linked = time.monotonic() - began
        work = home.tmp / "work"
        work.mkdir()
        done = home.place.run("sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", work, "node",
                              at / "tests/browser/newcomer.mjs", quick.links()[0],
                              urlsplit(apt).hostname, urlsplit(npm).hostname, timeout=300)
        assert done.ok, f"{done.out}{done.err}\n{quick.said}"
        asked = {(q["actor"]["path"], q["name"]) for q in quick.scupper("queries")["items"]}
        assert ("/usr/lib/apt/methods/http", urlsplit(apt).hostname) in asked, asked
        quick.keys(b"\x03")
        assert quick.wait() == 0, quick.said
    finally:
        quick.close()
    quick.wait_gone()
    assert machine(home.place, at, mount) == before
    assert not home.reaches(npm)
    page = float(re.search(r"# ([\d.]+) s: the page is there", done.out).group(1))
    with capsys.disabled():
        print(f"\n# from git clone to the link {linked:.1f} s, to the page {linked + page:.1f} s")
        print(done.out, end="")


def test_the_readme_has_the_two_commands(tree):
    readme = pathlib.Path(tree / "README.md").read_text()
    assert "\n    ./quickstart  " in readme and "\n    ./quickstart test" in readme
