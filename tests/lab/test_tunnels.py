# SPDX-License-Identifier: GPL-2.0-or-later
"""Tunnels of this machine's own kernel: what a program may send goes through them, what it
may not does not, and their far ends' ports are open to nobody's own packets."""

import contextlib
import socket

import pytest
from lab import zones
from lab.process import sh, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PYTHON = "/usr/bin/python3"
NEAR, FAR = "10.77.0.1", "10.77.0.2"
NEAR6, FAR6 = "fd77::1", "fd77::2"


def lacks(kind, *words):
    """Why this kernel has no such link, or None."""
    try:
        sh("unshare", "--net", "ip", "link", "add", "probe0", "type", kind, *words)
    except RuntimeError as e:
        return f"needs {kind} links in the kernel: {e}"
    return None


@contextlib.contextmanager
def tunnel(lab, name, near, far):
    """A link on both sides with these words of `ip link add`, addresses and up."""
    sides = (lab.world.near, near, NEAR, NEAR6), (lab.world.far, far, FAR, FAR6)
    try:
        for ns, words, four, six in sides:
            ns.ip("link", "add", name, *words)
            ns.ip("addr", "add", f"{four}/24", "dev", name)
            ns.ip("addr", "add", f"{six}/64", "dev", name, "nodad")
            ns.ip("link", "set", name, "up")
        yield
    finally:
        for ns, *_ in sides:
            sh("ip", "-n", ns.name, "link", "del", name, check=False)


def vxlan(near, far, port=4789):
    def words(remote, device):
        return ("type", "vxlan", "id", "77", "remote", remote, "dstport", str(port), "dev",
                device)
    return words(far, "near0"), words(near, "far0")


def told(lab, text):
    """The table knows of it (or, for "", of none any more)."""
    listed = "".join(sh("ip", "netns", "exec", lab.world.near.name, "nft", "list", "set",
                        "inet", "scupper", name) for name in ("tunnel4", "tunnel6"))
    return text in listed and (text or "elements" not in listed)


WORDS = b"not of a tunnel"
SEND = f"""
import socket, sys
at, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(.3)
for _ in range(2):
    try: s.sendto({WORDS}, (at, port)); s.recv(9)
    except OSError as e: print(e)
"""


def fetch(program, gate, address):
    at = f"[{address}]" if ":" in address else address
    return gate.run(program, "-sSm30", f"http://{at}/")


def through(lab, gate, carrier, port, inner):
    """Approved traffic comes out at the far end, in packets of the tunnel; denied does not
    go in; and a program's own datagram to the tunnel's far end is not one of the tunnel's."""
    yes, no = "/usr/bin/curl", lab.program("/usr/bin/curl", "denied")
    with lab.capture(f"udp port {port}") as wire:
        refused = fetch(no, gate, inner)
        assert not refused.ok, refused
        gate.run(PYTHON, "-c", SEND, carrier, port)
        sent = [p for p in wire.packets(dst=carrier) if goes_to(p, inner)]
        assert not sent, [(str(p), p.payload) for p in sent]
        assert not [p for p in wire.packets() if WORDS in p.payload]
        passed = fetch(yes, gate, inner)
        assert passed.ok and passed.out == "hello\n", passed
        assert [p for p in wire.packets(dst=carrier) if b"GET /" in p.payload]
    with lab.capture(f"udp port {port}") as wire:
        lab.outside.run(PYTHON, "-c", SEND, carrier, port)
        assert [p for p in wire.packets() if WORDS in p.payload]


def goes_to(packet, inner):
    """TCP in a VXLAN packet: not the kernel's own search for its neighbours."""
    frame = packet.payload[8:]
    if ":" in inner:
        return frame[38:54] == socket.inet_pton(socket.AF_INET6, inner) and frame[20] == 6
    return frame[30:34] == socket.inet_aton(inner) and frame[12:14] == b"\x08\0"


@pytest.mark.parametrize("near,far", [(zones.NEAR4, zones.FAR4), (zones.NEAR6, zones.FAR6)])
def test_vxlan(lab, near, far):
    """Made while the daemon runs, over each family, for each family; gone, it leaves nothing
    behind."""
    why = lacks("vxlan", "id", "1", "dstport", "0", "remote", "127.0.0.2")
    if why:
        pytest.skip(why)
    gate = lab.scupperd(rules=f"allow /usr/bin/curl {FAR}\nallow /usr/bin/curl [{FAR6}]")
    with tunnel(lab, "vx77", *vxlan(near, far)):
        wait_for(lambda: told(lab, far), "the table to know of the tunnel")
        for inner in FAR, FAR6:
            through(lab, gate, far, 4789, inner)
            passed = fetch("/usr/bin/curl", gate, inner)
            assert passed.ok and passed.out == "hello\n", passed
    wait_for(lambda: told(lab, ""), "the table to forget it")


def test_a_tunnel_older_than_the_core_and_the_table(lab):
    """It stands before the daemon, and is known after the core and the table were gone."""
    why = lacks("vxlan", "id", "1", "dstport", "0", "remote", "127.0.0.2")
    if why:
        pytest.skip(why)
    with tunnel(lab, "vx77", *vxlan(zones.NEAR4, zones.FAR4)):
        gate = lab.scupperd(rules=f"allow /usr/bin/curl {FAR}")
        wait_for(lambda: told(lab, zones.FAR4), "the table to know of the tunnel")
        assert fetch("/usr/bin/curl", gate, FAR).ok
        dead = gate.kill_core()
        wait_for(lambda: gate.pids[1] not in (None, dead), "another core")
        wait_for(lambda: fetch("/usr/bin/curl", gate, FAR).ok, "the tunnel to be usable")
    wait_for(lambda: told(lab, ""), "the new core to have it forgotten")


def test_wireguard(lab):
    """By its source port, which is the kernel's own; its far end may be anywhere."""
    why = lacks("wireguard")
    if why:
        pytest.skip(why)
    keys = [(k, sh("sh", "-c", f"echo {k} | wg pubkey").strip())
            for k in (sh("wg", "genkey").strip() for _ in range(2))]
    gate = lab.scupperd(rules=f"allow /usr/bin/curl {FAR}")
    with tunnel(lab, "wg77", ("type", "wireguard"), ("type", "wireguard")):
        for n, (ns, peer) in enumerate(((lab.world.near, zones.FAR4),
                                        (lab.world.far, zones.NEAR4))):
            secret = lab.tmp / f"key{n}"
            secret.write_text(keys[n][0])
            sh("ip", "netns", "exec", ns.name, "wg", "set", "wg77", "listen-port", "51820",
               "private-key", str(secret), "peer", keys[1 - n][1], "allowed-ips",
               "10.77.0.0/24,fd77::/64", "endpoint", f"{peer}:51820")
        wait_for(lambda: fetch("/usr/bin/curl", gate, FAR).ok, "the way to be open")
        with lab.capture("udp port 51820") as wire:
            assert not fetch(lab.program("/usr/bin/curl", "denied"), gate, FAR).ok
            assert not [p for p in wire.packets() if len(p.payload) > 100]
            assert fetch("/usr/bin/curl", gate, FAR).ok
            assert {p.sport for p in wire.packets(dst=zones.FAR4)} == {51820}
