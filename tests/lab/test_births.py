# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way for a program to come to be and to have a socket, all at once, under load: never
a wrong name, and what is unknown is judged as the worst it could be.

SCUPPER_BIRTHS says how many (usually 600), SCUPPER_SEED which."""

import collections
import os
import resource

import pytest
from lab import zones
from lab.chance import amount, seeded
from lab.gate import path_of, rule_text
from lab.netns import Netns
from lab.process import Place, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
EXECUTABLES, OTHER, SOCKETS = 20, 1000, 100_000
SERVER = "127.0.0.53"
BORN = "fork", "vfork", "spawn", "thread", "twice"
PYTHON = os.path.realpath("/usr/bin/python3")
OWN_QUERY = """#!/usr/bin/python3
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(15)
name = b"".join(bytes([len(x)]) + x.encode() for x in sys.argv[1].split("."))
s.sendto(bytes.fromhex("0007010000010000000000") + b"\\0" + name + bytes.fromhex("0000010001"),
         ("127.0.0.53", 53))
got = s.recv(512)
print("%s %d %s\\n" % (sys.argv[1], got[3] & 15, socket.inet_ntoa(got[-4:])), end="")
"""


def label(i):
    return f"b{i:02}.ask.shop.test"


class Crowd:
    """Executables each of which may ask below its own label, and the ways to start them."""

    def __init__(self, lab, chance):
        self.lab, self.chance = lab, chance
        self.asks = [lab.program(lab.ask, f"ask{i:02}") for i in range(EXECUTABLES)]
        self.asks[0].chmod(0o4755)                   # set-uid root
        os.chown(self.asks[1], OTHER, OTHER)
        self.asks[1].chmod(0o4755)                   # set-uid another user
        self.born = lab.world.tools / "born"
        self.scripts = [self.script(f"run{i}", f'#!/bin/sh\nexec {ask} udp {SERVER} "$@"\n')
                        for i, ask in enumerate(self.asks)]
        self.python = self.script("own-query", OWN_QUERY)
        self.rules = "\n".join([f"allow {a} .{label(i)}" for i, a in enumerate(self.asks)] +
                               [f"allow {PYTHON} .py.ask.shop.test"])

    def script(self, name, text):
        path = self.lab.tmp / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def line(self, n):
        """(words, name, the path it must be listed by, may it ask, is it sure of its answer)"""
        chance = self.chance
        i = chance.randrange(EXECUTABLES)
        ask, may, sure = self.asks[i], True, True
        below = label(i)
        if chance.random() < 0.2:                    # a name that is another's
            below, may = label((i + 1) % EXECUTABLES), False
        name = f"q{n}.{below}"
        how = chance.choice(("udp", "sendto", "tcp"))
        kind = chance.choice((*BORN, "bind", "pass", "script", "user", "python"))
        if kind in ("bind", "pass"):                 # others answer on the same port
            sure = False
            words = [self.born, kind, chance.choice(("127.0.0.1", "127.0.0.2", zones.NEAR4)),
                     20000 + chance.randrange(5), ask, "given", SERVER, name]
        elif kind == "script":
            words = [self.scripts[i], name]
        elif kind == "user":
            words = ["setpriv", "--reuid", OTHER, "--clear-groups", ask, how, SERVER, name]
        elif kind == "python":
            name = f"q{n}.py.ask.shop.test" if may else name
            ask, words = PYTHON, [self.python, name]
        else:
            words = [self.born, kind, ask, how, SERVER, name]
        return words, name, str(ask), may, sure


def noise(lab, crowd, count):
    """The same programs in another network namespace, to the same addresses and names."""
    other = Netns(f"snoise-{os.getpid()}-{lab.world.stories}")
    place = Place(lab.inside.enter, lab.scope.path, other.path, lab.inside.mntns, lab.tmp)
    flood = [place.start(crowd.asks[i], "flood", to, label(i + 1), "3000", "600")
             for i in range(count) for to in ("127.0.0.153", SERVER)]
    return other, flood


def test_a_storm_of_births(lab):
    chance, births = seeded(), amount("SCUPPER_BIRTHS", 600)
    crowd = Crowd(lab, chance)
    gate = lab.scupperd(rules=crowd.rules)
    many = gate.start(crowd.born, "sockets", SOCKETS)
    other, flood = noise(lab, crowd, 2)
    try:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100
        wait_for(lambda: len(many.out.splitlines()) == -(-SOCKETS // most), "its sockets", 60)
        lines = [crowd.line(n) for n in range(births)]
        text = "\n".join(" ".join(map(str, line[0])) for line in lines)
        done = gate.run("xargs", "-P", "30", "-L", "1", "env", input=text, timeout=300 + births)
        assert many.running and all(f.running for f in flood)
    finally:
        many.popen.stdin.close()
        for program in flood:
            program.popen.kill()
            program.wait()
        many.wait()
        other.end()
    answers = collections.Counter(done.out.splitlines())
    got = {line[1] for line in lines if answers[f"{line[1]} 0 {zones.ASK4}"]}
    silent = [line for line in lines if line[3] and line[4] and line[1] not in got]
    assert len(silent) <= births // 100, (len(silent), silent[:3], done)  # nobody asks twice
    assert not [line for line in lines if not line[3] and line[1] in got]
    names = {line[1]: line[2] for line in lines}

    def listed():
        found = {q["name"]: q for q in gate.queries() if q["name"] in names}
        return found.keys() >= names.keys() and found
    seen = wait_for(listed, "every query to be listed")
    wrong = [(n, path_of(q), names[n]) for n, q in seen.items() if path_of(q) != names[n]]
    assert not wrong, (len(wrong), wrong[:5])
    refused = {line[1] for line in lines if not line[3]}
    assert {n for n, q in seen.items() if q["verdict"] == "deny"} == refused
    assert not refused & set(lab.dns.queries())
    assert gate.status()["counters"].get("unknown", 0) == 0
    print(f"{births} births, {len(refused)} of them with another's name")


def test_what_is_unknown_is_judged_as_the_worst_it_could_be(lab):
    """A process that came into the scope without an exec: no rule for its executable speaks
    for it, an allow needs `unknown` or `any`, and any program's deny applies to it."""
    act = lab.program(lab.act, "act")
    names = [zones.name(n) for n in range(601, 604)]
    gate = lab.scupperd(rules=f"allow {act} .shop.test")
    came = lab.outside.start(act)
    wait_for(lambda: os.readlink(f"/proc/{came.pid}/exe") == str(act), "it to be itself")
    (lab.scope.path / "cgroup.procs").write_text(str(came.pid))
    said = 0

    def tries(name):
        nonlocal said
        said += 1
        came.say(f"{said} tcp4 {name} 80")
        wait_for(lambda: len(came.out.splitlines()) == said, "its act")
        return came.out.splitlines()[-1].split()[1]

    assert tries(names[0]) == "no-name"
    seen = gate.wait_query(lambda q: q["name"] == names[0])
    assert path_of(seen) != str(act) and seen["verdict"] == "deny", seen
    assert names[0] not in lab.dns.queries()
    gate.rule_add(f"allow unknown {names[1]}")
    assert tries(names[1]) == "ok"
    gate.rule_add(f"deny /usr/bin/nobody {names[1]}")
    assert tries(names[1]) == "no-name"
    assert rule_text(gate.wait_query(lambda q: q["verdict"] == "deny" and q["name"] == names[1])) \
        == f"deny /usr/bin/nobody {names[1]}"
    with lab.capture_to(zones.address4(601)) as wire:
        assert tries(zones.address4(601)) == "reset"
        assert not wire.packets(), [str(p) for p in wire.packets()][:3]
        assert " ok " in gate.run(act, input=f"1 tcp4 {names[0]} 80").out, "the control"
        assert wire.packets()
    came.stop()
