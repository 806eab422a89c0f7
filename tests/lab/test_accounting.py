# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes: of each connection, of each program, of all, held against the interface's counters.

The interface counts Ethernet frames; what is counted here are IP packets, so 14 bytes a frame
are taken off. Both ends send packets of one segment (as on a wire): what the kernel hands to
itself in larger pieces has fewer headers."""

import datetime
import json
import os
import signal

import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
MB = 1 << 20
ETHERNET = 14
TCP_HEADERS = 52  # IPv4, TCP, timestamps

CLIENT = """
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
s.connect((sys.argv[1], int(sys.argv[2])))
print("connected", flush=True)
for line in sys.stdin:
    way, n = line.split()
    s.sendall(line.encode())
    left = int(n)
    while way == "down" and left:
        left -= len(s.recv(min(left, 65536)))
    while way == "up" and left:
        s.sendall(bytes(min(left, 65536)))
        left -= min(left, 65536)
    if way == "up":
        assert s.recv(3, socket.MSG_WAITALL) == b"ok\\n"
    print("done", flush=True)
"""
SERVER = """
import socket, socketserver, sys
class Bulk(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            way, n = line.split()
            if way == b"down":
                self.wfile.write(bytes(int(n)))
            else:
                self.rfile.read(int(n))
                self.wfile.write(b"ok\\n")
socketserver.TCPServer.allow_reuse_address = True
server = socketserver.TCPServer(("", int(sys.argv[1])), Bulk)
server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
print("ready", flush=True)
server.serve_forever()
"""
UDP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
s.connect((sys.argv[1], 7))
for _ in range(int(sys.argv[2])):
    s.send(bytes(1000))
    s.recv(2000)
"""


@pytest.fixture
def wire(lab):
    """One segment a packet, on both sides of the pair; gives the near side's IP bytes."""
    ends = (lab.world.near, "near0"), (lab.world.far, "far0")
    for ns, device in ends:
        ns.ip("link", "set", "dev", device, "gso_max_segs", "1")

    def stats():
        shown = lab.world.near.ip("-s", "-j", "link", "show", "near0")
        return json.loads(shown)[0]["stats64"]

    def counters():
        now = stats()
        return {way: now[way]["bytes"] - ETHERNET * now[way]["packets"]
                for way in ("rx", "tx")}
    counters.received = lambda: stats()["rx"]["packets"]
    yield counters
    for ns, device in ends:
        ns.ip("link", "set", "dev", device, "gso_max_segs", "65535")


def near(value, wanted):
    return abs(value - wanted) <= wanted / 100


def grown(now, before):
    return {way: now[way] - before[way] for way in now}


def total(items):
    return {way: sum(i[way] or 0 for i in items) for way in ("rx", "tx")}


def agree(said, wire):
    return all(near(said[way], wire[way]) for way in wire)


def client(place, address, port=zones.BULK_PORT):
    running = place.start("python3", "-c", CLIENT, address, port)
    return running.wait_out("connected")


def do(running, *lines):
    for line in lines:
        before = running.out.count("done")
        running.say(line)
        wait_for(lambda n=before: running.out.count("done") > n, line, 60)


def bulk_flows(gate, port=zones.BULK_PORT):
    return [f for f in gate.flows() if f["port"] == port]


def points(gate):
    code, page = gate.api("stats")
    assert code == 200, page
    return page["items"]


def test_totals_agree_with_the_interface(lab, wire):
    gate = lab.scupperd(default="allow")
    assert gate.status()["accounting"] is True
    before = wire()
    down = gate.run("curl", "-4sSo", "/dev/null", "http://www.shop.test/bulk", timeout=300)
    assert down.ok, down
    six = gate.run("curl", "-6sSo", "/dev/null", "-r", f"0-{5 * MB - 1}",
                   "http://www.shop.test/bulk", timeout=300)
    assert six.ok, six
    up = client(lab.inside, zones.ECHO4)
    do(up, f"up {20 * MB}")
    up.stop()
    assert lab.inside.run("python3", "-c", UDP, zones.ECHO4, "2000").ok
    server = gate.start("python3", "-c", SERVER, "8099").wait_out("ready")
    from_far = client(lab.far, zones.NEAR4, 8099)
    do(from_far, f"down {10 * MB}", f"up {5 * MB}")
    from_far.stop()
    crossed = grown(wire(), before)
    assert crossed["rx"] > 60 * MB and crossed["tx"] > 30 * MB

    def counted():
        flows = gate.flows()
        over = all(f["state"] == "done" for f in flows if f["proto"] == "tcp")
        return flows if len(flows) >= 5 and over and agree(total(flows), crossed) else None
    try:
        flows = wait_for(counted, "the counters to agree")
    except AssertionError as e:
        raise AssertionError(f"{e}: {total(gate.flows())} on the wire {crossed}: "
                             f"{gate.flows()}") from None
    server.stop(signal.SIGKILL)
    web = [f for f in flows if f["name"] == "www.shop.test"]
    assert {f["proto"] for f in web} == {"tcp"} and len(web) == 2
    assert near(web[0]["rx"], 50 * MB * 1500 / 1448) and near(web[1]["rx"], 5 * MB * 1500 / 1428)
    assert all(f["end"] >= f["start"] for f in web)
    inbound = [f for f in flows if f["direction"] == "in"]
    assert len(inbound) == 1 and inbound[0]["port"] == 8099
    assert 10 * MB * 1500 / 1448 < inbound[0]["tx"] < 11.5 * MB  # and the other way's ACKs
    udp, = [f for f in flows if f["proto"] == "udp"]
    assert (udp["rx"], udp["tx"]) == (2000 * 1028, 2000 * 1028)

    # each program is the sum of its connections, and all seconds are the sum of all
    apps = gate.items("apps")
    for app in apps:
        own = [f for f in flows if f["actor"]["id"] == app["id"]]
        assert total(own) == total([app]), app
    said = total(flows)
    seconds = points(gate)
    assert sum(p["down"] for p in seconds) == said["rx"]
    assert sum(p["up"] for p in seconds) == said["tx"]
    assert sum(p["flows"] for p in seconds) == len(flows)
    assert sum(p["denied"] for p in seconds) == 0


def test_the_stream_tells_each_second_and_no_row_too_often(lab):
    gate = lab.scupperd(default="allow")
    told, stats = gate.stream("flows,stats"), []
    assert next(told)[0] == "hello"
    held = client(lab.inside, "echo.shop.test")
    do(held, f"down {5 * MB}")
    held.stop()
    rows = {}
    for event, data in told:
        if event == "stats":
            stats.append(data)
        for row in [data] if event == "flow" else data.get("items", []):
            rows.setdefault(row["id"], []).append(row)
        ends = [r for r in rows.values() if r[-1].get("state") == "done"]
        if ends and len(stats) >= 4 and sum(s["down"] for s in stats) == ends[0][-1]["rx"]:
            break
        assert len(stats) < 30, (stats, rows)
    times = [datetime.datetime.fromisoformat(s["time"].replace("Z", "+00:00")) for s in stats]
    assert all(b - a == datetime.timedelta(seconds=1) for a, b in zip(times, times[1:]))
    row, = rows.values()
    assert row[0]["state"] == "live" and row[-1]["rx"] > 5 * MB
    assert len(row) <= 4 * len(stats)


def test_denied_is_nothing_and_not_unknown(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    assert not gate.run("wget", "-T3", "-t1", "-qO-", f"http://{zones.WWW4}/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://www.ads.example/").ok
    flow = gate.wait_flow(lambda f: f["verdict"] == "deny")
    assert (flow["rx"], flow["tx"]) == (0, 0)
    assert flow["end"] == flow["start"]
    app, = [a for a in gate.items("apps") if a["path"] == "/usr/bin/wget"]
    assert (app["rx"], app["tx"]) == (0, 0) and app["denied"] >= 2
    assert sum(p["denied"] for p in points(gate)) == app["denied"]


def test_one_that_is_older_than_the_daemon(lab, wire):
    """Its socket tells what went before (what the other side sent twice, once), and it goes
    on, counted by conntrack."""
    before, packets = wire(), wire.received()
    old = client(lab.inside, zones.ECHO4)
    do(old, f"down {20 * MB}", f"up {5 * MB}")
    server = lab.inside.start("python3", "-c", SERVER, "8098").wait_out("ready")
    came = client(lab.far, zones.NEAR4, 8098)
    do(came, f"up {10 * MB}")
    crossed = grown(wire(), before)
    crossed["rx"] = 30 * MB + (wire.received() - packets) * TCP_HEADERS
    gate = lab.scupperd(default="allow")

    def flows():
        return bulk_flows(gate) + bulk_flows(gate, 8098)

    def wait_agreed(base, since):
        def agreed():
            listed = flows()
            said = grown(total(listed), base)
            return listed if agree(said, since()) else None
        try:
            return wait_for(agreed, "the counters to agree")
        except AssertionError as e:
            raise AssertionError(f"{e}: on the wire {since()}: {gate.flows()}") from None
    listed = wait_agreed({"rx": 0, "tx": 0}, lambda: crossed)
    assert [f["state"] for f in listed] == ["live", "live"]
    # what went before is no news of the last ten minutes
    assert sum(p["down"] for p in points(gate)) < MB
    base, before = total(listed), wire()
    do(old, f"down {10 * MB}")
    do(came, f"up {10 * MB}", f"down {5 * MB}")
    wait_agreed(base, lambda: grown(wire(), before))
    old.stop()
    came.stop()
    wait_for(lambda: all(f["state"] == "done" for f in bulk_flows(gate)), "its end")
    assert len(wait_agreed(base, lambda: grown(wire(), before))) == 2
    assert sum(p["down"] for p in points(gate)) > 20 * MB
    server.stop(signal.SIGKILL)


def test_it_outlives_a_core(lab, wire):
    """Same id, same beginning, and its bytes are the program's once."""
    gate = lab.scupperd(default="allow")
    before = wire()
    held = client(lab.inside, "echo.shop.test")
    do(held, f"down {10 * MB}")
    first, = wait_for(lambda: bulk_flows(gate), "the connection")
    for _ in range(2):
        old = gate.kill_core()
        wait_for(lambda o=old: gate.pids[1] not in (None, o), "a new core")
        do(held, f"down {5 * MB}")

    def counted():
        flow, = bulk_flows(gate)
        return flow if agree(total([flow]), grown(wire(), before)) else None
    flow = wait_for(counted, "the counters to agree")
    assert flow["state"] == "live"
    assert (flow["id"], flow["start"]) == (first["id"], first["start"])
    app, = [a for a in gate.items("apps") if a["id"] == flow["actor"]["id"]]
    assert total([app]) == total([flow])
    held.stop()
    done = wait_for(lambda: [f for f in bulk_flows(gate) if f["state"] == "done"], "its end")
    assert done[0]["id"] == first["id"]


def test_the_last_of_two_puts_the_switch_back(lab):
    knob = "net.netfilter.nf_conntrack_acct"

    def switch():
        said = lab.world.daemon.run("cat", "/proc/sys/" + knob.replace(".", "/"))
        return said.out.strip()
    lab.world.near.sysctl(f"{knob}=0")
    one = lab.scupperd(default="allow", when_down="open")
    two = lab.scupperd(default="allow", when_down="open", instance="second",
                       listen="127.0.0.54:53")
    assert switch() == "1"
    assert one.daemon.stop().rc == 0
    assert switch() == "1"
    two.stop()
    assert switch() == "0"
    # killed and started again: still what was there before the first
    three = lab.scupperd(default="allow", when_down="open")
    three.kill()
    assert switch() == "1"
    three.start_daemon()
    three.stop()
    assert switch() == "0"
    ns = os.stat(lab.world.near.path).st_ino
    assert not os.path.exists(f"/run/scupper/conntrack-acct.{ns}")
