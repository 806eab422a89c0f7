# SPDX-License-Identifier: GPL-2.0-or-later
"""scupper run: one command under a private instance, and what it reports."""

import json
import re
import signal

import pytest
from lab import cgroup, zones
from lab.process import wait_for

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


def test_quickstart_sets_up_and_runs(lab):
    """The README's first command, from the tree this build belongs to."""
    top = lab.world.build.parent
    if not (top / "quickstart").exists():
        pytest.skip("needs a build in ./build of the source tree")
    done = lab.direct.run(top / "quickstart", "run", "--allow", ".shop.test", "--", "curl",
                          "-4sSm5", "http://www.shop.test/", timeout=120)
    assert done.ok and "hello" in done.out and "www.shop.test" in done.err, done


def machine(lab):
    """What a guard could leave behind, in the words of those who show it."""
    place, scope = lab.direct, lab.scope.path
    commands = (("nft", "list", "ruleset"), ("ip", "-4", "route", "show", "table", "all"),
                ("ip", "-6", "route", "show", "table", "all"), ("ip", "rule"),
                ("bpftool", "cgroup", "show", scope),
                ("grep", "-E", " (bpf|cgroup2?|tracefs) ", "/proc/self/mounts"),
                ("find", scope, "-type", "d"), ("ls", "-R", "/sys/fs/bpf"),
                ("sysctl", "-a", "-r", r"^net\.(ipv[46]|netfilter|core)\."))
    seen = {words: place.run(*words).out for words in commands}
    seen["processes"] = place.run("pgrep", "-fa", f"{lab.world.build}/guard").out
    return {words: "\n".join(line for line in out.splitlines()
                             if not re.search(r"conntrack_count|cookie|expires", line))
            for words, out in seen.items()}


@pytest.mark.parametrize("end", ("Ctrl-C", "time", "the script killed"))
def test_quickstart_guards_and_leaves_nothing(lab, end):
    """A newcomer's first minutes: nothing refused but what a rule denies, then all as before."""
    top = lab.world.build.parent
    if not (top / "quickstart").exists():
        pytest.skip("needs a build in ./build of the source tree")
    before = machine(lab)
    scope = "/" + str(lab.scope.path.relative_to(cgroup.mount()))
    words = ("--seconds", "8") if end == "time" else ()
    quick = lab.direct.start(top / "quickstart", "--scope", scope, *words)
    wait_for(lambda: "Guarding" in quick.err or not quick.running, "the guard", 120)
    assert quick.running, quick.result()
    control = top / "build/guard/run/control.sock"

    def scupper(*words):
        done = lab.direct.run(lab.world.build / "scupper", "--socket", control, "--json", *words)
        assert done.ok, done
        return json.loads(done.out)

    def gets(url):
        return lab.direct_inside.run("curl", "-4sSm5", url).ok
    wait_for(control.exists, "the control socket")
    assert gets("http://www.shop.test/") and gets(f"http://{zones.address4(4)}/")
    wait_for(lambda: [q for q in scupper("queries")["items"] if q["name"] == "www.shop.test"
                      and q["actor"]["path"] == "/usr/bin/curl"], "the query to be listed")
    rule = scupper("rule", "add", "deny any .shop.test")["id"]
    assert not gets("http://www.shop.test/") and gets(f"http://{zones.address4(5)}/")
    scupper_gone = lab.direct.run(lab.world.build / "scupper", "--socket", control, "rule", "rm",
                                  str(rule))
    assert scupper_gone.ok and gets("http://www.shop.test/")
    if end == "Ctrl-C":
        quick.popen.send_signal(signal.SIGINT)
    elif end == "the script killed":
        quick.popen.kill()
    quick.wait(20)
    wait_for(lambda: not control.exists(), "the daemon to be gone")
    wait_for(lambda: machine(lab)["processes"] == "", "its processes to be gone")
    assert machine(lab) == before
    assert end == "the script killed" or quick.popen.returncode == 0, quick.result()
    assert gets("http://www.shop.test/")
