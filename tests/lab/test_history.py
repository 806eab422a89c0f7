# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened is in history.db, and still there after a fall."""

import sqlite3
import stat

import pytest
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
ROWS = ("SELECT p.path, h.host, f.kind, f.verdict FROM flow f JOIN program p ON p.id = f.program"
        " LEFT JOIN host h ON h.id = f.host")


def rows(gate):
    path = gate.conf["state-dir"] / "history.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute(ROWS).fetchall()


def test_traffic_is_kept_over_a_fall(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    assert gate.run("curl", "-4sSm5", "http://www.shop.test/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://www.ads.example/").ok

    def both():
        kept = rows(gate)
        return (("/usr/bin/curl", "www.shop.test", 1, 1) in kept
                and ("/usr/bin/wget", "www.ads.example", 0, 2) in kept)
    wait_for(both, "both to be in the file")
    before = len(rows(gate))
    gate.kill_core()
    assert gate.run("curl", "-4sSm5", "http://n00001.shop.test/").ok
    wait_for(lambda: ("/usr/bin/curl", "n00001.shop.test", 1, 1) in rows(gate), "the next one")
    assert len(rows(gate)) > before and both()
    for end in "", "-wal", "-shm":
        mode = (gate.conf["state-dir"] / f"history.db{end}").stat().st_mode
        assert stat.S_IMODE(mode) == 0o640


def test_keep_0_keeps_nothing(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test", keep="0")
    assert gate.run("curl", "-4sSm5", "http://www.shop.test/").ok
    assert not list(gate.conf["state-dir"].glob("history.db*"))


def test_the_api_reads_it_back(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    assert gate.run("curl", "-4sSm5", "http://www.shop.test/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://www.ads.example/").ok

    def listed(query):
        status, page = gate.api("history" + query)
        assert status == 200, page
        return [(i["actor"]["path"], i["name"], i["kind"], i["verdict"]) for i in page["items"]]
    curl = ("/usr/bin/curl", "www.shop.test", "flow", "allow")
    wget = ("/usr/bin/wget", "www.ads.example", "query", "deny")
    wait_for(lambda: {curl, wget} <= set(listed("")), "both to be listed")
    for query, wanted, other in (("?program=curl", curl, wget), ("?program=/usr/bin/wget", wget, curl),
                                 ("?name=.shop.test", curl, wget), ("?verdict=deny", wget, curl),
                                 ("?name=www.ads.example", wget, curl)):
        found = listed(query)
        assert wanted in found and other not in found, (query, found)
    assert listed("?from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z") == []
    status, said = gate.api("history?from=yesterday")
    assert status == 400 and "from" in said["detail"]
    status, apps = gate.api("apps?from=2001-01-01T00:00:00Z")
    by = {a["path"]: a for a in apps["items"]}
    assert status == 200 and by["/usr/bin/curl"]["flows"] >= 1 and by["/usr/bin/wget"]["denied"] >= 1
    status, countries = gate.api("countries")
    assert status == 200 and sum(c["denied"] for c in countries["items"]) >= 1
