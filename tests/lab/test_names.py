# SPDX-License-Identifier: GPL-2.0-or-later
"""Names that are answered here, and names that go to servers of their own: routes, records and
rewrites of the configuration, the hosts file, the machine's own name, special use."""

import pytest
from lab import zones
from lab.gate import refused_beside_control
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
KDIG = "allow /usr/bin/kdig any"
STUB = "@127.0.0.53"
LAN_SERVER, LAN_SERVER_B = "10.53.0.54", "10.53.0.55"
KNOT = """server:
    rundir: {dir}
    listen: [ {address}@53 ]
database:
    storage: {dir}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {dir}
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: .
    file: {file}
"""


@pytest.fixture
def corp(lab):
    """Two servers on the LAN that each know corp.test their way, as a VPN's would."""
    running = []
    for n, address in enumerate((LAN_SERVER, LAN_SERVER_B)):
        place = lab.tmp / f"corp{n}"
        place.mkdir()
        lab.world.far.ip("addr", "add", f"{address}/32", "dev", "far0")
        (place / "root.zone").write_text(
            zones.HEAD + f"$ORIGIN corp.test.\n@ IN A 10.53.9.{n}\n* IN A 10.53.9.{n}\n"
            "loop IN A 127.0.0.9\nout IN A 198.18.10.80\n"
            "*.10.in-addr.arpa. IN PTR host.corp.test.\n"
            "www.shop.test. IN A 10.53.9.99\n")
        (place / "knot.conf").write_text(KNOT.format(dir=place, address=address,
                                                     file=place / "root.zone"))
        running.append(lab.far.start("knotd", "-c", place / "knot.conf"))
    for address in (LAN_SERVER, LAN_SERVER_B):
        lab.outside.run("kdig", f"@{address}", "+retry=20", "+time=1", "corp.test")
    yield
    for server, address in zip(running, (LAN_SERVER, LAN_SERVER_B)):
        server.stop()
        lab.world.far.ip("addr", "del", f"{address}/32", "dev", "far0")


def short(gate, name, qtype="A"):
    return gate.run("kdig", "+short", STUB, name, qtype).out.split()


def asked(lab):
    """(server, name) of what left the machine"""
    return {(q.server, q.name) for q in lab.dns.asked()}


def test_routes(lab, corp):
    gate = lab.scupperd(rules=KDIG, route=[f"corp.test={LAN_SERVER}",
                                           f"b.corp.test={LAN_SERVER_B}",
                                           f"10.0.0.0/8={LAN_SERVER_B}",
                                           "dead.test=198.18.0.99"])
    assert short(gate, "www.shop.test") == [zones.WWW4]
    assert short(gate, "x.corp.test") == ["10.53.9.0"]
    assert short(gate, "corp.test") == ["10.53.9.0"]
    assert short(gate, "x.b.corp.test") == ["10.53.9.1"]
    assert short(gate, "notcorp.test") == []
    assert short(gate, "4.3.2.10.in-addr.arpa", "PTR") == ["host.corp.test."]
    # an answer within the LAN is no attack from a route; one to this machine is
    assert short(gate, "loop.corp.test") == []
    dead = gate.run("kdig", "+retry=0", "+time=20", STUB, "www.dead.test")
    assert dead.status == "SERVFAIL", dead
    seen = asked(lab)
    assert (LAN_SERVER, "x.corp.test") in seen
    assert (LAN_SERVER_B, "x.b.corp.test") in seen
    assert {s for s, n in seen if n.endswith("dead.test")} == {"198.18.0.99"}
    assert {s for s, n in seen if n.endswith("corp.test") and n != "notcorp.test"} == \
        {LAN_SERVER, LAN_SERVER_B}


