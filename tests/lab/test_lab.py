# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself, without scupperd: what the stories stand on."""

import pytest
from lab import zones


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_every_server_answers(lab, family):
    run = lab.direct.run
    assert run("curl", family, "-sS", "https://n00042.shop.test/").out == "hello\n"
    assert run("wget", family, "-qO-", "http://n01000.shop.test/").out == "hello\n"
    assert run(lab.talk, "ntp", "ntp.shop.test").out == "48\n"
    assert run(lab.talk, "udp", "echo.shop.test", "7", "hi").out == "hi"
    assert run(lab.talk, "tcp", "banner.shop.test", "2525").out.startswith("220 ")
    assert run("ping", family, "-c1", "-W2", "www.shop.test").ok
    far = lab.world.dir
    assert run("ssh", family, "-F", "none", "-i", far / "client_key", "-o",
               f"UserKnownHostsFile={far}/known_hosts", "root@ssh.shop.test", "echo in").out \
        == "in\n"


def test_dns_server_has_what_the_stories_ask_for(lab):
    run = lab.direct.run
    at = f"@{zones.DNS4}"
    assert run("kdig", at, "x.ads.example").status == "NOERROR"
    assert run("kdig", at, "no.shop.test").status == "NXDOMAIN"
    assert "tc" in run("kdig", at, "+ignore", "+bufsize=1232", "bigtxt.shop.test",
                       "TXT").out.split("\n")[1].lower()
    assert "ipv4hint" in run("kdig", at, "hinted.shop.test", "HTTPS").out
    assert run(lab.ask, "tcp", zones.DNS4, "www.shop.test").out == f"www.shop.test 0 {zones.WWW4}\n"
    assert run(lab.ask, "sendto", zones.DNS4_SLOW, "a.test").out == f"a.test 0 {zones.WWW4}\n"
    assert run(lab.ask, "udp", zones.DNS4_DEAD, "a.test").rc == 101
    names = lab.dns.queries()
    assert "x.ads.example" in names and "www.shop.test" in names


def test_capture_sees_what_is_sent_and_nothing_else(lab):
    with lab.capture(f"host {zones.address4(7)}") as wire:
        assert lab.direct.run("curl", "-sS", f"http://{zones.address4(8)}/").ok
        assert not wire.packets()
        assert lab.direct.run("curl", "-sS", f"http://{zones.address4(7)}/").ok
        assert len(wire.syns(dst=zones.address4(7), dport=80)) == 1
        assert not wire.repeated_syns()


def test_client_sees_the_stub_and_runs_in_its_scope(lab):
    assert lab.inside.run("cat", "/etc/resolv.conf").out == "nameserver 127.0.0.53\n"
    assert lab.inside.run("cat", "/proc/self/cgroup").out.endswith(f"{lab.scope.path.name}\n")
    assert lab.inside.run("id", "-u", uid=4711).out == "4711\n"
