# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong is said in a sentence, and ends the daemon only where it must."""

import re

import pytest
from lab import zones
from lab.gate import Gate, refused_beside_control
from lab.process import wait_for


def start_wrong(lab, change=None, **conf):
    """Starts a daemon that should refuse to; its last words."""
    gate = lab.scupperd(expect_ready=False, **conf) if change is None else None
    if gate is None:
        gate = broken(lab, change, conf)
    result = gate.daemon.wait()
    assert result.rc not in (0, None) and result.rc > 0, result
    assert "ready" not in result.err
    return result.err


def broken(lab, change, conf):
    gate = Gate(lab, "", "deny", conf)
    gate.write_conf()
    gate.file.write_text(change(gate.file.read_text()))
    lab.gates.append(gate)
    gate.start_daemon(expect_ready=False)
    return gate


@pytest.mark.parametrize("why,change,wanted", [
    ("unknown key", lambda t: t.replace("[resolver]", "colour=red\n[resolver]"), "colour"),
    ("unknown section", lambda t: t + "[kitchen]\nsink=1\n", "kitchen"),
    ("bad value", lambda t: t.replace("default=deny", "default=maybe"), "maybe"),
    ("twice", lambda t: t.replace("default=deny", "default=deny\ndefault=allow"), "default"),
    ("too long", lambda t: t.replace("[resolver]", f"instance={'x' * 5000}\n[resolver]"),
     "1023 bytes"),
    ("no value", lambda t: t.replace("default=deny", "default"), "default"),
    ("later key", lambda t: t.replace("default=deny", "default=ask"), "later"),
    ("bad upstream", lambda t: t.replace(f"upstream={zones.DNS4}", "upstream=9.9.9"),
     "upstream"),
    ("no such scope", lambda t: t.replace("scope=/", "scope=/nowhere/"), "nowhere"),
], ids=lambda v: v.replace(" ", "-") if isinstance(v, str) else "")
def test_bad_configuration_is_refused_with_its_line(lab, why, change, wanted):
    said = start_wrong(lab, change)
    assert wanted in said, said
    if why != "no such scope":
        assert "scupper.conf:" in said, said


def test_check_says_it_too(lab):
    gate = Gate(lab, "", "deny", {})
    gate.write_conf()
    words = gate.scupperd, "--check", "--config", gate.file
    assert lab.outside.run(*words).ok
    gate.file.write_text(gate.file.read_text() + "[kitchen]\n")
    done = lab.outside.run(*words)
    assert not done.ok and "scupper.conf:" in done.err and "kitchen" in done.err, done


def test_a_taken_port_names_who_holds_it(lab):
    holder = lab.program(lab.talk, "port-holder")
    taken = lab.outside.start(holder, "serve-udp", "127.0.0.53", "53").wait_out("ready")
    said = start_wrong(lab)
    assert "port-holder" in said and str(taken.pid) in said and "53" in said, said
    taken.stop()


def test_a_state_directory_that_cannot_be_written(lab):
    said = start_wrong(lab, state_dir="/proc/scupper")
    assert "/proc/scupper" in said, said


def test_a_second_daemon_of_the_same_instance(lab):
    first = lab.scupperd()
    said = start_wrong(lab, listen="127.0.0.77:53")
    assert "scupperd" in said and str(first.daemon.pid) in said, said
    assert first.daemon.running
    assert first.cli("status").ok


def start_by(lab, *how, rules=""):
    """A daemon started by another program, which takes something from it."""
    gate = Gate(lab, rules, "deny", {})
    gate.write_conf()
    lab.gates.append(gate)
    gate.daemon = lab.world.daemon.start(*how, gate.scupperd, "--config", gate.file)
    return gate


def without(*capabilities):
    drop = ",".join(f"-{c}" for c in capabilities)
    return "setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"


NO_BTF = ("unshare", "--mount", "sh", "-c",
          'mount --bind /dev/null /sys/kernel/btf/vmlinux && exec "$@"', "sh")


@pytest.mark.parametrize("how", [NO_BTF, without("bpf", "perfmon", "sys_admin")],
                         ids=["no-btf", "no-right"])
def test_without_bpf_it_says_so_and_decides_at_dns_time(lab, how):
    ask = lab.program(lab.ask, "asker")
    gate = start_by(lab, *how, rules=f"allow {ask} .shop.test")
    gate.wait_log("scupperd: ready")
    status = gate.status()
    assert status["identity"]["mode"] == "basic"
    assert re.search("BPF|BTF", status["identity"]["why"]), status["identity"]
    assert "basic" in gate.cli("status").out
    assert gate.run(ask, "udp", "127.0.0.53", "www.shop.test").ok
    assert gate.run(lab.program(lab.ask, "other"), "udp", "127.0.0.53", "www.shop.test").rc == 3


def test_without_nftables_it_says_so(lab):
    gate = start_by(lab, *without("net_admin"))
    wait_for(lambda: not gate.daemon.running or "scupperd: ready" in gate.log, "its answer")
    assert "nft" in gate.log or "CAP_NET_ADMIN" in gate.log, gate.log
    if gate.daemon.running:
        assert gate.status()["identity"]["mode"] == "resolver"


def test_somebody_else_s_flush_does_not_open_it(lab, bpf):
    """nft flush ruleset by root: the table is ours alone, or comes back; nothing passes."""
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    lab.outside.run("nft", "flush", "ruleset")
    refused_beside_control(
        lab, lambda: gate.run("wget", "-T3", "-t1", "-qO-", f"http://{zones.address4(3)}/"),
        lambda: gate.run("curl", "-4sSm5", "http://n00003.shop.test/"), zones.address4(3))
