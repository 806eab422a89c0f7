# SPDX-License-Identifier: GPL-2.0-or-later
"""Where an address is said to be: rules by country and network, flows that tell it, files
that change."""

import shutil

import pytest
from lab import zones
from lab.gate import refused_beside_control, rule_text
from lab.geodata import make
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")

# the far side's addresses on a map of its own
COUNTRIES = [(zones.ADS4, "XA"), (zones.WWW4, "NL"), (zones.six(zones.WWW4), "NL"),
             (zones.OTHER4, "DE"), (zones.six(zones.OTHER4), "DE")]
NETWORKS = [(zones.WWW4, 64500, "Shop, Inc."), (zones.OTHER4, 64501, "Other")]


@pytest.fixture
def files(lab):
    return {"country": make(lab, "country", COUNTRIES), "asn": make(lab, "asn", NETWORKS)}


def curl(gate, where):
    return gate.run("curl", "-4sSm20", f"http://{where}/")


def test_flows_tell_where_they_go(lab, files):
    gate = lab.scupperd(default="allow", **files)
    assert curl(gate, "www.shop.test").ok
    flow = gate.wait_flow(lambda f: f["address"] == zones.WWW4)
    assert flow["country"] == "NL"
    assert flow["as"] == {"number": 64500, "name": "Shop, Inc."}
    assert curl(gate, zones.address4(5)).ok
    flow = gate.wait_flow(lambda f: f["address"] == zones.address4(5))
    assert flow["country"] is None and flow["as"] is None
    listed = gate.cli("flows").out
    assert "NL" in listed and "AS64500" in listed, listed


def test_status_tells_the_files_and_their_date(lab, files):
    gate = lab.scupperd(default="allow", **files)
    geo = gate.status()["geo"]
    assert geo["country"] == f"{files['country']} (built 2026-06-01)"
    assert geo["asn"] == f"{files['asn']} (built 2026-06-01)"
    assert str(files["country"]) in gate.cli("status").out


def test_a_country_is_denied_by_name_and_by_address(lab, files):
    gate = lab.scupperd(default="allow", rules="deny any country:DE", **files)
    no = gate.run("kdig", "@127.0.0.53", "www.other.example")
    assert zones.OTHER4 not in no.out, no
    query = gate.wait_query(lambda q: q["name"] == "www.other.example")
    assert query["verdict"] == "deny" and rule_text(query) == "deny any country:DE"
    assert curl(gate, "www.shop.test").ok
    # a literal address: met once, then shut
    curl(gate, zones.OTHER4)
    gate.wait_flow(lambda f: f["address"] == zones.OTHER4 and f["verdict"] == "deny")
    with lab.capture(f"dst host {zones.OTHER4}") as wire:
        assert not curl(gate, zones.OTHER4).ok
        assert not wire.packets()


def test_only_one_network_is_allowed(lab, files):
    gate = lab.scupperd(default="deny", rules="allow /usr/bin/curl as:64500:80/tcp", **files)
    assert curl(gate, "www.shop.test").ok
    refused_beside_control(lab, lambda: curl(gate, "www.other.example"),
                           lambda: lab.direct.run("curl", "-4sSm4", f"http://{zones.OTHER4}/"),
                           zones.OTHER4)
    # another program of the same machine is not meant
    assert not gate.run("wget", "-T3", "-t1", "-qO-", f"http://{zones.WWW4}/").ok


def test_explain_says_where(lab, files):
    gate = lab.scupperd(default="allow", rules="deny any continent:EU", **files)
    said = gate.cli("explain", "/usr/bin/curl", zones.OTHER4).out
    assert "likely in DE" in said and "AS64501" in said, said
    assert "deny any continent:EU" in said and "deny: " in said, said


def test_a_new_file_counts_a_bad_one_does_not(lab, files):
    gate = lab.scupperd(default="allow", rules="deny any country:FR", **files)
    assert curl(gate, "www.shop.test").ok
    make(lab, "country", [(zones.WWW4, "FR")])
    gate.reload()
    wait_for(lambda: not curl(gate, "www.shop.test").ok, "the new file to count")
    no = gate.run("kdig", "@127.0.0.53", "www.shop.test")
    assert zones.WWW4 not in no.out, no
    bad = lab.tmp / "bad.mmdb"
    bad.write_text("not a database")
    shutil.move(bad, files["country"])
    gate.reload()
    gate.wait_log("what was read before still serves")
    assert "still serves" in gate.status()["geo"]["country"]
    no = gate.run("kdig", "@127.0.0.53", "www.shop.test")
    assert zones.WWW4 not in no.out, no


def test_without_a_file_a_country_rule_is_said_to_match_nothing(lab):
    gate = lab.scupperd(default="allow", rules="deny any country:DE",
                        country=lab.tmp / "none.mmdb", asn=lab.tmp / "none.mmdb")
    assert curl(gate, "www.other.example").ok
    assert "no database is there" in gate.log
