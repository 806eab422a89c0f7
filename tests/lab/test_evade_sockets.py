# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs try with sockets to get out, each act done by programs that may not and then
by one that may: of the first nothing may reach the far side, of the second it must, or the
wire was dead. docs/evasions.md has a line for each.

One daemon serves them all. `may` is allowed everything; `denied` has a rule against it;
`nobody` has none, so that only the default speaks; `part` may reach .shop.test."""

import json
import pathlib
import socket

import pytest
from lab import attempts, probe, zones
from lab.capture import ACK, SYN
from lab.gate import path_of
from lab.process import wait_for
from lab.trial import arrives, nothing_then, pair, to_any
from lab.world import Lab

SCRIPT = pathlib.Path(attempts.__file__)
PYTHON = pathlib.Path("/usr/bin/python3").resolve()
NOT = ["denied", "nobody"]
LOOK_UP = "import socket, sys; socket.getaddrinfo(sys.argv[1], 80)"


@pytest.fixture(scope="module")
def lab(world):
    why = probe.lacks_bpf()
    if why:
        pytest.skip(why)
    world.near.sysctl("net.ipv4.ping_group_range=0 1000")  # none by default
    made = Lab(world, "evade-sockets")
    for name in ("may", "part", *NOT):
        setattr(made, name, made.program(PYTHON, name))
    made.gate = made.scupperd(rules=f"allow {made.may} any\ndeny {made.denied} any\n"
                                    f"allow {made.part} .shop.test\n")
    # what a program sends before anybody has met it may be held
    arrives(made, pair(58), lambda: run(made, "may", "plain", *pair(58)))
    yield made
    left = made.close()
    assert not left, f"left over: {left}"


def act(lab, program, name, *addresses, **words):
    """An argv. program is one of the fixture's, or a path."""
    path = getattr(lab, program) if isinstance(program, str) else program
    return [path, SCRIPT, name, *addresses, *(f"{k}={v}" for k, v in words.items())]


def run(lab, program, name, *addresses, place=None, **words):
    """An act that ended by itself: one that broke would prove nothing."""
    done = (place or lab.gate).run(*act(lab, program, name, *addresses, **words))
    assert done.ok and "Traceback" not in done.err, done
    return done


def start(lab, program, name, *addresses, place=None, **words):
    return (place or lab.gate).start(*act(lab, program, name, *addresses, **words))


ALONE = ["plain", "unspec_and_again", "mark_by_message", "fast_open", "multipath", "mapped",
         "ping", "raw", "segments", "begun_at_home", "extension_headers", "fragments",
         "device", "io_uring"]
ONE_FAMILY = {"mapped": slice(0, 1), "extension_headers": slice(1, 2)}


@pytest.mark.parametrize("name", ALONE)
def test_alone(lab, name):
    if name == "io_uring" and (why := probe.lacks_io_uring()):
        pytest.skip(why)
    if name == "multipath" and (why := probe.lacks_mptcp()):
        pytest.skip(why)
    addresses = pair(ALONE.index(name))[ONE_FAMILY.get(name, slice(0, 2))]
    sent = nothing_then(lab, addresses,
                        lambda: [run(lab, program, name, *addresses) for program in NOT],
                        lambda: run(lab, "may", name, *addresses))
    if name not in ("ping", "mark_by_message"):
        assert any(attempts.TOKEN in p.payload for p in sent)


def test_groups_and_broadcast(lab):
    nothing_then(lab, attempts.GROUPS,
                 lambda: [run(lab, program, "group", *attempts.GROUPS) for program in NOT],
                 lambda: run(lab, "may", "group", *attempts.GROUPS))


def test_joining_groups(lab):
    """The report that the kernel sends names the group, and is no packet of the program's."""
    groups = {a: socket.inet_pton(attempts.family(a), a) for a in ("239.7.7.7", "ff05::7:7")}
    with lab.capture("igmp or dst host ff02::16") as wire:
        def told():
            return {a for a, word in groups.items() if any(word in p.payload
                                                           for p in wire.packets())}
        run(lab, "denied", "join", *groups)
        assert not told()
        run(lab, "may", "join", *groups)
        wait_for(lambda: told() == set(groups), "reports of both groups")


