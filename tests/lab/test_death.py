# SPDX-License-Identifier: GPL-2.0-or-later
"""Any of its processes dies at any moment, all of them, and its table too.

SCUPPER_KILLS says how many deaths the storms have (usually 20), SCUPPER_SEED which."""

import dataclasses
import os
import re
import signal
import time

import pytest
from lab import zones
from lab.capture import RST, SYN
from lab.chance import amount, seeded
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
SUPERVISOR, CORE, WEB = range(3)
VICTIMS = ((CORE,), (CORE,), (WEB,), (CORE, WEB), (SUPERVISOR,), (SUPERVISOR, CORE),
           (SUPERVISOR, WEB), (SUPERVISOR, CORE, WEB))
DENIED = (f"dst host {zones.ADS4} or dst host {zones.ADS6} or dst host {zones.OTHER4} "
          f"or dst host {zones.six(zones.OTHER4)}")
PYTHON = "/usr/bin/python3"


@dataclasses.dataclass
class Act:
    """One line of tests/lab/act.c."""
    word: str
    began: float
    ended: float


def acts(program):
    lines = [line.split() for line in program.out.splitlines()]
    return [Act(x[1], float(x[2]), float(x[3])) for x in lines if len(x) == 4]


def looping(gate, program, *act):
    return gate.start(program, "loop", "40", *act,
                      env={"RES_OPTIONS": "timeout:1 attempts:5"})


def moment(chance, most):
    """A random while goes by: the time itself is what is tried here."""
    until = time.monotonic() + chance.uniform(0, most)
    wait_for(lambda: time.monotonic() >= until, "a random moment")


def grown(file, by=50_000, seconds=60):
    size = file.stat().st_size
    wait_for(lambda: file.stat().st_size > size + by, "the download to go on", seconds)


def download(lab, gate, name="held", family="-4", host="slow.shop.test"):
    """An approved flow that lasts, and its file."""
    file = lab.tmp / name
    held = gate.start("curl", family, "-sS", "-o", file, f"http://{host}/slow")
    wait_for(lambda: file.exists() and file.stat().st_size > 50_000, "the long download")
    return held, file


def die(lab, gate, victims, chance):
    """Kills them, and starts the daemon again where its supervisor was among them. The time
    in which it was not whole, as (from, until), or None."""
    pids = gate.pids
    began = time.time()
    for victim in victims:
        if pids[victim]:
            os.kill(pids[victim], signal.SIGKILL)
    if SUPERVISOR not in victims:
        return None
    gate.daemon.wait()
    procs = lab.world.daemon_cgroup / "cgroup.procs"
    wait_for(lambda: not procs.read_text(), "its children to follow")
    moment(chance, 0.3)
    gate.start_daemon()
    return began, time.time()


def within(windows, began, ended=None):
    return any(began <= end and (ended or began) >= start for start, end in windows)


