# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose query is it: programs that live for a millisecond, fifty of them at once.

Each executable may ask for names below its own label only, so that a query laid at another's
door is refused, and the list is read besides."""

import collections
import itertools
import os
import time

import pytest
from lab import zones
from lab.gate import path_of
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
EXECUTABLES, RUNS = 50, 1000


def label(i):
    return f"e{i:02}.ask.shop.test"


@pytest.fixture
def crowd(lab):
    """Fifty programs, the rules that tell them apart, and a gate."""
    programs = [lab.program(lab.ask, f"ask{i:02}") for i in range(EXECUTABLES)]
    rules = "\n".join(f"allow {p} .{label(i)}" for i, p in enumerate(programs))
    return programs, lab.scupperd(rules=rules)


def ask_all(gate, programs, hows, runs=RUNS, server="127.0.0.53", may_miss=0):
    """runs short programs, 50 at a time; their names; asserts that each was answered (but
    for the few that may miss: nobody asks twice here) and none refused."""
    how = itertools.cycle(hows)
    lines = [(programs[i % len(programs)], next(how), server,
              f"q{i}.{label(i % len(programs))}") for i in range(runs)]
    text = "\n".join(" ".join(map(str, line)) for line in lines)
    done = gate.run("xargs", "-P", "50", "-L", "1", "env", input=text, timeout=300)
    answers = collections.Counter(done.out.splitlines())
    if "leave" not in "".join(hows):
        missed = {a for a in answers if a.endswith("timed out")}
        wrong = {a for a in answers if not a.endswith(f" 0 {zones.ASK4}")} - missed
        assert not wrong, f"{len(wrong)}: {sorted(wrong)[:5]} {done.err[-500:]}"
        assert len(missed) <= may_miss, f"{len(missed)} unanswered: {sorted(missed)[:5]}"
        assert sum(answers.values()) == runs
        print(f"unanswered: {len(missed)} of {runs}")
    return {name: str(program) for program, _, _, name in lines}


def listed(gate, names):
    return {q["name"]: q for q in gate.queries() if q["name"] in names}


def check_list(gate, names):
    seen = wait_for(lambda: (found := listed(gate, names)).keys() >= names.keys() and found,
                    "every query to be listed")
    wrong = [(n, path_of(q)) for n, q in seen.items() if path_of(q) != names[n]]
    assert not wrong, (len(wrong), wrong[:5])


def test_a_thousand_short_programs_of_fifty_executables(lab, crowd):
    programs, gate = crowd
    idle = [gate.start(lab.talk, "idle") for _ in range(400)]
    names = ask_all(gate, programs, ["udp", "sendto", "tcp"])
    check_list(gate, names)
    counters = gate.status()["counters"]
    assert counters.get("unknown", 0) == 0, counters
    assert all(i.running for i in idle)
    (lab.scope.path / "cgroup.kill").write_text("1")
    for i in idle:
        i.wait()


@pytest.mark.parametrize("server", [zones.DNS4_OTHER, zones.DNS6])
def test_the_same_sent_to_other_servers(lab, crowd, server):
    programs, gate = crowd
    with lab.capture(f"host {server} and port 53") as wire:
        names = ask_all(gate, programs, ["udp", "sendto", "tcp"], runs=300, server=server)
        if server != zones.DNS6:
            assert not wire.packets()
    check_list(gate, names)


def flooded_from(gate, at_least):
    """how many queries there had been when the flood was on"""
    return wait_for(lambda: (n := gate.status()["counters"]["queries"]) > at_least and n,
                    "the flood to be on")


def test_attribution_under_a_flood(lab, crowd):
    programs, gate = crowd
    flooder = lab.program(lab.ask, "flooder")
    flood = gate.start(flooder, "flood", "127.0.0.53", "flood.ads.example", "40000", "600")
    since, begun = flooded_from(gate, 5000), time.monotonic()
    names = ask_all(gate, programs, ["udp", "sendto", "tcp"], may_miss=RUNS // 10)
    took = time.monotonic() - begun
    assert flood.running, "the flood ended before the last query: raise its time"
    meanwhile = gate.status()["counters"]["queries"] - since - len(names)
    print(f"flood: {meanwhile / took:.0f} queries/s taken while asking;",
          flood.stop().out.strip())
    assert meanwhile > RUNS, "no flood: it asked less than those it was to drown"
    assert not [n for n in lab.dns.queries() if n.endswith("ads.example")]
    assert gate.status()["counters"].get("unknown", 0) == 0


def test_senders_gone_before_the_answer(lab, crowd):
    programs, gate = crowd
    with lab.capture(f"icmp or icmp6 or (port 53 and not src host {zones.NEAR4} "
                     f"and not dst host {zones.NEAR4})") as wire:
        names = ask_all(gate, programs, ["udp-leave", "sendto-leave"], runs=200)
        check_list(gate, names)
        assert not wire.packets(), [str(p) for p in wire.packets()][:5]
    assert gate.status()["counters"].get("unknown", 0) == 0


# asks for names, one after the other, each from a socket of its own at the same port
ASK_FROM_PORT = """
import socket, sys, dns.message
port, how, names = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
if how == "together":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    s.settimeout(60)
    for name in names:
        s.sendto(dns.message.make_query(name, "A").to_wire(), ("127.0.0.53", 53))
    for name in names:
        s.recv(4096)
    sys.exit()
