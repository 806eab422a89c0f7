# SPDX-License-Identifier: GPL-2.0-or-later
"""What no approved answer explains and is no TCP for the proxy: UDP, ping, groups, sockets
bound to a device. Not a packet of it leaves before it is decided; the client's own next try
passes, or is told that it may not."""

import re

import pytest
from lab import zones
from lab.gate import path_of, rule_text
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PYTHON = "/usr/bin/python3"
REFUSED = {"EPERM", "EACCES", "EHOSTUNREACH"}  # send()'s own, or ICMP's from before
ECHOES = [zones.ECHO4, zones.six(zones.ECHO4)]

# udp(ADDRESS, PORT, connected?, device, tries): what each try met, in a word
CLIENT = """
import errno, select, socket, sys, time
def udp(address, port, connected=True, device="", tries=20, wait=.25):
    six = ":" in address
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    if device: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    if connected: s.connect((address, port))
    met = []
    for n in range(tries):
        word = b"try %d" % n
        try:
            s.send(word) if connected else s.sendto(word, (address, port))
            if select.select([s], [], [], wait)[0]:
                met.append("echo" if s.recv(99) == word else "other")
            else:
                met.append("lost")
        except OSError as e:
            met.append(errno.errorcode[e.errno])
            select.select([], [], [], wait / 5)
        if met[-1] == "echo": break
    return met
"""


def python(gate, code, *argv, program=PYTHON, timeout=120):
    done = gate.run(program, "-c", CLIENT + code, *argv, timeout=timeout)
    assert done.ok, done
    return done.out.split()


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def elsewhere(program):
    """Who may go nowhere at all is refused whole, and nothing of it needs to be met."""
    return f"allow {program} {zones.NTP4}"


def ping(gate, address, count=4):
    return gate.run("ping", "-n", "-i0.2", "-W1", f"-c{count}", address)


@pytest.mark.parametrize("address", ECHOES)
def test_udp_to_an_address_that_a_rule_allows_passes_at_its_second_try(lab, address):
    rule = f"allow {PYTHON}* {bracketed(address)}:7/udp"
    gate = lab.scupperd(rules=rule)
    code = "print(*udp(sys.argv[1], 7, sys.argv[2] == 'yes'))"
    with lab.capture_to(address) as wire:
        met = python(gate, code, address, "yes")
        assert met[-1] == "echo" and set(met[:-1]) == {"lost"}, met
        assert b"try 0" not in {p.payload for p in wire.packets()}, "it was not met"
        assert python(gate, code, address, "no") == ["echo"], "the next one is not met"
    flow = gate.wait_flow(lambda f: f["address"] == address)
    assert path_of(flow).startswith(PYTHON) and flow["verdict"] == "allow"
    assert flow["port"] == 7 and flow["proto"] == "udp" and rule_text(flow) == rule
    assert len(gate.flows()) == 2, "one flow each"


@pytest.mark.parametrize("address", ECHOES)
def test_udp_that_nothing_allows_never_leaves_and_is_told_so(lab, address):
    copies = [lab.program(PYTHON, f"talker{n}") for n in (1, 2)]
    gate = lab.scupperd(rules=f"allow {copies[1]} any\n" + elsewhere(copies[0]))
    code = "print(*udp(sys.argv[1], 7, sys.argv[2] == 'yes', tries=4))"
    with lab.capture_to(address) as wire:
        for how in "yes", "no":
            met = python(gate, code, address, how, program=copies[0])
            assert not set(met) - {"lost", *REFUSED}, met
        assert met[0] != "lost", f"refused at once by now: {met}"
        assert not wire.packets()
        assert python(gate, code, address, "yes", program=copies[1])[-1] == "echo"
        assert wire.packets(), "the control sent nothing"
    flow = gate.wait_flow(lambda f: f["verdict"] == "deny")
    assert path_of(flow) == str(copies[0]) and flow["state"] == "refused"
    assert flow["address"] == address and flow["port"] == 7 and flow["proto"] == "udp"
    assert flow["actor"]["pid"], "its packet's record says which process it was"
    told = [f for f in gate.flows() if path_of(f) == str(copies[0])]
    assert len(told) == 1, f"one destination, one line: {told}"


