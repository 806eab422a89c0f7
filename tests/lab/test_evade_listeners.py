# SPDX-License-Identifier: GPL-2.0-or-later
"""Our own listeners: nobody reaches them but by a redirect of ours, nobody passes there for a
program that he is not, and a redirect catches nobody else's packets."""

import contextlib
import re
import socket
import struct

import pytest
from lab import zones
from lab.gate import path_of
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PYTHON = "/usr/bin/python3"
INNER4, INNER6 = "127.0.0.153", "fd53:6375:7070:1::53"

WORDS = """
import socket, struct, sys, time
def query(name, kind=1):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return bytes.fromhex("4711010000010000000000") + b"\\0" + labels + struct.pack("!BHH", 0, kind, 1)
def family(at): return socket.AF_INET6 if ":" in at else socket.AF_INET
def checksum(b):
    n = sum(struct.unpack(f"!{len(b) // 2}H", b))
    while n >> 16: n = (n & 65535) + (n >> 16)
    return 65535 - n
def udp4(src, sport, dst, dport, data):
    udp = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    head = struct.pack("!BBHHHBBH4s4s", 69, 0, 20 + len(udp), 7, 0, 64, 17, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp
def udp6(src, sport, dst, dport, data):
    ends = socket.inet_pton(10, src) + socket.inet_pton(10, dst)
    data += b"\\0" * (len(data) % 2)
    n = 8 + len(data)
    head = struct.pack("!HHH", sport, dport, n)
    sum_ = checksum(ends + struct.pack("!II", n, 17) + head + b"\\0\\0" + data)
    return struct.pack("!IHBB", 6 << 28, n, 17, 64) + ends + head + struct.pack("!H", sum_) + data
def udp(src, sport, dst, *more): return (udp6 if ":" in dst else udp4)(src, sport, dst, *more)
"""


def python(place, code, *argv, **how):
    return place.run(PYTHON, "-c", WORDS + code, *argv, **how)


def ports_of(lab):
    """Of our inner address: DNS and the gate's, as whoever looks may see them."""
    listed = lab.outside.run("ss", "-Hltn", "src", INNER4).out.split()
    return sorted({int(w.rsplit(":", 1)[1]) for w in listed if w.startswith(INNER4 + ":")})


def names(gate):
    return {q["name"] for q in gate.queries()}


# an address of ours, dialled directly


DIAL = """
for at in sys.argv[1].split():
    for port in map(int, sys.argv[2].split()):
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            s = socket.socket(family(at), kind); s.settimeout(.3)
            try:
                if len(sys.argv) > 3: s.bind((sys.argv[3 + (":" in at)], 0))
                s.connect((at, port))
                if kind == socket.SOCK_DGRAM:
                    s.send(query("direct.shop.test")); s.recv(99)
                print("in", at, port, kind)
            except OSError as e: print(at, port, e, file=sys.stderr)
"""


def test_our_inner_addresses_cannot_be_dialled(lab):
    """From inside and outside the scope, also from an address that stands for a program."""
    gate = lab.scupperd(default="allow", rules="allow any any")
    dns, gate_port = ports_of(lab)
    inner, more = f"{INNER4} {INNER6}", "127.64.0.1 127.64.0.2 fd53:6375:7070::1"
    assert dns == 53 and gate_port < 1024
    for place, who in (gate, "in"), (lab.outside, "out"):
        ports = f"{gate_port} 54" if who == "in" else f"53 {gate_port} 54"
        done = python(place, DIAL, inner, ports)
        assert done.out == "", (who, done)
        done = python(place, DIAL, more, "1021 7" if who == "in" else "53 1021 7")
        assert done.out == "", (who, done)
    for n in range(1, 4):
        done = python(lab.outside, DIAL, inner, f"53 {gate_port}", f"127.64.0.{n}",
                      f"fd53:6375:7070::{n}")
        assert done.out == "", done
    assert "direct.shop.test" not in names(gate)
    # the controls: DNS as a guarded program asks for it, and a listener of somebody else's
    assert "in " in python(gate, DIAL, "127.0.0.53", "53").out
    assert "direct.shop.test" in names(gate)
    assert "in " in python(lab.outside, DIAL, "127.0.0.53", "53").out


# packets made by hand


RAW = """
src, dst, port, name = sys.argv[1:5]
for sport in 4000, 4001:
    packet = udp(src, sport, dst, int(port), query(name))
    s = socket.socket(family(dst), socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.sendto(packet, (dst, 0))
"""
FRAME = """
device, mac, src, dst, port, name = sys.argv[1:7]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind((device, 0))
kind = b"\\x86\\xdd" if ":" in dst else b"\\x08\\0"
s.send(bytes.fromhex(mac) + bytes.fromhex(mac) + kind + udp(src, 4002, dst, int(port), query(name)))
"""
HEAR = """
s = socket.socket(family(sys.argv[1]), socket.SOCK_DGRAM); s.bind((sys.argv[1], 5399))
print("ready", flush=True)
while True:
    labels = s.recv(999)[12:]
    print(labels[1:1 + labels[0]].decode(), flush=True)
"""