for name in names:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", port))
        s.settimeout(60)
        s.sendto(dns.message.make_query(name, "A").to_wire(), ("127.0.0.53", 53))
        s.recv(4096)
"""


def test_one_port_of_several_senders(lab):
    """The next to have a port is not taken for the one before, though its queries come from
    there too; many queries at once from one socket are all its own. Outside the scope, where
    the socket is looked for, and in it, where the number is in the source."""
    python = os.path.realpath("/usr/bin/python3")
    gate = lab.scupperd(rules=f"allow {python} .shop.test")
    want = {}
    for n, how in enumerate(("one by one", "together")):
        for place, kind in ((lab.outside, "out"), (lab.inside, "in")):
            for uid in (1000, 1001, 1002):
                names = [f"n{uid % 1000 * 40 + i + 1:05}.shop.test" for i in range(40)]
                done = place.run(python, "-c", ASK_FROM_PORT, "40053", how, *names, uid=uid)
                assert done.ok, (kind, uid, how, done)
                want.update({(name, kind, n): uid for name in names})
    # each name was asked for by one user only, four times
    seen = wait_for(lambda: (q := [q for q in gate.queries(limit=1000)
                                   if q["name"].endswith(".shop.test")]) and
                    len(q) >= len(want) and q, "every query to be listed")
    by_name = {name: uid for (name, _, _), uid in want.items()}
    wrong = [q for q in seen if q["actor"]["uid"] != by_name[q["name"]]]
    assert not wrong, (len(wrong), wrong[:3])
    assert gate.status()["counters"].get("unknown", 0) == 0


def test_names_sent_to_another_server_do_not_bounce_there(lab, crowd):
    programs, gate = crowd
    with lab.capture(f"dst host {zones.DNS4_OTHER}") as wire:
        names = ask_all(gate, programs, ["udp-leave"], runs=200, server=zones.DNS4_OTHER)
        check_list(gate, names)
        assert not wire.packets(), [str(p) for p in wire.packets()][:5]


def test_a_copy_and_a_link_and_a_deleted_program(lab):
    ask = lab.program(lab.ask, "original")
    copy = lab.program(lab.ask, "copy")
    link = ask.with_name("hardlink")
    os.link(ask, link)
    symlink = ask.with_name("symlink")
    symlink.symlink_to(ask)
    gate = lab.scupperd(rules=f"allow {ask} .shop.test")
    assert gate.run(ask, "udp", "127.0.0.53", "www.shop.test").ok
    assert gate.run(symlink, "udp", "127.0.0.53", "www.shop.test").ok
    assert gate.run(link, "udp", "127.0.0.53", "www.shop.test").ok
    assert gate.run(copy, "udp", "127.0.0.53", "www.shop.test").rc == 3
    gone = gate.run("sh", "-c", "cp $0 $0-gone; exec 3<$0-gone; rm $0-gone; "
                    "exec /proc/self/fd/3 udp 127.0.0.53 n00005.shop.test", ask)
    assert gone.rc == 3, gone
    seen = gate.wait_query(lambda q: q["name"] == "n00005.shop.test")
    assert "deleted" in path_of(seen)


def test_a_guarded_program_may_not_mark_its_sockets(lab):
    gate = lab.scupperd()
    mark = ("import socket; s = socket.socket(); s.setsockopt(1, 36, 0x53000001)")
    assert not gate.run("/usr/bin/python3", "-c", mark).ok
    assert lab.outside.run("/usr/bin/python3", "-c", mark).ok


def test_a_guarded_program_may_not_take_our_ports(lab):
    gate = lab.scupperd()
    for address in ("127.0.0.153", "127.0.0.53"):
        steal = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                 "s.setsockopt(1, 15, 1); s.setsockopt(1, 2, 1); "
                 f"s.bind(('{address}', 53))")
        assert not gate.run("/usr/bin/python3", "-c", steal).ok


def test_nobody_passes_for_an_actor_at_the_listener(lab):
    """Outside programs that write an actor's source address get no answer."""
    ask = lab.program(lab.ask, "allowed")
    gate = lab.scupperd(rules=f"allow {ask} .shop.test")
    assert gate.run(ask, "udp", "127.0.0.53", "www.shop.test").ok
    forge = ("import socket, sys\n"
             "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
             "s.bind((sys.argv[1], 0)); s.settimeout(1)\n"
             "s.sendto(bytes.fromhex('000101000001000000000000"
             "066e303030303904' '73686f70' '0474657374' '00' '00010001'), "
             "('127.0.0.153', 53))\n"
             "s.recv(512)")
    for number in range(1, 6):
        forged = lab.outside.run("/usr/bin/python3", "-c", forge, f"127.64.0.{number}")
        assert not forged.ok
    assert "n00009.shop.test" not in lab.dns.queries()


