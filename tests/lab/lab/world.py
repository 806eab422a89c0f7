# SPDX-License-Identifier: GPL-2.0-or-later
"""What all stories share: the two namespaces, the wire, the far servers; and Lab, what one
story has: a cgroup of its own, a view of the far DNS, scupperd."""

import contextlib
import os
import pathlib
import secrets
import shutil
import socket

from . import cgroup, far, zones
from .capture import Capture, FarDns
from .gate import Gate
from .netns import Netns
from .process import Place, sh, wait_for

CA_FILE = "/etc/ssl/certs/ca-certificates.crt"


class Wire:
    """The veth pair, as captures need it."""

    def __init__(self, near, far_netns):
        self.near, self.far, self.far_device = near, far_netns, "far0"
        with near.entered():
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send_mark(self):
        token = secrets.token_bytes(16)
        self._sock.sendto(token, (zones.FAR4, 9))
        return token

    def close(self):
        self._sock.close()


def build_dir():
    top = pathlib.Path(__file__).resolve().parents[3]
    return pathlib.Path(os.environ.get("SCUPPER_BUILD", top / "build")).resolve()


class World:
    def __init__(self, tmp):
        self.tmp, self.build, self.stories = tmp, build_dir(), 0
        self.tools = self.build / "tests/lab"
        self._undo = contextlib.ExitStack()
        try:
            self._make(os.getpid())
        except BaseException:
            self._undo.close()
            raise

    def _make(self, pid):
        undo = self._undo.callback
        self.near, self.far = Netns(f"scl-{pid}"), Netns(f"sfar-{pid}")
        undo(self.near.end)
        undo(self.far.end)
        self.cgroups = cgroup.Cgroup(cgroup.mount() / f"scupper-lab-{pid}")
        undo(self.cgroups.end)
        self._join()
        self.wire = Wire(self.near, self.far)
        undo(self.wire.close)
        self._views()
        self.servers = far.start(self._far_place, self.dir)
        far.wait_ready(self.near, self.servers)
        self._trust()

    def _join(self):
        near, far_ns = self.near, self.far
        near.ip("link", "add", "near0", "type", "veth", "peer", "name", "far0", "netns",
                far_ns.name)
        for ns, device, own in ((near, "near0", (zones.NEAR4, zones.NEAR6, zones.NEAR6_LAN)),
                                (far_ns, "far0", (zones.FAR4, zones.FAR6, zones.FAR6_LAN))):
            four, *sixes = own
            ns.ip("addr", "add", f"{four}/16", "dev", device)
            for address in sixes:
                ns.ip("addr", "add", f"{address}/64", "dev", device, "nodad")
            ns.sysctl("net.core.somaxconn=4096", f"net.ipv6.conf.{device}.accept_dad=0")
            ns.ip("link", "set", device, "up")
        near.ip("route", "add", "default", "via", zones.FAR4)
        near.ip("-6", "route", "add", "default", "via", zones.FAR6)
        far_ns.sysctl("net.ipv6.ip_nonlocal_bind=1")
        far_ns.ip("route", "add", "local", zones.NET4, "dev", "lo")
        far_ns.ip("-6", "route", "add", "local", zones.NET6, "dev", "lo")

    def _views(self):
        """Mount namespaces: clients see 127.0.0.53 as their DNS server (or, for direct, the
        far one), a bpffs of their own, and trust our CA; servers have a /run of their own."""
        self.dir = self.tmp / "far"
        self.dir.mkdir()
        etc = self.tmp / "etc"
        etc.mkdir()
        (etc / "stub").write_text("nameserver 127.0.0.53\n")
        (etc / "direct").write_text(f"nameserver {zones.DNS4}\n")
        (etc / "nsswitch").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n"
                                   f"{zones.NEAR4} here.lan\n")
        (etc / "ca.pem").write_text("")
        self.holders = Place(self.tools / "enter", self.cgroups.child("far").path,
                             self.far.path, None, self.tmp)
        self._client_view = self._view("stub", etc)
        self._direct_view = self._view("direct", etc)
        mounts = "mount -t tmpfs tmpfs /run && mkdir /run/sshd"
        self._far_place = self._place(self.holders.cgroup, self.far, self._hold(mounts))
        self.outside_cgroup = self.cgroups.child("outside").path
        self.daemon_cgroup = self.cgroups.child("daemon").path
        self.outside = self._place(self.outside_cgroup, self.near, self._client_view)
        self.direct = self._place(self.outside_cgroup, self.near, self._direct_view)
        self.daemon = self._place(self.daemon_cgroup, self.near, self._client_view)

    def _view(self, resolv, etc):
        binds = [(etc / resolv, "/etc/resolv.conf"), (etc / "nsswitch", "/etc/nsswitch.conf"),
                 (etc / "hosts", "/etc/hosts"), (etc / "ca.pem", CA_FILE)]
        mounts = [f"mount --bind {ours} {theirs}" for ours, theirs in binds]
        return self._hold(" && ".join(mounts + ["mount -t bpf bpf /sys/fs/bpf"]))

    def _hold(self, mounts):
        """A mount namespace, held by a process of ours; the path to enter it by."""
        holder = self.holders.start("unshare", "--mount", "--propagation", "private", "sh",
                                    "-c", f"{mounts} && echo ready && exec sleep infinity")
        holder.wait_out("ready")
        return f"/proc/{holder.pid}/ns/mnt"

    def _place(self, at, netns, mntns):
        return Place(self.tools / "enter", at, netns.path, mntns, self.tmp)

    def client(self, at, direct=False):
        return self._place(at, self.near, self._direct_view if direct else self._client_view)

    def _trust(self):
        shutil.copyfile(self.dir / "ca.pem", self.tmp / "etc/ca.pem")

    def pins(self):
        """What is pinned in the clients' own bpffs (the kernel's own files lie at its top)."""
        found = self.daemon.run("find", "/sys/fs/bpf", "-mindepth", "2", "!", "-type", "d")
        return found.out.split()

    def close(self):
        self._undo.close()
        left = [n for n in sh("ip", "netns", "list").split() if n in
                (self.near.name, self.far.name)]
        assert not left and not self.cgroups.path.exists(), f"left over: {left}"