def test_records_and_rewrites_are_judged_like_others(lab):
    curl = lab.program("/usr/bin/curl", "curl")
    gate = lab.scupperd(
        rules=f"{KDIG}\nallow {curl} .shop.test\nallow {curl} .own.test\n"
              f"deny any .ads.example\nallow {curl} {zones.FAR4}",
        record=[f"www.own.test A {zones.WWW4} 5", "bad.own.test CNAME x.ads.example",
                'txt.own.test TXT "a b"'],
        rewrite=["*.dev.example=127.0.0.1", "good.own.test=www.shop.test",
                 "worse.own.test=y.ads.example", "loop.own.test=loop.shop.test"])
    assert short(gate, "www.own.test") == [zones.WWW4]
    assert short(gate, "txt.own.test", "TXT") == ['"a', 'b"']
    assert short(gate, "a.b.dev.example") == ["127.0.0.1"]
    assert short(gate, "good.own.test") == ["www.shop.test.", zones.WWW4]
    assert short(gate, "good.own.test") == ["www.shop.test.", zones.WWW4]  # from the cache
    assert gate.run(curl, "-4sSm5", "http://www.own.test/").out == "hello\n"
    assert gate.run(curl, "-4sSm5", "http://good.own.test/").out == "hello\n"
    for name in ("bad.own.test", "worse.own.test"):
        answer = gate.run("kdig", STUB, name)
        assert answer.status == "NXDOMAIN" and zones.ADS4 not in answer.out, answer
        seen = gate.wait_query(lambda q, n=name: q["name"] == n)
        assert seen["verdict"] == "deny" and "ads.example" in str(seen)
    assert "127.0.0.1" not in gate.run("kdig", STUB, "loop.own.test").out
    left = {n for _, n in asked(lab)}
    assert not {n for n in left if n.endswith(("own.test", "ads.example"))}, left
    refused_beside_control(
        lab, lambda: gate.run(curl, "-4sSm3", "http://bad.own.test/"),
        lambda: lab.outside.run("curl", "-4sSm3", f"http://{zones.ADS4}/"), zones.ADS4)


def test_what_is_special_stays_here(lab):
    gate = lab.scupperd(rules=KDIG + "\nallow /usr/bin/getent any", special="alt=ask")
    for name, status in (("abc.onion", "NXDOMAIN"), ("printer.local", "NXDOMAIN"),
                         ("wpad", "NXDOMAIN"), ("use-application-dns.net", "NXDOMAIN"),
                         ("4.3.2.10.in-addr.arpa", "NXDOMAIN"),
                         ("_dns.resolver.arpa", "NOERROR")):
        answer = gate.run("kdig", STUB, name)
        assert answer.status == status, answer
    gate.run("kdig", STUB, "x.alt")
    assert {n for _, n in asked(lab)} == {"x.alt"}
    own = gate.run("hostname").out.strip()
    addresses = gate.run("getent", "ahosts", own).out
    assert zones.NEAR4 in addresses or "127.0." in addresses, addresses
    assert short(gate, own) == [zones.NEAR4] or "127.0." in addresses
    assert short(gate, "_gateway") == [zones.FAR4]
    assert short(gate, "_outbound") == [zones.NEAR4]
    assert short(gate, "1.0.53.10.in-addr.arpa", "PTR")


def test_search_by_the_stub_file(lab):
    """/etc/resolv.conf as a link to what the daemon writes: glibc searches by itself."""
    gate = lab.scupperd(rules="allow /usr/bin/getent .shop.test", search="ads.example shop.test")
    view = lab.world._hold(f"mount --bind {gate.dir}/run/stub-resolv.conf /etc/resolv.conf && "
                           "mount -t bpf bpf /sys/fs/bpf")
    place = lab.world._place(lab.scope.path, lab.world.near, view)
    assert zones.WWW4 in place.run("getent", "ahostsv4", "www").out
    assert not place.run("getent", "ahostsv4", "nowhere").ok
    assert "www.shop.test" in lab.dns.queries()
    assert not {n for n in lab.dns.queries() if "." not in n or n.endswith("ads.example")}