@pytest.mark.parametrize("when_down", ["closed", "open"])
def test_a_storm_of_deaths(lab, when_down):
    """Approved and denied traffic goes on all the while, and an approved flow is never cut.
    Closed: nothing of what is denied ever leaves. Open: it leaves only while there is no
    daemon, and what left then is ended (the kernel's own resets are all that is seen of it)."""
    chance, kills = seeded(), amount("SCUPPER_KILLS", 20)
    good, bad = lab.program(lab.act, "good"), lab.program(lab.act, "bad")
    gate = lab.scupperd(rules=f"""
        allow /usr/bin/curl .shop.test
        allow {good} .shop.test
        allow {lab.ask} .shop.test
        deny {bad} any
        deny {good} {zones.OTHER4}""", when_down=when_down)
    held, file = download(lab, gate)
    assert gate.run(good, input=f"1 tcp4 www.shop.test 80\n2 udp4 {zones.WWW4} 9000").out
    named = looping(gate, good, "tcp4", "n@.shop.test", "80")
    known = looping(gate, good, "tcp4", zones.WWW4, "80")
    refused = [looping(gate, who, *act) for who, *act in (
        (bad, "tcp4", "x.ads.example", "80"), (bad, "tcp4", zones.ADS4, "80"),
        (bad, "udp4", zones.ADS4, "9000"), (bad, "tcp6", zones.ADS6, "80"),
        (good, "tcp4", zones.OTHER4, "80"))]
    windows, answered = [], 0
    with lab.capture(DENIED) as wire:
        for n in range(kills):
            window = die(lab, gate, chance.choice(VICTIMS), chance)
            if window:
                windows.append(window)
            answer = gate.run(lab.ask, chance.choice(("udp", "sendto", "tcp")), "127.0.0.53",
                              zones.name(n % 1000 + 1))
            answered += answer.out == f"{zones.name(n % 1000 + 1)} 0 " \
                                      f"{zones.address4(n % 1000 + 1)}\n"
            moment(chance, 0.15)
            assert held.running, (n, held.result())
        grown(file)
        for loop in (named, known, *refused):
            assert loop.running, loop.result()
            loop.popen.kill()
            loop.wait()
        leaked = [p for p in wire.packets() if when_down == "closed" or
                  not (within(windows, p.when) or p.flags & RST)]
        assert not leaked, (len(leaked), [(str(p), p.when) for p in leaked[:5]], windows)
        if when_down == "open" and windows:
            assert wire.packets(), "open, and nothing left: does the denied traffic run?"
    held.popen.kill()
    held.wait()
    names = [q for q in lab.dns.asked() if q.name.endswith("ads.example")]
    assert when_down == "open" or not names, names[:5]
    assert answered == kills
    lost = [a for a in acts(named) if a.word != "ok" and not within(windows, a.began, a.ended)]
    assert not lost, (len(lost), lost[:5], windows)
    cut = [a for a in acts(known) if a.word != "ok"]
    assert when_down == "open" or not cut, (len(cut), cut[:5])
    for loop in refused:
        if "udp4" in loop.argv:
            continue  # what is sent may be swallowed: only the wire tells
        passed = [a for a in acts(loop) if a.word == "ok" and
                  not within(windows, a.began, a.ended)]
        assert not passed, (loop.argv, passed[:5], windows)
    print(f"{kills} deaths, {len(windows)} of the whole; {len(acts(named))} by name, "
          f"{len(acts(known))} to a known address, {[len(acts(x)) for x in refused]} refused")


def test_open_and_what_runs_goes_on(lab):
    """All of it dies and comes back, over and over: sockets keep the marks of numbers that
    stand for somebody else by now, or have none, and what they send and are sent in between is
    neither answered by a reset nor lost for good."""
    chance, falls = seeded(), amount("SCUPPER_KILLS", 10)
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test", when_down="open")
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://www.shop.test/").ok
    held = [download(lab, gate, f"held{n}", family)
            for n, family in enumerate(("-4", "-6") * 3)]
    with lab.capture(f"port 80 and (host {zones.SLOW4} or host {zones.six(zones.SLOW4)}) and "
                     "(tcp[13] & 4 != 0 or ip6[53] & 4 != 0)") as wire:
        for n in range(falls):
            gate.kill()
            wait_for(lambda: not gate.leftovers(), "everything to be open")
            held.append(download(lab, gate, f"begun{n}", host=zones.SLOW4))
            moment(chance, 0.2)
            gate.start_daemon()
            moment(chance, 0.2)
        for program, file in held:
            assert program.running, program.result()
            grown(file)
        assert not wire.packets(), [str(p) for p in wire.packets()][:3]
    for program, _ in held:
        program.popen.kill()
        program.wait()


def test_open_and_what_began_meanwhile_is_judged(lab):
    """What a rule denies is ended by the next start; what a rule allows goes on, and so does
    what only the default would deny: no name is known of it."""
    denied, unruled, allowed = (lab.program(lab.act, name)
                                for name in ("denied", "unruled", "allowed"))
    gate = lab.scupperd(rules=f"deny {denied} any\nallow {allowed} any", when_down="open")
    gate.kill()
    wait_for(lambda: not gate.leftovers(), "everything to be open")
    running = {name: gate.start(name) for name in (denied, unruled, allowed)}
    for program in running.values():
        program.say(f"1 slow4 {zones.SLOW4} 80")
    wait_for(lambda: len(lab.outside.run("ss", "-Htn", "state", "established", "dst",
                                         zones.SLOW4).out.splitlines()) == 3, "three flows")
    gate.start_daemon()
    wait_for(lambda: acts(running[denied]), "the denied one to be ended")
    assert acts(running[denied])[0].word in ("reset", "refused")
    # and the others run beyond any retransmission that was on its way then
    for name in (unruled, allowed):
        before = received(lab)
        wait_for(lambda b=before: all(received(lab).get(x, 0) > b[x] + 100_000 for x in b),
                 "the others to go on")
        assert not acts(running[name]), running[name].out
    assert len(before) == 2
    with lab.capture(f"dst host {zones.SLOW4}") as wire:
        for name in (denied, unruled):
            assert " ok " not in gate.run(name, input=f"2 tcp4 {zones.SLOW4} 80").out
        assert not [p for p in wire.packets() if p.flags & SYN], "new ones are as ever"
    for program in running.values():
        program.popen.kill()
        program.wait()