class Lab:
    def __init__(self, world, name):
        world.stories += 1
        self.world, self.tmp = world, world.tmp / f"{world.stories}-{name}"
        self.tmp.mkdir()
        self.scope = world.cgroups.child(self.tmp.name)
        self.inside = world.client(self.scope.path)
        self.direct_inside = world.client(self.scope.path, direct=True)
        self.outside, self.direct = world.outside, world.direct
        self.far = world._far_place
        self.dns = FarDns(Capture(world.wire, "dst port 53"))
        self.ask, self.talk = world.tools / "ask", world.tools / "talk"
        self.act = world.tools / "act"
        self.gates = []

    def scupperd(self, rules="", default="deny", expect_ready=True, brief=False, **conf):
        """A daemon that guards this story's cgroup. rules is one file's text or {file: text};
        conf are keys of scupperd's configuration with _ for -. brief: one whose grants last
        seconds, not minutes."""
        program = "scupperd-brief" if brief else "scupperd"
        gate = Gate(self, rules, default, conf, program)
        self.gates.append(gate)
        gate.start_daemon(expect_ready)
        return gate

    def capture(self, text):
        return Capture(self.world.wire, text)

    def capture_to(self, address):
        """What goes to an address of the far side, and to the v6 one that has its name."""
        hosts = [address]
        if ":" not in address:
            hosts.append(zones.six(address))
        return self.capture(" or ".join(f"dst host {h}" for h in hosts))

    def program(self, original, name):
        """A copy of a program under another path: another program."""
        path = self.tmp / "bin" / name
        path.parent.mkdir(exist_ok=True)
        shutil.copy2(original, path)
        return path

    def close(self):
        """Stops everything of this story; returns what would not go."""
        left = []
        for gate in self.gates:
            left += gate.clean_up()
        self.scope.end()
        outside = self.world.outside_cgroup
        (outside / "cgroup.kill").write_text("1")
        wait_for(lambda: not (outside / "cgroup.procs").read_text(), "outside to end")
        left += [f"table {t}" for t in self.world.near.tables()]
        left += [f"pin {p}" for p in self.world.pins()]
        self.dns.close()
        return left
