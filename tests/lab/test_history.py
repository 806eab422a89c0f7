# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened is in history.db, and still there after a fall."""

import csv
import datetime
import io
import json
import os
import signal
import sqlite3
import stat
import time

import pytest
from lab import zones
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
    assert gate.run("curl", "-4sSm60", "http://www.shop.test/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://www.ads.example/").ok

    def both():
        kept = rows(gate)
        return (("/usr/bin/curl", "www.shop.test", 1, 1) in kept
                and ("/usr/bin/wget", "www.ads.example", 0, 2) in kept)
    wait_for(both, "both to be in the file")
    before = len(rows(gate))
    gate.kill_core()
    assert gate.run("curl", "-4sSm60", "http://n00001.shop.test/").ok
    wait_for(lambda: ("/usr/bin/curl", "n00001.shop.test", 1, 1) in rows(gate), "the next one")
    assert len(rows(gate)) > before and both()
    for end in "", "-wal", "-shm":
        mode = (gate.conf["state-dir"] / f"history.db{end}").stat().st_mode
        assert stat.S_IMODE(mode) == 0o640


def test_keep_0_keeps_nothing(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test", keep="0")
    assert gate.run("curl", "-4sSm60", "http://www.shop.test/").ok
    assert not list(gate.conf["state-dir"].glob("history.db*"))


def test_the_api_reads_it_back(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    assert gate.run("curl", "-4sSm60", "http://www.shop.test/").ok
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


def test_the_command_in_each_form(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    for i in range(1, 21):
        assert gate.run("curl", "-4sSm60", f"http://n{i:05}.shop.test/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://www.ads.example/").ok
    wait_for(lambda: len(rows(gate)) >= 21, "all to be in the file")

    names = [f"n{i:05}.shop.test" for i in range(20, 0, -1)]
    said = gate.cli("history", "--jsonl", "--program", "curl")
    assert said.ok, said
    assert [json.loads(line)["name"] for line in said.out.splitlines()] == names
    said = gate.cli("history", "--csv", "--name", ".shop.test", "--limit=3")
    table = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["name"] for row in table] == names[:3], said
    assert {(row["program"], row["verdict"], row["rule"], row["port"], row["kind"])
            for row in table} == {("/usr/bin/curl", "allow", "allow /usr/bin/curl .shop.test",
                                   "80", "flow")}
    document = gate.json("history", "--verdict", "deny")
    assert {i["name"] for i in document["items"]} == {"www.ads.example"}
    assert document["next"] is None
    assert gate.json("history", "--limit", "5")["next"]
    said = gate.cli("history")
    assert said.ok and said.out.startswith("TIME") and "www.ads.example" in said.out
    assert "/usr/bin/curl" in said.out and len(said.out.splitlines()) >= 22
    address = table[0]["address"]
    assert len(gate.json("history", "--address", address)["items"]) >= 1
    assert gate.json("history", "--country", "NL")["items"] == []
    assert len(gate.json("history", "--since", "10m", "--program", "curl")["items"]) == 20
    assert gate.json("history", "--to", "2001-01-01")["items"] == []
    first = json.loads(gate.cli("history", "--jsonl").out.splitlines()[-1])["start"]
    assert gate.json("history", "--to", first)["items"] == []
    for wrong, rc in ((("--from", "x"), 2), (("--since", "2h", "--from", first), 2),
                      (("--csv", "--jsonl"), 2), (("--follow",), 2), (("--country", "Nowhere"), 1)):
        said = gate.cli("history", *wrong)
        assert said.rc == rc and said.err.startswith("scupper: ") and not said.out, said


def test_without_a_history(lab):
    gate = lab.scupperd(rules="", keep="0")
    said = gate.cli("history")
    assert said.rc == 1 and "keep=0" in said.err, said


def test_a_corrupt_file_is_moved_aside_and_the_new_one_read(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    file = gate.conf["state-dir"] / "history.db"

    def get(n):
        assert gate.run("curl", "-4sSm60", f"http://n{n:05}.shop.test/").ok

    def listed():
        said = gate.cli("history", "--jsonl", "--program", "curl")
        return [json.loads(line)["name"] for line in said.out.splitlines()] if said.ok else []
    get(1)
    wait_for(lambda: listed() == ["n00001.shop.test"], "the first to be listed")
    web = gate.pids[2]
    for end in "", "-wal":        # every page, wherever its last version is
        with open(f"{file}{end}", "r+b") as f:
            size = f.seek(0, 2)
            f.seek(0)
            f.write(b"\xa5" * size)
    gate.kill_core()              # what it has in memory is not the file
    deadline = time.monotonic() + 30
    n = 2
    while not list(file.parent.glob("history.db.corrupt-*")):
        assert time.monotonic() < deadline, gate.log[-2000:]
        get(n % zones.NAMES + 1)  # traffic goes on all the time
        last, n = n % zones.NAMES + 1, n + 1
    wait_for(lambda: "was corrupt: moved to" in gate.log, "the log to say so")
    wait_for(lambda: f"n{last:05}.shop.test" in listed(), "the new file to be read")
    assert gate.pids[2] != web    # started again to open it


@pytest.fixture
def small_disk(lab):
    """A file system of 3 MB, in the daemon's mount namespace."""
    place, near = lab.tmp / "small", lab.world.daemon
    place.mkdir()
    assert near.run("mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "small", place).ok
    yield place
    assert near.run("umount", "-l", place).ok


def test_a_full_disk_stops_nothing(lab, small_disk):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test", state_dir=small_disk)
    ballast = small_disk / "ballast"

    def listed():
        return {json.loads(line)["name"] for line in gate.cli("history", "--jsonl").out.splitlines()}
    assert gate.run("curl", "-4sSm60", "http://n00001.shop.test/").ok
    wait_for(lambda: "n00001.shop.test" in listed(), "the first to be written")
    near = lab.world.daemon
    assert not near.run("dd", "if=/dev/zero", f"of={ballast}", "bs=4k").ok  # until it is full
    after = [f"n{n:05}.shop.test" for n in range(2, 12)]
    asked = iter(range(12, 1000))

    def noticed():          # what still fits into the write-ahead log is written
        assert gate.run("curl", "-4sSm60", f"http://n{next(asked):05}.shop.test/").ok
        return "full" in (gate.status()["history"]["error"] or "")
    wait_for(noticed, "the status to say that the disk is full")
    for name in after:
        assert gate.run("curl", "-4sSm60", f"http://{name}/").ok
    assert "NOT WRITTEN" in gate.cli("status").out
    gate.wait_log("the disk is full")
    assert "n00001.shop.test" in listed()       # what is there can be read
    assert near.run("rm", ballast).ok
    wait_for(lambda: set(after) <= listed(), "what waited to be written")
    wait_for(lambda: gate.status()["history"]["error"] is None, "the status to be well again")


def ago(**span):
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**span)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_steps_reach_back_over_a_restart_of_web(lab):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    for i in range(1, 6):
        assert gate.run("curl", "-4sSm60", f"http://n{i:05}.shop.test/").ok
    assert not gate.run("wget", "-T3", "-t1", "-qO-", "http://www.ads.example/").ok

    wait_for(lambda: len([r for r in rows(gate) if r[2] == 1]) >= 5, "all to be in the file")

    def total(query=""):
        status, page = gate.api(f"stats?from={ago(hours=1)}&step=60{query}")
        assert status == 200 and page["step"] == 60, page
        times = [datetime.datetime.fromisoformat(i["time"].replace("Z", "+00:00"))
                 for i in page["items"]]
        assert all(b - a == datetime.timedelta(minutes=1) for a, b in zip(times, times[1:]))
        return {k: sum(i[k] for i in page["items"]) for k in ("down", "up", "flows", "denied")}
    before = total()
    assert before["flows"] >= 5 and before["denied"] >= 1
    web = gate.pids[2]
    os.kill(web, signal.SIGKILL)
    wait_for(lambda: gate.pids[2] not in (None, web) and gate.cli("status").ok, "another web")
    after = total()
    assert after["flows"] >= 5 and after["denied"] >= 1
    assert total("&program=curl")["denied"] == 0 and total("&program=wget")["flows"] == 0
    status, page = gate.api(f"stats?from={ago(days=300)}")
    assert status == 200 and page["step"] == 86400 and len(page["items"]) >= 1
