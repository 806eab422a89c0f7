# SPDX-License-Identifier: GPL-2.0-or-later
"""scupper run: one command under a private instance, and what it reports."""

import json

import pytest
from lab import zones

pytestmark = pytest.mark.usefixtures("bpf")


@pytest.fixture
def run(lab):
    """scupper run, started as a person would: outside any scope, with the network's DNS."""
    scupper = lab.world.build / "scupper"

    def start(*words, **how):
        return lab.direct.run(scupper, "run", *words, timeout=40, **how)
    return start


def test_it_reports_what_was_contacted_and_by_whom(lab, run):
    done = run("--", "curl", "-4sS", "http://www.shop.test/")
    assert done.ok and "hello" in done.out, done
    for word in ("www.shop.test", zones.WWW4, "/usr/bin/curl"):
        assert word in done.err + done.out, done


def test_it_reports_json(lab, run):
    done = run("--report=json", "--", "sh", "-c",
               f"curl -4sS -o /dev/null http://www.shop.test/; "
               f"curl -4sS -o /dev/null http://{zones.address4(9)}/")
    assert done.ok, done
    report = json.loads(next(x for x in (done.out, done.err) if x.strip().startswith("{")))
    text = json.dumps(report)
    assert "www.shop.test" in text and zones.address4(9) in text and "/usr/bin/curl" in text


def test_a_later_run_reports_its_own_alone(lab, run):
    """Flows of the run before are still in conntrack, under the same marks: not ours."""
    assert run("--", "curl", "-4sS", f"http://{zones.address4(9)}/").ok
    later = run("--", "sh", "-c", "curl -4sS http://www.shop.test/; sleep 1.2")
    assert later.ok and zones.WWW4 in later.err, later
    assert zones.address4(9) not in later.err and "unknown" not in later.err, later


def test_with_allow_the_rest_is_denied(lab, run):
    words = "sh", "-c", ("curl -4sSm5 http://www.shop.test/ && "
                         "curl -4sSm5 http://www.other.example/")
    assert run("--allow", ".shop.test", "--allow", ".other.example", "--", *words).ok
    with lab.capture(f"dst host {zones.OTHER4}") as wire:
        no = run("--allow", ".shop.test", "--", *words)
        assert not no.ok and "hello" in no.out, no
        assert "www.other.example" in no.err, no
        assert not wire.packets()
    assert run("--allow", ".shop.test", "--fail-on-deny", "--", "sh", "-c",
               "curl -4sSm5 http://www.other.example/; true").rc == 125


def test_it_takes_rules_from_a_file(lab, run):
    rules = lab.tmp / "rules"
    rules.write_text("allow /usr/bin/curl .shop.test\n")
    words = "curl", "-4sSm5", "http://www.shop.test/"
    assert run("--rules", rules, "--", *words).ok
    assert not run("--rules", rules, "--", "wget", "-T3", "-t1", "-qO-",
                   "http://www.shop.test/").ok


def test_the_command_s_own_exit_status_and_output(lab, run):
    assert run("--", "sh", "-c", "exit 7").rc == 7
    assert run("--", "cat", input="through\n").out.startswith("through\n")
    assert run("--", "/no/such/program").rc == 127
    assert run("--").rc == 2
    assert run("--allow", "not a name!", "--", "true").rc == 2


def test_it_leaves_nothing_and_ends_what_the_command_left(lab, run):
    done = run("--", "sh", "-c", f"{lab.talk} idle >/dev/null 2>&1 & echo $!")
    assert done.ok, done
    pid = done.out.split()[0]
    state = lab.outside.run("sh", "-c", f"grep State /proc/{pid}/status || echo gone").out
    assert "gone" in state or "zombie" in state, state
    assert not lab.world.near.tables() and not lab.world.pins()


def test_two_at_once(lab):
    scupper = lab.world.build / "scupper"
    both = [lab.direct.start(scupper, "run", "--allow", f"{name}.shop.test", "--", "sh", "-c",
                             f"for i in 1 2 3 4 5; do curl -4sSm5 http://{name}.shop.test/ "
                             "|| exit 1; done; ! curl -4sSm5 http://www.shop.test/")
            for name in ("n00001", "n00002")]
    for running in both:
        assert running.wait(40).ok, running.result()


def test_beside_a_daemon_that_guards_the_machine(lab, run):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    done = run("--allow", ".shop.test", "--", "curl", "-4sSm5", "http://www.shop.test/")
    assert done.ok, done
    assert gate.run("curl", "-4sSm5", "http://n00001.shop.test/").ok
