# SPDX-License-Identifier: GPL-2.0-or-later
"""scupper top: the live tree on a terminal."""

import json
import os
import re
import signal

import pytest
from lab.process import wait_for

pytest.importorskip("pyte", reason="python3-pyte is not installed")
from lab.terminal import Terminal  # noqa: E402

pytestmark = pytest.mark.usefixtures("bpf")

SHOP, ADS = "http://www.shop.test/", "http://x.ads.example/"
SHOP_RULE = "allow /usr/bin/curl .shop.test"


def fetch(gate, url=SHOP):
    return gate.run("curl", "-4sSm30", "-o", "/dev/null", url)


@pytest.fixture
def gate(lab):
    gate = lab.scupperd(rules=SHOP_RULE)
    assert fetch(gate).ok
    return gate


@pytest.fixture
def top(gate):
    """Starts it; closes it when the story is over."""
    made = []

    def start(*words, **how):
        made.append(Terminal(gate.world.outside, gate.scupper, "--socket", gate.socket, "top",
                             *words, **how))
        return made[-1]
    yield start
    for terminal in made:
        terminal.close()


def test_what_happens_appears_and_opens(gate, top):
    t = top()
    t.wait("PROGRAM / DOMAIN / HOST", "curl", "1 program", "enforce, default deny")
    assert not gate.run("wget", "-T3", "-t1", "-qO-", ADS).ok
    t.wait("wget", "2 programs")
    assert "deny" in t.line("wget") and "allow" in t.line("curl")
    t.type("1")  # by name: curl is the first
    t.until(lambda: re.search(r"curl.*\n.*wget", t.text), "curl before wget")
    t.type("home", "right")
    t.wait("shop.test")
    t.type("down", "right")
    t.wait("www.shop.test")
    t.type("left", "left", "left")
    t.wait("curl", gone=("shop.test",))


def test_sorted(gate, top):
    assert not gate.run("wget", "-T3", "-t1", "-qO-", ADS).ok
    t = top()
    t.wait("curl", "wget")

    def order():
        text = t.text
        return "curl" if text.index(" curl") < text.index(" wget") else "wget"
    for key, first in (("1", "curl"), ("1", "wget"), ("R", "curl"), ("2", "wget"),
                       ("7", "wget")):
        t.type(key)
        t.until(lambda: order() == first, f"{first} first after {key}")


def test_filter(gate, top):
    assert not gate.run("wget", "-T3", "-t1", "-qO-", ADS).ok
    t = top()
    t.wait("curl", "wget")
    t.type("/", "x.ads")
    t.wait("wget", "x.ads.example", "filter /x.ads: 1 host", gone=("curl",))
    t.type("enter")
    t.wait("q quit", "x.ads.example")
    t.type("escape")
    t.wait("curl", "wget", gone=("x.ads.example", "filter /x"))
    t.type("/", "nowhere")
    t.wait("nothing passes the filter")
    t.type(*["backspace"] * 7)
    t.wait("curl", "wget")


def test_details_say_why(gate, top):
    t = top()
    t.wait("curl")
    t.type("enter")
    t.wait("program   /usr/bin/curl", "connections, the last first", f"why: {SHOP_RULE}",
           "www.shop.test")
    t.type("escape")
    t.wait("PROGRAM / DOMAIN / HOST")
    t.type("?")
    t.wait("sort by name")
    t.type("q")
    t.wait("PROGRAM / DOMAIN / HOST")


def test_denied_by_key_and_undone(gate, top):
    t = top()
    t.wait("curl")
    t.type("right", "down", "right", "down")
    t.wait("www.shop.test")
    t.type("d")
    t.wait("DENY", "rule:    deny /usr/bin/curl www.shop.test")
    t.type("right")
    t.wait("rule:    deny /usr/bin/curl .shop.test")
    t.type("left", "down", "right", "down", "right", "right")
    t.wait("rule:    deny /usr/bin/curl+uid:0 www.shop.test for 1h")
    t.type("enter")
    t.wait("(u: undo)", "for 1h", gone=("DENY",))
    assert not fetch(gate).ok  # at once
    assert fetch(gate, "http://n00077.shop.test/").ok
    t.type("u")
    t.wait("is taken back")
    assert fetch(gate).ok
    assert all("+uid:0" not in r["text"] for r in gate.items("rules"))
    t.type("u")
    t.wait("nothing to undo")


def test_allowed_by_key(gate, top):
    assert not gate.run("wget", "-T3", "-t1", "-qO-", ADS).ok
    t = top()
    t.wait("wget")
    t.type("2", "home", "right", "down", "right", "down", "a")
    t.wait("ALLOW", "rule:    allow /usr/bin/wget x.ads.example")
    t.type("enter")
    t.wait("(u: undo)")
    assert gate.run("wget", "-T5", "-t1", "-qO-", ADS).ok


