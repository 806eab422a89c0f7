# SPDX-License-Identifier: GPL-2.0-or-later
"""Without BPF, or the right to it: the same table, by cgroup and user. What stands open is
open to all of one cgroup and user; another service, another user, a new cgroup have nothing."""

import os
import re
import signal

import pytest
from lab import zones
from lab.gate import Gate, path_of, refused_beside_control, rule_text
from lab.process import wait_for
import test_tunnels as tunnels
from test_sink import PYTHON, python

NO_BPF = ("setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin",
          "--inh-caps=-bpf,-perfmon,-sys_admin")
SEND = "print(*udp(sys.argv[1], 7, tries=int(sys.argv[2])))"
# as many ways to send with a mark as there are
MARKED = """
import socket, struct, sys
to, mark = sys.argv[1], int(sys.argv[2], 16)
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    s = socket.socket(socket.AF_INET, kind)
    s.settimeout(.5)
    s.setsockopt(socket.SOL_SOCKET, 36, mark)  # SO_MARK: this must work
    try:
        s.connect((to, 80))
        s.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
        s.recv(1)
    except OSError as e:
        print(e)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(2):
    try:
        s.sendmsg([b"x"], [(socket.SOL_SOCKET, 36, struct.pack("I", mark))], 0, (to, 80))
    except OSError as e:
        print(e)
"""
NO_NET = "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"


def basic(lab, rules="", default="deny", how=NO_BPF, **conf):
    gate = Gate(lab, rules, default, conf)
    gate.write_conf()
    lab.gates.append(gate)
    return start(gate, how)


def start(gate, how=NO_BPF):
    gate.daemon = gate.world.daemon.start(*how, gate.scupperd, "--config", gate.file)
    gate.wait_log("scupperd: ready")
    return gate


def service(lab, name):
    """A cgroup of its own in the scope, as a unit has."""
    path = lab.scope.path / name
    path.mkdir()
    return lab.world.client(path)


def curl(place, url, *more, **how):
    return place.run("curl", "-sSm30", *more, url, **how)


def fetch(n):
    return f"http://{zones.name(n)}/"


def test_a_name_opens_its_first_syn_and_nothing_else(lab):
    gate = basic(lab, rules="allow /usr/bin/curl .shop.test")
    assert gate.status()["identity"]["mode"] == "basic"
    for n, flag, address in ((401, "-4", zones.address4(401)), (402, "-6", zones.address6(402))):
        with lab.capture_to(address) as wire:
            got = curl(gate, fetch(n), flag, "-w", "%{local_port}")
            assert got.ok and got.out.startswith("hello"), got
            assert [p.sport for p in wire.syns()] == [int(got.out.split()[-1])], \
                "not its own first SYN"
    query = gate.wait_query(lambda q: q["name"] == zones.name(401))
    assert path_of(query) == "/usr/bin/curl", query
    assert rule_text(query) == "allow /usr/bin/curl .shop.test"
    # not found as a program that may: no name, and no address of it
    assert gate.run(lab.program(lab.ask, "other"), "udp", "127.0.0.53", zones.name(403)).rc == 3
    for address in (zones.address4(403), zones.address6(403)):
        at = f"[{address}]" if ":" in address else address
        refused_beside_control(
            lab, lambda at=at: gate.run("wget", "-T3", "-t1", "-qO-", f"http://{at}/"),
            lambda: curl(gate, fetch(403), "-4" if ":" not in address else "-6"), address)
    assert lab.outside.run("nft", "list", "ruleset").ok, "others cannot list their rules"


