# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate with the clients that people use, and with very many at once. No answer of ours
explains their connections: they have the address from a hosts file, as a program that
remembers it has; what they say at first is all that tells the gate where they go."""

import base64
import hashlib
import json
import os
import pathlib
import shutil

import pytest
from lab import wares, zones
from lab.gate import path_of, rule_text
from lab.process import sh, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PYTHON = "/usr/bin/python3"
METHOD = "/usr/lib/apt/methods/http"  # https is a link to it
WARES4 = "198.18.40.1"
EVIL4 = "198.18.40.6"


def needs(*programs):
    lacks = [p for p in programs if not shutil.which(p)]
    if lacks:
        pytest.skip(f"needs {' '.join(lacks)}")


@pytest.fixture
def hosts(world):
    """Adds to the hosts file of clients (and of the daemon) for the length of a story."""
    file = world.tmp / "etc/hosts"
    before = file.read_text()

    def add(**names):
        with open(file, "a", encoding="ascii") as out:
            for name, address in names.items():
                out.write(f"{address} {name.replace('_', '.')}\n")
    yield add
    with open(file, "r+", encoding="ascii") as out:  # in place: it is mounted over another
        out.truncate(out.write(before))


@pytest.fixture
def served(world):
    """A directory below the far nginx's files."""
    made = world.dir / "www/wares"
    made.mkdir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def far_wares(lab, world):
    """wares.py at WARES4."""
    (world.dir / "git").mkdir()
    server = lab.far.start(PYTHON, wares.__file__, WARES4, world.dir)
    server.wait_out("ready")
    yield world.dir / "git"
    server.stop()
    shutil.rmtree(world.dir / "git")


def heard(gate, name, path, rule):
    """No query of the program's brought it there: the gate heard the name."""
    flow = gate.wait_flow(lambda f: f["name"] == name and f["state"] == "done")
    assert path_of(flow) == path and rule_text(flow) == rule, flow
    assert flow["actor"]["how"] == "kernel" and flow["rx"] and flow["tx"], flow
    return flow


def refused(lab, *words, env=None):
    """The same client to a name that nothing allows: nothing of it leaves."""
    with lab.capture_to(EVIL4) as wire:
        no = lab.inside.run(*words, env=env, timeout=300)
        assert not no.ok, no
        assert not wire.packets(), [str(p) for p in wire.packets()]


def test_curl(lab, hosts, served):
    rule = "allow /usr/bin/curl files.shop.test"
    hosts(files_shop_test="198.18.40.2", evil_shop_test=EVIL4)
    sent = os.urandom(20 << 20)
    (served / "file").write_bytes(sent)
    gate = lab.scupperd(rules=rule)
    got = lab.tmp / "got"
    done = gate.run("curl", "-sSm30", "-o", got, "https://files.shop.test/wares/file")
    assert done.ok, done
    assert hashlib.sha256(got.read_bytes()).digest() == hashlib.sha256(sent).digest()
    assert heard(gate, "files.shop.test", "/usr/bin/curl", rule)["rx"] > len(sent)
    refused(lab, "curl", "-sSm5", "https://evil.shop.test/wares/file")


def test_git_over_https(lab, hosts, far_wares):
    needs("git")
    rule = "allow /usr/lib/git-core/git-remote-http git.shop.test"
    hosts(git_shop_test=WARES4, evil_shop_test=EVIL4)
    sh("git", "init", "-q", "--bare", "-b", "main", f"{far_wares}/repo.git")
    sh("git", "-C", f"{far_wares}/repo.git", "config", "http.receivepack", "true")
    gate = lab.scupperd(rules=rule)
    env = {"HOME": str(lab.tmp), "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "l",
           "GIT_AUTHOR_EMAIL": "l@shop.test", "GIT_COMMITTER_NAME": "l",
           "GIT_COMMITTER_EMAIL": "l@shop.test"}

    def git(*words, at=lab.tmp):
        done = gate.run("git", "-C", at, *words, env=env, timeout=300)
        assert done.ok, done
        return done.out.strip()
    git("clone", "-q", "https://git.shop.test:8443/repo.git", "one")
    (lab.tmp / "one/file").write_bytes(os.urandom(5 << 20))
    git("add", "file", at=lab.tmp / "one")
    git("commit", "-qm", "a file", at=lab.tmp / "one")
    git("-c", "http.postBuffer=50000000", "push", "-q", "origin", "HEAD:main",
        at=lab.tmp / "one")
    git("clone", "-q", "https://git.shop.test:8443/repo.git", "two")
    assert (lab.tmp / "two/file").read_bytes() == (lab.tmp / "one/file").read_bytes()
    git("fsck", "--full", at=lab.tmp / "two")
    heard(gate, "git.shop.test", "/usr/lib/git-core/git-remote-http", rule)
    refused(lab, "git", "ls-remote", "https://evil.shop.test:8443/repo.git", env=env)


