# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's two commands as a newcomer gives them, from the tree this build belongs to."""

import contextlib
import json
import os
import signal

import pytest
from lab import cgroup, zones
from lab.process import wait_for
from lab.quick import Quick, machine as quick_machine, processes as quick_processes

# one worker for both: the one builds the dashboard anew in the tree that the other packs
pytestmark = [pytest.mark.usefixtures("bpf"), pytest.mark.xdist_group("tree")]


@pytest.fixture
def top(lab):
    tree = lab.world.build.parent
    if not (tree / "quickstart").exists():
        pytest.skip("needs a build in ./build of the source tree")
    return tree


def machine(lab):
    return quick_machine(lab.direct, lab.world.build.parent, lab.scope.path)


def processes(lab):
    return quick_processes(lab.direct, lab.world.build.parent)


def all_as_before(lab, q, before):
    q.wait_gone()
    assert machine(lab) == before


@pytest.fixture
def quick(lab, top):
    started = []

    scope = "/" + str(lab.scope.path.relative_to(cgroup.mount()))

    def start(*words):
        started.append(Quick(lab.direct, top, "--scope", scope, *words))
        return started[-1]
    yield start
    for q in started:
        q.close()


def gets(lab, url):
    return lab.direct_inside.run("curl", "-4sSm30", url).ok


def test_run_sets_up_and_runs(lab, top):
    done = lab.direct.run(top / "quickstart", "run", "--allow", ".shop.test", "--", "curl",
                          "-4sSm30", "http://www.shop.test/", timeout=600)
    assert done.ok and "hello" in done.out and "www.shop.test" in done.err, done


def test_guards_by_the_rules_made_meanwhile(lab, quick):
    """Nothing is refused but what a rule denies; the countries are there from the start."""
    before, q = machine(lab), quick().up()
    assert gets(lab, "http://www.shop.test/") and gets(lab, f"http://{zones.address4(4)}/")
    wait_for(lambda: [x for x in q.scupper("queries")["items"] if x["name"] == "www.shop.test"
                      and x["actor"]["path"] == "/usr/bin/curl"], "the query to be listed")
    rule = q.scupper("rule", "add", "deny any .shop.test")["id"]
    assert not gets(lab, "http://www.shop.test/") and gets(lab, f"http://{zones.address4(5)}/")
    q.scupper("rule", "rm", str(rule))
    assert gets(lab, "http://www.shop.test/")
    if (lab.world.build / "geo/country.mmdb").exists():
        wait_for(lambda: "country.mmdb" in json.dumps(q.scupper("status")), "a country file")
    q.keys(b"\x03")
    assert q.wait() == 0, q.said
    all_as_before(lab, q, before)
    assert gets(lab, "http://www.shop.test/")


def test_enter_gives_a_fresh_link(lab, quick):
    before, q = machine(lab), quick().up()
    q.keys(b"\n")
    wait_for(lambda: len(q.links()) > 1, f"a second link: {q.said}")
    q.keys(b"\x04")  # an end of input is no link, and no end
    q.keys(b"\n")
    wait_for(lambda: len(q.links()) > 2, f"a third link: {q.said}")
    assert len(set(q.links())) == len(q.links())
    q.keys(b"\x03")
    assert q.wait() == 0, q.said
    all_as_before(lab, q, before)


@pytest.mark.parametrize("end", ("time", "SIGTERM", "connection lost", "script killed"))
def test_leaves_nothing(lab, quick, end):
    before, q = machine(lab), quick(*(("--seconds", "3") if end == "time" else ())).up()
    assert gets(lab, "http://www.shop.test/")
    if end == "SIGTERM":
        q.popen.terminate()
    elif end == "connection lost":
        q.hang_up()
    elif end == "script killed":
        q.popen.kill()
    assert q.wait() == (-signal.SIGKILL if end == "script killed" else 0), q.said
    all_as_before(lab, q, before)
    assert gets(lab, "http://www.shop.test/")


def test_daemon_killed_ends_it_and_leaves_nothing(lab, quick):
    before, q = machine(lab), quick().up()
    os.kill(int(processes(lab).split()[0]), signal.SIGKILL)
    assert q.wait() == 1 and "ended by itself" in q.said, q.said
    all_as_before(lab, q, before)


def test_all_killed_and_the_next_run_cleans_up(lab, quick):
    before, q = machine(lab), quick().up()
    q.popen.kill()
    for line in processes(lab).splitlines():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    q.wait()
    wait_for(lambda: processes(lab) == "", "its processes to be gone")
    assert gets(lab, "http://www.shop.test/"), "when-down=open"
    after = quick().up()
    after.keys(b"\x03")
    assert after.wait() == 0, after.said
    all_as_before(lab, after, before)


def test_a_second_one_says_so(lab, quick):
    first = quick().up()
    second = quick()
    assert second.wait() == 1, second.said
    assert f"already (process {first.popen.pid})" in second.said
    assert gets(lab, "http://www.shop.test/") and first.popen.poll() is None
    first.keys(b"\x03")
    assert first.wait() == 0, first.said