def test_services_and_users_have_nothing_of_each_other(lab):
    """Two cgroups, two users in one of them, and a cgroup that comes later: what one of them
    was given is nobody else's, though all of them run the same program."""
    basic(lab, rules="allow /usr/bin/curl .shop.test")
    web, mail = service(lab, "web"), service(lab, "mail")
    address = zones.address4(410)
    url = f"http://{address}/"
    # curl may not have the address itself: only an answer opens it
    with lab.capture_to(address) as wire:
        assert not curl(web, url).ok
        assert curl(web, fetch(410), "-4", uid=1000).ok
        own = len(wire.syns())
        assert own == 1
        assert curl(web, url, uid=1000).ok, "what its own answer opened is shut"
        assert len(wire.syns()) == 2
        late = service(lab, "late")
        deep = service(lab, "web/deep")
        for place, uid in ((web, 0), (web, 1001), (mail, 1000), (late, 1000), (deep, 1000)):
            assert not curl(place, url, uid=uid).ok, (place.cgroup, uid)
        assert len(wire.packets()) == len([p for p in wire.packets() if p.sport in
                                           {s.sport for s in wire.syns()}])
        assert len(wire.syns()) == 2, "another's opening let it out"
    # and each has its own by asking
    for place, uid in ((web, 0), (mail, 1000), (deep, 1000)):
        assert curl(place, fetch(410), "-4", uid=uid).ok


def test_the_gate_looks_up_who_connects(lab):
    """Two programs of one cgroup and user: by name and by address each is judged as itself."""
    gate = basic(lab, rules=f"allow /usr/bin/curl .shop.test\n"
                            f"allow {lab.talk} {zones.BANNER4}:2525/tcp")
    named, address = "n00420.shop.test", zones.address4(420)
    words = "-k", "--resolve", f"{named}:443:{address}"
    wget = "wget", "-T3", "-t1", "-qO-", f"http://{address}/"
    refused_beside_control(lab, lambda: gate.run(*wget),
                           lambda: curl(gate, f"https://{named}/", *words), address)
    flow = gate.wait_flow(lambda f: f["address"] == address and f["verdict"] == "allow")
    assert path_of(flow) == "/usr/bin/curl" and flow["name"] == named, flow
    assert flow["actor"]["pid"] and flow["actor"]["how"] == "diag", flow
    flow = gate.wait_flow(lambda f: f["address"] == address and f["verdict"] == "deny")
    assert path_of(flow).endswith("wget"), flow
    # an address that a rule gives to one of them
    refused_beside_control(
        lab, lambda: gate.run(lab.program(lab.talk, "other"), "tcp", zones.BANNER4, "2525"),
        lambda: gate.run(lab.talk, "tcp", zones.BANNER4, "2525"), zones.BANNER4)
    # the other one had its name; what it asked for it may have, and so may its neighbour now
    assert gate.run("wget", "-T3", "-t1", "-qO-", "http://n00421.shop.test/").rc != 0
    assert curl(gate, fetch(421), "-4").ok
    assert gate.run("wget", "-T3", "-t1", "-qO-", f"http://{zones.address4(421)}/").ok, \
        "the kernel cannot tell neighbours apart, and the manual says so"


def test_a_core_that_dies_opens_nothing_and_forgets_nothing(lab):
    gate = basic(lab, rules="allow /usr/bin/curl .shop.test")
    known, unknown = zones.address4(430), zones.address4(431)
    assert curl(gate, fetch(430), "-4").ok
    supervisor, core, _ = gate.pids
    os.kill(supervisor, signal.SIGSTOP)  # nobody starts another one meanwhile
    try:
        with lab.capture_to(unknown) as wire:
            os.kill(core, signal.SIGKILL)
            assert curl(gate, f"http://{known}/").ok, "what was decided stands"
            assert not curl(gate, f"http://{unknown}/", "-m2").ok
            late = service(lab, "late")
            assert not curl(late, f"http://{known}/", "-m2").ok
            assert not wire.packets()
    finally:
        os.kill(supervisor, signal.SIGCONT)
    wait_for(lambda: gate.pids[1] not in (None, core), "a new core")
    assert curl(gate, fetch(431), "-4").ok
    assert curl(gate, f"http://{known}/").ok
    gate.write_rules("allow /usr/bin/curl .shop.test\ndeny any n00430.shop.test")
    gate.reload()
    with lab.capture_to(known) as wire:
        wait_for(lambda: not curl(gate, f"http://{known}/", "-m2").ok, "the rule to be gone")
        before = len(wire.packets())
        assert not curl(gate, f"http://{known}/", "-m2").ok
        assert len(wire.packets()) == before
    assert curl(gate, f"http://{unknown}/").ok, "another's rule took it"