def received(lab):
    """Of each connection to the slow server by its local port: bytes."""
    lines = lab.outside.run("ss", "-HtniO", "state", "established", "dst", zones.SLOW4).out
    return {re.search(r":(\d+) ", line)[1]: int(re.search(r"bytes_received:(\d+)", line)[1])
            for line in lines.splitlines() if "bytes_received" in line}


FOREIGN = """table inet foreign {
    chain pre { type filter hook prerouting priority mangle; meta mark set ct mark; }
    chain out { type route hook output priority mangle; meta mark set ct mark; }
    chain save { type filter hook postrouting priority -1; ct mark set meta mark; }
    chain restore { type filter hook postrouting priority 1; meta mark set ct mark; }
    chain save_late { type filter hook postrouting priority 20000; ct mark set meta mark; }
    chain restore_late { type filter hook postrouting priority 30000; meta mark set ct mark; }
}
"""


def nft(lab, *words, text=None):
    return lab.outside.run("nft", *words, input=text)


def flush(lab):
    """As somebody else would, until our table is gone with the rest: the dead daemon's socket
    owns it for a moment more."""
    def gone():
        assert nft(lab, "flush", "ruleset").ok
        return "table inet scupper" not in nft(lab, "list", "tables").out
    wait_for(gone, "the table to be flushed")


def test_others_do_not_flush_a_table_that_is_owned(lab):
    """By root, while the daemon lives and while its core is dead."""
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    held, file = download(lab, gate)
    with lab.capture(DENIED) as wire:
        for _ in range(5):
            assert nft(lab, "flush", "ruleset").ok
            assert not nft(lab, "delete", "table", "inet", "scupper").ok
            assert not nft(lab, "add", "rule", "inet", "scupper", "out", "accept").ok
            gate.kill_core()
            assert nft(lab, "flush", "ruleset").ok
            assert not gate.run("curl", "-sSm5", f"http://{zones.ADS4}/").ok
        assert not wire.packets(), [str(p) for p in wire.packets()][:3]
        assert lab.outside.run("curl", "-sSm60", f"http://{zones.ADS4}/").ok
        assert wire.packets()
    grown(file)
    assert "table inet scupper" in nft(lab, "list", "tables").out
    held.popen.kill()
    held.wait()


@pytest.mark.parametrize("foreign", [False, True])
def test_all_dead_and_the_table_flushed(lab, foreign):
    """Closed: nothing leaves, approved or not, by any way that was tried; and the approved
    flow that ran goes on when the table is back. foreign: another table saved marks while
    ours stood, early and late, and is loaded again."""
    bad = lab.program(lab.act, "bad")
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test\nallow /usr/bin/kdig any",
                        when_down="closed")
    if foreign:
        nft(lab, "-f", "-", text=FOREIGN)
    held, file = download(lab, gate)
    assert gate.run("curl", "-4sSm60", "http://n00001.shop.test/").ok
    listening = gate.start(lab.talk, "serve-tcp", zones.NEAR4, "4007")
    listening.wait_out("ready")
    far = lab.far.run(lab.talk, "tcp", zones.NEAR4, "4007")
    assert "hello" in far.out, "the control: it can be reached while the table stands"
    gate.kill()
    flush(lab)
    if foreign:
        nft(lab, "-f", "-", text=FOREIGN)
    with lab.capture(f"src host {zones.NEAR4} or src host {zones.NEAR6}") as wire:
        tries = [gate.start(bad) for _ in range(5)]
        for n, (program, act) in enumerate(zip(tries, (
                f"tcp4 {zones.ADS4} 80", f"udp4 {zones.ADS4} 9000", f"tcp6 {zones.ADS6} 80",
                f"udp6 {zones.ADS6} 9000", f"udp4 {zones.DNS4} 53"))):
            program.say(f"{n} {act}")
        others = [gate.start(*words) for words in (
            ("curl", "-4sSm1", f"http://{zones.address4(1)}/"), ("ping", "-c1", "-W1", zones.ADS4),
            ("kdig", "+retry=0", "+time=1", f"@{zones.DNS4}", "x.ads.example"))]
        assert not lab.far.run("timeout", "1", lab.talk, "tcp", zones.NEAR4, "4007").ok
        for program in others:
            assert not program.wait().ok
        seen = [p for p in wire.packets() if not (p.proto == "icmp6" or p.dport == 9)]
        assert not seen, [str(p) for p in seen][:5]
        assert lab.outside.run("curl", "-4sSm60", f"http://{zones.ADS4}/").ok
        assert wire.packets(dst=zones.ADS4), "the control"
    for program in tries:
        assert not acts(program) or acts(program)[0].word == "refused", program.out
        program.popen.kill()
        program.wait()
    gate.start_daemon()
    assert held.running
    grown(file)
    assert gate.run("curl", "-4sSm60", "http://n00002.shop.test/").ok
    held.popen.kill()
    held.wait()
    if foreign:
        assert nft(lab, "delete", "table", "inet", "foreign").ok


