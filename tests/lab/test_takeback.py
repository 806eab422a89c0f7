# SPDX-License-Identifier: GPL-2.0-or-later
"""What a rule opened closes with it."""

import time

import pytest
from lab import zones
from lab.gate import rule_text
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
RULE = "allow /usr/bin/curl .shop.test"


def download(gate, file):
    """A curl in the middle of a long download."""
    curl = gate.start("curl", "-4", "-sS", "-o", file, "http://slow.shop.test/slow")
    def flows():
        assert curl.running, curl.result()
        return file.exists() and file.stat().st_size > 50_000
    wait_for(flows, "the download to flow")
    return curl


def test_removing_a_rule_ends_a_download(lab):
    gate = lab.scupperd()
    number = gate.rule_add(RULE)
    curl = download(gate, lab.tmp / "got")
    began = time.monotonic()
    gate.rule_rm(number)
    assert not curl.wait().ok
    print(f"rule removed to download ended: {(time.monotonic() - began) * 1000:.0f} ms")
    with lab.capture(f"dst host {zones.SLOW4}") as wire:
        assert not gate.run("curl", "-sSm3", f"http://{zones.SLOW4}/").ok
        assert not wire.packets()


def test_a_rule_taken_from_its_file_ends_a_download(lab):
    gate = lab.scupperd(rules=RULE)
    curl = download(gate, lab.tmp / "got")
    gate.write_rules("# nothing")
    assert not curl.wait().ok


def test_a_denying_rule_ends_what_it_denies_and_no_more(lab):
    gate = lab.scupperd(rules=RULE)
    curl = download(gate, lab.tmp / "got")
    other = gate.start(lab.talk, "hold-tcp", zones.ECHO4, "7")
    gate.rule_add("deny any .ads.example")
    before = (lab.tmp / "got").stat().st_size
    wait_for(lambda: (lab.tmp / "got").stat().st_size > before + 50_000, "it goes on")
    gate.rule_add("deny /usr/bin/curl slow.shop.test")
    assert not curl.wait().ok
    other.stop()


def test_an_expired_rule_takes_its_grants_along(lab):
    gate = lab.scupperd()
    gate.rule_add(RULE + " for 3s")
    curl = download(gate, lab.tmp / "got")
    assert not curl.wait().ok
    assert not gate.run("curl", "-4sSm3", "http://www.shop.test/").ok


def test_a_rule_file_that_lost_a_rule_while_we_were_down(lab):
    """The whole daemon dies; its table stays; the rule goes from the file; it comes back."""
    gate = lab.scupperd(rules=RULE)
    curl = download(gate, lab.tmp / "got")
    gate.kill()
    size = (lab.tmp / "got").stat().st_size
    wait_for(lambda: (lab.tmp / "got").stat().st_size > size + 50_000,
             "approved traffic to go on without a daemon")
    gate.write_rules("# nothing")
    gate.start_daemon()
    assert not curl.wait().ok
    with lab.capture(f"dst host {zones.SLOW4}") as wire:
        assert not gate.run("curl", "-sSm3", f"http://{zones.SLOW4}/").ok
        assert not wire.packets()


def test_a_rule_that_stayed_keeps_its_download_over_a_restart(lab):
    gate = lab.scupperd(rules=RULE)
    curl = download(gate, lab.tmp / "got")
    gate.kill()
    gate.start_daemon()
    size = (lab.tmp / "got").stat().st_size
    wait_for(lambda: (lab.tmp / "got").stat().st_size > size + 50_000, "it to go on")
    assert curl.running
    again = gate.run("curl", "-4sSm30", "http://n00003.shop.test/")
    assert again.ok, again
    curl.stop()
    seen = gate.wait_query(lambda q: q["name"] == "n00003.shop.test")
    assert rule_text(seen) == RULE


def test_taking_back_a_thousand_flows_delays_nobody(lab):
    """What ends one program's flows must not stand in the way of another's answers."""
    gate = lab.scupperd(rules="allow /usr/bin/kdig .shop.test")
    number = gate.rule_add(RULE)
    names = "\n".join(zones.name(n) for n in range(1, 1001))
    assert gate.run("xargs", "-P", "50", "-I{}", "curl", "-4sS", "-o", "/dev/null", "-m10",
                    "http://{}/", input=names, timeout=300).ok
    gate.rule_rm(number)
    times = []
    for n in range(1, 21):
        answer = gate.run("kdig", "+retry=0", "+time=10", "@127.0.0.53", zones.name(n))
        assert answer.status == "NOERROR", answer
        times.append(answer.seconds)
    print(f"slowest answer during the take-back: {max(times) * 1000:.0f} ms")
