# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers and what they open: CNAMEs, hints, local addresses, truncation, sharing, other
servers' addresses."""

import os
import pathlib
import re
import shutil

import pytest
from lab import zones
from lab.gate import path_of, refused_beside_control
from lab.process import sh, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
KDIG = "allow /usr/bin/kdig .shop.test"
STUB = "@127.0.0.53"


@pytest.mark.parametrize("how", ["udp", "sendto", "tcp"])
@pytest.mark.parametrize("server", [zones.DNS4_OTHER, zones.DNS4_SILENT])
def test_dns_to_another_server_is_ours(lab, how, server):
    ask = lab.program(lab.ask, "asker")
    gate = lab.scupperd(rules=f"allow {ask} .shop.test")
    with lab.capture(f"host {server}") as wire:
        answer = gate.run(ask, how, server, "www.shop.test")
        assert answer.out == f"www.shop.test 0 {zones.WWW4}\n", answer
        assert gate.run(ask, how, server, "www.ads.example").rc == 3
        assert not wire.packets()
        if server == zones.DNS4_OTHER:
            assert lab.outside.run(ask, how, server, "www.ads.example").ok
            assert wire.packets()
    seen = gate.wait_query(lambda q: q["name"] == "www.ads.example" and q["verdict"] == "deny")
    assert path_of(seen) == str(ask)


def test_a_cname_to_a_denied_name_is_refused(lab):
    gate = lab.scupperd(rules={"a": KDIG + "\nallow /usr/bin/curl .shop.test",
                               "b": "deny any .ads.example"})
    no = gate.run("kdig", STUB, "bad-alias.shop.test")
    assert no.status == "NXDOMAIN" and zones.ADS4 not in no.out
    yes = gate.run("kdig", STUB, "long-alias.shop.test")
    assert yes.status == "NOERROR" and zones.WWW4 in yes.out
    seen = gate.wait_query(lambda q: q["name"] == "bad-alias.shop.test")
    assert seen["verdict"] == "deny" and "ads.example" in str(seen)
    refused_beside_control(
        lab, lambda: gate.run("curl", "-4sSm3", "http://bad-alias.shop.test/"),
        lambda: lab.outside.run("curl", "-4sSm3", "http://bad-alias.shop.test/"), zones.ADS4)


def test_address_hints_open_nothing_denied(lab):
    """A program that asks HTTPS, then dials the hint: what curl with ECH or a browser does."""
    dialler = lab.program("/usr/bin/kdig", "dialler")
    gate = lab.scupperd(rules=f"allow {dialler} .shop.test\n"
                              f"deny any {zones.ADS4}\ndeny any {zones.ADS6}")
    hinted = gate.run(dialler, STUB, "hinted.shop.test", "HTTPS")
    assert zones.ADS4 not in hinted.out and zones.ADS6 not in hinted.out, hinted
    plain = gate.run(dialler, STUB, "plain.shop.test", "HTTPS")
    assert plain.status == "NOERROR" and "ipv4hint=" + zones.WWW4 in plain.out, plain
    url = f"@{zones.ADS4}"
    refused_beside_control(
        lab, lambda: gate.run(dialler, url, "-p", "80", "+tcp", "+retry=0", "+time=2", "a.b"),
        lambda: lab.outside.run("curl", "-sSm3", f"http://{zones.ADS4}/"), zones.ADS4)


def test_a_hint_that_a_denied_name_is_the_target_of(lab):
    gate = lab.scupperd(rules=KDIG + "\ndeny any .ads.example")
    answer = gate.run("kdig", STUB, "targeted.shop.test", "HTTPS")
    assert "x.ads.example" not in re.sub(r";;.*", "", answer.out), answer


@pytest.mark.parametrize("name,bad", [("loop", "127.0.0.1"), ("lan", zones.FAR4)])
def test_a_public_name_with_a_local_address_opens_nothing(lab, name, bad):
    gate = lab.scupperd(rules=KDIG + "\nallow /usr/bin/curl .shop.test")
    answer = gate.run("kdig", STUB, f"{name}.shop.test")
    assert bad not in answer.out, answer
    mixed = gate.run("kdig", STUB, "mixed.shop.test")
    assert zones.WWW4 in mixed.out and bad not in mixed.out, mixed
    url = f"http://{name}.shop.test/"
    if name == "lan":
        refused_beside_control(lab, lambda: gate.run("curl", "-4sSm3", url),
                               lambda: lab.outside.run("curl", "-sSm3", f"http://{bad}/"), bad)
    else:
        assert not gate.run("curl", "-4sSm3", url).ok