def test_a_table_made_anew_keeps_everybodys_number(lab):
    """Somebody else's flush; a daemon that comes back with another configuration."""
    gate = basic(lab, rules="allow /usr/bin/curl .shop.test")
    mail, late = service(lab, "mail"), service(lab, "late")
    address = zones.address4(440)
    assert curl(gate, fetch(440), "-4").ok
    assert not curl(mail, f"http://{address}/", "-m2").ok
    lab.outside.run("nft", "flush", "ruleset")
    with lab.capture_to(address) as wire:
        assert not curl(mail, f"http://{address}/", "-m2").ok
        assert not wire.packets()
        assert curl(gate, f"http://{address}/", "-m2").ok
    if not gate.status()["sets"]["persist"]:
        pytest.skip("this kernel's tables end with their owner (before Linux 6.9)")
    gate.kill()
    gate.conf["default-in"] = "deny"
    gate.write_conf()
    start(gate)
    # those first who have nothing: they must not draw a number that has something
    with lab.capture_to(address) as wire:
        assert not curl(late, f"http://{address}/", "-m2").ok
        assert not curl(mail, f"http://{address}/", "-m2").ok
        assert not wire.packets()
        assert curl(gate, f"http://{address}/", "-m2").ok


def test_it_says_what_it_is(lab):
    gate = basic(lab)
    identity = gate.status()["identity"]
    assert identity["mode"] == "basic" and re.search("BPF|BTF", identity["why"]), identity
    assert not curl(gate, f"http://{zones.WWW4}/").ok
    gate.wait_flow(lambda f: f["verdict"] == "deny")
    for said in (gate.log, gate.cli("status").out, gate.why().out):
        assert "basic" in said and "by cgroup and user" in said and "neighbours" in said, said


def test_without_nftables_only_names_are_decided_and_it_is_said(lab):
    gate = basic(lab, rules=f"allow {lab.ask} .shop.test", how=NO_NET)
    identity = gate.status()["identity"]
    assert identity["mode"] == "resolver", identity
    assert re.search("nft|CAP_NET_ADMIN", identity["why"]), identity
    for said in (gate.log, gate.cli("status").out, gate.why().out):
        assert "resolver" in said and "NOTHING IS BLOCKED" in said, said
    assert gate.run(lab.ask, "udp", "127.0.0.53", "www.shop.test").ok
    assert gate.run(lab.program(lab.ask, "other"), "udp", "127.0.0.53", "www.shop.test").rc == 3
    assert curl(gate, f"http://{zones.WWW4}/").ok, "addresses are not held: it said so"


def test_datagrams_are_decided_by_who_sends_them(lab):
    """To an address that no answer explains: one program of a cgroup may, its neighbour not.
    The first datagram is held, the next one passes; a refusal is all of theirs, but short."""
    gate = basic(lab, rules=f"allow {PYTHON}* {zones.ECHO4}:7/udp")
    mail, other = service(lab, "mail"), lab.program(PYTHON, "other")
    with lab.capture_to(zones.ECHO4) as wire:
        assert "echo" not in python(gate, SEND, zones.ECHO4, 8, program=other)
        flow = gate.wait_flow(lambda f: f["address"] == zones.ECHO4 and f["verdict"] == "deny")
        assert path_of(flow) == str(other) and flow["actor"]["how"] == "diag", flow
        assert not wire.packets()
        assert python(gate, SEND, zones.ECHO4, 80)[-1] == "echo"
        assert python(gate, SEND, zones.ECHO4, 1) == ["echo"]
        sent = len(wire.packets())
        assert sent >= 2
        assert "echo" not in python(mail, SEND, zones.ECHO4, 8, program=other)
        assert len(wire.packets()) == sent


