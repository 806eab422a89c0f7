# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs try in order to pass for others. docs/evasions.md has a line for each.

One daemon serves them all: `may` is allowed everything; `denied` has a rule against it;
`part` may reach .shop.test."""

import os
import shutil

import pytest
from lab import probe, zones
from lab.gate import path_of
from lab.trial import arrives, nothing_then, pair, to_any
from lab.world import Lab

USER = 4711
MANY = int(os.environ.get("SCUPPER_EXECUTABLES", "4500"))  # a user may have 4095


@pytest.fixture(scope="module")
def lab(world):
    why = probe.lacks_bpf()
    if why:
        pytest.skip(why)
    made = Lab(world, "evade-programs")
    for name in ("may", "denied", "part", "gone", "changed"):
        setattr(made, name, made.program(world.tools / "evade", name))
    allowed = [made.may, made.gone, made.changed]
    allowed.append(made.may.with_name("ok-*"))
    made.gate = made.scupperd(rules="\n".join(f"allow {p} any" for p in allowed) +
                              f"\ndeny {made.denied} any\nallow {made.part} .shop.test\n")
    yield made
    left = made.close()
    assert not left, f"left over: {left}"


def sh(lab, script, *words, uid=None, place=None):
    done = (place or lab.gate).run("sh", "-ec", script, "sh", *words, uid=uid)
    assert done.ok, done
    return done


def say(lab, program, *addresses):
    done = lab.gate.run(program, "say", *addresses)
    assert done.ok, done


def refused_as(lab, address):
    """The path that a refusal to this address is listed with."""
    return path_of(lab.gate.wait_flow(
        lambda f: f["address"] == address and f["verdict"] == "deny", "the refusal"))


def disguised(lab, name, addresses):
    may, denied = lab.may, lab.denied
    at = " ".join(addresses)
    if name == "hard_link":
        link = lab.may.with_name("ok-link")  # a rule for ok-* allows that
        os.link(denied, link)
        return f"{denied} say {at}; exec {link} say {at}"
    if name == "bind_mount":
        other = lab.program(lab.world.tools / "evade", "other")
        return f"exec unshare -m sh -ec 'mount --bind {other} {may}; exec {may} say {at}'"
    if name == "overlay":
        upper, work = lab.tmp / "upper", lab.tmp / "work"
        upper.mkdir()
        work.mkdir()
        shutil.copy2(denied, upper / "may")
        mount = (f"mount -t overlay -o lowerdir={may.parent},upperdir={upper},workdir={work} "
                 f"overlay {may.parent}")
        return f"exec unshare -m sh -ec '{mount}; exec {may} say {at}'"
    if name == "deleted":
        return f"exec 3<{lab.gone}; rm {lab.gone}; exec /proc/self/fd/3 say {at}"
    if name == "memfd":
        return (f"exec /usr/bin/python3 -c \"import os; m = os.memfd_create('may', 0); "
                f"os.write(m, open('{may}', 'rb').read()); "
                f"os.execve(m, '{may} say {at}'.split(), os.environ)\"")
    assert name == "loader"
    return f"exec /lib64/ld-linux-x86-64.so.2 {may} say {at}"


NAMES = ["hard_link", "bind_mount", "overlay", "deleted", "memfd", "loader"]


@pytest.mark.parametrize("name", NAMES)
def test_disguise(lab, name):
    """The approved program's path, or its very bytes, but not that file at that path."""
    if name == "loader" and not os.path.exists("/lib64/ld-linux-x86-64.so.2"):
        pytest.skip("needs the loader of x86-64")
    addresses = pair(60 + NAMES.index(name))
    if name == "deleted":
        arrives(lab, addresses, lambda: say(lab, lab.gone, *addresses))
    nothing_then(lab, addresses, lambda: sh(lab, disguised(lab, name, addresses)),
                 lambda: sh(lab, f"exec unshare -m {lab.may} say {' '.join(addresses)}"))
    assert refused_as(lab, addresses[0]) != str(lab.may)


@pytest.mark.parametrize("uid", [None, USER])
def test_exe_link_exchanged(lab, uid):
    """PR_SET_MM_MAP: /proc/PID/exe says what the program likes. A user without rights does
    it in a user namespace."""
    addresses = pair(68 + (uid is not None))
    mask = lab.program(lab.world.tools / "evade", f"mask-{uid}")

    def masked():
        done = lab.gate.run(mask, "as", lab.may, *addresses, uid=uid)
        if done.rc == 77:
            pytest.skip(f"needs PR_SET_MM_MAP: {done.err}")
        assert done.ok and done.out.strip() == str(lab.may), done
    nothing_then(lab, addresses, masked,
                 lambda: lab.gate.run(lab.may, "say", *addresses, uid=uid))
    assert refused_as(lab, addresses[0]) == str(mask)