def test_rebinding_exceptions(lab):
    gate = lab.scupperd(rules=KDIG, rebind_allow="lan.shop.test")
    assert short(gate, "lan.shop.test") == [zones.FAR4]
    assert short(gate, "loop.shop.test") == []
    assert short(gate, "mixed.shop.test") == [zones.WWW4]


@pytest.mark.parametrize("refusal", ["nxdomain", "zero", "refused"])
def test_each_way_to_refuse(lab, refusal):
    gate = lab.scupperd(rules="deny any .ads.example", default="allow", refusal=refusal)
    want = {"nxdomain": ("NXDOMAIN", []), "refused": ("REFUSED", [])}
    for qtype, address in (("A", "0.0.0.0"), ("AAAA", "::"), ("HTTPS", None), ("TXT", None),
                           ("MX", None)):
        answer = gate.run("kdig", STUB, "x.ads.example", qtype)
        status, addresses = want.get(refusal, ("NOERROR", [address] if address else []))
        assert answer.status == status, answer
        assert short(gate, "x.ads.example", qtype) == addresses
    assert "x.ads.example" not in lab.dns.queries()


@pytest.mark.parametrize("key,value,says", [
    ("route", "corp.test=nowhere at all", "is no server with an address"),
    ("rewrite", "a.test=", "neither an address nor a name"),
    ("record", "a.test A x", "is no value for A"),
])
def test_mistakes_are_told_with_their_line(lab, key, value, says):
    gate = lab.scupperd(expect_ready=False, **{key: value})
    result = gate.daemon.wait()
    assert result.rc != 0
    line = next(n for n, text in enumerate(gate.file.read_text().splitlines(), 1)
                if text.startswith(f"{key}="))
    assert f"{gate.file}:{line}: " in result.err and says in result.err, result


@pytest.fixture
def own_run(lab, monkeypatch):
    """The daemon sees a /run/systemd of the test's own."""
    world, run = lab.world, lab.tmp / "run-systemd"
    run.mkdir()
    stub = world.tmp / "etc/direct"
    inner = f"mount --bind {run} /run/systemd && mount --bind {stub} /etc/resolv.conf"
    view = world._hold(inner + " && mount -t bpf bpf /sys/fs/bpf")
    monkeypatch.setattr(world, "daemon", world._place(world.daemon_cgroup, world.near, view))
    yield run


def test_links_come_and_go(lab, corp, own_run):
    links = own_run / "netif/links"
    links.mkdir(parents=True)
    gate = lab.scupperd(rules=KDIG, upstream=None, search="own.test")
    stub = gate.dir / "run/stub-resolv.conf"
    assert "\nnameserver 127.0.0.53\n" in stub.read_text()
    assert "\nsearch own.test\n" in stub.read_text()
    assert short(gate, "www.shop.test") == [zones.WWW4]
    assert short(gate, "y.corp.test") == []

    (links / "7").write_text(f"DNS={LAN_SERVER}\nDOMAINS=corp.test\nROUTE_DOMAINS=b.test\n")
    gate.wait_log("1 upstreams, 2 routes of links", 60)
    assert short(gate, "y.corp.test") == ["10.53.9.0"]  # though it did not exist before
    assert short(gate, "www.shop.test") == [zones.WWW4]
    assert "\nsearch own.test corp.test\n" in stub.read_text()

    resolved = own_run / "resolve/netif"
    resolved.mkdir(parents=True)
    (resolved / "7").write_text(f"SERVERS={LAN_SERVER_B}\nDOMAINS=~.\n")
    gate.wait_log("1 upstreams, 0 routes of links", 60)
    wait_for(lambda: short(gate, "y.corp.test") == ["10.53.9.1"], "the cache to be emptied")
    wait_for(lambda: short(gate, "www.shop.test") == ["10.53.9.99"], "the new usual server")