def repository(at):
    """An apt repository with one package; returns the package's file."""
    tree = at / "tree/DEBIAN"
    tree.mkdir(parents=True)
    (tree / "control").write_text("Package: ware\nVersion: 1\nArchitecture: all\n"
                                  "Maintainer: lab <lab@shop.test>\nDescription: a ware\n")
    (at / "tree/payload").write_bytes(os.urandom(1 << 20))
    sh("dpkg-deb", "-b", str(at / "tree"), str(at / "ware.deb"))
    deb = (at / "ware.deb").read_bytes()
    control = (tree / "control").read_text()
    packages = (f"{control}Filename: ./ware.deb\nSize: {len(deb)}\n"
                f"SHA256: {hashlib.sha256(deb).hexdigest()}\n").encode()
    (at / "Packages").write_bytes(packages)
    (at / "Release").write_text(f"SHA256:\n {hashlib.sha256(packages).hexdigest()} "
                                f"{len(packages)} Packages\n")
    return deb


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_apt(lab, hosts, served, scheme):
    needs("apt-get", "dpkg-deb")
    rule = f"allow {METHOD} apt.shop.test"
    hosts(apt_shop_test="198.18.40.3", evil_shop_test=EVIL4)
    deb = repository(served)
    gate = lab.scupperd(rules=rule)
    (lab.tmp / "lists/partial").mkdir(parents=True)
    (lab.tmp / "cache/archives/partial").mkdir(parents=True)
    (lab.tmp / "status").write_text("")

    def apt(host, *words):
        (lab.tmp / "list").write_text(f"deb [trusted=yes] {scheme}://{host}/wares ./\n")
        return ("apt-get", "-qq", "-o", f"Dir::State={lab.tmp}", "-o",
                f"Dir::State::status={lab.tmp}/status", "-o", f"Dir::Cache={lab.tmp}/cache",
                "-o", f"Dir::Etc::sourcelist={lab.tmp}/list", "-o", "Dir::Etc::sourceparts=-",
                "-o", "Dir::Etc::preferencesparts=-", "-o", "APT::Sandbox::User=root", "-o",
                "Acquire::Retries=0", "-o", "Acquire::Languages=none", "-o",
                f"Acquire::{scheme}::Proxy=DIRECT", *words)
    for words in ("update", "--error-on=any"), ("install", "-y", "--download-only", "ware"):
        done = gate.run(*apt("apt.shop.test", *words), timeout=300)
        assert done.ok, done
    got = list((lab.tmp / "cache/archives").glob("ware*.deb"))
    assert [f.read_bytes() == deb for f in got] == [True]
    heard(gate, "apt.shop.test", METHOD, rule)
    refused(lab, *apt("evil.shop.test", "update", "--error-on=any"))


def registry(at, base):
    """An npm registry with one package."""
    (at / "package").mkdir()
    (at / "package/package.json").write_text(json.dumps(
        {"name": "ware", "version": "1.0.0", "main": "payload"}))
    (at / "package/payload").write_bytes(os.urandom(1 << 20))
    sh("tar", "-C", str(at), "-czf", str(at / "ware.tgz"), "package")
    sum512 = hashlib.sha512((at / "ware.tgz").read_bytes()).digest()
    version = {"name": "ware", "version": "1.0.0", "dist": {
        "tarball": f"{base}/ware.tgz",
        "integrity": f"sha512-{base64.b64encode(sum512).decode()}"}}
    (at / "ware").write_text(json.dumps({"name": "ware", "dist-tags": {"latest": "1.0.0"},
                                         "versions": {"1.0.0": version}}))