@contextlib.contextmanager
def heard(lab, address):
    """An outside program that prints what comes to it: hand-made packets do arrive."""
    ear = lab.outside.start(PYTHON, "-c", WORDS + HEAR, address)
    ear.wait_out("ready")
    yield ear
    ear.stop()


@pytest.mark.parametrize("inner,src,there", [(INNER4, "127.64.0.{}", "127.0.0.9"),
                                             (INNER6, "fd53:6375:7070::{}", "::1")])
def test_packets_made_by_hand_on_this_machine(lab, inner, src, there):
    """Raw and packet sockets of outside root, from every address that stands for a program."""
    ask = lab.program(lab.ask, "allowed")
    gate = lab.scupperd(rules=f"allow {ask} .shop.test")
    assert gate.run(ask, "udp", "127.0.0.53", "www.shop.test").ok
    mac = "00" * 6
    with heard(lab, there) as ear:
        for n in range(1, 5):
            raw = python(lab.outside, RAW, src.format(n), inner, "53", f"raw{n}.shop.test")
            assert "not permitted" in raw.err, raw
            assert python(lab.outside, FRAME, "lo", mac, src.format(n), inner, "53",
                          f"frame{n}.shop.test").ok
        mine = "127.0.0.1" if there != "::1" else "::1"
        assert python(lab.outside, RAW, mine, there, "5399", "rawcontrol").ok
        assert python(lab.outside, FRAME, "lo", mac, mine, there, "5399", "framecontrol").ok
        ear.wait_out("rawcontrol")
        if there != "127.0.0.9":  # a v4 frame on lo without a route of its own is a martian
            ear.wait_out("framecontrol")
    assert gate.run(ask, "udp", "127.0.0.53", "n00001.shop.test").ok
    assert names(gate) == {"www.shop.test", "n00001.shop.test"}
    assert not [n for n in lab.dns.queries() if n.startswith(("raw", "frame"))]


def test_packets_made_by_hand_in_the_scope_are_their_makers(lab):
    """A guarded root's raw socket that writes another's address: judged as what it is."""
    ask, maker = lab.program(lab.ask, "allowed"), lab.program(PYTHON, "maker")
    gate = lab.scupperd(rules=f"allow {ask} .shop.test")
    assert gate.run(ask, "udp", "127.0.0.53", "www.shop.test").ok
    for n in range(1, 5):
        gate.run(maker, "-c", WORDS + RAW, f"127.64.0.{n}", INNER4, "53", f"raw{n}.shop.test")
        gate.run(maker, "-c", WORDS + RAW, f"127.64.0.{n}", "127.0.0.53", "53",
                 f"stub{n}.shop.test")
    assert gate.run(ask, "udp", "127.0.0.53", "n00001.shop.test").ok
    for q in gate.queries():
        if q["name"].startswith(("raw", "stub")):
            assert path_of(q) == str(maker) and q["verdict"] == "deny", q
    assert not [n for n in lab.dns.queries() if n.startswith(("raw", "stub"))]


def near_mac(lab):
    return re.search(r"link/ether (\S+)", lab.world.near.ip("link", "show", "near0"))[1] \
        .replace(":", "")


@pytest.mark.parametrize("inner,src,near", [(INNER4, "127.64.0.{}", zones.NEAR4),
                                            (INNER4, zones.FAR4, zones.NEAR4),
                                            (INNER6, "fd53:6375:7070::{}", zones.NEAR6),
                                            (INNER6, zones.FAR6, zones.NEAR6)])
def test_packets_from_the_lan(lab, inner, src, near):
    """Frames for our inner address, with the kernel's own refusal of loopback addresses from
    a wire taken out."""
    ask = lab.program(lab.ask, "allowed")
    gate = lab.scupperd(rules=f"allow {ask} .shop.test", default="allow")
    lab.world.near.sysctl("net.ipv4.conf.near0.route_localnet=1",
                          "net.ipv4.conf.all.route_localnet=1",
                          "net.ipv4.conf.all.accept_local=1")
    try:
        with heard(lab, near) as ear:
            for n in range(1, 5):
                assert python(lab.far, FRAME, "far0", near_mac(lab), src.format(n), inner, "53",
                              f"lan{n}.shop.test").ok
            far = zones.FAR6 if ":" in near else zones.FAR4
            assert python(lab.far, FRAME, "far0", near_mac(lab), far, near, "5399", "control").ok
            ear.wait_out("control")
        assert gate.run(ask, "udp", "127.0.0.53", "n00001.shop.test").ok
        assert names(gate) == {"n00001.shop.test"}
    finally:
        lab.world.near.sysctl("net.ipv4.conf.near0.route_localnet=0",
                              "net.ipv4.conf.all.route_localnet=0",
                              "net.ipv4.conf.all.accept_local=0")


# whose packet does a redirect catch?