def test_a_truncated_answer_is_fetched_over_tcp(lab):
    gate = lab.scupperd(rules=KDIG)
    answer = gate.run("kdig", STUB, "bigtxt.shop.test", "TXT")
    assert answer.status == "NOERROR" and answer.out.count("xxxxxxxx") > 8, answer
    asked = [q.proto for q in lab.dns.asked() if q.name == "bigtxt.shop.test"]
    assert "tcp" in asked
    short = gate.run("kdig", "+ignore", "+bufsize=512", STUB, "bigtxt.shop.test", "TXT")
    assert re.search(r"Flags:.* tc", short.out), short


def test_two_programs_in_flight_each_their_own(lab):
    """One upstream query, two verdicts, two elements."""
    good, other = lab.program("/usr/bin/curl", "good"), lab.program("/usr/bin/curl", "other")
    bad = lab.program("/usr/bin/curl", "bad")
    gate = lab.scupperd(upstream=zones.DNS4_SLOW,
                        rules=f"allow {good} .flight.test\nallow {other} .flight.test\n"
                              f"allow {bad} .flight.test\ndeny {bad} {zones.WWW4}")
    words = "-4", "-sSm30", "http://a.flight.test/"
    with lab.capture(f"dst host {zones.WWW4}") as wire:
        running = {p: gate.start(p, *words) for p in (good, other, bad)}
        done = {p: r.wait() for p, r in running.items()}
        assert done[good].ok and done[other].ok, done
        assert not done[bad].ok, done
        assert len(wire.syns(dport=80)) == 2
    asked = [q for q in lab.dns.asked() if q.name == "a.flight.test" and q.type == "A"]
    assert len(asked) == 1, asked
    verdicts = {path_of(q): q["verdict"] for q in gate.queries()
                if q["name"] == "a.flight.test" and q["type"] == "A"}
    assert verdicts == {str(good): "allow", str(other): "allow", str(bad): "deny"}


def test_a_cached_answer_is_judged_and_opened_for_each(lab):
    first, second = lab.program("/usr/bin/curl", "first"), lab.program("/usr/bin/curl", "second")
    third = lab.program("/usr/bin/curl", "third")
    gate = lab.scupperd(rules=f"allow {first} .shop.test\nallow {second} .shop.test")
    words = "-4", "-sSm30", "http://www.shop.test/"
    assert gate.run(first, *words).ok
    assert gate.run(second, *words).ok
    assert not gate.run(third, *words).ok
    assert len([q for q in lab.dns.asked() if q.name == "www.shop.test"]) == 1
    seen = gate.wait_query(lambda q: path_of(q) == str(second))
    assert seen["cached"]


def test_ttl_counts_down_and_negative_answers_are_kept(lab):
    gate = lab.scupperd(rules=KDIG)
    def ttl():
        answer = gate.run("kdig", STUB, "www.shop.test")
        return int(re.search(r"^www\S+\s+(\d+)", answer.out, re.M).group(1))
    first = ttl()
    assert first <= zones.TTL
    wait_for(lambda: ttl() < first, "the TTL to fall")
    for _ in range(3):
        assert gate.run("kdig", STUB, "none.shop.test").status == "NXDOMAIN"
    names = lab.dns.queries()
    assert names.count("www.shop.test") == 1 and names.count("none.shop.test") == 1


def test_a_short_lived_name_stays_usable(lab):
    """TTL 1, asked again and again: every connection passes at its first SYN."""
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    with lab.capture_to(zones.SHORT4) as wire:
        for _ in range(30):
            assert gate.run("curl", "-4sSm60", "http://short.shop.test/").ok
        assert len(wire.syns()) == 30 and not wire.repeated_syns()


def test_an_element_the_kernel_refuses_gives_servfail(lab):
    """The netlink thread's sends are made to fail: no answer may leave without its element."""
    if not shutil.which("strace"):
        pytest.skip("needs strace to make the kernel refuse")
    gate = lab.scupperd(rules=KDIG)
    assert gate.run("kdig", STUB, "n00001.shop.test").status == "NOERROR"
    tids = netlink_threads(gate.core)
    assert tids, "the core has no thread named for nft"
    args = [w for t in tids for w in ("-p", t)]
    fault = lab.outside.start("strace", "-q", "-o", "/dev/null", *args, "-e",
                              "trace=sendto,sendmsg,sendmmsg,write", "-e",
                              "inject=sendto,sendmsg:error=ENOBUFS")
    wait_for(lambda: traced(tids[0]), "strace to hold the thread")
    no = gate.run("kdig", "+time=30", "+retry=0", STUB, "n00002.shop.test")
    assert no.status == "SERVFAIL" and zones.address4(2) not in no.out, no
    seen = gate.wait_query(lambda q: q["name"] == "n00002.shop.test")
    assert seen["reason"] == "kernel"
    fault.stop()
    wait_for(lambda: gate.run("kdig", STUB, "n00003.shop.test").status == "NOERROR",
             "answers again")


