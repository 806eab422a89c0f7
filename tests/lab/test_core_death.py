# SPDX-License-Identifier: GPL-2.0-or-later
"""The core dies, or all of it: the kernel keeps the policy."""

import os
import random
import signal
import time

import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
RULE = "allow /usr/bin/curl .shop.test"
LOOP = ("i=0; while :; do i=$((i + 1)); n=$(printf n%05d $((i % 1000 + 1))); "
        "{words} >/dev/null 2>&1 && echo ok $i || echo failed $i $?; done")


def looping(gate, words):
    return gate.start("sh", "-c", LOOP.format(words=words))


def test_a_hundred_kills_under_traffic(lab):
    """After each kill a query is sent at once and must be answered; one kill in five hits
    the next core while it starts."""
    gate = lab.scupperd(rules=f"{RULE}\nallow {lab.ask} .shop.test")
    held = gate.start("curl", "-4sS", "-o", lab.tmp / "got", "http://slow.shop.test/slow")
    wait_for(lambda: (lab.tmp / "got").exists(), "the long download")
    first = gate.run("curl", "-4sSm60", "http://www.shop.test/")
    assert first.ok, (first, gate.queries(), gate.status()["counters"])
    good = looping(gate, "curl -4sSm60 http://$n.shop.test/")
    known = looping(gate, f"curl -4sSm60 http://{zones.WWW4}/")
    bad = looping(gate, "wget -T3 -t1 -qO- http://$n.ads.example/")
    literal = looping(gate, f"wget -T3 -t1 -qO- http://{zones.WWW4}:2525/")
    loops = good, known, bad, literal
    random.seed(4)
    with lab.capture(f"dst host {zones.ADS4} or (dst host {zones.WWW4} and port 2525)") as wire:
        for n in range(100):
            old = gate.kill_core()
            if n % 5 == 0:
                wait_for(lambda o=old: gate.pids[1] not in (None, o), "a new core")
                continue
            answer = gate.run(lab.ask, "udp", "127.0.0.53", zones.name(n + 1))
            assert answer.out == f"{zones.name(n + 1)} 0 {zones.address4(n + 1)}\n", answer
            time_to_die = time.monotonic() + random.uniform(0, 0.06)
            wait_for(lambda t=time_to_die: time.monotonic() >= t, "a random moment")
        assert held.running, held.result()
        for loop in (*loops, held):
            assert loop.running, loop.result()
            loop.popen.kill()
            loop.wait()
        assert not wire.packets(), [str(p) for p in wire.packets()][:3]
    wrong = [q for q in gate.queries(verdict="deny") if q["name"].endswith("shop.test")]
    assert not wrong, f"an approved program was refused: {wrong[-3:]}"
    lines = good.out.splitlines()
    failed = [x for x in lines if not x.startswith("ok")]
    assert len(lines) > 20 and not failed, (len(lines), failed[:5])
    failed = [x for x in known.out.splitlines() if not x.startswith("ok")]
    assert not failed, failed[:5]
    assert not [x for x in bad.out.splitlines() + literal.out.splitlines()
                if x.startswith("ok")]
    assert not [n for n in lab.dns.queries() if n.endswith("ads.example")]
    assert gate.status()["counters"]["core_restarts"] >= 100


def test_a_query_sent_while_the_core_is_dead_is_answered(lab):
    gate = lab.scupperd(rules=f"allow {lab.ask} .shop.test")
    for n in range(20):
        gate.kill_core()
        answer = gate.run(lab.ask, ("udp", "sendto", "tcp")[n % 3], "127.0.0.53",
                          zones.name(n + 1))
        assert answer.out == f"{zones.name(n + 1)} 0 {zones.address4(n + 1)}\n", answer


def test_closed_when_all_of_it_is_dead(lab):
    """when-down=closed: approved goes on, unapproved stays out, names are not answered."""
    gate = lab.scupperd(rules=RULE, when_down="closed")
    assert gate.run("curl", "-4sSm60", "http://n00001.shop.test/").ok
    gate.kill()
    with lab.capture(f"dst host {zones.address4(1)} or dst host {zones.address4(2)}") as wire:
        assert gate.run("curl", "-4sSm60", f"http://{zones.address4(1)}/").ok
        assert wire.packets(dst=zones.address4(1))
        assert not gate.run("curl", "-4sSm3", f"http://{zones.address4(2)}/").ok
        assert not gate.run("wget", "-T3", "-t1", "-qO-", f"http://{zones.address4(2)}/").ok
        assert not wire.packets(dst=zones.address4(2))
        assert lab.outside.run("curl", "-4sSm60", f"http://{zones.address4(2)}/").ok
    gate.start_daemon()
    assert gate.run("curl", "-4sSm60", "http://n00002.shop.test/").ok


def test_open_when_all_of_it_is_dead(lab):
    gate = lab.scupperd(rules=RULE, when_down="open")
    words = "wget", "-T3", "-t1", "-qO-", f"http://{zones.address4(2)}/"
    assert not gate.run(*words).ok
    gate.kill()
    wait_for(lambda: gate.run(*words).ok, "everything to be open")
    assert not gate.leftovers()


@pytest.mark.parametrize("when_down", ["open", "closed"])
def test_a_clean_end_leaves_nothing(lab, when_down):
    """SIGTERM is enough where the user chose open; else it stays shut until `down`."""
    gate = lab.scupperd(rules=RULE, when_down=when_down)
    words = "wget", "-T3", "-t1", "-qO-", "http://www.shop.test/"
    assert gate.run("curl", "-4sSm60", "http://www.shop.test/").ok
    gate.stop()
    if when_down == "closed":
        assert not lab.direct_inside.run(*words).ok
        down = gate.down()
        assert down.ok, down
    assert not gate.leftovers()
    assert lab.direct_inside.run(*words).ok
    rules = lab.world.near.ip("rule") + lab.world.near.ip("-6", "rule")
    assert "iif lo" not in rules, rules


def test_web_dies_and_the_gate_does_not_notice(lab):
    gate = lab.scupperd(rules=RULE)
    _, core, web = gate.pids
    os.kill(web, signal.SIGKILL)
    assert gate.run("curl", "-4sSm60", "http://www.shop.test/").ok
    wait_for(lambda: gate.cli("status").ok, "the control socket to serve again")
    assert gate.pids[1] == core
