# SPDX-License-Identifier: GPL-2.0-or-later
"""default=allow: nothing is in the way but what a rule denies, and everything is listed."""

import pytest
from lab import zones
from lab.gate import path_of, refused_beside_control, rule_text
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")


def test_connections_are_listed_with_their_program(lab):
    gate = lab.scupperd(default="allow")
    assert gate.run("curl", "-4sSm60", f"http://{zones.address4(5)}/").ok
    assert gate.run("wget", "-qO-", "http://n00006.shop.test/").ok
    literal = gate.wait_flow(lambda f: f["address"] == zones.address4(5))
    assert path_of(literal) == "/usr/bin/curl"
    assert literal["verdict"] == "allow" and literal["port"] == 80
    named = gate.wait_flow(lambda f: f["name"] == "n00006.shop.test")
    assert path_of(named) == "/usr/bin/wget"


def test_a_denied_program_has_nothing(lab):
    gate = lab.scupperd(default="allow", rules="deny /usr/bin/wget any")
    words = "-T3", "-t1", "-qO-", f"http://{zones.WWW4}/"
    refused_beside_control(lab, lambda: gate.run("wget", *words),
                           lambda: gate.run("curl", "-sSm3", f"http://{zones.WWW4}/"),
                           zones.WWW4)
    flow = gate.wait_flow(lambda f: path_of(f) == "/usr/bin/wget")
    assert flow["verdict"] == "deny" and rule_text(flow) == "deny /usr/bin/wget any"
    assert "/usr/bin/wget" in gate.why("/usr/bin/wget").out


def test_an_address_of_a_denied_name_is_refused_after_the_name(lab):
    gate = lab.scupperd(default="allow", rules=f"deny any {zones.ADS4}")
    answer = gate.run("kdig", "@127.0.0.53", "x.ads.example")
    assert zones.ADS4 not in answer.out, answer
    partly = gate.run("kdig", "@127.0.0.53", "partly.shop.test")
    assert zones.WWW4 in partly.out and zones.ADS4 not in partly.out, partly
    seen = gate.wait_query(lambda q: q["name"] == "x.ads.example" and q["type"] == "A")
    assert seen["verdict"] == "deny"


def test_a_rule_against_its_name_ends_a_running_download(lab):
    """What only the default had allowed is known by the name it was opened for."""
    gate = lab.scupperd(default="allow")
    files = [lab.tmp / f"got{n}" for n in (1, 2)]
    runs = [gate.start("curl", "-4sSo", file, url + "/slow") for file, url in
            zip(files, ("http://slow.shop.test", "http://www.shop.test"))]
    wait_for(lambda: all(f.exists() and f.stat().st_size > 50_000 for f in files),
             "the downloads to flow")
    gate.rule_add("deny any slow.shop.test")
    assert not runs[0].wait().ok
    before = files[1].stat().st_size
    wait_for(lambda: files[1].stat().st_size > before + 50_000, "the other one to go on")
    runs[1].stop()
    assert not gate.run("curl", "-4sSm5", "http://slow.shop.test/").ok
    with lab.capture_to(zones.SLOW4) as wire:
        assert not gate.run("curl", "-sSm5", f"http://{zones.SLOW4}/").ok
        assert not wire.packets(), "it is still known whose address this is"
