# SPDX-License-Identifier: GPL-2.0-or-later
"""A grant's time: asserted again by cache hits, outlived by the flows it let in.

By a daemon whose grants last three seconds at least, where scupperd's last five minutes."""

import re

import pytest
from lab import zones
from lab.process import sh, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
RULES = "allow /usr/bin/curl .shop.test\nallow /usr/bin/kdig .shop.test"


def expires(lab, address):
    """Seconds that the element for an address still has in the kernel, 0 if there is none."""
    listed = sh("ip", "netns", "exec", lab.world.near.name, "nft", "list", "set", "inet",
                "scupper", "pass4")
    found = re.search(re.escape(address) + r" timeout \S+ expires (?:(\d+)s)?(?:(\d+)ms)?",
                      listed)
    return int(found[1] or 0) + int(found[2] or 0) / 1000 if found else 0


def test_a_cache_hit_asserts_the_grant_again(lab):
    gate = lab.scupperd(brief=True, rules=RULES)
    left = []

    def hit():
        assert gate.run("kdig", "@127.0.0.53", "four.shop.test").status == "NOERROR"
        assert lab.dns.queries() == ["four.shop.test"], "it was no cache hit"
        left.append(expires(lab, zones.FOUR4))
        return len(left) > 1 and left[-1] > left[-2]
    wait_for(hit, "the grant to be lengthened by a cache hit")


def test_asking_again_keeps_a_short_lived_name_open(lab):
    """TTL 1, seven seconds, far beyond one grant: every connection at its first SYN."""
    gate = lab.scupperd(brief=True, rules=RULES)
    passed = []
    with lab.capture_to(zones.SHORT4) as wire:
        def connects():
            assert gate.run("curl", "-4sSm60", "http://short.shop.test/").ok
            passed.append(1)
            return len([n for n in lab.dns.queries() if n == "short.shop.test"]) >= 7
        wait_for(connects, "seven lookups")
        assert len(wire.syns()) == len(passed) and not wire.repeated_syns()


def test_a_running_flow_outlives_its_grant(lab):
    gate = lab.scupperd(brief=True, rules=RULES)
    got = lab.tmp / "got"
    curl = gate.start("curl", "-4sS", "-o", got, "http://short.shop.test/slow")
    wait_for(got.exists, "the download to begin")
    # 200 KB a second: nine seconds, three times the grant
    wait_for(lambda: got.stat().st_size > 1_800_000, "the download to go on")
    assert curl.running
    assert gate.run("curl", "-4sSm60", "http://short.shop.test/").ok
    curl.stop()


def test_after_its_grant_an_address_is_known_by_its_name(lab):
    """As by a program that keeps what it once looked up: the gate meets it and opens anew."""
    gate = lab.scupperd(brief=True, rules=RULES)
    assert gate.run("curl", "-4sSm60", "http://short.shop.test/").ok
    wait_for(lambda: not expires(lab, zones.SHORT4), "the grant to end")
    asked = len(lab.dns.queries())
    with lab.capture_to(zones.SHORT4) as wire:
        assert not gate.run("wget", "-T3", "-t1", "-qO-", f"http://{zones.SHORT4}/").ok
        assert not wire.packets(), "it is no other program's"
        assert gate.run("curl", "-sSm60", f"http://{zones.SHORT4}/").ok
        assert wire.syns() and len(lab.dns.queries()) == asked
    flow = gate.wait_flow(lambda f: f["verdict"] == "allow" and f["state"] == "done"
                          and f["address"] == zones.SHORT4)
    assert flow["name"] == "short.shop.test"
    assert expires(lab, zones.SHORT4), "the next connection need not be met"
