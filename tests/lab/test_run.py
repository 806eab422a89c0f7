# SPDX-License-Identifier: GPL-2.0-or-later
"""scupper run: one command under a private instance, and what it reports."""

import json
import pathlib
import signal
import socket
import sys

import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")


@pytest.fixture
def run(lab):
    """scupper run, started as a person would: outside any scope, with the network's DNS."""
    scupper = lab.world.build / "scupper"

    def start(*words, **how):
        return lab.direct.run(scupper, "run", *words, timeout=200, **how)
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
    words = "curl", "-4sSm30", "http://www.shop.test/"
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
        assert running.wait().ok, running.result()


def test_beside_a_daemon_that_guards_the_machine(lab, run):
    gate = lab.scupperd(rules="allow /usr/bin/curl .shop.test")
    done = run("--allow", ".shop.test", "--", "curl", "-4sSm30", "http://www.shop.test/")
    assert done.ok, done
    assert gate.run("curl", "-4sSm60", "http://n00001.shop.test/").ok


# --- learning ---------------------------------------------------------------------------

def rules_of(file):
    return [line for line in file.read_text().splitlines() if not line.startswith("#")]


VISITS = ("sh", "-c", f"curl -4sSm5 http://www.shop.test/ && wget -T5 -t1 -qO- "
                      f"http://{zones.address4(9)}/ && curl -4sSm5 http://n00001.shop.test/")


def test_it_learns_the_fewest_rules_and_they_let_it_pass(lab, run):
    learned, again = lab.tmp / "learned", lab.tmp / "again"
    done = run("--learn", learned, "--", *VISITS)
    assert done.ok, done
    assert rules_of(learned) == ["allow /usr/bin/curl n00001.shop.test:80/tcp",
                                 "allow /usr/bin/curl www.shop.test:80/tcp",
                                 f"allow /usr/bin/wget {zones.address4(9)}:80/tcp"]
    assert "curl -4sSm5 http://www.shop.test/" in learned.read_text()
    passed = run("--rules", learned, "--fail-on-deny", "--learn", again, "--", *VISITS)
    assert passed.ok, passed
    assert rules_of(again) == rules_of(learned)


def test_what_was_not_learned_is_refused_and_told_with_its_parents(lab, run):
    learned, script = lab.tmp / "learned", lab.tmp / "install"
    script.write_text("curl -4sSm5 http://www.shop.test/\n")
    assert run("--learn", learned, "--", "sh", script).ok
    script.write_text("curl -4sSm5 http://www.shop.test/\n"
                      "sh -c 'curl -4sSm5 http://www.other.example/; true'\n"
                      f"wget -T5 -t1 -qO- http://{zones.OTHER4}/ || true\n")
    with lab.capture_to(zones.OTHER4) as wire:
        no = run("--rules", learned, "--learn", lab.tmp / "again", "--", "sh", script)
        assert not wire.packets()
    assert "www.other.example" not in lab.dns.queries()
    assert no.ok and "hello" in no.out, no
    by = [line for line in no.err.splitlines() if "by curl" in line]
    assert by and "www.other.example" in by[0] and f"< sh {script}" in by[0], no
    assert "/usr/bin/wget" in no.err and zones.OTHER4 in no.err, no
    text = (lab.tmp / "again").read_text()
    assert "# denied: /usr/bin/curl www.other.example" in text, text
    assert rules_of(lab.tmp / "again") == rules_of(learned)
    assert run("--rules", learned, "--fail-on-deny", "--", "sh", script).rc == 125
    with lab.capture_to(zones.OTHER4) as wire:  # and without the rules it does leave
        assert run("--", "sh", script).ok
        assert wire.packets()


def test_wide_rules_only_where_asked_for(lab, run):
    learned = lab.tmp / "learned"
    assert run("--learn", learned, "--learn-wide", "--", *VISITS).ok
    assert "allow /usr/bin/curl .shop.test:80/tcp" in rules_of(learned)
    assert len(rules_of(learned)) == 2, learned.read_text()