def test_npm(lab, hosts, served):
    needs("npm")
    node = str(pathlib.Path(shutil.which("node")).resolve())
    rule = f"allow {node} npm.shop.test"
    hosts(npm_shop_test="198.18.40.4", evil_shop_test=EVIL4)
    registry(served, "https://npm.shop.test/wares")
    gate = lab.scupperd(rules=rule)
    env = {"HOME": str(lab.tmp), "NODE_EXTRA_CA_CERTS": str(lab.world.dir / "ca.pem"),
           "npm_config_fetch_retries": "0", "npm_config_update_notifier": "false",
           "npm_config_audit": "false"}
    (lab.tmp / "package.json").write_text('{"name": "lab", "version": "1.0.0"}')

    def npm(host):
        return ("npm", "--prefix", lab.tmp, "--cache", lab.tmp / host, "--registry",
                f"https://{host}/wares/", "install", "ware")
    done = gate.run(*npm("npm.shop.test"), env=env, timeout=300)
    assert done.ok, done
    assert (lab.tmp / "node_modules/ware/payload").read_bytes() == \
        (served / "package/payload").read_bytes()
    heard(gate, "npm.shop.test", node, rule)
    shutil.rmtree(lab.tmp / "node_modules")
    (lab.tmp / "package-lock.json").unlink()
    refused(lab, *npm("evil.shop.test"), env=env)


def test_a_websocket_stays_open_beside_a_gigabyte(lab, hosts, far_wares):
    if not shutil.which("openssl") or not has_websockets():
        pytest.skip("needs openssl and python3-websockets")
    rule = f"allow {PYTHON}* ws.shop.test"
    hosts(ws_shop_test=WARES4, big_shop_test=WARES4)
    gate = lab.scupperd(rules=f"{rule}\nallow /usr/bin/curl big.shop.test")
    code = """
import asyncio, sys, websockets
async def main():
    loop = asyncio.get_running_loop()
    async with websockets.connect("wss://ws.shop.test:8444", max_size=None) as ws:
        for n in range(3):
            print("open", n, flush=True)
            await loop.run_in_executor(None, sys.stdin.readline)
            sent = bytes(range(256)) * (1 + 4096 * n)
            await ws.send(sent)
            assert await ws.recv() == sent
asyncio.run(main())
print("closed", flush=True)
"""
    ws = gate.start(PYTHON, "-c", code)
    ws.wait_out("open 0")
    ws.say("")
    ws.wait_out("open 1")
    wanted = lab.far.start("sh", "-c", f"{wares.STREAM} | openssl sha256 -r")
    done = gate.run("sh", "-c", "curl -sSm100 https://big.shop.test:8443/stream | "
                    "openssl sha256 -r", timeout=300)
    assert done.ok and done.out == wanted.wait(300).out, done
    for line in "open 2", "closed":
        ws.say("")
        ws.wait_out(line)
    assert ws.wait().ok
    flow = heard(gate, "big.shop.test", "/usr/bin/curl", "allow /usr/bin/curl big.shop.test")
    assert flow["rx"] > 1 << 30
    heard(gate, "ws.shop.test", str(pathlib.Path(PYTHON).resolve()), rule)
    assert len([f for f in gate.flows() if f["port"] in (8443, 8444)]) == 2


def has_websockets():
    return bool(list(pathlib.Path("/usr/lib/python3/dist-packages").glob("websockets")))