def test_no_answer_passes_one_that_waits_for_the_kernel(lab):
    """The kernel is six seconds late: whoever asks again meanwhile waits as well, or hears
    SERVFAIL; an address in an answer is an address that is open."""
    if not shutil.which("strace"):
        pytest.skip("needs strace to make the kernel late")
    gate = lab.scupperd(rules=KDIG)
    assert gate.run("kdig", STUB, "n00001.shop.test").status == "NOERROR"
    tids = netlink_threads(gate.core)
    args = [w for t in tids for w in ("-p", t)]
    late = lab.outside.start("strace", "-q", "-o", "/dev/null", *args, "-e",
                             "trace=sendto,sendmsg", "-e",
                             "inject=sendto,sendmsg:delay_enter=6000000:when=1")
    wait_for(lambda: traced(tids[0]), "strace to hold the thread")
    said = []

    def again():
        answer = gate.run("kdig", "+time=30", "+retry=0", STUB, "n00002.shop.test")
        is_open = zones.address4(2) in sh("ip", "netns", "exec", lab.world.near.name, "nft",
                                          "list", "set", "inet", "scupper", "pass4")
        said.append(answer.status)
        assert answer.status == "SERVFAIL" or is_open, (said, answer)
        return is_open
    wait_for(again, "an answer after all")
    assert said[-1] == "NOERROR"
    late.stop()


def netlink_threads(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return [t.name for t in tasks.iterdir()
            if re.search("nft|netlink", (t / "comm").read_text())]


def traced(tid):
    return "TracerPid:\t0" not in pathlib.Path(f"/proc/{tid}/status").read_text()


def test_malformed_queries_do_no_harm(lab):
    gate = lab.scupperd(rules=KDIG)
    send = ("import socket, os, random\n"
            "random.seed(7)\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "s.connect(('127.0.0.53', 53)); s.setblocking(False)\n"
            "good = bytes.fromhex('0001010000010000000000000377777704"
            "73686f7004746573740000010001')\n"
            "for n in range(2000):\n"
            "    m = bytearray(good)\n"
            "    for _ in range(random.randrange(1, 6)):\n"
            "        m[random.randrange(len(m))] = random.randrange(256)\n"
            "    try: s.send(bytes(m[:random.randrange(len(m) + 1)]))\n"
            "    except OSError: pass\n"
            "t = socket.create_connection(('127.0.0.53', 53))\n"
            "t.send(b'\\xff\\xff' + os.urandom(300)); t.close()\n")
    pids = gate.pids
    assert gate.run("/usr/bin/python3", "-c", send).ok
    assert gate.run("kdig", STUB, "www.shop.test").status == "NOERROR"
    assert gate.pids == pids


def test_a_dead_upstream_is_said_and_survived(lab):
    gate = lab.scupperd(rules=KDIG, upstream=zones.DNS4_DEAD)
    answer = gate.run("kdig", "+time=10", "+retry=0", STUB, "www.shop.test")
    assert answer.status == "SERVFAIL", answer
    seen = gate.wait_query(lambda q: q["name"] == "www.shop.test")
    assert seen["reason"] == "upstream"
    assert zones.DNS4_DEAD in str(gate.status()["upstreams"])


def test_a_second_upstream_takes_over(lab):
    gate = lab.scupperd(rules=KDIG, upstream=[zones.DNS4_SILENT, zones.DNS4])
    answer = gate.run("kdig", "+time=10", "+retry=0", STUB, "www.shop.test")
    assert answer.status == "NOERROR", answer


@pytest.mark.parametrize("refusal,status,address", [
    ("nxdomain", "NXDOMAIN", None), ("refused", "REFUSED", None), ("zero", "NOERROR", "0.0.0.0")])
def test_the_refusal_a_person_chose(lab, refusal, status, address):
    gate = lab.scupperd(refusal=refusal)
    answer = gate.run("kdig", STUB, "www.shop.test")
    assert answer.status == status
    assert not address or address in answer.out


def test_a_refusal_says_why(lab):
    gate = lab.scupperd(rules="deny any .ads.example")
    answer = gate.run("dig", STUB, "x.ads.example")
    assert "EDE: 15" in answer.out and "deny any .ads.example" in answer.out, answer


def test_under_default_deny_no_name_leaves(lab):
    gate = lab.scupperd(rules="allow /usr/bin/wget .shop.test\nallow any 198.18.0.0/24 off")
    for name in ("www.shop.test", "secret.other.example", "x.ads.example"):
        assert gate.run("kdig", STUB, name).status == "NXDOMAIN"
    assert lab.dns.queries() == []


def test_grants_are_in_the_kernel_by_program_and_address(lab):
    gate = lab.scupperd(rules=KDIG)
    gate.run("kdig", STUB, "n00009.shop.test")
    listed = sh("ip", "netns", "exec", lab.world.near.name, "nft", "list", "ruleset")
    assert zones.address4(9) in listed and "timeout" in listed
    assert os.path.exists(gate.conf["state-dir"])
