# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard as the daemon serves it, in Chromium: the stories are told in
tests/browser/stories, with real programs of this machine as traffic."""

import json
import os
import pathlib
import shutil
import signal
import time

import pytest
from lab import zones
from lab.gate import path_of
from lab.geodata import make
from lab.process import wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SCUPPER_BUILD", TOP / "build"))
NEEDED = (("chromium", shutil.which("chromium")), ("node", shutil.which("node")),
          ("the built dashboard", (BUILD / "web/dashboard/dist/index.html").exists()),
          ("npm ci", (TOP / "web/dashboard/node_modules/playwright-core").exists()))
MISSING = [what for what, there in NEEDED if not there]

pytestmark = [pytest.mark.usefixtures("bpf"),
              pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")]


def link(gate):
    return gate.json("open")["url"]


def tell(gate, story, url=None, seconds=300, uid=None, env=None, **can):
    """Runs a story in the scope and answers what it asks of the lab by can's functions."""
    can.setdefault("link", lambda: link(gate))
    page = gate.start("node", TOP / "tests/browser/real.mjs", *story.split("."),
                      url or link(gate), uid=uid, env=env)
    answered, deadline = 0, time.monotonic() + seconds
    while page.running:
        assert time.monotonic() < deadline, f"not told within {seconds} s: {page.out}{page.err}"
        asked = page.out.rpartition("\n")[0].splitlines()
        for line in asked[answered:]:
            want = json.loads(line)
            page.say(json.dumps(can[want["ask"]](*want["args"])))
        answered = len(asked)
        time.sleep(0.005)
    done = page.wait()
    assert done.ok, done.out + done.err


def counted(gate, path):
    """A program's bytes as the daemon has them now."""
    flows = [f for f in gate.flows() if path_of(f) == path]
    return {way: sum(f[way] or 0 for f in flows) for way in ("rx", "tx")}


def test_a_link_signs_in_once(lab):
    tell(lab.scupperd(default="allow"), "see.links")


def test_an_old_link_and_none(lab):
    gate = lab.scupperd(default="allow", brief=True)
    url, made = link(gate), time.monotonic()
    wait_for(lambda: time.monotonic() > made + 3.2, "the link to be too old")
    tell(gate, "see.expired", url)
    tell(gate, "see.unsigned", url)


def test_programs_appear_and_count(lab):
    gate = lab.scupperd(default="allow")
    tell(gate, "see.live", bytes=lambda path: counted(gate, path))


def test_a_brush_on_the_chart_filters(lab):
    tell(lab.scupperd(default="allow"), "see.brushed")


def test_a_country_on_the_map_filters(lab):
    here = [(a, "NL") for a in (zones.WWW4, zones.six(zones.WWW4))]
    there = [(a, "DE") for a in (zones.OTHER4, zones.six(zones.OTHER4))]
    country = make(lab, "country", here + there)
    asn = make(lab, "asn", [(zones.WWW4, 64500, "Shop"), (zones.OTHER4, 64501, "Other"),
                               (zones.six(zones.OTHER4), 64501, "Other")])
    tell(lab.scupperd(default="allow", country=country, asn=asn), "see.mapped")


def steer(lab, story, **conf):
    """A story about rules: what of it is seen at the far side, and what rules there are."""
    gate = lab.scupperd(**conf)

    def own():
        return [r for r in gate.items("rules") if r["source"] == "own"]
    with lab.capture_to(zones.WWW4) as wire:
        tell(gate, f"steer.{story}", seen=lambda: len(wire.syns(dport=80)), rules=own,
             rule_add=gate.rule_add, rule_rm=gate.rule_rm,
             cli=lambda *words: gate.cli(*words).ok)


def test_a_click_denies_at_once_and_undo_opens_again(lab):
    steer(lab, "denied", default="allow")


def test_a_click_allows_one_host_to_one_user_for_an_hour(lab):
    steer(lab, "allowed", default="deny")


def test_everything_of_a_program_is_asked_twice(lab):
    steer(lab, "everything", default="allow")


def test_by_keys_alone(lab):
    steer(lab, "keys", default="deny")


def test_the_rules_page(lab):
    steer(lab, "page", default="allow")


def test_pause_and_resume(lab):
    steer(lab, "paused", default="allow", rules="deny /usr/bin/curl .shop.test")


def test_the_picture_is_held(lab):
    steer(lab, "still", default="allow")


def killing(gate):
    def kill(which):
        os.kill(dict(zip(("core", "web"), gate.pids[1:]))[which], signal.SIGKILL)
    return kill


def test_the_core_dies(lab):
    gate = lab.scupperd(default="allow")
    tell(gate, "live.coreDies", kill=killing(gate))


def test_the_web_process_dies(lab):
    gate = lab.scupperd(default="allow")
    tell(gate, "live.webDies", kill=killing(gate))


def test_another_user_is_refused_and_sees_only_their_own(lab):
    gate = lab.scupperd(default="allow")

    def link_for(uid):
        code, made = gate.api("session-tokens", "POST", {"uid": uid})
        assert code == 201, made
        return made["url"]
    tell(gate, "live.secondUser", link_for=link_for)


def test_seven_tabs_share_one_stream(lab):
    gate = lab.scupperd(default="allow")
    tell(gate, "live.tabs", streams=lambda: gate.status()["web"]["streams"])


def test_every_page_light_and_dark_wide_and_narrow(lab):
    where = ["NL", "DE", "US", "JP", "BR", "ZA", "AU", "IN", "FR"]
    rows = [(zones.address4(n + 1), code) for n, code in enumerate(where)]
    named = ((zones.WWW4, "NL"), (zones.OTHER4, "DE"), (zones.SLOW4, "US"))
    gate = lab.scupperd(default="allow", country=make(lab, "country", [*rows, *named]),
                        rules="deny any .ads.example\nallow /usr/bin/curl .shop.test")
    tell(gate, "look.all")
