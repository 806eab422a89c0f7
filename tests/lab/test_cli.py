# SPDX-License-Identifier: GPL-2.0-or-later
"""The command: what it prints, what it exits with."""

import json

import pytest
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")

FIELDS = {
    "flows": "id start end state actor name address port proto direction verdict rule reason "
             "country as rx tx",
    "queries": "id time actor name type verdict rule reason rcode answers ms cached",
    "rules": "id text action enabled source file line created changed last_used hits expires",
    "apps": "id path script app name uid user parents unit package sha256 rx tx denied last",
}


@pytest.fixture
def gate(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    assert gate.run("curl", "-4sSm60", "http://www.shop.test/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://x.ads.example/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://198.18.66.6/").ok
    gate.wait_flow(lambda f: f["verdict"] == "deny", "the refusal to be listed")
    return gate


def test_status(gate):
    status = gate.json("status")
    assert status.keys() == gate.status().keys()
    assert status["identity"]["mode"] == "bpf", status["identity"]
    assert status["instance"] == "main" and status["mode"] == "enforce"
    assert status["default"] == "deny" and status["when_down"] == "closed"
    assert status["scope"] == gate.conf["scope"]
    assert {"version", "uptime_s", "upstreams", "sets", "counters"} <= status.keys()
    assert "bpf" in gate.cli("status").out


@pytest.mark.parametrize("what", FIELDS)
def test_objects_have_their_fields(gate, what):
    command = ("rule", "list") if what == "rules" else (what,)
    listed = gate.json(*command)
    assert {"items", "next"} <= listed.keys() and listed["items"]
    for item in listed["items"]:
        assert set(FIELDS[what].split()) <= item.keys(), item
    assert gate.cli(*command).ok


def test_why_says_what_to_do(gate):
    why = gate.why()
    assert why.ok
    for word in ("/usr/bin/wget", "x.ads.example", "198.18.66.6", "scupper rule add"):
        assert word in why.out, why
    assert "curl" not in gate.why("/usr/bin/wget").out


def test_exit_statuses(gate):
    for words, rc in ((("status",), 0), (("rule", "rm", "424242"), 1), (("rule", "rm"), 2),
                      (("rule", "add", "permit any any"), 2), (("nonsense",), 2),
                      (("explain", "/usr/bin/curl", "www.shop.test"), 0),
                      (("ask",), 2), (("up",), 2), (("--nonsense", "status"), 2)):
        done = gate.cli(*words)
        assert done.rc == rc or (words[:2] == ("rule", "add") and done.rc in (1, 2)), done
        if rc:
            assert len(done.err.strip().splitlines()) == 1, done
    gone = gate.world.daemon.run(gate.scupper, "--socket", "/nowhere/control.sock", "status")
    assert gone.rc == 3 and len(gone.err.strip().splitlines()) == 1, gone


def test_rule_add_in_one_word_or_many(gate):
    one = gate.json("rule", "add", "allow /usr/bin/wget .shop.test")["id"]
    many = gate.json("rule", "add", "deny", "any", ".ads.example", "note", "two words")["id"]
    texts = {r["id"]: r["text"] for r in gate.json("rule", "list")["items"]}
    assert texts[one] == "allow /usr/bin/wget .shop.test"
    assert texts[many] == 'deny any .ads.example note "two words"'
    bad = gate.cli("rule", "add", "allow any .shop.test:99999")
    assert not bad.ok and "column" in bad.err or ":" in bad.err


def test_follow(gate):
    follow = gate.world.daemon.start(gate.scupper, "--socket", gate.socket, "--json",
                                     "queries", "--follow")
    def seen():
        gate.run("curl", "-4sSm30", "http://n00077.shop.test/")
        return "n00077.shop.test" in follow.out
    wait_for(seen, "the followed query")
    for line in follow.out.splitlines():
        json.loads(line)
    follow.popen.kill()
    follow.wait()


def test_an_unprivileged_stranger_may_not_change_rules(gate):
    scupper = gate.lab.program(gate.scupper, "scupper")
    stranger = gate.world.daemon.run(scupper, "--socket", gate.socket, "rule", "add",
                                     "allow any any", uid=65534)
    assert stranger.rc in (1, 3), stranger
    assert all(r["text"] != "allow any any" for r in gate.items("rules"))


def test_openapi_names_the_routes(gate):
    status, spec = gate.api("openapi.json")
    assert status == 200
    assert {"status", "queries", "flows", "rules"} <= {p.split("/")[-1] for p in spec["paths"]}


def test_version_and_help(gate):
    for program in (gate.scupper, gate.scupperd):
        assert gate.world.daemon.run(program, "--version").ok
    assert "rule add" in gate.world.daemon.run(gate.scupper, "--help").out