def test_a_client_of_quic_falls_back_to_tcp(lab):
    """A datagram that is lost, then TCP, which an address rule allows."""
    gate = lab.scupperd(rules=f"allow {PYTHON}* {zones.WWW4}:80/tcp")
    code = """
met = udp(sys.argv[1], 80, tries=2)
s = socket.create_connection((sys.argv[1], 80), 5)
s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(*met, "tcp" if s.recv(99) else "nothing")
"""
    with lab.capture_to(zones.WWW4) as wire:
        met = python(gate, code, zones.WWW4)
        assert met[-1] == "tcp" and "echo" not in met
        assert {p.proto for p in wire.packets()} == {"tcp"}


@pytest.mark.parametrize("address", [zones.WWW4, zones.six(zones.WWW4)])
def test_ping_passes_at_its_second_try_or_not_at_all(lab, address):
    gate = lab.scupperd(rules=elsewhere("/usr/bin/ping"))
    kind = "icmp6" if ":" in address else "icmp"
    with lab.capture_to(address) as wire:
        assert not ping(gate, address, 2).ok
        assert not wire.packets()
        number = gate.rule_add(f"allow /usr/bin/ping {bracketed(address)}/icmp")
        yes = ping(gate, address)
        assert yes.ok and re.search(r" [34] received", yes.out), yes
        assert wire.packets(proto=kind)
        gate.rule_rm(number)
        wire.packets()
        before = len(wire.packets())
        assert not ping(gate, address, 2).ok
        assert len(wire.packets()) == before, "the rule is gone"
    denied = gate.wait_flow(lambda f: f["verdict"] == "deny")
    assert path_of(denied).endswith("/ping") and denied["proto"] == "icmp"
    gate.wait_flow(lambda f: f["verdict"] == "allow" and f["proto"] == "icmp")


@pytest.mark.parametrize("address", [zones.WWW4, zones.six(zones.WWW4)])
def test_other_protocols_are_decided_too(lab, address):
    """One without ports, of a raw socket, and one with: UDP-Lite."""
    copies = [lab.program(PYTHON, f"raw{n}") for n in (1, 2)]
    gate = lab.scupperd(rules=f"allow {copies[1]} {bracketed(address)}:7/136\nallow {copies[1]} any/253\n" +
                        elsewhere(copies[0]))
    code = """
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for kind, proto, port in (socket.SOCK_RAW, 253, 0), (socket.SOCK_DGRAM, 136, 7):
    s = socket.socket(family, kind, proto)
    for n in range(20):
        try:
            s.sendto(b"hello", (sys.argv[1], port))
            print(proto, n)
            break
        except PermissionError: select.select([], [], [], .05)
"""
    with lab.capture_to(address) as wire:
        assert python(gate, code, address, program=copies[0]) == []
        assert not wire.packets()
        sent = python(gate, code, address, program=copies[1])
        assert sent[::2] == ["253", "136"] and sent[1] != "0", sent
        assert {p.proto for p in wire.packets()} == {"253", "136"}
    gate.wait_flow(lambda f: f["proto"] == "253" and f["verdict"] == "deny")


