# SPDX-License-Identifier: GPL-2.0-or-later
"""What may reach a guarded program from other machines: rules with `in`, and default-in.

Each refusal is beside its control: the same client reaches the same place where the rule
lets it, or a server of no guarded program."""

import shutil

import pytest
from lab import geodata, zones
from lab.capture import SYN
from lab.gate import path_of, rule_text
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")

PORT, OTHER = "4000", "4001"
LISTEN = """
import os, socket, sys
s = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
"""
HAND_OVER = LISTEN + """
os.set_inheritable(s.fileno(), True)
print("ready", flush=True)
os.execv(sys.argv[2], [sys.argv[2], "serve-fd", str(s.fileno())])
"""
ONCE = LISTEN + """
print("ready", flush=True)
s.accept()[0].sendall(b"hello\\n")
"""
ECHO = LISTEN + """
import threading
print("ready", flush=True)
def echo(c):
    while d := c.recv(100):
        c.sendall(d)
while True:
    threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()
"""


class Server:
    """A guarded server of both protocols, on both families, at two ports."""

    def __init__(self, lab, gate, name="server", ports=(PORT, OTHER)):
        self.lab, self.path, self.ports = lab, lab.program(lab.talk, name), ports
        self.running = [gate.start(self.path, how, "::", port).wait_out("ready")
                        for how in ("serve-tcp", "serve-udp") for port in ports]

    def reached(self, how="tcp", at=zones.NEAR4, port=PORT):
        """By a far client, as patient as the kernel with its SYNs, or as most programs."""
        words = ["tcp", at, port] if how == "tcp" else ["udp-again", at, port, "hi"]
        return self.lab.world.holders.run(self.lab.talk, *words).ok

    def stop(self):
        for server in self.running:
            server.stop()


@pytest.fixture
def served(lab):
    """served(conf...) gives daemon and server; what it started ends with the story."""
    servers = []

    def make(**conf):
        gate = lab.scupperd(**conf)
        servers.append(Server(lab, gate))
        return gate, servers[-1]
    yield make
    for server in servers:
        server.stop()


PLACES = [(zones.NEAR4, PORT), (zones.NEAR4, OTHER), (zones.NEAR6, PORT)]
LETS_IN = [
    ("allow {me} any in", set(PLACES)),
    ("allow {me} any:4000/tcp in", {(zones.NEAR4, PORT), (zones.NEAR6, PORT)}),
    (f"allow {{me}} {zones.FAR4} in", {(zones.NEAR4, PORT), (zones.NEAR4, OTHER)}),
    ("allow {me} 10.53.0.0/16:4000 in", {(zones.NEAR4, PORT)}),
    ("allow {me} internet:4000 both", {(zones.NEAR6, PORT)}),
]
WAYS = [(how, at) for how in ("tcp", "udp") for at in (zones.NEAR4, zones.NEAR6)]
KEEPS_OUT = [
    ("deny any any:4000/tcp in", {("tcp", zones.NEAR4), ("tcp", zones.NEAR6)}),
    ("deny any internet in", {("tcp", zones.NEAR6), ("udp", zones.NEAR6)}),
    (f"deny {{me}} {zones.FAR4}/32 in", {("tcp", zones.NEAR4), ("udp", zones.NEAR4)}),
    ("deny any any/udp in", {("udp", zones.NEAR4), ("udp", zones.NEAR6)}),
    ("ask any any:4000/tcp in", {("tcp", zones.NEAR4), ("tcp", zones.NEAR6)}),
]


def test_a_rule_lets_in_what_it_names_while_it_stands(lab, served):
    gate, server = served(default_in="deny")
    for rule, in_reach in LETS_IN:
        number = gate.rule_add(rule.format(me=server.path))
        assert {p for p in PLACES if server.reached("tcp", *p)} == in_reach, rule
        gate.rule_rm(number)
        assert not any(server.reached("tcp", *p) for p in in_reach), f"after: {rule}"


def test_a_rule_keeps_out_what_it_names_while_it_stands(lab, served):
    gate, server = served()
    for rule, shut in KEEPS_OUT:
        number = gate.rule_add(rule.format(me=server.path))
        with lab.capture(f"port {PORT} and (src {zones.NEAR4} or src {zones.NEAR6})") as wire:
            assert not any(server.reached(*w) for w in shut), rule
            said = [p for p in wire.packets() if p.proto == "udp" or p.flags & SYN]
            assert not said, [str(p) for p in said]
            assert all(server.reached(*w) for w in WAYS if w not in shut), rule
            assert [p for p in wire.packets() if p.proto == "udp" or p.flags & SYN]
        gate.rule_rm(number)
        assert all(server.reached(*w) for w in shut), f"after: {rule}"