def test_before_the_daemon_and_after(lab):
    """A program that runs since before the daemon keeps what it has, and gets a name."""
    before = lab.direct_inside.start(lab.talk, "hold-tcp", zones.ECHO4, "7")
    before.wait_out("connected")
    gate = lab.scupperd()
    before.say("still here")
    before.wait_out("still here")
    new = gate.run(lab.talk, "tcp", zones.ECHO4, "7")
    assert new.rc == 4, "a new connection of the same program is judged"
    before.stop()


ECHO = """import socket
s = socket.create_server(("{}", 4001))
print("ready", flush=True)
c, _ = s.accept()
while d := c.recv(100):
    c.sendall(d)
"""


@pytest.mark.parametrize("default_in", ["allow", "deny"])
def test_a_session_that_came_in_before(lab, default_in):
    """It was accepted, not made: the inbound default speaks, and at a first start nobody is
    cut off."""
    server = lab.direct_inside.start("/usr/bin/python3", "-c", ECHO.format(zones.NEAR4))
    server.wait_out("ready")
    peer = lab.world.holders.start(lab.talk, "hold-tcp", zones.NEAR4, "4001")
    peer.wait_out("connected")
    gate = lab.scupperd(default_in=default_in)
    peer.say("still here")
    peer.wait_out("still here")
    gate.rule_add("deny /nobody .shop.test")  # a review must not end it either
    peer.say("and still")
    peer.wait_out("and still")
    peer.stop()
    server.stop()


def test_before_the_daemon_but_denied(lab):
    """What a rule denies is ended, also where it began before the daemon."""
    before = lab.direct_inside.start(lab.talk, "hold-tcp", zones.ECHO4, "7")
    before.wait_out("connected")
    lab.scupperd(rules=f"deny {lab.talk} any")
    wait_for(lambda: not before.running or ended(before), "the old connection to be ended")
    before.popen.kill()
    before.wait()


def ended(program):
    try:
        program.say("anybody?")
    except BrokenPipeError:
        return True
    return not program.running
