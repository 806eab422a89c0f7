# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstreams that lie, are late, say too much or nothing: nothing wrong is believed or kept,
nothing hangs."""

import pathlib

import pytest
from lab import zones

pytestmark = pytest.mark.usefixtures("bpf")
LIAR = pathlib.Path(__file__).parent / "lab/liar.py"
AT, OTHER = "198.18.0.63", "198.18.0.64"
TRUE, FALSE = zones.WWW4, zones.ADS4


@pytest.fixture
def liar(lab):
    server = lab.far.start("/usr/bin/python3", LIAR, AT, OTHER)
    server.wait_out("ready")
    yield server
    server.stop()


def ask(gate, name, *how):
    answer = gate.run("kdig", "@127.0.0.53", "+retry=0", "+time=60", *how, name, "A")
    assert answer.status, answer
    assert FALSE not in answer.out, answer
    return answer


def asked(liar, name):
    return liar.out.split().count(f"{name}.")


def test_lies_are_not_believed(lab, liar):
    gate = lab.scupperd(rules="allow any any", upstream=AT)
    for what in "id", "question", "source", "garbage":
        answer = ask(gate, f"{what}.test")
        assert answer.status == "NOERROR" and TRUE in answer.out, answer
    never = [gate.start("kdig", "@127.0.0.53", "+retry=0", "+time=60", f"{what}.test", "A")
             for what in ("onlyid", "onlyquestion", "onlysource")]
    for answer in [n.wait() for n in never]:
        assert answer.status == "SERVFAIL" and FALSE not in answer.out, answer
    assert TRUE in ask(gate, "stowaway.test").out
    before = asked(liar, "bank.test")
    assert TRUE in ask(gate, "bank.test").out
    assert asked(liar, "bank.test") == before + 1, "asked, not taken from somebody's answer"


def test_slow_silent_and_too_much(lab, liar):
    gate = lab.scupperd(rules="allow any any", upstream=AT)
    assert TRUE in ask(gate, "slow.test").out
    silent = ask(gate, "silent.test", "+edns")
    assert silent.status == "SERVFAIL" and "EDE" in silent.out, silent
    many = ask(gate, "many.test")
    # 64 of 1,000 addresses: what one answer may open
    assert many.status == "NOERROR" and many.out.count("198.19.") == 64, many.out[:300]
    big = gate.run("kdig", "@127.0.0.53", "+retry=0", "+tcp", "big.test", "TXT")
    assert big.status == "NOERROR" and big.out.count("y" * 252) == 240, big.out[:300]
    assert TRUE in ask(gate, "after.test").out


@pytest.mark.parametrize("what", ["zero", "huge"])
def test_what_may_not_be_kept_is_not(lab, liar, what):
    """TTL 0, and one with its top bit set, which counts as 0 (RFC 2181 8)."""
    gate = lab.scupperd(rules="allow any any", upstream=AT)
    for n in range(1, 4):
        answer = ask(gate, f"{what}.test")
        assert f"{what}.test." in answer.out and "\t0\tIN\tA" in answer.out, answer
        assert asked(liar, f"{what}.test") == n