def test_root_with_marks_passes_for_nobody(lab):
    """The daemon's own mark, on the socket or on a datagram, from another cgroup; and the
    number of a neighbour."""
    gate = basic(lab, rules="allow /usr/bin/curl .shop.test")
    mail = service(lab, "mail")
    assert curl(gate, fetch(460), "-4").ok
    address = zones.address4(460)
    with lab.capture_to(address) as wire:
        before = len(wire.packets())
        for mark in ("0x53001fff", *(f"0x5300{n:04x}" for n in range(1, 9))):
            tried = mail.run(PYTHON, "-c", MARKED, address, mark)
            assert tried.ok, tried
        assert len(wire.packets()) == before, [str(p) for p in wire.packets()][before:]
        assert curl(gate, f"http://{address}/").ok


def test_what_comes_in_is_for_the_cgroup(lab):
    """A server that may say nothing by itself answers who calls it; a rule shuts it."""
    gate = basic(lab)
    web = service(lab, "web")
    server = web.start(lab.talk, "serve-tcp", zones.NEAR4, "2525", uid=1000).wait_out("ready")
    echo = web.start(lab.talk, "serve-udp", zones.NEAR4, "2526").wait_out("ready")
    assert lab.far.run(lab.talk, "tcp", zones.NEAR4, "2525").out.startswith("hello")
    assert lab.far.run(lab.talk, "udp", zones.NEAR4, "2526", "hi").out.startswith("hi")
    gate.rule_add("deny any any in")
    assert not lab.far.run(lab.talk, "tcp", zones.NEAR4, "2525").ok
    assert not lab.far.run(lab.talk, "udp", zones.NEAR4, "2526", "hi").ok
    server.stop()
    echo.stop()


def test_stopped_it_stays_shut_and_starts_again(lab):
    gate = basic(lab, rules="allow /usr/bin/curl .shop.test")
    known, unknown = zones.address4(470), zones.address4(471)
    assert curl(gate, fetch(470), "-4").ok
    if not gate.status()["sets"]["persist"]:
        pytest.skip("this kernel's tables end with their owner (before Linux 6.9)")
    gate.kill()
    with lab.capture_to(unknown) as wire:
        assert curl(gate, f"http://{known}/").ok, "what was decided stands"
        assert not curl(gate, f"http://{unknown}/", "-m2").ok
        assert not curl(service(lab, "late"), f"http://{known}/", "-m2").ok
        assert not wire.packets()
    gate.write_rules("allow /usr/bin/curl .shop.test\ndeny any n00470.shop.test")
    start(gate)
    with lab.capture_to(known) as wire:
        assert not curl(gate, f"http://{known}/", "-m2").ok, "a rule made meanwhile holds"
        assert not wire.packets()
    assert curl(gate, fetch(471), "-4").ok