def test_what_the_gate_passed_on_ends_with_its_core_and_is_told(lab):
    """The next core says of it that it ended, with what was counted, whose it was and why."""
    rule = f"allow /usr/bin/curl {zones.WWW4}:80/tcp"
    gate = lab.scupperd(rules=rule)
    got = lab.tmp / "got"
    curl = gate.start("curl", "-sS", "-o", got, f"http://{zones.WWW4}/slow")
    live = gate.wait_flow(lambda f: f["state"] == "live" and f["rx"] > 10000, "it")
    gate.kill_core()
    assert not curl.wait().ok, "it went on without the gate"
    done = gate.wait_flow(lambda f: f["state"] == "done", "its end")
    assert [f["id"] for f in gate.flows()] == [live["id"]], "one connection, one flow"
    for key in "start", "actor", "address", "rule":
        assert done[key] == live[key], key
    assert done["end"] and done["rx"] >= live["rx"]
    wait_for(lambda: [(h["state"], bool(h["end"])) for h in gate.items("history")] ==
             [("done", True)], "the history to say so")
    assert gate.run("curl", "-sSm60", f"http://{zones.WWW4}/").ok


MANY = """
import hashlib, os, resource, select, socket, struct, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
COUNT, FIRST = int(sys.argv[1]), int(sys.argv[4])
poll = select.epoll()
class One:
    def __init__(self, n):
        self.n, self.kind, self.got, self.done = n, n % 5, b"", False
        self.say = (b"%d " % n) * (1 + n % 700) + b"\\n"
        self.s = socket.socket()
        self.s.setblocking(False)
        port = int(sys.argv[3 if self.kind == 3 else 2])
        self.s.connect_ex((f"198.18.{FIRST + n // 250}.{1 + n % 250}", port))
        poll.register(self.s, select.EPOLLOUT)
many = [One(n) for n in range(COUNT)]
at = {one.s.fileno(): one for one in many}
def until(what, turn):
    # each gives turn() its events until it says it is done
    left = {one.s.fileno() for one in what}
    while left:
        events = poll.poll(60)
        if not events: sys.exit(f"nothing for a minute, {len(left)} to go")
        for fd, event in events:
            if fd in left and turn(at[fd], event):
                left.discard(fd)
                poll.modify(fd, 0)
def connected(one, event):
    error = one.s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error: sys.exit(f"{one.n}: {os.strerror(error)}")
    return True
def answered(one, event):
    one.got += one.s.recv(65536)
    return one.got == one.say
def ended(one, event):
    return one.s.recv(65536) == b""
until(many, connected)
print("all", flush=True)
sys.stdin.readline()
talk = [one for one in many if one.kind in (0, 1, 4)]
for one in talk:
    one.s.sendall(one.say)
    if one.kind == 1: one.s.shutdown(socket.SHUT_WR)  # it ends first, the answer still comes
    poll.modify(one.s, select.EPOLLIN)
until(talk, answered)
half = [one for one in many if one.kind == 1]
for one in half: poll.modify(one.s, select.EPOLLIN)
until(half, ended)
for one in many:
    if one.kind == 4:
        one.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.s.close()
print("equal", flush=True)
"""


def test_five_thousand_at_once_leave_nothing(lab):
    """Met all at once and held open all at once: a fifth each speaks and is answered, ends its
    side first, never says a thing, has a server that never does, or ends by a reset."""
    gate = lab.scupperd(rules=f"allow {PYTHON}* 198.18.0.0/16:{zones.ECHO_PORT}/tcp\n"
                              f"allow {PYTHON}* 198.18.0.0/16:{zones.SILENT_PORT}/tcp")
    core = pathlib.Path(f"/proc/{gate.core}")

    def fds():
        return len(list((core / "fd").iterdir()))

    def kilobytes():
        lines = (core / "smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    before, held = fds(), []
    for first, n in (100, 5000), (130, 1500):  # what was met before need not be met again
        many = gate.start(PYTHON, "-c", MANY, n, zones.ECHO_PORT,
                          zones.SILENT_PORT, first)
        many.wait_out("all", 120)
        wait_for(lambda: fds() >= before + 2 * n, "all of them at the gate and beyond", 120)
        many.say("")
        done = many.wait(300)
        assert done.out == "all\nequal\n", done
        wait_for(lambda: fds() <= before + 128, "its descriptors to be given back")
        held.append(kilobytes())
    if "asan" not in (core / "maps").read_text():  # it keeps what was freed
        # of each, that it may pass is remembered: half a kilobyte
        assert held[1] <= held[0] + 2000, f"memory stays behind: {held} kB"
