# SPDX-License-Identifier: GPL-2.0-or-later
"""./quickstart in a terminal of its own, and what a guard could leave behind."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios

from .process import wait_for

LINK = re.compile(r"http://127\.0\.0\.1:\d+/\S+")


def machine(place, tree, scope):
    """What a guard could leave behind, in the words of those who show it."""
    commands = (("nft", "list", "ruleset"), ("ip", "-4", "route", "show", "table", "all"),
                ("ip", "-6", "route", "show", "table", "all"), ("ip", "rule"),
                ("bpftool", "cgroup", "show", scope),
                ("grep", "-E", " (bpf|cgroup2?|tracefs) ", "/proc/self/mounts"),
                ("find", scope, "-type", "d"), ("ls", "-R", "/sys/fs/bpf"),
                ("sha256sum", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"),
                ("sysctl", "-a", "-r", r"^net\.(ipv[46]|netfilter|core)\."))
    seen = {words: place.run(*words).out for words in commands}
    seen["processes"] = processes(place, tree)
    return {words: "\n".join(line for line in out.splitlines()
                             if not re.search(r"conntrack_count|cookie|expires", line))
            for words, out in seen.items()}


def processes(place, tree):
    return place.run("pgrep", "-fa", f"{tree}/build/guard").out


class Quick:
    def __init__(self, place, tree, *words):
        self.place, self.tree = place, tree
        self.control = tree / "build/guard/run/control.sock"
        self.screen, self.terminal = b"", None
        self.terminal, slave = pty.openpty()
        os.set_blocking(self.terminal, False)

        def own_terminal():
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run on
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        argv = place._argv((tree / "quickstart", *words), None)
        self.popen = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, cwd=tree,
                                      env=place._env({}), preexec_fn=own_terminal)
        os.close(slave)

    @property
    def said(self):
        """All that is on the screen so far."""
        with contextlib.suppress(BlockingIOError, OSError):
            while self.terminal is not None and (more := os.read(self.terminal, 65536)):
                self.screen += more
        return self.screen.decode(errors="replace")

    def wait_said(self, what, seconds=300):
        def there():
            found = re.search(what, self.said)
            assert found or self.popen.poll() is None, f"ended: {self.said}"
            return found
        return wait_for(there, f"{what!r} on the screen", seconds)

    def up(self, seconds=300):
        self.wait_said("Ctrl-C: stop", seconds)
        return self

    def keys(self, text):
        os.write(self.terminal, text)

    def hang_up(self):
        self.said
        os.close(self.terminal)
        self.terminal = None

    def links(self):
        return LINK.findall(self.said)

    def wait(self, seconds=120):
        def ended():
            self.said  # a full terminal would stop it
            return self.popen.poll() is not None
        try:
            wait_for(ended, "quickstart to end", seconds)
        except AssertionError as late:
            tree = subprocess.run(["ps", "-o", "pid,ppid,stat,wchan:20,args", "--forest", "-g",
                                   str(self.popen.pid)], capture_output=True, text=True).stdout
            raise AssertionError(f"{late}\n{self.said}\n{tree}") from None
        return self.popen.returncode

    def wait_gone(self):
        """The daemon and all its processes, within the time they take to end."""
        wait_for(lambda: not self.control.exists(), "the daemon to be gone")
        wait_for(lambda: processes(self.place, self.tree) == "", "its processes to be gone")

    def scupper(self, *words):
        done = self.place.run(self.tree / "quickstart", "scupper", "--json", *words)
        assert done.ok, done
        return json.loads(done.out) if done.out else None

    def close(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            self.wait()
        if self.terminal is not None:
            os.close(self.terminal)
