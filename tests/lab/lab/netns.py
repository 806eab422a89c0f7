# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces, and sockets of this process that live in them."""

import contextlib
import ctypes
import os

from .process import sh

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Netns:
    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        sh("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words):
        return sh("ip", "-n", self.name, *words)

    def sysctl(self, *settings):
        sh("ip", "netns", "exec", self.name, "sysctl", "-q", *settings)

    def tables(self):
        """nft tables that stand here."""
        listed = sh("ip", "netns", "exec", self.name, "nft", "list", "tables")
        return [line.removeprefix("table ") for line in listed.splitlines() if line]

    @contextlib.contextmanager
    def entered(self):
        """This thread is in the namespace: sockets made now stay there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
            yield
        finally:
            _setns(home)
            os.close(there)
            os.close(home)

    def end(self):
        sh("ip", "netns", "del", self.name, check=False)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