@pytest.mark.parametrize("kind", ["vxlan", "gre"])
def test_what_goes_through_a_tunnel_is_judged_once(lab, kind):
    """The packet around what a program may send belongs to the program's socket too. Its own
    datagrams to the tunnel's far end are no tunnel's; but with its mark upon them, which
    takes CAP_NET_ADMIN or CAP_NET_RAW here, they would be."""
    sides, wire_filter = {
        "vxlan": (tunnels.vxlan(zones.NEAR4, zones.FAR4), "udp port 4789"),
        "gre": ([("type", "gre", "local", a, "remote", b) for a, b in
                 ((zones.NEAR4, zones.FAR4), (zones.FAR4, zones.NEAR4))], "ip proto 47"),
    }[kind]
    why = tunnels.lacks(kind, *{
        "vxlan": ("id", "1", "dstport", "0", "remote", "127.0.0.2"),
        "gre": ("local", "127.0.0.2", "remote", "127.0.0.3")}[kind])
    if why:
        pytest.skip(why)
    gate = basic(lab, rules=f"allow /usr/bin/curl {tunnels.FAR}\n"
                            f"allow /usr/bin/curl [{tunnels.FAR6}]")
    denied = service(lab, "denied")
    with tunnels.tunnel(lab, "tun77", *sides):
        wait_for(lambda: tunnels.told(lab, zones.FAR4), "the table to know of the tunnel")
        for inner in tunnels.FAR, tunnels.FAR6:
            at = f"[{inner}]" if ":" in inner else inner
            with lab.capture(wire_filter) as wire:
                assert not denied.run("wget", "-T3", "-t1", "-qO-", f"http://{at}/").ok
                denied.run(PYTHON, "-c", tunnels.SEND, zones.FAR4, "4789")
                assert not [p for p in wire.packets() if b"GET /" in p.payload]
                assert not [p for p in wire.packets() if tunnels.WORDS in p.payload]
                passed = tunnels.fetch("/usr/bin/curl", gate, inner)
                assert passed.ok and passed.out == "hello\n", passed
                assert [p for p in wire.packets(dst=zones.FAR4) if b"GET /" in p.payload]
                before = len(wire.packets())
                again = tunnels.fetch("/usr/bin/curl", gate, inner)  # past the gate
                assert again.ok and again.out == "hello\n", again
                assert [p for p in wire.packets()[before:] if b"GET /" in p.payload]
        with lab.capture("udp port 4789") as wire:
            lab.outside.run(PYTHON, "-c", tunnels.SEND, zones.FAR4, "4789")
            assert [p for p in wire.packets() if tunnels.WORDS in p.payload], "the control"
    wait_for(lambda: tunnels.told(lab, ""), "the table to forget it")


# a datagram and a SYN from a port of one's own, which is free again afterwards; or it is kept
FROM_PORT = """
import socket, struct, sys
port, keep, words, *to = int(sys.argv[1]), sys.argv[2] == "keep", sys.argv[3], *sys.argv[4:]
kept = []
for at in to:
    family = socket.AF_INET6 if ":" in at else socket.AF_INET
    for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
        for _ in range(4):  # the first may be held
            s = socket.socket(family, kind)
            s.settimeout(.4)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.bind(("", port))
            try:
                s.connect((at, 7 if kind == socket.SOCK_DGRAM else 80))
                s.send(words.encode())
                if kind == socket.SOCK_STREAM or s.recv(99): break
            except OSError as e:
                print(e)
        kept.append(s) if keep else s.close()
print("sent", flush=True)
sys.stdin.read()
"""
TO = zones.ECHO4, zones.six(zones.ECHO4)


def from_port(place, port, words, uid=0):
    done = place.run(PYTHON, "-c", FROM_PORT, str(port), "leave", words, *TO, uid=uid)
    assert "sent" in done.out, done
    return done


def left(wire, words):
    """What bore these words, of the datagrams, and what began a connection from that port."""
    return [p for p in wire.packets() if p.payload == words]


