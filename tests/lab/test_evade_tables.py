# SPDX-License-Identifier: GPL-2.0-or-later
"""Other tables that write marks, take packets out of conntrack or route by marks; flows that
are older than our own table. Each refusal stands beside a program that gets through."""

import contextlib
import re
import subprocess

import pytest
from lab import zones
from lab.gate import path_of
from lab.process import sh, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PYTHON = "/usr/bin/python3"
ALL = "tcp4 tcp6 udp4 udp6"

# Looks the echo server up, which opens it or not, then tries each way to it by address.
REACH = f"""
import socket, sys
try: socket.getaddrinfo("echo.shop.test", 7)
except OSError: pass
for way in "{ALL}".split():
    at = ("{zones.ECHO4}", "{zones.six(zones.ECHO4)}")[way[3] == "6"]
    s = socket.socket(socket.AF_INET6 if way[3] == "6" else socket.AF_INET,
                      socket.SOCK_STREAM if way[:3] == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(float(sys.argv[1]))
    try:
        s.connect((at, 7)); s.send(b"hello\\n")
        if s.recv(6) == b"hello\\n": print(way, end=" ")
    except OSError as e: print(way, e, file=sys.stderr)
"""


@contextlib.contextmanager
def other_table(lab, text):
    """Somebody else's ruleset beside ours, in the guarded namespace."""
    ns = ("ip", "netns", "exec", lab.world.near.name, "nft")
    subprocess.run([*ns, "-f", "-"], input=f"table inet other {{\n{text}\n}}", text=True,
                   check=True)
    try:
        yield
    finally:
        sh(*ns, "delete", "table", "inet", "other")


@contextlib.contextmanager
def routed_by_mark(lab, mark):
    """A routing table of its own for packets with this mark."""
    for six in [], ["-6"]:
        lab.world.near.ip(*six, "route", "add", "default", "via",
                          zones.FAR6 if six else zones.FAR4, "table", "77")
        lab.world.near.ip(*six, "rule", "add", "fwmark", mark, "lookup", "77")
    try:
        yield
    finally:
        for six in [], ["-6"]:
            lab.world.near.ip(*six, "rule", "del", "fwmark", mark, "lookup", "77")
            lab.world.near.ip(*six, "route", "flush", "table", "77")


def mark_of(lab, address):
    """The mark of the program that may reach this address, as its grant shows it."""
    listed = sh("ip", "netns", "exec", lab.world.near.name, "nft", "list", "set", "inet",
                "scupper", "pass4")
    return int(re.search(rf"(0x53[0-9a-f]{{6}}) \. {re.escape(address)}", listed)[1], 16)


def chain(hook, priority, rule, kind="filter"):
    return f"chain {hook}{abs(priority)} {{ type {kind} hook {hook} priority {priority};\n" \
           f"{rule}\n}}\n"


def others(mark):
    """What other programs' rulesets do; mark is an approved program's."""
    stamped = mark | 0x20000000
    save, restore = "ct mark set meta mark", "meta mark set ct mark"
    far = f"ip daddr {zones.NET4} {{0}}\nip6 daddr {zones.NET6} {{0}}".format
    return {
        "connmark restored in output":
            chain("postrouting", -150, save) + chain("output", -150, restore, "route"),
        "connmark restored in output, late":
            chain("postrouting", -150, save) + chain("output", 100, restore),
        "connmark saved in output, restored in postrouting":
            chain("output", 10, save) + chain("postrouting", -150, restore),
        "connmark restored last of all in postrouting":
            chain("output", 10, save) + chain("postrouting", 9999, restore),
        "everything gets an approved program's mark":
            chain("output", -310, f"meta mark set {mark:#x}") +
            chain("output", -1, f"ct mark set {mark:#x}") +
            chain("postrouting", -1, f"ct mark set {stamped:#x}"),
        "everything gets an approved program's mark, stamped":
            chain("output", -310, f"meta mark set {stamped:#x}") +
            chain("output", -1, f"meta mark set {stamped:#x} ct mark set {stamped:#x}"),
        "zones of its own":
            chain("output", -310, far("ct zone set 7")) +
            chain("prerouting", -310, f"ip saddr {zones.NET4} ct zone set 7\n"
                                      f"ip6 saddr {zones.NET6} ct zone set 7"),
        "notrack": chain("output", -310, far("notrack")),
        "notrack both ways":
            chain("output", -310, far("notrack")) +
            chain("prerouting", -310, f"ip saddr {zones.NET4} notrack\n"
                                      f"ip6 saddr {zones.NET6} notrack"),
        "policy routing": chain("output", -150, far("meta mark set 0x77"), "route"),
        "policy routing by connmark":
            chain("output", -150, far("ct mark set 0x77 meta mark set 0x77"), "route") +
            chain("prerouting", -150, "meta mark set ct mark"),
    }