def test_the_file_of_learn_is_written_whole_or_not_at_all(lab, run):
    there, new = lab.tmp / "there", lab.tmp / "new"
    there.write_text("mine\n")
    assert run("--learn", there, "--", "true").rc == 2
    assert there.read_text() == "mine\n"
    assert run("--learn", there, "--force", "--", "true").ok
    assert there.read_text().startswith("# What this command")
    assert run("--learn", new, "--", "/no/such/program").rc == 127
    assert run("--learn", lab.tmp / "no/such/dir", "--", "true").rc == 2
    assert [f.name for f in lab.tmp.iterdir() if f.name.startswith("new")] == []


# --- what it leaves, and what it lets in ------------------------------------------------

def left_by(pid):
    root = next(p for p in (pathlib.Path("/sys/fs/cgroup/unified"),
                            pathlib.Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists())
    return [p for p in (pathlib.Path(f"/run/scupper-run-{pid}"), root / f"scupper-run-{pid}")
            if p.exists()]


@pytest.mark.parametrize("sig", (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
def test_interrupted_before_the_command_it_leaves_nothing(lab, sig):
    running = lab.direct.start(lab.world.build / "scupper", "run", "--", "sleep", "60")
    wait_for(lambda: left_by(running.pid), "its places")
    running.popen.send_signal(sig)
    done = running.wait()
    assert done.rc == 128 + sig or done.rc == -sig, done
    assert not left_by(running.pid)
    assert not lab.world.near.tables() and not lab.world.pins()


def test_the_folder_of_one_that_was_killed_is_no_hindrance(lab):
    """Process numbers come again: this one had a run's folder before it, rules and all."""
    scupper = lab.world.build / "scupper"
    done = lab.direct.run("sh", "-c", "d=/run/scupper-run-$$/rules; mkdir -p $d && "
                          "echo 'deny any any' >$d/allow.rules && "
                          f"exec {scupper} run --allow .shop.test -- "
                          "curl -4sSm30 http://www.shop.test/")
    assert done.ok and "hello" in done.out, done


def test_killed_it_leaves_no_command_without_a_gate(lab):
    running = lab.direct.start(lab.world.build / "scupper", "run", "--", "sh", "-c",
                               f"setsid {lab.talk} idle & echo started; wait")
    running.wait_out("started")
    cgroup, = [p for p in left_by(running.pid) if str(p).startswith("/sys")]
    pids = (cgroup / "cgroup.procs").read_text().split()
    assert pids
    running.stop(signal.SIGKILL)
    wait_for(lambda: not left_by(running.pid), "all of it to go")
    wait_for(lambda: not lab.world.near.tables(), "its table to go")
    assert not lab.world.pins()


LOOK = "import os; print(sorted(os.listdir('/proc/self/fd')))"


def test_no_descriptor_but_the_three_is_inherited(lab):
    scupper = lab.world.build / "scupper"
    seen = [lab.direct.run("bash", "-c", f'exec 7</etc/hosts; "$@"', "-", *head,
                           sys.executable, "-c", LOOK, timeout=200)
            for head in ((), (scupper, "run", "--"))]
    assert "'7'" in seen[0].out and "'7'" not in seen[1].out, seen
    assert seen[1].out.count("'") == 8, seen  # 0, 1, 2 and the directory itself


SOCKET = """import os, socket, subprocess, sys
s = socket.socket(int(sys.argv[1]), socket.SOCK_DGRAM)
sys.exit(subprocess.run(sys.argv[2:], stdin=s).returncode)"""


def test_a_socket_as_standard_input_is_refused(lab):
    scupper = lab.world.build / "scupper"

    def start(family, *options):
        return lab.direct.run(sys.executable, "-c", SOCKET, int(family), scupper, "run",
                              *options, "--", "true", timeout=200)
    for family in socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK:
        no = start(family)
        assert no.rc == 126 and "standard input is a network socket" in no.err, no
    assert start(socket.AF_INET, "--keep-sockets").ok
    assert start(socket.AF_UNIX).ok