@pytest.mark.parametrize("four", [True, False], ids=["v4", "v6"])
def test_a_socket_bound_to_a_device_is_decided_by_address(lab, four):
    """Redirected, it would put loopback addresses on the wire."""
    echo, web = (a if four else zones.six(a) for a in (zones.ECHO4, zones.WWW4))
    copies = [lab.program(PYTHON, f"bound{n}") for n in (1, 2)]
    gate = lab.scupperd(rules=f"allow {copies[1]} {bracketed(echo)}:7/udp\n"
                              f"allow {copies[1]} {bracketed(web)}:80/tcp\n" + elsewhere(copies[0]))
    code = """
print(*udp(sys.argv[1], 7, False, "near0", tries=4))
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"near0")
s.settimeout(8)
print("tcp", errno.errorcode.get(s.connect_ex((sys.argv[2], 80)), "connected"))
"""
    with lab.capture(f"dst host {echo} or dst host {web}") as wire:
        no = python(gate, code, echo, web, program=copies[0])
        assert no[-2:] == ["tcp", "ECONNREFUSED"] and not set(no[:-2]) - REFUSED, no
        assert not wire.packets()
        yes = python(gate, code, echo, web, program=copies[1])
        assert yes[-3:] == ["echo", "tcp", "connected"], yes
        assert {p.proto for p in wire.packets()} == {"udp", "tcp"}
    for proto in "udp", "tcp":
        flow = gate.wait_flow(lambda f, proto=proto: f["proto"] == proto and
                              f["verdict"] == "deny")
        assert path_of(flow) == str(copies[0])


def test_groups_and_broadcast_are_decided_too(lab):
    copies = [lab.program(PYTHON, f"group{n}") for n in (1, 2)]
    groups = "239.7.7.7", "10.53.255.255", "ff12::7777"
    gate = lab.scupperd(rules=f"allow {copies[1]} any:7777/udp\n" + elsewhere(copies[0]))
    code = """
for address in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if ":" in address:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("near0"))
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.53.0.1"))
    for n in range(4):
        try: s.sendto(b"hello", (address, 7777))
        except OSError: pass
        select.select([], [], [], .1)
"""
    with lab.capture("udp dst port 7777") as wire:
        python(gate, code, *groups, program=copies[0])
        assert not wire.packets()
        python(gate, code, *groups, program=copies[1])
        assert {p.dst for p in wire.packets()} == set(groups)


def test_a_flood_of_destinations_is_its_own_programs_trouble(lab):
    """Another program's first datagrams are decided as ever, and nothing of the flood goes."""
    copies = [lab.program(PYTHON, name) for name in ("flood", "other")]
    gate = lab.scupperd(rules=f"allow {copies[1]} {zones.ECHO4}:7/udp\n" +
                        elsewhere(copies[0]))
    flood = gate.start(copies[0], "-c", """
import itertools, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("flowing", flush=True)
for n in itertools.count():
    try: s.sendto(b"flood", (f"198.18.{n // 250 % 200}.{n % 250 + 1}", 4000 + n % 1000))
    except OSError: pass
""")
    flood.wait_out("flowing")
    with lab.capture("udp dst portrange 4000-4999") as wire:
        met = python(gate, "print(*udp(sys.argv[1], 7))", zones.ECHO4, program=copies[1])
        assert met[-1] == "echo" and len(met) < 8, met
        gate.wait_flow(lambda f: path_of(f) == str(copies[0]) and f["verdict"] == "deny")
        flood.stop()
        assert not wire.packets()
    assert gate.core == gate.pids[1]


def test_rules_that_come_and_go_under_way(lab):
    rule = f"allow {PYTHON}* {zones.ECHO4}:7/udp"
    gate = lab.scupperd(rules=elsewhere(f"{PYTHON}*"))
    talker = gate.start(PYTHON, "-u", "-c", CLIENT + """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7))
for line in sys.stdin:
    wanted = line.strip()
    end, n = time.monotonic() + 9, 0
    while time.monotonic() < end:
        n += 1
        word = b"%s %d" % (wanted.encode(), n)
        try:
            s.send(word)
            got = None
            while got != word and select.select([s], [], [], .1)[0]: got = s.recv(99)
            got = got == word
        except OSError as e:
            if e.errno == errno.EDESTADDRREQ: s.connect((sys.argv[1], 7))  # it was ended
            select.select([], [], [], .1)
            got = False
        if got == (wanted[:3] == "yes"):
            print(wanted, "so")
            break
""", zones.ECHO4)
    for turn in range(2):
        talker.say(f"no{turn}")
        talker.wait_out(f"no{turn} so")
        number = gate.rule_add(rule)
        talker.say(f"yes{turn}")
        talker.wait_out(f"yes{turn} so")
        gate.rule_rm(number)
        talker.say(f"no{turn}again")
        talker.wait_out(f"no{turn}again so")
    # refused by a rule for good: nothing but a new rule opens it
    with lab.capture_to(zones.ECHO4) as wire:
        talker.say("noend")
        talker.wait_out("noend so")
        assert not wire.packets()
    talker.stop()


