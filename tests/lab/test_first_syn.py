# SPDX-License-Identifier: GPL-2.0-or-later
"""An approved answer opens its addresses before it leaves: the first SYN passes, for the
program that asked and for nobody else."""

import pytest
from lab import zones
from lab.gate import path_of, refused_beside_control, rule_text

pytestmark = pytest.mark.usefixtures("bpf")
RULE = "allow /usr/bin/curl .shop.test"


def fetch_all(gate, family, names, at_once=50):
    """One fresh curl a name; name -> (HTTP status, address it came from)."""
    out = gate.run("xargs", "-P", at_once, "-I{}", "curl", family, "-sS", "-o", "/dev/null",
                   "-w", "%{http_code} %{remote_ip} {}\\n", "--max-time", "10", "http://{}/",
                   input="\n".join(names), timeout=600)
    assert out.ok, out
    got = {}
    for line in out.out.splitlines():
        status, address, name = line.split()
        got[name] = status, address
    return got


@pytest.mark.parametrize("family,address", [("-4", zones.address4), ("-6", zones.address6)])
def test_a_thousand_names_each_at_the_first_syn(lab, family, address):
    gate = lab.scupperd(rules=RULE)
    want = {zones.name(n): ("200", address(n)) for n in range(1, zones.NAMES + 1)}
    with lab.capture("port 80 and (ip[33] & 0x06 != 0 or ip6[53] & 0x06 != 0)") as wire:
        assert fetch_all(gate, family, want) == want
        assert len(wire.syns(dport=80)) == zones.NAMES
        assert {p.dst for p in wire.syns()} == {a for _, a in want.values()}
        assert not wire.repeated_syns()
    kernel = gate.status()["counters"]
    assert not kernel.get("kernel_failed"), kernel


def test_another_program_is_refused_at_dns_and_listed(lab):
    gate = lab.scupperd(rules=RULE)
    with lab.capture(f"host {zones.address4(900)} or host {zones.address6(900)}") as wire:
        no = gate.run("wget", "-T5", "-t1", "-qO-", "http://n00900.shop.test/")
        assert not no.ok
        assert not wire.packets()
        assert "n00900.shop.test" not in lab.dns.queries()
        assert gate.run("curl", "-sS", "http://n00900.shop.test/").ok
    seen = gate.wait_query(lambda q: path_of(q) == "/usr/bin/wget", "wget's query")
    assert seen["name"] == "n00900.shop.test"
    assert seen["verdict"] == "deny" and rule_text(seen) is None
    assert seen["reason"] == "default"
    why = gate.why()
    assert why.ok and "/usr/bin/wget" in why.out and "n00900.shop.test" in why.out
    assert "default" in why.out
    allowed = gate.wait_query(lambda q: path_of(q) == "/usr/bin/curl", "curl's query")
    assert rule_text(allowed) == RULE


def test_a_denying_rule_is_named(lab):
    gate = lab.scupperd(rules="deny any .ads.example", default="allow")
    answer = gate.run("kdig", "@127.0.0.53", "x.ads.example")
    assert answer.status == "NXDOMAIN"
    assert "x.ads.example" not in lab.dns.queries()
    seen = gate.wait_query(lambda q: q["name"] == "x.ads.example")
    assert rule_text(seen) == "deny any .ads.example"
    assert "deny any .ads.example" in gate.why().out
    assert gate.run("kdig", "@127.0.0.53", "www.shop.test").status == "NOERROR"


@pytest.mark.parametrize("family,n", [("-4", 11), ("-6", 12)])
def test_an_address_opened_for_curl_is_open_to_nobody_else(lab, family, n):
    gate = lab.scupperd(rules=RULE)
    four = family == "-4"
    address = zones.address4(n) if four else zones.address6(n)
    url = f"http://{address}/" if four else f"http://[{address}]/"
    copy = lab.program("/usr/bin/curl", "curl")
    # it is connected, to the gate, and then reset
    python = ("/usr/bin/python3", "-c", "import socket, sys; "
              "s = socket.create_connection((sys.argv[1], 80), 300); s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n');"
              "sys.exit(not s.recv(1))", address)
    opened = ("curl", family, "-sS", f"http://{zones.name(n)}/")
    assert gate.run(*opened).ok
    for refused in (("wget", "-T300", "-t1", "-qO-", url), (copy, "-sS", "-m300", url), python):
        no, _ = refused_beside_control(lab, lambda r=refused: gate.run(*r, timeout=400),
                                       lambda: gate.run(*opened), address)
        assert no.seconds < 200, "a refusal should be told at once"
    flow = gate.wait_flow(lambda f: path_of(f) == str(copy), "the copy's refused flow")
    assert flow["verdict"] == "deny" and flow["address"] == address and flow["port"] == 80


def test_outside_the_scope_nothing_changes(lab):
    lab.scupperd(rules=RULE)
    for words in (("wget", "-qO-", "http://www.shop.test/"),
                  ("curl", "-sS", f"http://{zones.address4(77)}/"),
                  ("curl", "-sS", f"http://[{zones.address6(77)}]/"),
                  ("kdig", f"@{zones.DNS4_OTHER}", "x.ads.example"),
                  ("ping", "-c1", "-W2", zones.WWW4)):
        done = lab.outside.run(*words)
        assert done.ok, done
    assert "x.ads.example" in lab.dns.queries()


def test_names_outside_the_rule_are_refused_to_curl_too(lab):
    gate = lab.scupperd(rules=RULE)
    refused_beside_control(lab, lambda: gate.run("curl", "-sS", "http://www.other.example/"),
                           lambda: lab.outside.run("curl", "-sS", "http://www.other.example/"),
                           zones.OTHER4)