def test_the_upstreams_own_port(lab):
    """An upstream with a port of its own: what programs send there is DNS as well."""
    upstreams = [f"{zones.DNS4}:5300", f"[{zones.DNS6}]:5300"]
    gate = lab.scupperd(default="allow", rules="deny any .ads.example", upstream=upstreams)
    for server in zones.DNS4, zones.DNS6:
        for how in "+notcp", "+tcp":
            words = ("kdig", "+retry=0", "+time=5", "-p", "5300", how, f"@{server}")
            with lab.capture("port 5300") as wire:
                no = gate.run(*words, "x.ads.example")
                assert no.status == "NXDOMAIN", no
                assert not wire.packets()
                yes = gate.run(*words, "n00003.shop.test")
                assert yes.status == "NOERROR" and zones.address4(3) in yes.out
                control = lab.outside.run(*words, "x.ads.example")
                assert zones.ADS4 in control.out and wire.packets(), control
    seen = gate.wait_query(lambda q: q["name"] == "x.ads.example")
    assert path_of(seen) == "/usr/bin/kdig"


# sends from a port; prints what comes within wait seconds, and for 0.6 s after, unless once
ASK_FROM = """
at, port, name, wait = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
s = socket.socket(family(at), socket.SOCK_DGRAM); s.bind(("::" if ":" in at else "0.0.0.0", port))
s.connect((at, 53)); s.send(query(name)); s.settimeout(wait)
while wait:
    print(s.recv(4096).hex(), flush=True); s.settimeout(.6)
    if len(sys.argv) > 5: break
"""


@pytest.mark.parametrize("server", [zones.DNS4, zones.DNS6])
def test_an_outside_program_on_the_port_of_a_query(lab, server):
    """The asker is gone before its answer; an outside program takes its port and asks the
    same server: it hears that server alone, and we hear nothing of it. Nor does another
    program of the scope hear what the first one asked."""
    heir = lab.program(PYTHON, "heir")
    gate = lab.scupperd(rules=f"allow {PYTHON}* any", upstream=zones.DNS4_SLOW)
    assert python(gate, ASK_FROM, server, "45001", "before.shop.test", "0").ok
    other = gate.run(heir, "-c", WORDS + ASK_FROM, server, "45001", "x.ads.example", "5")
    assert "before".encode().hex() not in other.out and "x".encode().hex() in other.out, other
    assert python(gate, ASK_FROM, server, "45001", "early.shop.test", "0").ok
    asked = python(lab.outside, ASK_FROM, server, "45001", "x.ads.example", "5")
    answers = asked.out.split()
    assert len(answers) == 1 and "x".encode().hex() in answers[0], asked
    assert bytes(map(int, zones.ADS4.split("."))).hex() in answers[0], asked
    gate.wait_query(lambda q: q["name"] == "early.shop.test")
    assert not [q for q in gate.queries() if q["name"] == "x.ads.example"
                and path_of(q) != str(heir)]


FLOOD = """
n = 0
for port in range(32768, 61000, 4):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try: s.bind(("0.0.0.0", port)); s.connect((sys.argv[1], 53)); s.send(query("x.ads.example")); n += 1
    except OSError: pass
    s.close()
print(n)
"""


def test_a_port_that_a_client_had_is_drawn_again(lab):
    """A program leaves live redirects from a quarter of all ports: our own queries to the same
    server, and an outside program's, are not caught by one."""
    ask = lab.program(lab.ask, "asker")
    gate = lab.scupperd(rules=f"allow {ask} .shop.test")
    left = python(gate, FLOOD, zones.DNS4)
    assert int(left.out) > 6000, left
    for n in range(1, 41):
        got = gate.run(ask, "udp", "127.0.0.53", f"n{n:05}.shop.test")
        assert got.out == f"n{n:05}.shop.test 0 {zones.address4(n)}\n", got
    for port in range(32768 + 400, 32768 + 440, 4):
        got = python(lab.outside, ASK_FROM, zones.DNS4, port, "y.ads.example", "5", "once")
        assert bytes(map(int, zones.ADS4.split("."))).hex() in got.out, got
    assert "y.ads.example" not in names(gate)
    assert lab.dns.queries().count("x.ads.example") == 0


FETCH = """
s = socket.socket(family(sys.argv[1])); s.setsockopt(1, 2, 1); s.bind((sys.argv[1], 45002))
s.setsockopt(1, 13, struct.pack("ii", 1, 0))  # gone at once when it is closed
s.settimeout(5); s.connect((sys.argv[1], 7531))
s.send(b"GET /api/v1/status HTTP/1.1\\r\\nHost: 127.0.0.1:7531\\r\\n\\r\\n")
print(s.recv(12).decode())
"""


@pytest.mark.parametrize("at", ["127.0.0.1", "::1"])
def test_the_dashboard_knows_who_comes_from_a_port_that_another_had(lab, at):
    """scupper-web finds the owner of a connection by its port: it must arrive with it."""
    programs = [lab.program(PYTHON, f"browser{n}") for n in range(4)]
    lab_gate = lab.scupperd(default="allow")
    for program in programs:
        got = lab_gate.run(program, "-c", WORDS + FETCH, at)
        assert got.out.startswith("HTTP/1.1"), got
