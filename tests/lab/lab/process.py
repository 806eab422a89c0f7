# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs, started where a story wants them."""

import os
import re
import signal
import subprocess
import time


def wait_for(condition, what, seconds=60.0):
    """The first true value of condition(); fails saying what never came."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(0.005)


def sh(*argv, check=True):
    """A command of the lab's own, in no namespace."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Result:
    """What a program left: rc, out, err, seconds; status is the rcode dig or kdig printed."""

    def __init__(self, argv, rc, out, err, seconds):
        self.argv, self.rc, self.out, self.err, self.seconds = argv, rc, out, err, seconds

    @property
    def ok(self):
        return self.rc == 0

    @property
    def status(self):
        found = re.search(r"status: (\w+)", self.out)
        return found.group(1) if found else None

    def __repr__(self):
        argv = " ".join(map(str, self.argv))
        return f"<{argv}: rc {self.rc}\n out: {self.out[-2000:]}\n err: {self.err[-2000:]}>"


class Running:
    """A program in the background; its output goes to files, so that nothing blocks it."""

    def __init__(self, argv, popen, out, err):
        self.argv, self.popen, self.began = argv, popen, time.monotonic()
        self._out, self._err = out, err

    @property
    def pid(self):
        return self.popen.pid

    @property
    def out(self):
        return self._out.read_text(errors="replace")

    @property
    def err(self):
        return self._err.read_text(errors="replace")

    @property
    def running(self):
        return self.popen.poll() is None

    def wait_out(self, text, seconds=60):
        def there():
            if text in self.out:
                return True
            assert self.running, f"ended before it said {text!r}: {self.result()}"
            return False
        wait_for(there, f"{text!r} from {self.argv[0]}", seconds)
        return self

    def say(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def result(self):
        return Result(self.argv, self.popen.returncode, self.out, self.err,
                      time.monotonic() - self.began)

    def wait(self, seconds=120):
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s: {self.result()}") from None
        return self.result()

    def stop(self, sig=signal.SIGTERM, seconds=120):
        if self.popen.poll() is None:
            self.popen.send_signal(sig)
        if self.popen.stdin:
            self.popen.stdin.close()
        return self.wait(seconds)


class Place:
    """Where programs run: a cgroup, a network namespace, a mount namespace."""

    def __init__(self, enter, cgroup, netns, mntns, tmp, env=None):
        self.enter, self.cgroup, self.netns, self.mntns = enter, cgroup, netns, mntns
        self.tmp, self.env = tmp, env or {}
        self._count = 0

    def _argv(self, argv, uid):
        head = [str(self.enter), "-c", str(self.cgroup), "-n", str(self.netns)]
        if self.mntns:
            head += ["-m", str(self.mntns)]
        if uid is not None:
            head += ["-u", str(uid)]
        return head + ["--", *map(str, argv)]

    def _env(self, env):
        return {**os.environ, "LC_ALL": "C", **self.env, **(env or {})}

    def run(self, *argv, input=None, timeout=120, uid=None, env=None):
        began = time.monotonic()
        try:
            done = subprocess.run(self._argv(argv, uid), capture_output=True, input=input,
                                  text=True, errors="replace", timeout=timeout,
                                  env=self._env(env))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not done after {timeout} s: {argv}") from None
        return Result(argv, done.returncode, done.stdout, done.stderr,
                      time.monotonic() - began)

    def start(self, *argv, uid=None, env=None):
        self._count += 1
        stem = f"{os.path.basename(str(argv[0]))}-{id(self):x}-{self._count}"
        out, err = self.tmp / f"{stem}.out", self.tmp / f"{stem}.err"
        with open(out, "wb") as o, open(err, "wb") as e:
            popen = subprocess.Popen(self._argv(argv, uid), stdin=subprocess.PIPE, stdout=o,
                                     stderr=e, env=self._env(env))
        return Running(argv, popen, out, err)