@pytest.fixture
def small_disk(lab):
    """A filesystem that gives inode numbers again at once, where clients and daemon see it."""
    image, at = lab.tmp / "disk", lab.tmp / "small"
    at.mkdir()
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    made = lab.outside.run("sh", "-ec", "mkfs.ext4 -q $1; mount -o loop $1 $2; cp $3 $2/first",
                           "sh", image, at, lab.world.tools / "evade")
    if not made.ok:
        pytest.skip(f"needs a loop device with ext4: {made.err}")
    yield at
    assert lab.outside.run("umount", at).ok


def test_reused_inode_number(lab, small_disk):
    """The next file gets the number of the one that was deleted."""
    addresses, first = pair(70), small_disk / "first"
    lab.gate.rule_add(f"allow {first} any")
    arrives(lab, addresses, lambda: say(lab, first, *addresses))
    again = sh(lab, "cd $1; n=$(stat -c %i first); cp first keep; rm first; i=0\n"
               "while [ $i -lt 64 ]; do i=$((i + 1)); cp keep second$i\n"
               "[ $(stat -c %i second$i) = $n ] && echo second$i && exit; done", small_disk,
               place=lab.outside)
    assert again.out.strip(), "the number did not come back"
    second = small_disk / again.out.strip()
    nothing_then(lab, addresses, lambda: say(lab, second, *addresses),
                 lambda: say(lab, lab.may, *addresses))
    assert refused_as(lab, addresses[0]) == str(second)


def test_changed_binary(lab):
    """What was opened for a program is not there for what it was changed into. A rule by
    path goes on for the path: that is who may write the file."""
    addresses = zones.address4(471), zones.address6(471)
    arrives(lab, addresses, lambda: [lab.gate.run(lab.part, "look", zones.name(471)),
                                     say(lab, lab.part, *addresses)])
    with open(lab.part, "ab") as file:
        file.write(b"another program")
    nothing_then(lab, addresses, lambda: say(lab, lab.part, *addresses),
                 lambda: [lab.gate.run(lab.part, "look", zones.name(471)),
                          say(lab, lab.part, *addresses)])


def test_changed_binary_is_another_program(lab):
    """Listed under its path, but with a number of its own."""
    (one, _), (two, _) = pair(72), pair(73)
    say(lab, lab.changed, one)
    with open(lab.changed, "ab") as file:
        file.write(b"another program")
    say(lab, lab.changed, two)
    before, after = (lab.gate.wait_flow(lambda f, a=a: f["address"] == a)["actor"]
                     for a in (one, two))
    assert before["path"] == after["path"] == str(lab.changed)
    assert before["id"] != after["id"]


def test_out_of_the_scope_and_back(lab):
    """Who execs outside is nobody that we saw start: unknown, and judged as the worst."""
    addresses = pair(74)
    go = 'echo 0 >$1; shift; exec "$@"'
    inside, outside = (c / "cgroup.procs" for c in (lab.scope.path, lab.world.outside_cgroup))
    nothing_then(lab, addresses,
                 lambda: sh(lab, go, outside, lab.may, "back", inside, *addresses),
                 lambda: sh(lab, go, inside, lab.may, "back", inside, *addresses))
    assert refused_as(lab, addresses[0]) == "unknown"


def test_many_executables(lab):
    """One user changes and execs a file again and again, to use up the numbers: that user's
    are used up, and nobody else's."""
    four, six = pair(75)
    file = lab.program(lab.world.tools / "evade", "many")
    os.chown(file, USER, USER)
    with lab.capture(to_any([four, six])) as wire:
        storm = lab.gate.start("prlimit", "--nofile=4300", "setpriv",
                               f"--reuid={USER}", "--clear-groups", file, "many", MANY, four)
        storm.wait_out("done", 120)
        assert lab.gate.run(file, "say", six, uid=USER).ok
        assert refused_as(lab, six) == "unknown", "the quota is not used up"
        for uid in None, USER + 1:
            fresh = lab.program(lab.may, f"fresh-{uid}")
            lab.gate.rule_add(f"allow {fresh} {pair(76)[0]}")
            nothing_then(lab, pair(76)[:1],
                         lambda: lab.gate.run(lab.denied, "say", *pair(76), uid=uid),
                         lambda: lab.gate.run(fresh, "say", *pair(76), uid=uid))
        assert not wire.packets()
    storm.stop()