def test_other_tables_lend_nobody_a_way(lab):
    yes, no = (lab.program(PYTHON, name) for name in ("approved", "denied"))
    gate = lab.scupperd(rules=f"allow {yes} .shop.test")
    first = gate.run(yes, "-c", REACH, "5")
    assert first.out.split() == ALL.split(), first
    for what, text in others(mark_of(lab, zones.ECHO4)).items():
        print(what)
        with other_table(lab, text), routed_by_mark(lab, "0x77"), \
                lab.capture_to(zones.ECHO4) as wire:
            refused = gate.run(no, "-c", REACH, "0.2")
            assert refused.out == "", (what, refused)
            assert not wire.packets(), (what, [str(p) for p in wire.packets()])
            passed = gate.run(yes, "-c", REACH, "5")
            assert passed.out.split() == ALL.split(), (what, passed)
            assert {(p.proto, ":" in p.dst) for p in wire.packets()} == {
                (proto, six) for proto in ("tcp", "udp") for six in (False, True)}, what


def test_other_tables_do_not_take_dns_away_from_us(lab):
    """Redirected or refused, whatever another table does to the packet; never at the server
    that the program chose."""
    yes = lab.program(lab.ask, "asker")
    gate = lab.scupperd(rules=f"allow {yes} .shop.test")
    assert gate.run(yes, "udp", zones.DNS4_OTHER, "www.shop.test").ok
    with lab.capture(f"host {zones.DNS4_OTHER} or host {zones.DNS6}") as wire:
        for what, text in others(mark_of(lab, zones.WWW4)).items():
            print(what)
            with other_table(lab, text), routed_by_mark(lab, "0x77"):
                for server in zones.DNS4_OTHER, zones.DNS6:
                    for how in "udp", "tcp":
                        answer = gate.run("timeout", "0.5", yes, how, server, "x.ads.example")
                        assert zones.ADS4 not in answer.out, (what, answer)
                        assert not wire.packets(), what
        assert lab.outside.run(yes, "udp", zones.DNS4_OTHER, "x.ads.example").ok
        assert wire.packets(), "the control sent nothing"


TALKER = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET,
                  socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2]))); s.settimeout(1)
for line in sys.stdin:
    try:
        s.send(bytes.fromhex(line)); print(s.recv(4096).hex(), flush=True)
    except OSError as e: print("error", e, flush=True)
"""


def query(name):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return (bytes.fromhex("4711010000010000000000") + b"\0" + labels +
            bytes.fromhex("0000010001")).hex()


def say(program, text):
    """A line to a program; the line it answers with."""
    before = program.out.count("\n")
    program.say(text)
    wait_for(lambda: program.out.count("\n") > before, "an answer")
    return program.out.splitlines()[-1]


@pytest.mark.parametrize("address", [zones.ECHO4, zones.six(zones.ECHO4)])
def test_a_udp_flow_older_than_the_table(lab, address):
    mine = lab.direct_inside.start(PYTHON, "-c", TALKER, address, 7)
    others_ = lab.outside.start(PYTHON, "-c", TALKER, address, 7)
    assert say(mine, "6869") == say(others_, "6869") == "6869"
    gate = lab.scupperd(rules=f"deny {PYTHON}* any")
    with lab.capture_to(address) as wire:
        assert say(mine, "6869") != "6869"
        assert not wire.packets()
        assert say(others_, "6869") == "6869"
        assert wire.packets()
    for one in mine, others_:
        one.popen.stdin.close()
        one.wait()


@pytest.mark.parametrize("server", [zones.DNS4_OTHER, zones.DNS6])
def test_a_dns_socket_older_than_the_table(lab, server):
    """Connected to a server of its own since before: from now on it talks to us."""
    mine = lab.direct_inside.start(PYTHON, "-c", TALKER, server, 53)
    others_ = lab.outside.start(PYTHON, "-c", TALKER, server, 53)
    address = bytes(map(int, zones.ADS4.split("."))).hex()
    assert say(mine, query("x.ads.example")).endswith(address)
    gate = lab.scupperd(rules="allow any .shop.test")
    with lab.capture(f"dst host {server}") as wire:
        refused = say(mine, query("y.ads.example"))
        assert refused[7] == "3", f"not our NXDOMAIN: {refused}"
        assert not wire.packets()
        assert say(others_, query("z.ads.example")).endswith(address)
        assert wire.packets()
    seen = gate.wait_query(lambda q: q["name"] == "y.ads.example")
    assert path_of(seen).startswith(PYTHON)
    for one in mine, others_:
        one.popen.stdin.close()
        one.wait()
