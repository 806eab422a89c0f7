# SPDX-License-Identifier: GPL-2.0-or-later
"""What a packager does: unpack the release, configure, build, install, take away again;
without node. And what was installed runs, from where it was installed."""

import os
import re
import shutil
import subprocess

import pytest
from lab.gate import Gate
from lab.process import sh

# one worker for both: the one builds the dashboard anew in the tree that the other packs
pytestmark = pytest.mark.xdist_group("tree")

JOBS = f"-j{len(os.sched_getaffinity(0))}"


def quiet(*argv, cwd, path=None):
    env = {**os.environ, "MAKEFLAGS": ""}
    if path:
        env["PATH"] = str(path)
    done = subprocess.run(list(map(str, argv)), cwd=cwd, capture_output=True, text=True, env=env)
    assert done.returncode == 0, f"{argv}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def source(world):
    """The release of the tree under test, unpacked."""
    if not (world.build / "web/dashboard/dist/index.html").exists():
        pytest.skip("needs the built dashboard: make dashboard")
    at = world.tmp / "release"
    at.mkdir()
    quiet("make", "-s", "dist-xz", cwd=world.build)
    (archive,) = world.build.glob("scupper-*.tar.xz")
    quiet("tar", "xJf", archive, cwd=at)
    archive.unlink()
    return at / archive.name.removesuffix(".tar.xz")


@pytest.fixture(scope="module")
def installed(world, source):
    """(where a package would be made of it, where it is installed)"""
    home, stage, build = world.tmp / "home", world.tmp / "stage", source / "out"
    build.mkdir()
    bare = world.tmp / "bare"  # everything that is in the path, but node and npm
    bare.mkdir()
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for name in os.listdir(folder):
            if not re.match(r"np[mx]|node", name) and not (bare / name).is_symlink():
                (bare / name).symlink_to(f"{folder}/{name}")
    quiet("../configure", "-q", f"--prefix={home}/usr", f"--sysconfdir={home}/etc", cwd=build,
          path=bare)
    quiet("make", "-s", JOBS, cwd=build, path=bare)
    for kind in ("country", "asn"):
        made = world.build / f"geo/{kind}.mmdb"
        if made.exists():
            shutil.copy(made, build / "geo")
    quiet("make", "-s", "install", f"DESTDIR={stage}", cwd=build, path=bare)
    shutil.copytree(f"{stage}{home}", home)
    return stage, home


def files(below):
    return {str(p.relative_to(below)) for p in below.rglob("*") if not p.is_dir()}


def test_it_has_everything_that_is_under_version_control(world, source):
    tree = world.build.parent
    if not (tree / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs a git checkout around the build")
    listed = sh("git", "-c", f"safe.directory={tree}", "-C", str(tree), "ls-files").split("\n")
    wanted = {name for name in listed if name and not os.path.basename(name).startswith(".")}
    assert not wanted - files(source)


def test_all_of_it_is_installed(installed):
    _, home = installed
    found = files(home)
    for name in ("usr/sbin/scupperd", "usr/bin/scupper", "etc/scupper/scupper.conf",
                 "usr/lib/systemd/system/scupperd.service",
                 "usr/lib/systemd/system/scupper-lists.timer", "usr/share/man/man8/scupperd.8",
                 "usr/share/man/man8/scupper.8", "usr/share/man/man5/scupper.conf.5",
                 "usr/share/man/man5/scupper-rules.5",
                 "usr/share/scupper/dashboard/index.html"):
        assert name in found, sorted(found)
    assert (home / "etc/scupper/rules.d").is_dir()
    assert f"{home}/usr/sbin/scupperd --config {home}/etc/scupper/scupper.conf" in \
        (home / "usr/lib/systemd/system/scupperd.service").read_text()


def test_what_is_installed_runs(lab, installed):
    stage, home = installed
    gate = Gate(lab, "", "allow", {"when-down": "open"}, home / "usr/sbin/scupperd")
    gate.scupper = home / "usr/bin/scupper"
    lab.gates.append(gate)
    gate.start_daemon()
    assert gate.run("curl", "-4sSm60", "http://www.shop.test/").ok
    url = gate.json("open")["url"]
    page = lab.world.daemon.run("curl", "-sSi", url.split("/", 3)[0] + "//" + url.split("/")[2])
    assert page.ok and " 200 " in page.out and "/assets/main-" in page.out, page
    script = re.search(r"/assets/main-\w+\.js", page.out).group()
    there = lab.world.daemon.run("curl", "-sSi", "/".join(url.split("/")[:3]) + script)
    assert " 200 " in there.out and "text/javascript" in there.out, there.out[:500]
    if (home / "usr/share/scupper/country.mmdb").exists():
        assert str(home / "usr/share/scupper/country.mmdb") in str(gate.json("status"))


def test_uninstall_leaves_nothing(source, installed):
    stage, home = installed
    quiet("make", "-s", "uninstall", f"DESTDIR={stage}", cwd=source / "out")
    assert not files(stage), files(stage)
    assert not list((stage / home.relative_to("/")).rglob("scupper*"))
