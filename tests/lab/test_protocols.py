# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of client people have, each refused and then let through by one rule."""

import pytest
from lab import zones
from lab.gate import path_of

pytestmark = pytest.mark.usefixtures("bpf")


def ssh(lab):
    far = lab.world.dir
    return ("ssh", "-F", "none", "-o", "BatchMode=yes", "-i", far / "client_key", "-o",
            f"UserKnownHostsFile={far}/known_hosts", "root@ssh.shop.test", "echo in")


def clients(lab):
    return {
        "https": (("curl", "-sS", "-m5", "https://www.shop.test/"), "hello", zones.WWW4),
        "https-v6": (("curl", "-6", "-sS", "-m5", "https://www.shop.test/"), "hello",
                     zones.six(zones.WWW4)),
        "http2": (("curl", "-sS", "-m5", "--http2", "-o", "/dev/null", "-w",
                   "%{http_version}", "https://www.shop.test/"), "2", zones.WWW4),
        "wget": (("wget", "-T5", "-t1", "-qO-", "http://www.shop.test/"), "hello",
                 zones.WWW4),
        "ssh": (ssh(lab), "in", zones.SSH4),
        "ntp": ((lab.talk, "ntp", "ntp.shop.test"), "48", zones.NTP4),
        "udp": ((lab.talk, "udp", "echo.shop.test", "7", "hi"), "hi", zones.ECHO4),
        "ping": (("ping", "-4", "-n", "-c1", "-W2", "www.shop.test"), "1 received",
                 zones.WWW4),
        "ping-v6": (("ping", "-6", "-n", "-c1", "-W2", "www.shop.test"), "1 received",
                    zones.six(zones.WWW4)),
        "server-first": ((lab.talk, "tcp", "banner.shop.test", "2525"), "220 hello",
                         zones.BANNER4),
    }


@pytest.mark.parametrize("kind", ["https", "https-v6", "http2", "wget", "ssh", "ntp", "udp",
                                  "ping", "ping-v6", "server-first"])
def test_refused_then_allowed_by_name(lab, kind):
    words, wanted, address = clients(lab)[kind]
    gate = lab.scupperd()
    path = str(words[0]) if "/" in str(words[0]) else f"/usr/bin/{words[0]}"
    with lab.capture_to(address) as wire:
        no = gate.run(*words)
        assert not no.ok, no
        assert not wire.packets()
        gate.rule_add(f"allow {path} .shop.test")
        yes = gate.run(*words)
        assert yes.ok and wanted in yes.out, yes
        assert wire.packets() and not wire.repeated_syns()
    listed = gate.wait_query(lambda q: path_of(q) == path and q["verdict"] == "deny")
    assert listed["name"].endswith(".shop.test")


@pytest.mark.parametrize("words", [("dig", "+tries=1", "+time=3"),
                                   ("dig", "+tcp", "+tries=1", "+time=3"),
                                   ("kdig", "+retry=0"), ("kdig", "+tcp", "+retry=0")],
                         ids=" ".join)
def test_dns_tools_over_udp_and_tcp(lab, words):
    gate = lab.scupperd(rules=f"allow /usr/bin/{words[0]} .shop.test")
    ok = gate.run(*words, "@127.0.0.53", "n00007.shop.test")
    assert ok.status == "NOERROR" and zones.address4(7) in ok.out, ok
    no = gate.run(*words, "@127.0.0.53", "x.ads.example")
    assert no.status == "NXDOMAIN", no
    assert "x.ads.example" not in lab.dns.queries()
    seen = gate.wait_query(lambda q: q["name"] == "x.ads.example")
    assert path_of(seen) == f"/usr/bin/{words[0]}"


def test_a_port_in_the_rule_opens_that_port_only(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl www.shop.test:443/tcp")
    with lab.capture(f"dst host {zones.WWW4}") as wire:
        assert gate.run("curl", "-4", "-sS", "-m5", "https://www.shop.test/").ok
        no = gate.run("curl", "-4", "-sS", "-m5", "http://www.shop.test/")
        assert not no.ok
        assert wire.syns(dport=443) and not wire.packets(dport=80)
    gate.wait_flow(lambda f: f["port"] == 80 and f["verdict"] == "deny", "port 80 refused")


def test_a_deny_for_all_but_one_port(lab):
    gate = lab.scupperd(default="allow", rules="deny any www.shop.test:80/tcp")
    with lab.capture(f"dst host {zones.WWW4}") as wire:
        assert not gate.run("curl", "-4", "-sS", "-m5", "http://www.shop.test/").ok
        assert not wire.packets()
        assert gate.run("curl", "-4", "-sS", "-m5", "https://www.shop.test/").ok


def test_a_rule_for_one_user(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl+uid:4711 .shop.test")
    words = ("curl", "-4", "-sS", "-m5", "http://n00020.shop.test/")
    with lab.capture(f"dst host {zones.address4(20)}") as wire:
        assert not gate.run(*words).ok
        assert not gate.run(*words, uid=4712).ok
        assert not wire.packets()
        assert gate.run(*words, uid=4711).ok
        assert not gate.run("curl", "-sS", "-m3", f"http://{zones.address4(20)}/").ok