def test_mark_by_option(lab):
    """The option is refused to all that are guarded, so the control is that each could do
    without it, and that the same call works outside the scope."""
    addresses = pair(20)
    refusals = nothing_then(lab, addresses,
                            lambda: [run(lab, program, "mark_by_option", *addresses)
                                     for program in NOT],
                            lambda: run(lab, "may", "mark_by_option", *addresses))
    assert refusals
    said = run(lab, "denied", "mark_by_option", addresses[0])
    assert said.out.count("setsockopt: [Errno 1]") == 2 * (2 * attempts.NUMBERS + 1), said
    outside = run(lab, "denied", "mark_by_option", addresses[0], place=lab.outside)
    assert "setsockopt" not in outside.out


def frames_refused(lab):
    return lab.gate.status()["counters"]["frames_refused"]


@pytest.mark.parametrize("kind", ["raw", "bypass"])
def test_packet_sockets(lab, kind):
    """Where the kernel has no tcx (before 6.6) they are out of reach."""
    if why := probe.lacks_tcx():
        pytest.skip(why)
    addresses = pair(55 + (kind == "bypass"))
    mac = json.loads(lab.world.far.ip("-j", "link", "show", "far0"))[0]["address"]
    before = frames_refused(lab)
    nothing_then(lab, addresses, lambda: [run(lab, program, "packet_socket", *addresses,
                                              mac=mac, kind=kind) for program in NOT],
                 lambda: run(lab, "may", "packet_socket", *addresses, mac=mac, kind=kind))
    at_least = before + (8 if kind == "raw" else 4)  # the option itself is refused
    wait_for(lambda: frames_refused(lab) >= at_least, "the refusals to be counted")


def test_packet_sockets_of_a_later_interface(lab):
    if why := probe.lacks_tcx():
        pytest.skip(why)
    near, address = lab.world.near, pair(57)[0]

    def sent():
        said = json.loads(near.ip("-j", "-s", "link", "show", "later0"))
        return said[0]["stats64"]["tx"]["packets"]

    def send(program):
        run(lab, program, "packet_socket", address, mac="02:00:00:00:00:01", device="later0")
    near.ip("link", "add", "later0", "type", "veth", "peer", "name", "later1")
    try:
        for device in "later0", "later1":
            near.ip("link", "set", device, "addrgenmode", "none", "arp", "off", "multicast",
                    "off", "up")
        before = frames_refused(lab)
        wait_for(lambda: send("nobody") or frames_refused(lab) > before, "it to be held")
        quiet = sent()
        for program in NOT:
            send(program)
        assert sent() == quiet
        wait_for(lambda: send("may") or sent() > quiet, "one that may to send")
    finally:
        near.ip("link", "del", "later0")


@pytest.mark.parametrize("family", [4, 6])
def test_source_route_by_way_of_another(lab, family):
    """`part` may reach the address it names, and not the one it goes by."""
    n = 430 + family
    address, via = pair(30)[family == 6], pair(31)[family == 6]
    address = zones.address4(n) if family == 4 else zones.address6(n)
    with lab.capture(to_any([address])) as wire:
        assert lab.gate.run(lab.part, "-c", LOOK_UP, zones.name(n)).ok
        run(lab, "part", "plain", address)
        assert wire.packets(), "it may reach that one"
    nothing_then(lab, [via], lambda: run(lab, "part", "source_route", address, via=via),
                 lambda: run(lab, "may", "source_route", address, via=via))


@pytest.fixture
def caller(lab):
    """Far addresses that say nothing to a SYN but call the near side's port all the time."""
    far, own = lab.world.far, pair(32)
    callers = []
    try:
        for address, near in zip(own, (zones.NEAR4, zones.NEAR6)):
            far.ip("route", "add", "blackhole", address, "table", "local")
            callers.append(start(lab, PYTHON, "call", near, place=lab.far, own=address))
        yield own
    finally:
        for running, address in zip(callers, own):
            running.stop()
            far.ip("route", "del", "blackhole", address, "table", "local")


def test_simultaneous_open(lab, caller):
    """Both sides connect at once. A program without a rule may be called from outside here
    (default-in), so that only the one with a rule against it is judged."""
    for far, near in zip(caller, (zones.NEAR4, zones.NEAR6)):
        with lab.capture(f"src host {near} and dst host {far}") as wire:
            run(lab, "denied", "simultaneous", far, own=near, tries=300)
            sent = [p for p in wire.packets() if p.flags & SYN or p.payload]
            assert not sent, f"left: {[str(p) for p in sent][:5]}"
            run(lab, "may", "simultaneous", far, own=near, tries=3)
            assert [p for p in wire.packets() if p.flags & SYN and p.flags & ACK], "crossed"


