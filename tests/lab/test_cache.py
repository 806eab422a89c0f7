# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache by what its clients and the far server see: stale answers, prefetch, negative
answers, a restart, a flush."""

import contextlib
import os
import pathlib
import re
import signal

import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
RULES = "allow /usr/bin/kdig .shop.test\nallow /usr/bin/dig .shop.test\n" \
        "allow /usr/bin/curl .shop.test"
STUB = "@127.0.0.53"
LONG = 60


@contextlib.contextmanager
def silent_dns(lab):
    """The far DNS server takes queries and answers none."""
    knot = lab.world.servers[0].pid
    os.kill(knot, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(knot, signal.SIGCONT)


def ask(gate, name, *words, by="kdig"):
    if by == "dig":
        words = ("+tries=1", *words)
    else:
        words = ("+retry=0", *words)
    return gate.run(by, "+time=12", *words, STUB, name, timeout=LONG)


def asked(lab, name):
    return lab.dns.queries().count(name)


def test_stale_while_the_server_is_silent(lab):
    """What was known goes on, and opens the way for who asks, but for nobody else."""
    denied = lab.program("/usr/bin/curl", "denied")
    gate = lab.scupperd(rules=RULES)
    assert ask(gate, "short.shop.test").status == "NOERROR"

    def is_old():
        return gate.status()["counters"]["cache_misses"] > before
    with silent_dns(lab):
        before = gate.status()["counters"]["cache_misses"]
        wait_for(lambda: ask(gate, "short.shop.test") and is_old(), "its TTL to end", LONG)
        late = ask(gate, "short.shop.test", by="dig")
        assert late.status == "NOERROR" and zones.SHORT4 in late.out, late
        assert "EDE: 3" in late.out, late
        assert not gate.run(denied, "-4sSm5", "http://short.shop.test/").ok
        assert gate.run("curl", "-4sSm20", "http://short.shop.test/", timeout=LONG).ok
        assert gate.status()["counters"]["cache_stale"] >= 2
        gone = ask(gate, "n00077.shop.test")  # never known: nothing to give
        assert gone.status == "SERVFAIL", gone
    today = ask(gate, "n00079.shop.test", by="dig")
    assert today.status == "NOERROR" and "EDE" not in today.out, today


def test_nothing_stale_where_it_is_not_wanted(lab):
    gate = lab.scupperd(rules=RULES, serve_stale="0")
    assert ask(gate, "short.shop.test").status == "NOERROR"
    with silent_dns(lab):
        wait_for(lambda: ask(gate, "short.shop.test").status == "SERVFAIL", "its end", LONG)


def test_what_is_asked_often_is_asked_anew_before_its_end(lab):
    gate = lab.scupperd(rules=RULES)
    stranger = lab.program("/usr/bin/kdig", "stranger")
    assert ask(gate, "four.shop.test").status == "NOERROR"
    assert ask(gate, "n00078.shop.test").status == "NOERROR"

    def refreshed():
        ask(gate, "four.shop.test")
        gate.run(stranger, STUB, "n00078.shop.test")
        return gate.status()["counters"]["cache_prefetched"]
    wait_for(refreshed, "a prefetch", LONG)
    wait_for(lambda: asked(lab, "four.shop.test") >= 2, "it at the server", LONG)
    assert asked(lab, "n00078.shop.test") == 1


def test_negative_answers_say_what_their_soa_means(lab):
    """The zone's SOA has a TTL of 30 and a minimum of 10: nobody is to believe it for 30."""
    gate = lab.scupperd(rules=RULES)
    answer = ask(gate, "none.shop.test")
    assert answer.status == "NXDOMAIN", answer
    ttl = int(re.search(r"\s(\d+)\s+IN\s+SOA", answer.out).group(1))
    assert ttl <= 10, answer
    nodata = ask(gate, "only4.shop.test", "-t", "AAAA")
    assert nodata.status == "NOERROR"
    assert int(re.search(r"\s(\d+)\s+IN\s+SOA", nodata.out).group(1)) <= 10, nodata
    ask(gate, "none.shop.test")
    assert asked(lab, "none.shop.test") == 1


def test_limits_of_ttls(lab):
    gate = lab.scupperd(rules=RULES, cache_min_ttl="10s", cache_max_ttl="20s")

    def ttl(name):
        return int(re.search(rf"^{name}\S*\s+(\d+)\s+IN\s+A\s", ask(gate, name).out,
                             re.M).group(1))
    assert 1 < ttl("short.shop.test") <= 10
    assert 10 < ttl("www.shop.test") <= 20


def test_a_restart_begins_with_what_was_known(lab):
    gate = lab.scupperd(rules=RULES)
    assert ask(gate, "www.shop.test").status == "NOERROR"
    gate.stop()
    file = pathlib.Path(gate.conf["state-dir"]) / "cache"
    assert file.stat().st_mode & 0o7777 == 0o600
    gate.start_daemon()
    wait_for(lambda: gate.status()["counters"]["cache_entries"], "the file to be read", LONG)
    assert zones.WWW4 in ask(gate, "www.shop.test").out
    assert asked(lab, "www.shop.test") == 1
    assert gate.run("curl", "-4sSm20", "http://www.shop.test/").ok
    gate.stop()

    file.write_bytes(file.read_bytes()[:-1] + b"!")
    gate.start_daemon()
    gate.wait_log("is not used: it is damaged", LONG)
    assert zones.WWW4 in ask(gate, "www.shop.test").out
    assert asked(lab, "www.shop.test") == 2


def test_flush(lab):
    gate = lab.scupperd(rules=RULES)
    names = "www.shop.test", "echo.shop.test", "ssh.shop.test"

    def counts():
        for name in names:
            assert ask(gate, name).status == "NOERROR"
        return [asked(lab, name) for name in names]
    assert counts() == [1, 1, 1]
    assert counts() == [1, 1, 1]
    done = gate.cli("cache", "flush", "WWW.shop.test")
    assert done.ok and "www.shop.test" in done.out, done
    assert counts() == [2, 1, 1]
    assert gate.cli("cache", "flush", ".shop.test").ok
    assert counts() == [3, 2, 2]
    assert gate.cli("cache", "flush").ok
    assert counts() == [4, 3, 3]
    assert gate.cli("cache", "flush", "no name").rc == 2
    assert "cache" in gate.cli("status").out