def test_a_country_is_kept_out(lab, served):
    gate, server = served(country=geodata.make(lab, "country", [(zones.FAR6, "NL")]))
    gate.rule_add("deny any country:NL in")
    assert not server.reached("tcp", zones.NEAR6)
    assert server.reached("tcp", zones.NEAR4)
    flow = gate.wait_flow(lambda f: f["verdict"] == "deny", "the denied peer")
    assert (flow["country"], flow["address"]) == ("NL", zones.FAR6)


def test_a_peer_waits_once(lab, served):
    """Where a rule tells peers apart their first SYN is held, and only theirs."""
    gate, server = served(default_in="deny")
    gate.rule_add(f"allow {server.path} {zones.FAR4}:4000 in")
    with lab.capture(f"tcp and dst host {zones.NEAR4}") as wire:
        assert server.reached()
        assert len(wire.repeated_syns()) >= 1, "the first one was decided in the kernel"
        before = len(wire.repeated_syns())
        assert server.reached() and server.reached()
        assert len(wire.repeated_syns()) == before


def test_one_denied_outward_answers_nobody(lab, served):
    gate, server = served(default="allow")
    mine, all_else = Server(lab, gate, "mine", ("4002",)), Server(lab, gate, "third", ("4003",))
    gate.rule_add(f"deny {mine.path} any")
    ways = [(how, at, "4002") for how in ("tcp", "udp") for at in (zones.NEAR4, zones.NEAR6)]
    assert not any(mine.reached(*w) for w in ways)
    assert all_else.reached("tcp", zones.NEAR4, "4003") and server.reached("udp")
    gate.rule_add(f"allow {mine.path} lan:4002/tcp in")
    assert {w for w in ways if mine.reached(*w)} == {("tcp", zones.NEAR4, "4002")}
    mine.stop()
    all_else.stop()


def echoing(gate, port):
    return gate.start("/usr/bin/python3", "-c", ECHO, port).wait_out("ready")


def test_a_changed_rule_takes_running_sessions_back(lab):
    gate = lab.scupperd(default_in="deny")
    server = echoing(gate, PORT)
    number = gate.rule_add("allow /usr/bin/python3* any:4000/tcp in")
    first = lab.world.holders.start(lab.talk, "hold-tcp", zones.NEAR4, PORT)
    second = lab.world.holders.start(lab.talk, "hold-tcp", zones.NEAR6, PORT)
    for session in first, second:
        session.wait_out("connected")
        session.say("one")
        session.wait_out("one")
    gate.rule_add("deny any internet in high")
    ends(second)
    first.say("two")
    first.wait_out("two")
    gate.rule_rm(number)
    ends(first)
    server.stop()


def ends(session):
    def over():
        try:
            session.say("still there?")
        except BrokenPipeError:
            pass
        return not session.running
    wait_for(over, "the session to be ended")


def test_what_was_decided_holds_without_a_daemon(lab, served):
    gate, server = served(default_in="deny", rules={
        "a": "allow any any:4001/tcp in", "b": f"allow any {zones.FAR4}:4000 in"})
    places = {p: p != (zones.NEAR6, PORT) for p in PLACES}

    def as_decided():
        assert {p: server.reached("tcp", *p) for p in PLACES} == places
    as_decided()
    old = gate.kill_core()
    as_decided()
    wait_for(lambda: gate.pids[1] not in (None, old), "a new core")
    as_decided()
    gate.kill()
    as_decided()
    gate.write_rules(f"allow any [{zones.FAR6}]:4000 in", "b")
    gate.start_daemon()
    places[zones.NEAR4, PORT], places[zones.NEAR6, PORT] = False, True
    as_decided()


