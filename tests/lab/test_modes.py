# SPDX-License-Identifier: GPL-2.0-or-later
"""Watching, pausing, blocking; and rules that are changed, switched off and undone."""

import datetime
import time

import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
DENY = "deny any .ads.example\ndeny any 198.18.66.0/24"
SHOP, ADS = "http://www.shop.test/", "http://x.ads.example/"
LITERAL = f"http://{zones.address4(4)}/"


def download(gate, file, *command):
    """A program in the middle of a long download."""
    held = gate.start(*command, file, "http://slow.shop.test/slow")
    wait_for(lambda: file.exists() and file.stat().st_size > 50_000, "the download to flow")
    assert held.running, held.result()
    return held


def gets(gate, url):
    return gate.run("curl", "-4sSm30", url).ok


def test_watching_refuses_nothing_and_says_what_it_would(lab):
    gate = lab.scupperd(mode="watch", rules="allow /usr/bin/curl .shop.test")
    assert "when-down is open" in gate.log
    status = gate.status()
    assert status["mode"] == "watch" and status["when_down"] == "open"
    assert gets(gate, SHOP) and gets(gate, ADS) and gets(gate, LITERAL)
    query = gate.wait_query(lambda q: q["name"] == "x.ads.example", "the query")
    assert query["verdict"] == "deny" and query["watched"] and query["rcode"] == "NOERROR"
    flow = gate.wait_flow(lambda f: f["name"] == "x.ads.example", "the flow, by name")
    assert flow["verdict"] == "deny" and flow["watched"] and flow["state"] != "refused"
    literal = gate.wait_flow(lambda f: f["address"] == zones.address4(4), "the literal one")
    assert literal["verdict"] == "deny" and literal["actor"]["path"] == "/usr/bin/curl"
    shop = gate.wait_flow(lambda f: f["name"] == "www.shop.test", "the allowed one")
    assert shop["verdict"] == "allow" and shop["watched"]
    assert "would deny" in gate.cli("queries").out and "would deny" in gate.cli("flows").out
    assert "watching" in gate.cli("status").out
    assert gate.status()["counters"]["denied"] == 0
    gate.conf["when-down"] = "open"
    gate.stop()