def ends(n):
    """Of each family: an address of the far side, and the near side's own."""
    return zip(pair(n), (zones.NEAR4, zones.NEAR6))


@pytest.mark.parametrize("program", NOT)
def test_errors_that_a_refusal_makes(lab, program):
    n = 47 + NOT.index(program)
    for far, near in ends(n):
        code = ("import socket, sys; s = socket.socket(int(sys.argv[3]), socket.SOCK_DGRAM); "
                "s.bind((sys.argv[1], 4501)); s.sendto(b'call', (sys.argv[2], 4501)); "
                "s.settimeout(5); s.connect((sys.argv[2], 4501))\n"
                "s.send(b'call')\n"
                "try: s.recv(10)\n"
                "except ConnectionRefusedError: pass\n")
        called = lab.far.run(PYTHON, "-c", code, far, near, 10 if ":" in far else 2)
        assert called.ok, called
        nothing_then(lab, [far],
                     lambda: run(lab, program, "error_of_its_own", far, own=near),
                     lambda: run(lab, "may", "error_of_its_own", far, own=near))


@pytest.mark.parametrize("program", NOT)
def test_a_call_forged_by_itself(lab, program):
    for far, near in ends(49 + NOT.index(program)):
        nothing_then(lab, [far], lambda: run(lab, program, "forged_call", far, own=near),
                     lambda: run(lab, "may", "forged_call", far, own=near))


@pytest.mark.parametrize("program", NOT)
def test_a_source_forged(lab, program):
    n = 51 + 2 * NOT.index(program)
    for far, src in zip(pair(n), pair(n + 1)):
        with lab.capture(to_any([src])) as answers:
            nothing_then(lab, [far], lambda: run(lab, program, "forged_source", far, src=src),
                         lambda: run(lab, "may", "forged_source", far, src=src))
            assert not answers.packets(), list(map(str, answers.packets()))


def test_answer_to_who_spoke_first(lab):
    """A program with a rule against everything gets nothing that it could answer."""
    ask = ("import socket, sys, time\n"
           "s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
           " socket.SOCK_DGRAM)\n"
           "s.settimeout(0.05)\n"
           "for _ in range(int(sys.argv[2])):\n"
           "    s.sendto(b'hello?', (sys.argv[1], 4600))\n"
           "    try: print(s.recv(100)); break\n"
           "    except OSError: pass\n")
    for near, far in ((zones.NEAR4, zones.FAR4), (zones.NEAR6, zones.FAR6)):
        with lab.capture(f"src host {near} and dst host {far} and udp") as wire:
            server = start(lab, "denied", "answer", near, port=4600).wait_out("ready")
            lab.far.run(PYTHON, "-c", ask, near, 5)
            assert not wire.packets() and "got" not in server.out
            server.stop()
            server = start(lab, "may", "answer", near, port=4600).wait_out("ready")
            assert "scupper" in lab.far.run(PYTHON, "-c", ask, near, 50).out
            assert wire.packets()
            server.stop()


@pytest.mark.parametrize("program", NOT)
def test_inherited_sockets(lab, program):
    """Made by one that may, used by the program it becomes."""
    addresses = pair(34 + NOT.index(program))
    nothing_then(lab, addresses,
                 lambda: [run(lab, "may", "inherited", a, then=getattr(lab, program))
                          for a in addresses],
                 lambda: [run(lab, "denied", "inherited", a, then=lab.may)
                          for a in addresses])


def test_out_of_reach_what_an_approved_program_connected(lab):
    """A connected socket and a raw one carry their maker's mark, whoever writes to them: the
    maker's help. It is listed as the maker's."""
    addresses = pair(59)
    arrives(lab, addresses, lambda: [run(lab, "may", "lent", a, then=lab.denied)
                                     for a in addresses])
    flow = lab.gate.wait_flow(lambda f: f["address"] == addresses[0] and f["proto"] == "udp")
    assert path_of(flow) == str(lab.may)


@pytest.mark.parametrize("family", [4, 6])
def test_passed_sockets(lab, family):
    """Over SCM_RIGHTS: each judges by who sends, whoever made it; and by who made it again
    when it sends again."""
    address = pair(36)[family == 6]
    path = lab.tmp / f"passing{family}"
    with lab.capture(to_any([address])) as wire:
        giver = start(lab, "may", "give", address, path=path).wait_out("ready")
        run(lab, "denied", "take", address, path=path)
        assert giver.wait().ok
        sent = wire.packets()
        assert sent and all(p.payload == b"giver" for p in sent), list(map(str, sent))
        path.unlink()
        giver = start(lab, "denied", "give", address, path=path).wait_out("ready")
        run(lab, "may", "take", address, path=path)
        assert giver.wait().ok
        sent = wire.packets()[len(sent):]
        assert any(p.payload == attempts.TOKEN for p in sent)
        assert not any(p.payload == b"giver" for p in sent)