def test_it_is_listed_and_explained(lab, served):
    gate, server = served(rules="deny any any:4001/tcp in\ndeny any internet:4000 in")
    assert server.reached()
    assert not server.reached("tcp", zones.NEAR4, OTHER)
    assert not server.reached("udp", zones.NEAR6) and not server.reached("tcp", zones.NEAR6)

    def found(proto, port, verdict):
        return gate.wait_flow(
            lambda f: (f["proto"], f["port"], f["verdict"]) == (proto, int(port), verdict),
            f"{verdict} of {proto} to {port}")
    let, no = found("tcp", PORT, "allow"), found("tcp", OTHER, "deny")
    held = found("udp", PORT, "deny")
    assert {f["direction"] for f in (let, no, held)} == {"in"}
    assert {path_of(f) for f in (let, no, held)} == {str(server.path)}
    assert (let["address"], held["address"]) == (zones.FAR4, zones.FAR6)
    assert rule_text(no) == "deny any any:4001/tcp in"
    assert rule_text(held) == "deny any internet:4000 in"
    assert no["state"] == held["state"] == "refused"
    found("tcp", PORT, "deny")
    for port in OTHER, PORT:  # one that was held is not told again when its next try comes
        assert len([f for f in gate.flows(verdict="deny")
                    if (f["proto"], f["port"]) == ("tcp", int(port))]) == 1
    why = gate.why(str(server.path)).out
    assert f"{zones.FAR4}" in why and " in" in why and "deny any any:4001/tcp in" in why
    said = gate.cli("explain", str(server.path), f"{zones.FAR4}:4001/tcp", "in")
    assert said.ok and "deny any any:4001/tcp in" in said.out, said
    assert gate.cli("explain", str(server.path), f"{zones.FAR4}:4001/tcp").out != said.out
    assert gate.cli("explain", str(server.path), "www.shop.test", "in").rc == 1


def test_who_made_the_socket_is_who_listens(lab):
    """It was handed to another program before anybody came."""
    gate = lab.scupperd()
    heir = lab.program(lab.talk, "heir")
    server = gate.start("/usr/bin/python3", "-c", HAND_OVER, PORT, str(heir))
    server.wait_out("ready")

    def reached():
        return lab.world.holders.run(lab.talk, "tcp", zones.NEAR4, PORT).ok
    number = gate.rule_add(f"deny {heir} any:4000 in")
    assert reached()
    flow = gate.wait_flow(lambda f: f["direction"] == "in", "who was reached")
    assert path_of(flow).startswith("/usr/bin/python3")
    gate.rule_rm(number)
    gate.rule_add("deny /usr/bin/python3* any:4000 in")
    assert not reached()
    server.stop()


def test_others_and_this_machine_are_not_concerned(lab, served):
    """No rule that is about other machines is about a server outside the scope, nor about
    who comes from this one."""
    gate, server = served(default="allow", default_in="deny", rules="deny any any in")
    outside = lab.outside.start(lab.talk, "serve-tcp", "::", "4009").wait_out("ready")
    assert not server.reached()
    assert lab.world.holders.run(lab.talk, "tcp", zones.NEAR4, "4009").ok
    for at in "127.0.0.1", "::1", zones.NEAR4, zones.NEAR6:
        assert lab.outside.run(lab.talk, "tcp", at, PORT).ok
        assert gate.run(lab.talk, "tcp", at, PORT).ok
    held = lab.outside.start(lab.talk, "hold-tcp", zones.NEAR4, "4008")
    assert not held.wait().ok  # nobody listens there
    outside.stop()


def test_answers_to_a_group_come_in(lab):
    """default-in=deny does not cut off who asks a group by a factory rule."""
    tools = lab.tmp / "sbin"
    tools.mkdir()
    shutil.copy2(lab.talk, tools / "avahi-daemon")
    shutil.copy2(lab.talk, tools / "other")
    view, over = lab.world.daemon, f"lowerdir={tools}:/usr/sbin"
    if not view.run("mount", "-t", "overlay", "overlay", "-o", over, "/usr/sbin").ok:
        pytest.skip("no overlay filesystem here")
    try:
        gate = lab.scupperd(default_in="deny")
        for name, comes in ("avahi-daemon", True), ("other", False):
            server = gate.start(f"/usr/sbin/{name}", "serve-udp", zones.NEAR4, "5353")
            server.wait_out("ready")
            said = lab.world.holders.run(lab.talk, "udp-again", zones.NEAR4, "5353", "x")
            assert said.ok == comes, said
            server.stop()
    finally:
        assert view.run("umount", "-l", "/usr/sbin").ok


def test_learned_rules_let_the_same_peers_in(lab):
    learned = lab.tmp / "learned"
    server = lab.direct.start(lab.world.build / "scupper", "run", "--learn", learned, "--",
                              "/usr/bin/python3", "-c", ONCE, PORT)
    server.wait_out("ready")
    assert lab.world.holders.run(lab.talk, "tcp", zones.NEAR4, PORT).ok
    assert server.wait().ok
    rules = [x for x in learned.read_text().splitlines() if x.startswith("allow")]
    assert [x.split(" ", 2)[2] for x in rules] == [f"{zones.FAR4}:4000/tcp in"], rules