@pytest.mark.parametrize("kept", [False, True])
def test_a_port_of_an_approved_service(lab, kept):
    """Left by it, or shared with it (SO_REUSEPORT): another service or another user gets
    nothing of its flows. Out of reach: a neighbour, of the same cgroup and user."""
    port = 4721 if kept else 4720
    rules = [f"allow {PYTHON}*+uid:0 {at}:{what}" for at in (TO[0], f"[{TO[1]}]")
             for what in ("7/udp", "80/tcp")]
    gate = basic(lab, rules="\n".join(rules))
    web, mail = service(lab, "web"), service(lab, "mail")
    rogue = lab.program(PYTHON, "rogue")
    with lab.capture(f"port {port} and (" + " or ".join(f"dst host {a}" for a in TO) +
                     ")") as wire:
        from_port(web, port, "mine")
        if kept:
            holder = web.start(PYTHON, "-c", FROM_PORT, str(port), "keep", "mine", *TO)
            holder.wait_out("sent")
        sent = left(wire, b"mine")
        assert {p.dst for p in sent if p.proto == "udp"} == set(TO), list(map(str, sent))
        before = len([p for p in wire.packets() if p.syn])
        for place, program, uid in ((web, PYTHON, 1000), (mail, rogue, 0)):
            tried = place.run(program, "-c", FROM_PORT, str(port), "leave", "not mine", *TO,
                              uid=uid)
            assert "sent" in tried.out or "in use" in tried.err, tried
        assert not left(wire, b"not mine"), list(map(str, left(wire, b"not mine")))
        assert len([p for p in wire.packets() if p.syn]) == before
        if kept:
            assert holder.running
            holder.stop()
        neighbour = web.run(rogue, "-c", FROM_PORT, str(port), "leave", "near", *TO)
        assert "sent" in neighbour.out, neighbour
        assert left(wire, b"near"), "within reach by now: say so"
    assert gate.wait_flow(lambda f: f["verdict"] == "deny")


USERS = """
import os, socket
for uid in range(10000, 10000 + 8200):
    os.seteuid(uid)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"x", ("127.0.0.1", 9))
    s.close()
    os.seteuid(0)
"""


def test_more_users_than_there_are_numbers(lab):
    """Whoever comes after the last number is unknown, nothing is opened to it, and what others
    have is not its; who has a number goes on."""
    gate = basic(lab, rules="allow /usr/bin/curl .shop.test")
    web = service(lab, "web")
    assert curl(web, fetch(480), "-4").ok
    crowd = service(lab, "crowd")
    done = crowd.run(PYTHON, "-c", USERS, timeout=300)
    assert done.ok, done
    late = service(lab, "late")
    with lab.capture_to(zones.address4(480)) as wire:
        for place in late, crowd:
            assert not curl(place, f"http://{zones.address4(480)}/", "-m3").ok
        assert not wire.packets(), [str(p) for p in wire.packets()][:3]
        assert curl(web, f"http://{zones.address4(480)}/").ok
    # its connections are met and looked up one by one, and what is allowed opens nothing
    assert curl(late, fetch(481), "-4").ok
    with lab.capture_to(zones.address4(481)) as wire:
        assert not curl(late, f"http://{zones.address4(481)}/", "-m3").ok
        assert not late.run("wget", "-T3", "-t1", "-qO-", fetch(481)).ok
        assert not wire.packets(), [str(p) for p in wire.packets()][:3]
        assert curl(web, fetch(481), "-4").ok
        assert curl(web, f"http://{zones.address4(481)}/").ok, "who had a number is as before"


def test_out_of_reach_a_stamp_by_hand(lab):
    """Root marks a datagram as if it came out of a tunnel here: it reaches the tunnel's far
    end and port, nothing else there; without the right to marks it does not."""
    why = tunnels.lacks("vxlan", "id", "1", "dstport", "0", "remote", "127.0.0.2")
    if why:
        pytest.skip(why)
    basic(lab)
    stamped = "import socket, struct, sys\n" \
              "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n" \
              "mark = struct.pack('I', 0x73000001)\n" \
              "for port in 4789, 4790:\n" \
              "    try: s.sendmsg([b'by hand'], [(1, 36, mark)], 0, (sys.argv[1], port))\n" \
              "    except OSError as e: print(e)\n"
    mail = service(lab, "mail")
    with tunnels.tunnel(lab, "tun77", *tunnels.vxlan(zones.NEAR4, zones.FAR4)):
        wait_for(lambda: tunnels.told(lab, zones.FAR4), "the table to know of the tunnel")
        with lab.capture(f"dst host {zones.FAR4} and (udp port 4789 or udp port 4790)") as wire:
            for uid, ports in (1000, []), (0, [4789]):
                mail.run(PYTHON, "-c", stamped, zones.FAR4, uid=uid)
                assert [p.dport for p in wire.packets() if p.payload == b"by hand"] == ports