def test_what_ended_while_all_was_dead_is_ended_by_the_next(lab):
    """A rule that is gone and one that expired in the meantime, with and without the table:
    grants and live flows go at the start."""
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test", when_down="closed")
    for flushed in (False, True):
        gate.rule_add(f"allow {lab.act} .shop.test for 3s")
        until = time.time() + 3
        held, _ = download(lab, gate)
        slow = gate.start(lab.act)
        slow.say("1 slow4 n00003.shop.test 80")
        wait_for(lambda: gate.wait_query(lambda q: q["name"] == "n00003.shop.test"), "its query")
        gate.kill()
        if flushed:
            flush(lab)
        gate.write_rules("# nothing")
        wait_for(lambda u=until: time.time() > u, "the rule to expire")
        gate.start_daemon()
        assert not held.wait().ok
        wait_for(lambda s=slow: acts(s), "the flow to be ended")
        assert acts(slow)[0].word in ("reset", "refused"), slow.out
        with lab.capture(f"dst host {zones.SLOW4} or dst host {zones.address4(3)}") as wire:
            assert not gate.run("curl", "-4sSm3", f"http://{zones.SLOW4}/").ok
            tried = gate.run(lab.act, input=f"1 tcp4 {zones.address4(3)} 80")
            assert " ok " not in tried.out
            assert not wire.packets(), [str(p) for p in wire.packets()][:3]
        gate.write_rules("allow /usr/bin/curl .shop.test")
        gate.reload()
        wait_for(lambda: gate.run("curl", "-4sSm30", "http://www.shop.test/").ok, "the rule")
        slow.stop()


STEAL = """import socket, sys
for place in sys.argv[1:]:
    host, port = place.rsplit(',', 1)
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
        s = socket.socket(family, kind)
        try:
            s.setsockopt(1, 15, 1)
            s.setsockopt(1, 2, 1)
            s.bind((host, int(port)))
            print('took', host, port, kind.name)
        except OSError:
            pass
        s.close()
"""


def test_nobody_takes_its_ports_while_it_is_down(lab):
    """Neither the resolver's nor the proxy's, on no address that reaches it: a guarded
    program, as root too; another user outside. Core dead, all dead, table flushed."""
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test", when_down="closed")
    port = gate_port(lab)
    hosts = ("127.0.0.153", "127.0.0.53", "0.0.0.0", "::", "::1", "::ffff:127.0.0.153",
             "fd53:6375:7070:1::53")
    places = [f"{host},{p}" for host in hosts for p in (53, port)]

    def nobody(when):
        for who, uid in ((gate, None), (gate, 1000), (lab.outside, 1000)):
            took = who.run(PYTHON, "-c", STEAL, *places, uid=uid)
            assert took.ok and not took.out, (when, uid, took)
    for _ in range(5):
        gate.kill_core()
        nobody("the core is dead")
    gate.kill()
    nobody("all is dead")
    flush(lab)
    nobody("and its table flushed")
    assert gate.down().ok
    control = gate.run(PYTHON, "-c", STEAL, *places)
    assert f"took 127.0.0.153 {port}" in control.out, "the control: nothing is there any more"


def gate_port(lab):
    """Where the proxy listens: the port below 1024 that is not DNS."""
    said = lab.outside.run("ss", "-Hltn", "src", "127.0.0.153").out.split()
    ports = {int(word.rsplit(":", 1)[1]) for word in said if word.startswith("127.0.0.153:")}
    return (ports - {53}).pop()
