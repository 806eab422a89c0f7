# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's two commands as a newcomer gives them, from the tree this build belongs to."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios

import pytest
from lab import cgroup, zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")

LINK = re.compile(r"http://127\.0\.0\.1:\d+/\S+")


@pytest.fixture
def top(lab):
    tree = lab.world.build.parent
    if not (tree / "quickstart").exists():
        pytest.skip("needs a build in ./build of the source tree")
    return tree


def machine(lab):
    """What a guard could leave behind, in the words of those who show it."""
    place, scope = lab.direct, lab.scope.path
    commands = (("nft", "list", "ruleset"), ("ip", "-4", "route", "show", "table", "all"),
                ("ip", "-6", "route", "show", "table", "all"), ("ip", "rule"),
                ("bpftool", "cgroup", "show", scope),
                ("grep", "-E", " (bpf|cgroup2?|tracefs) ", "/proc/self/mounts"),
                ("find", scope, "-type", "d"), ("ls", "-R", "/sys/fs/bpf"),
                ("sysctl", "-a", "-r", r"^net\.(ipv[46]|netfilter|core)\."))
    seen = {words: place.run(*words).out for words in commands}
    seen["processes"] = processes(lab)
    return {words: "\n".join(line for line in out.splitlines()
                             if not re.search(r"conntrack_count|cookie|expires", line))
            for words, out in seen.items()}


def processes(lab):
    return lab.direct.run("pgrep", "-fa", f"{lab.world.build}/guard").out


class Quick:
    """./quickstart in a terminal of its own, guarding this story's cgroup."""

    def __init__(self, lab, top, *words):
        self.lab, self.control = lab, top / "build/guard/run/control.sock"
        scope = "/" + str(lab.scope.path.relative_to(cgroup.mount()))
        self.screen, self.terminal = b"", None
        self.terminal, slave = pty.openpty()
        os.set_blocking(self.terminal, False)

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        argv = lab.direct._argv((top / "quickstart", "--scope", scope, *words), None)
        self.popen = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave,
                                      env=lab.direct._env({}), preexec_fn=own_terminal)
        os.close(slave)

    @property
    def said(self):
        """All that is on the screen so far."""
        with contextlib.suppress(BlockingIOError, OSError):
            while self.terminal is not None and (more := os.read(self.terminal, 65536)):
                self.screen += more
        return self.screen.decode(errors="replace")

    def wait_said(self, what, seconds=120):
        def there():
            found = re.search(what, self.said)
            assert found or self.popen.poll() is None, f"ended: {self.said}"
            return found
        return wait_for(there, f"{what!r} on the screen: {self.said}", seconds)

    def up(self):
        self.wait_said("Ctrl-C: stop")
        return self

    def keys(self, text):
        os.write(self.terminal, text)

    def hang_up(self):
        self.said
        os.close(self.terminal)
        self.terminal = None

    def links(self):
        return LINK.findall(self.said)

    def wait(self, seconds=30):
        def ended():
            self.said  # a full terminal would stop it
            return self.popen.poll() is not None
        wait_for(ended, "quickstart to end", seconds)
        return self.popen.returncode

    def gone(self, before):
        """Everything is as before, within the time a daemon takes to end."""
        wait_for(lambda: not self.control.exists(), "the daemon to be gone", 20)
        wait_for(lambda: processes(self.lab) == "", "its processes to be gone", 20)
        assert machine(self.lab) == before

    def scupper(self, *words):
        done = self.lab.direct.run(self.lab.world.build / "scupper", "--socket", self.control,
                                   "--json", *words)
        assert done.ok, done
        return json.loads(done.out) if done.out else None

    def close(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            self.wait()
        if self.terminal is not None:
            os.close(self.terminal)


@pytest.fixture
def quick(lab, top):
    started = []

    def start(*words):
        started.append(Quick(lab, top, *words))
        return started[-1]
    yield start
    for q in started:
        q.close()


def gets(lab, url):
    return lab.direct_inside.run("curl", "-4sSm5", url).ok


def test_run_sets_up_and_runs(lab, top):
    done = lab.direct.run(top / "quickstart", "run", "--allow", ".shop.test", "--", "curl",
                          "-4sSm5", "http://www.shop.test/", timeout=120)
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
    q.gone(before)
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
    q.gone(before)


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
    q.gone(before)
    assert gets(lab, "http://www.shop.test/")


def test_daemon_killed_ends_it_and_leaves_nothing(lab, quick):
    before, q = machine(lab), quick().up()
    os.kill(int(processes(lab).split()[0]), signal.SIGKILL)
    assert q.wait() == 1 and "ended by itself" in q.said, q.said
    q.gone(before)


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
    after.gone(before)


def test_a_second_one_says_so(lab, quick):
    first = quick().up()
    second = quick()
    assert second.wait() == 1, second.said
    assert f"already (process {first.popen.pid})" in second.said
    assert gets(lab, "http://www.shop.test/") and first.popen.poll() is None
    first.keys(b"\x03")
    assert first.wait() == 0, first.said
