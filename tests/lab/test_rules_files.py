# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules in files: re-read when they change, reported where wrong; and rules by command."""

import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
KDIG = "allow /usr/bin/kdig .shop.test"


def status_of(gate, name="www.shop.test"):
    return gate.run("kdig", "@127.0.0.53", name).status


def test_a_changed_file_is_read_again(lab):
    gate = lab.scupperd()
    assert status_of(gate) == "NXDOMAIN"
    gate.write_rules(KDIG)
    wait_for(lambda: status_of(gate) == "NOERROR", "the new file to count")
    gate.write_rules("# gone")
    wait_for(lambda: status_of(gate) == "NXDOMAIN", "the rule to be gone")
    gate.write_rules(KDIG, "second")
    gate.reload()
    wait_for(lambda: status_of(gate) == "NOERROR", "a new file to count")


def test_a_wrong_file_says_line_and_column_and_keeps_the_last_good(lab):
    gate = lab.scupperd(rules=KDIG)
    gate.write_rules(f"# two good lines\n{KDIG}\nallow /usr/bin/curl  .shop.test:http\n")
    gate.reload()
    gate.wait_log("lab.rules:3:")
    assert status_of(gate) == "NOERROR", "the last good content stays"
    assert "lab.rules:3:" in gate.cli("status").out
    gate.write_rules(KDIG)
    wait_for(lambda: "lab.rules:3:" not in gate.cli("status").out, "the error to be gone")


def test_a_wrong_file_at_start_does_not_stop_the_others(lab):
    gate = lab.scupperd(rules={"bad": "permit me everything", "good": KDIG})
    assert "bad.rules:1:1" in gate.log
    assert status_of(gate) == "NOERROR"


def test_own_rules_are_kept_over_restarts(lab):
    gate = lab.scupperd()
    number = gate.rule_add(KDIG + ' note "kept"')
    gate.stop()
    gate.start_daemon()
    assert status_of(gate) == "NOERROR"
    rules = {r["id"]: r for r in gate.items("rules")}
    assert rules[number]["source"] == "own" and "kept" in rules[number]["text"]
    gate.rule_rm(number)
    assert status_of(gate) == "NXDOMAIN"
    assert number not in [r["id"] for r in gate.items("rules")]


def test_the_more_specific_rule_wins_whatever_its_place(lab):
    gate = lab.scupperd(rules="deny any .shop.test\nallow /usr/bin/kdig www.shop.test\n"
                              "allow any .ads.example\ndeny /usr/bin/kdig .ads.example\n"
                              "deny any n00001.shop.test\n"
                              "allow /usr/bin/kdig .shop.test high")
    assert status_of(gate) == "NOERROR"
    assert status_of(gate, "x.ads.example") == "NXDOMAIN"
    assert status_of(gate, "n00001.shop.test") == "NOERROR"
    explained = gate.cli("explain", "/usr/bin/kdig", "x.ads.example")
    assert explained.ok and "deny /usr/bin/kdig .ads.example" in explained.out
    assert "deny" in explained.out.splitlines()[-1] or "deny" in explained.out.splitlines()[0]


def test_a_rule_may_only_match_by_address(lab):
    """Undecided by name: resolved, then each address judged."""
    gate = lab.scupperd(rules=f"allow /usr/bin/curl {zones.address4(4)}/32:80/tcp\n"
                              "allow /usr/bin/curl 198.18.2.0/24")
    with lab.capture("dst net 198.18.0.0/16 and tcp and not port 53") as wire:
        assert gate.run("curl", "-4sSm60", "http://n00004.shop.test/").ok
        assert gate.run("curl", "-4sSm60", f"http://{zones.name(300)}/").ok
        assert not gate.run("curl", "-4sSm5", "http://n00005.shop.test/").ok
        assert not gate.run("curl", "-4sSm5", "https://n00004.shop.test/").ok
        assert {(p.dst, p.dport) for p in wire.syns()} == {
            (zones.address4(4), 80), (zones.address4(300), 80)}