def test_an_approved_answer_opens_what_was_refused_before_it(lab):
    gate = lab.scupperd(rules=f"allow {PYTHON}* echo.shop.test")
    code = '''
print(*udp(sys.argv[1], 7, tries=3))
print(*udp(socket.getaddrinfo("echo.shop.test", 7, socket.AF_INET)[0][4][0], 7))
'''
    met = python(gate, code, zones.ECHO4)
    assert len(met) == 4 and "echo" not in met[:3] and met[2] != "lost", met
    assert met[3] == "echo", "at its first try"


def test_modes_and_a_new_core_let_through_and_refuse_as_ever(lab):
    gate = lab.scupperd(rules=elsewhere(f"{PYTHON}*"))
    code = "print(*udp(sys.argv[1], 7, tries=6))"

    def meets():
        return python(gate, code, zones.ECHO4)[-1]
    assert meets() != "echo"
    assert gate.cli("pause").ok
    assert python(gate, code, zones.ECHO4) == ["echo"], "while paused nothing is held"
    assert gate.cli("resume").ok
    assert meets() != "echo"
    gate.rule_add(f"allow {PYTHON}* {zones.ECHO4}:7/udp")
    assert meets() == "echo"
    assert gate.cli("block").ok
    assert meets() != "echo"
    assert gate.cli("resume").ok
    assert meets() == "echo"
    gone = gate.kill_core()
    wait_for(lambda: gate.pids[1] not in (None, gone), "a new core")
    assert meets() == "echo"
    with lab.capture_to(zones.six(zones.ECHO4)) as wire:
        assert python(gate, code, zones.six(zones.ECHO4))[-1] != "echo"
        assert not wire.packets()


def test_where_nothing_can_be_denied_the_first_packet_passes(lab):
    """default=allow: a program nobody has met yet is not in anybody's way, whatever it sends;
    with a rule against a name only what could carry one is met."""
    gate = lab.scupperd(default="allow", rules="deny any .ads.example")
    code = "print(*udp(sys.argv[1], 7, device=sys.argv[2]))"
    for n in range(12):
        copy = lab.program(PYTHON, f"fresh{n}")
        assert python(gate, code, zones.ECHO4, "near0" if n % 2 else "",
                      program=copy) == ["echo"]
    copy = lab.program("/usr/bin/ping", "freshping")
    one = gate.run(copy, "-n", "-c1", "-W5", zones.WWW4)
    assert one.ok, one
    with lab.capture_to(zones.ECHO4) as wire:
        copy = lab.program(PYTHON, "freshtcp")
        done = gate.run(copy, "-c", CLIENT + "s = socket.create_connection((sys.argv[1], 7), 5)\n"
                        "print(s.getsockname()[1])", zones.ECHO4)
        assert int(done.out) in {p.sport for p in wire.syns()}, "it was proxied"


def test_an_address_that_a_rule_denies_under_default_allow_is_not_reached(lab):
    gate = lab.scupperd(default="allow", rules=f"deny any {zones.ECHO4}:7/udp")
    code = "print(*udp(sys.argv[1], 7, tries=4))"
    with lab.capture_to(zones.ECHO4) as wire:
        for n in range(4):
            met = python(gate, code, zones.ECHO4, program=lab.program(PYTHON, f"new{n}"))
            assert "echo" not in met, met
        assert not wire.packets()
        assert python(gate, code, zones.six(zones.ECHO4))[-1] == "echo"