def test_everything_for_good_is_asked_twice(gate, top):
    t = top()
    t.wait("curl")
    t.type("d")
    t.wait("rule:    deny /usr/bin/curl any")
    t.type("enter")
    t.wait("Enter once more")
    assert not any(r["source"] == "own" for r in gate.items("rules"))
    t.type("enter")
    t.wait("(u: undo)")
    assert any(r["text"] == "deny /usr/bin/curl any" for r in gate.items("rules"))


def test_standing_still(gate, top):
    t = top()
    t.wait("curl", gone=("wget",))
    t.type("p")
    t.wait("stands still")
    gate.run("wget", "-T3", "-t1", "-qO-", ADS)
    gate.wait_query(lambda q: q["name"] == "x.ads.example")
    t.type("right")  # drawn anew, and still as it was
    t.wait("shop.test", gone=("wget",))
    t.type("p")
    t.wait("wget", gone=("stands still",))


def test_resized(gate, top):
    t = top()
    t.wait("curl", "q quit", "FLOWS")
    t.resize(12, 44)
    t.until(lambda: "curl" in t.text and "FLOWS" not in t.text and "VERDICT" in t.text,
            "fewer columns")
    assert all(len(line) <= 44 for line in t.look())
    t.resize(3, 10)
    t.wait("too small")
    t.resize(40, 150)
    t.wait("curl", "FLOWS", "LAST")
    assert t.look()[39].startswith("q quit")


def test_the_daemon_restarts(gate, top):
    t = top()
    t.wait("curl")
    t.type("right")
    t.wait("shop.test")
    gate.kill()
    t.wait("OFFLINE since", "curl", "shop.test")  # what it knew last stays
    gate.start_daemon()
    t.wait("enforce, default deny", gone=("OFFLINE",))
    def fetched():
        fetch(gate)
        return "curl" in t.text
    wait_for(fetched, "what happens after it")
    t.wait("shop.test")  # and is open as it was


def test_a_core_that_dies(gate, top):
    t = top()
    t.wait("curl")
    gate.kill_core()
    def fetched():
        gate.run("wget", "-T3", "-t1", "-qO-", ADS)
        return "wget" in t.text and "OFFLINE" not in t.text
    wait_for(fetched, "the next core's news")
    assert "curl" in t.text


@pytest.mark.parametrize("end", ["q", "\3", signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV],
                         ids=["q", "Ctrl-C", "SIGTERM", "SIGHUP", "a crash"])
def test_the_terminal_is_given_back(gate, top, end):
    t = top()
    t.wait("curl", "q quit")
    assert not t.restored
    if isinstance(end, str):
        t.type(end)
    else:
        t.popen.send_signal(end)
    rc = t.ended()
    assert rc == (-end if end == signal.SIGSEGV else 0)
    assert t.restored, t.raw[-200:]


def test_names_from_outside_cannot_draw(gate, top, lab):
    evil = lab.program("/usr/bin/wget", "w\033[2Jx\u202ey")
    gate.run(evil, "-T3", "-t1", "-qO-", ADS)
    t = top()
    t.wait("curl", r"w\x1b[2Jx\xe2\x80\xaey")
    assert b"\033[2Jx" not in t.raw


@pytest.mark.parametrize("env, colour, sign", [
    ({}, True, "▸"), ({"NO_COLOR": "1"}, False, "▸"), ({"LC_ALL": "C"}, True, ">"),
    ({"TERM": "vt100"}, False, "▸")], ids=["plain", "NO_COLOR", "no UTF-8", "no colours"])
def test_what_the_terminal_can(gate, top, env, colour, sign):
    t = top(env=env)
    t.wait("curl", sign)
    assert bool(re.search(rb"\033\[[0-9;]*3[1-7]m", t.raw)) == colour


def test_no_terminal(gate, top):
    done = gate.cli("top")
    assert done.rc == 2 and "--once" in done.err and len(done.err.splitlines()) == 1
    t = top(env={"TERM": "nonsense-term"})
    assert t.ended() == 2 and "TERM=nonsense-term" in t.text
    gone = gate.world.daemon.run(gate.scupper, "--socket", "/nowhere/sock", "top")
    assert gone.rc == 3 and len(gone.err.splitlines()) == 1


def test_once(gate):
    gate.run("wget", "-T3", "-t1", "-qO-", ADS)
    done = gate.cli("top", "--once")
    assert done.ok and not done.err
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["PROGRAM", "/"] and "\033" not in done.out
    assert any(re.match(r"    www\.shop\.test +allow", line) for line in lines), done.out
    assert any(re.match(r"wget +deny", line) for line in lines), done.out
    tree = json.loads(gate.cli("--json", "top").out)
    curl = next(p for p in tree["programs"] if p["path"] == "/usr/bin/curl")
    assert curl["uid"] == os.getuid() and curl["flows"] >= 1 and curl["rx"] > 0
    shop = next(d for d in curl["domains"] if d["name"] == "shop.test")
    assert shop["hosts"][0]["name"] == "www.shop.test" and shop["verdict"] == "allow"
