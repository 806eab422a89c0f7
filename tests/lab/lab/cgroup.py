# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups of the lab, all below one of its own in the version 2 tree."""

import pathlib

from .process import wait_for


def mount():
    """Where cgroup2 is mounted, or None (hybrid systems have it one level down)."""
    with open("/proc/mounts") as mounts:
        for line in mounts:
            _, at, kind, *_ = line.split()
            if kind == "cgroup2":
                return pathlib.Path(at)
    return None


class Cgroup:
    def __init__(self, path):
        self.path = path
        path.mkdir()

    def child(self, name):
        return Cgroup(self.path / name)

    @property
    def pids(self):
        return [int(p) for f in self.path.rglob("cgroup.procs")
                for p in f.read_text().split()]

    def end(self):
        """Kills what is in it and takes it away."""
        if not self.path.exists():
            return
        (self.path / "cgroup.kill").write_text("1")
        wait_for(lambda: not self.pids, f"{self.path} to be empty")
        wait_for(self._removed, f"{self.path} to be removable")

    def _removed(self):
        """A cgroup stays busy for a moment after its last process."""
        below = sorted(self.path.rglob("*/"), key=lambda p: -len(p.parts))
        try:
            for path in [p for p in below if p.is_dir()] + [self.path]:
                path.rmdir()
        except OSError:
            return False
        return True
