# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine lacks, by name. A missing thing skips a story, never passes it."""

import os
import shutil
import subprocess

from . import cgroup

TOOLS = ("ip", "nft", "nsenter", "unshare", "tcpdump", "knotd", "nginx", "openssl",
         "ssh-keygen", "curl", "wget", "kdig", "dig", "ssh", "ping")


def lacks_lab():
    """Why there can be no lab here, or None."""
    if os.geteuid() != 0:
        return "needs root: namespaces and cgroups"
    missing = [t for t in TOOLS if not shutil.which(t)]
    if missing:
        return f"needs programs that are not installed: {', '.join(missing)}"
    if cgroup.mount() is None:
        return "needs a cgroup2 mount: none in /proc/mounts"
    for what in ("--net", "--mount"):
        if subprocess.run(["unshare", what, "true"], capture_output=True).returncode:
            return f"needs a namespace: unshare {what} fails"
    tried = subprocess.run(["unshare", "--net", "nft", "add", "table", "inet", "probe"],
                           capture_output=True, text=True)
    if tried.returncode:
        return f"needs nf_tables: {tried.stderr.strip()}"
    return None


def lacks_bpf():
    """Why scupperd cannot use BPF here, or None."""
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        return "needs BPF with BTF: no /sys/kernel/btf/vmlinux"
    tried = subprocess.run(["bpftool", "prog", "list"], capture_output=True, text=True)
    if tried.returncode:
        return f"needs BPF: {tried.stderr.strip()}"
    return None


def lacks_io_uring():
    """Why programs cannot use io_uring here, or None."""
    switch = "/proc/sys/kernel/io_uring_disabled"
    if os.path.exists(switch) and open(switch).read().strip() != "0":
        return f"needs io_uring: {switch} is not 0"
    return None


def lacks_mptcp():
    """Why programs cannot use MPTCP here, or None."""
    if not os.path.exists("/proc/sys/net/mptcp/enabled"):
        return "needs MPTCP: no /proc/sys/net/mptcp"
    return None


def lacks_tcx():
    """Why packet sockets cannot be held here, or None."""
    kernel = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
    return None if kernel >= (6, 6) else "needs Linux 6.6: BPF links on interfaces"