@pytest.mark.parametrize("program", NOT)
def test_port_left_by_an_approved_program(lab, program):
    addresses, port = pair(38 + NOT.index(program)), 4700 + NOT.index(program)
    with lab.capture(to_any(addresses)) as wire:
        run(lab, "may", "from_port", *addresses, port=port, text="mine")
        before = len(wire.packets())
        assert all(wire.packets(dst=a, proto=p, sport=port) for a in addresses
                   for p in ("udp", "tcp"))
        run(lab, program, "from_port", *addresses, port=port)
        late = [p for p in wire.packets()[before:] if p.syn or p.payload]
        assert not late, list(map(str, late))
        run(lab, "may", "from_port", *addresses, port=port, text="mine")
        assert len(wire.packets(proto="udp")) == 4, "the port is still good for its owner"


@pytest.mark.parametrize("program", NOT)
def test_port_shared_with_an_approved_program(lab, program):
    """SO_REUSEPORT: both hold the port at the same time."""
    n = NOT.index(program)
    for address in pair(40 + n):
        with lab.capture(to_any([address])) as wire:
            held = start(lab, "may", "from_port", address, port=4710 + n, text="hold")
            held.wait_out("sent")
            run(lab, program, "from_port", address, port=4710 + n, times=5)
            assert wire.packets(proto="udp") and all(
                p.payload == b"hold" for p in wire.packets(proto="udp"))
            assert not [p for p in wire.packets() if attempts.TOKEN in p.payload]
            held.stop()


@pytest.fixture
def announced(lab):
    """The far side offers each MPTCP connection a second address of its own."""
    if why := probe.lacks_mptcp():
        pytest.skip(why)
    near, far, server = lab.world.near, lab.world.far, None
    second = pair(45)
    try:
        for ns in (near, far):
            ns.ip("mptcp", "limits", "set", "subflows", "4", "add_addr_accepted", "4")
        for address in second:
            far.ip("mptcp", "endpoint", "add", address, "signal")
        server = start(lab, PYTHON, "multipath_server", place=lab.far, port=8444)
        server.wait_out("ready")
        yield second
    finally:
        far.ip("mptcp", "endpoint", "flush")
        for ns in (near, far):
            ns.ip("mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "0")
        if server:
            server.stop()


def joins_tried(lab):
    """How often a second subflow was begun (older kernels count only the announcements)."""
    with lab.world.near.entered():
        lines = pathlib.Path("/proc/thread-self/net/netstat").read_text().splitlines()
    names, values = (x.split() for x in lines if x.startswith("MPTcpExt:"))
    counters = dict(zip(names, values))
    return int(counters.get("MPJoinSynTx", counters["AddAddr"]))


@pytest.mark.parametrize("family", [4, 6])
def test_second_subflow_of_mptcp(lab, announced, family):
    """The kernel connects it, to an address that the server named: the program must be
    allowed to go there too. (It ends at the gate's plain TCP before there is anything to
    list.)"""
    n = 440 + family
    address = zones.address4(n) if family == 4 else zones.address6(n)
    second = announced[family == 6]
    assert lab.gate.run(lab.part, "-c", LOOK_UP, zones.name(n)).ok
    with lab.capture(to_any([second, address])) as wire:
        before = joins_tried(lab)
        met = start(lab, "part", "multipath_held", address, port=8444).wait_out("connected")
        wait_for(lambda: joins_tried(lab) > before, "a second subflow to be tried")
        assert wire.syns(dst=address) and not wire.packets(dst=second)
        one = start(lab, "may", "multipath_held", address, port=8444).wait_out("connected")
        wait_for(lambda: wire.syns(dst=second), "the second subflow of one that may")
        assert len(wire.syns(dst=second)) == 1
        met.stop()
        one.stop()


def test_they_are_listed(lab):
    """What is refused is listed with the program's name."""
    for program, address in zip(NOT, pair(46)):
        run(lab, program, "plain", address)
        flow = lab.gate.wait_flow(lambda f, a=address: f["verdict"] == "deny" and
                                  f["address"] == a, f"a refusal of {program}")
        assert path_of(flow) == str(getattr(lab, program))