def test_pause_and_resume(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    assert gets(gate, SHOP) and not gets(gate, ADS) and not gets(gate, LITERAL)
    paused = gate.json("pause")
    assert paused["mode"] == "paused" and not paused["enabled"] and paused["until"] is None
    assert gets(gate, SHOP) and gets(gate, ADS) and gets(gate, LITERAL)
    flow = gate.wait_flow(lambda f: f["name"] == "x.ads.example", "the flow, by name")
    assert flow["verdict"] == "deny" and flow["watched"]
    assert "PAUSED" in gate.cli("status").out
    gate.kill_core()
    wait_for(lambda: gate.status()["core"] == "running", "the new core")
    assert gets(gate, ADS), "a new core is paused too"
    held = download(gate, lab.tmp / "got", "wget", "-qO")
    assert gate.cli("resume").ok
    wait_for(lambda: not held.running, "a flow that no rule allows to end")
    assert gets(gate, SHOP) and not gets(gate, ADS) and not gets(gate, LITERAL)
    assert gate.status()["filter"] == {"mode": "on", "enabled": True, "until": None}


def test_a_pause_ends_by_itself(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    paused = gate.json("pause", "3s")
    assert paused["until"]
    assert gets(gate, ADS)
    wait_for(lambda: gate.status()["filter"]["mode"] == "on", "the pause to be over")
    assert not gets(gate, ADS)
    assert gate.cli("pause", "soon").rc == 2


def test_block(lab):
    gate = lab.scupperd(default="allow", rules="allow any .shop.test", when_down="open")
    held = download(gate, lab.tmp / "got", "curl", "-4sSo")
    assert gate.cli("block").ok
    wait_for(lambda: not held.running, "the live connection to end")
    with lab.capture("not arp and not icmp6") as wire:
        assert not gets(gate, SHOP) and not gets(gate, LITERAL)
        assert not [p for p in wire.packets() if p.src == zones.NEAR4], wire.packets()
    query = gate.wait_query(lambda q: q["name"] == "www.shop.test" and
                            q["verdict"] == "deny", "the refused query")
    assert query["reason"] == "blocked"
    flow = gate.wait_flow(lambda f: f["state"] == "refused", "the refused connection")
    assert flow["reason"] == "blocked"
    assert gate.run("ping", "-c1", "-W2", "127.0.0.1").ok, "this machine itself"
    gate.kill_core()
    wait_for(lambda: gate.status()["core"] == "running", "the new core")
    assert not gets(gate, SHOP), "a new core blocks too"
    gate.stop()
    gate.start_daemon()
    assert gate.status()["filter"]["mode"] == "blocked"
    assert not gets(gate, LITERAL) and not gets(gate, SHOP), "so does a new daemon"
    assert "BLOCKED" in gate.cli("status").out
    assert gate.cli("resume").ok
    assert gets(gate, SHOP) and gets(gate, LITERAL)


@pytest.mark.parametrize("body", [{}, {"enabled": 1}, {"block": False}, {"enabled": True, "x": 1},
                                  {"enabled": False, "until": "soon"},
                                  {"enabled": True, "block": True},
                                  {"enabled": False, "until": "2001-01-01T00:00:00Z"}])
def test_a_filter_that_is_none(lab, body):
    gate = lab.scupperd()
    status, said = gate.api("filter", "PUT", body)
    assert status in (400, 422) and said["detail"]
    assert gate.api("filter")[1]["mode"] == "on"


def test_an_own_rule_is_changed_switched_and_undone(lab):
    gate = lab.scupperd(rules="# none")
    made = gate.api("rules", "POST", {"text": "allow /usr/bin/curl .shop.test"})[1]
    number = made["id"]
    assert gets(gate, SHOP)
    changed = gate.api(f"rules/{number}", "PATCH", {"text": "allow /usr/bin/wget .shop.test"})[1]
    assert changed["id"] == number and "wget" in changed["text"] and not gets(gate, SHOP)
    assert changed["etag"] != made["etag"]
    status, back = gate.api(f"undo/{changed['undo']}", "POST", {})
    assert status == 200 and back["text"] == made["text"] and gets(gate, SHOP)
    off = gate.api(f"rules/{number}", "PATCH", {"enabled": False})[1]
    assert not off["enabled"] and off["text"].endswith(" off") and not gets(gate, SHOP)
    on = gate.api(f"rules/{number}", "PATCH", {"enabled": True})[1]
    assert on["enabled"] and on["text"] == made["text"] and gets(gate, SHOP)
    assert gate.api(f"undo/{made['undo']}", "POST", {})[0] == 204 and not gets(gate, SHOP)
    assert gate.api(f"undo/{made['undo']}", "POST", {})[0] == 404
    assert gate.api(f"rules/{number}", "PATCH", {"enabled": True})[0] == 404


def test_undo_of_a_removal_keeps_text_and_lifetime(lab):
    gate = lab.scupperd(rules="# none")
    made = gate.api("rules", "POST",
                    {"text": 'allow /usr/bin/curl .shop.test for 1h note "a off b"'})[1]
    gate.rule_rm(made["id"])
    assert not gets(gate, SHOP)
    created = datetime.datetime.fromisoformat(made["created"].replace("Z", "+00:00"))
    wait_for(lambda: time.time() > created.timestamp() + 1.1, "another second to begin")
    status, again = gate.api("undo/2", "POST", {})
    assert status == 201 and again["text"] == made["text"]
    assert again["expires"] == made["expires"] and again["expires"]
    assert gets(gate, SHOP)
    gate.stop()
    gate.start_daemon()
    assert gets(gate, SHOP)
    assert gate.api("rules/test", "POST", {"who": "/usr/bin/curl", "what": "www.shop.test"}
                    )[1]["text"]


def test_if_match(lab):
    gate = lab.scupperd(rules="# none")
    made = gate.api("rules", "POST", {"text": "allow /usr/bin/curl .shop.test"})[1]
    for etag, want in (('"1-0"', 412), (made["etag"], 200)):
        status, _ = gate.api(f"rules/{made['id']}", "PATCH", {"enabled": False},
                             headers={"If-Match": etag})
        assert status == want


def test_a_program_is_noticed_once(lab):
    gate = lab.scupperd(rules="allow any .shop.test")
    follow = gate.world.daemon.start(gate.scupper, "--socket", gate.socket, "flows", "--follow")
    wait_for(lambda: "VERDICT" in follow.out, "the view")
    copy = lab.program("/usr/bin/curl", "fresh-curl")
    assert gate.run(copy, "-4sSm60", SHOP).ok
    wait_for(lambda: f"{copy}" in follow.out and "first contact" in follow.out, "the notice")
    follow.popen.kill()
    follow.wait()

    def firsts():
        return [q for q in gate.queries() + gate.flows()
                if q["first"] and q["actor"]["path"] == str(copy)]
    assert len(firsts()) == 1
    gate.stop()
    gate.start_daemon()
    assert gate.run(copy, "-4sSm60", SHOP).ok
    gate.wait_query(lambda q: q["actor"]["path"] == str(copy), "its next query")
    assert not firsts(), "it was met before"


def test_what_changes_by_itself_is_told(lab):
    """A pause that ends, a file that is read again: the live stream says so."""
    gate = lab.scupperd(rules="deny any .ads.example")
    told = (event for event, _ in gate.stream("rules"))
    assert next(told) == "hello"
    assert gate.cli("pause", "2s").ok
    assert next(told) == "filter"
    assert next(told) == "filter"
    assert gate.status()["filter"]["mode"] == "on"
    gate.write_rules("deny any .other.example")
    gate.reload()
    assert next(told) == "rules"
    gate.rule_add("allow any .shop.test")
    assert next(told) == "rules"
