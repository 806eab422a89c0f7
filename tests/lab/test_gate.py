# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate for TCP: what no approved answer explains is met, heard, decided, and passed on
whole or reset; a name that a program merely claims opens nothing that is not that name's."""

import hashlib

import pytest
from lab import zones
from lab.gate import path_of, refused_beside_control, rule_text
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PYTHON = "/usr/bin/python3"
SHOP = "allow /usr/bin/curl .shop.test"


def tls(host, address, *more, port=443):
    """curl with a name and an address that it did not get from us."""
    at = f"[{address}]" if ":" in address else address
    return ("curl", "-sSkm8", "--resolve", f"{host}:{port}:{at}", *more,
            f"{'https' if port == 443 else 'http'}://{host}:{port}/")


def python(gate, code, *argv):
    return gate.run(PYTHON, "-c", "import socket, ssl, sys, time\n" + code, *argv, timeout=120)


# by address


@pytest.mark.parametrize("address", [zones.address4(201), zones.address6(201)])
def test_an_address_that_a_rule_allows_passes_at_its_first_try(lab, address):
    at = f"[{address}]" if ":" in address else address
    gate = lab.scupperd(rules=f"allow /usr/bin/curl {at}:80/tcp")
    with lab.capture_to(address) as wire:
        first = gate.run("curl", "-sSm30", f"http://{at}/")
        assert first.ok and first.out == "hello\n", first
        assert len(wire.syns()) == 1
    flow = gate.wait_flow(lambda f: f["address"] == address and f["state"] == "done")
    assert path_of(flow) == "/usr/bin/curl" and flow["verdict"] == "allow"
    assert rule_text(flow) == f"allow /usr/bin/curl {at}:80/tcp"
    assert flow["rx"] > 6 and flow["tx"] > 50
    assert len([f for f in gate.flows() if f["address"] == address]) == 1, "one flow, not two"


def test_the_next_connection_to_it_does_not_meet_the_gate(lab):
    gate = lab.scupperd(rules=f"allow /usr/bin/curl {zones.address4(202)}:80/tcp")
    url = f"http://{zones.address4(202)}/"
    with lab.capture_to(zones.address4(202)) as wire:
        def arrives_itself():  # the first does not wait for the element it leaves behind
            done = gate.run("curl", "-sSm30", "-w", "%{local_port}", "-o", lab.tmp / "x", url)
            assert done.ok, done
            return int(done.out) in {p.sport for p in wire.syns()}
        assert not arrives_itself()
        wait_for(arrives_itself, "its own socket to arrive")


@pytest.mark.parametrize("address", [zones.address4(203), zones.address6(203)])
def test_an_address_that_nothing_allows_is_reset_and_nothing_leaves(lab, address):
    at = f"[{address}]" if ":" in address else address
    gate = lab.scupperd(rules="allow /usr/bin/wget any")
    no, _ = refused_beside_control(
        lab, lambda: gate.run("curl", "-sSm300", f"http://{at}/", timeout=400),
        lambda: gate.run("wget", "-T3", "-t1", "-qO-", f"http://{at}/"), address)
    assert no.seconds < 200
    flow = gate.wait_flow(lambda f: f["address"] == address and f["verdict"] == "deny")
    assert path_of(flow) == "/usr/bin/curl" and flow["state"] == "refused"


def test_a_server_that_speaks_first_is_decided_by_address(lab):
    rule = f"allow {PYTHON}* {zones.BANNER4}:2525/tcp"
    gate = lab.scupperd(rules=rule)
    code = ("s = socket.create_connection((sys.argv[1], 2525), 30); s.settimeout(30)\n"
            "print(s.recv(100).decode())")
    met = python(gate, code, zones.BANNER4)
    assert "I speak first" in met.out, met
    gate.write_rules("allow /usr/bin/nobody any")
    with lab.capture_to(zones.BANNER4) as wire:
        wait_for(lambda: not python(gate, code, zones.BANNER4).ok, "the rule to be gone")
        wire.packets()  # of before
        before = len(wire.packets())
        assert not python(gate, code, zones.BANNER4).ok
        assert len(wire.packets()) == before


def test_who_speaks_at_once_is_not_kept_waiting(lab):
    """Twelve connections one after another: none waits for the end of anything."""
    gate = lab.scupperd(default="allow", rules="deny any .ads.example", peek="10s")
    urls = [f"http://{zones.address4(220 + n)}/" for n in range(12)]
    done = gate.run("curl", "-sSm100", *urls)
    assert done.ok and done.out == 12 * "hello\n", done
    assert done.seconds < 60, "half of what twelve times ten seconds are"


# by a name that is claimed


def test_a_claimed_name_counts_where_the_address_is_that_names(lab):
    """The address was never asked for: the gate looks the name up itself."""
    gate = lab.scupperd(rules=SHOP)
    for host, n, port in (("n00210.shop.test", 210, 443), ("n00211.shop.test", 211, 80)):
        got = gate.run(*tls(host, zones.address4(n), port=port))
        assert got.ok and got.out == "hello\n", got
        flow = gate.wait_flow(lambda f, n=n: f["address"] == zones.address4(n))
        assert flow["name"] == host and rule_text(flow) == SHOP
        asked = gate.wait_query(lambda q, host=host: q["name"] == host)
        assert path_of(asked) == "/usr/bin/curl", "the gate's lookup is the program's"


@pytest.mark.parametrize("port", [443, 80])
def test_a_claimed_name_at_anothers_address_goes_to_its_own(lab, port):
    gate = lab.scupperd(rules=SHOP)
    with lab.capture_to(zones.OTHER4) as other, lab.capture_to(zones.address4(212)) as own:
        got = gate.run(*tls("n00212.shop.test", zones.OTHER4, port=port))
        assert not other.packets(), "went where the program dialled, on its word alone"
        assert got.ok and own.syns(), got


def test_no_name_and_an_address_of_nobodys_is_refused(lab):
    gate = lab.scupperd(rules=SHOP)
    with lab.capture_to(zones.OTHER4) as wire:
        assert not gate.run("curl", "-sSkm5", f"https://{zones.OTHER4}/").ok
        assert not gate.run("curl", "-sSm5", f"http://{zones.OTHER4}/").ok
        assert not gate.run("curl", "-sSm5", "-H", "Host:", f"http://{zones.OTHER4}/").ok
        assert not wire.packets()


@pytest.mark.parametrize("port", [443, 80])
def test_a_denied_name_is_denied_at_an_address_that_is_allowed(lab, port):
    """default=allow: a name can only narrow, and it does, though no name was asked for."""
    gate = lab.scupperd(default="allow", rules="deny any .ads.example")
    refused_beside_control(lab, lambda: gate.run(*tls("x.ads.example", zones.WWW4, port=port)),
                           lambda: gate.run(*tls("www.shop.test", zones.WWW4, port=port)),
                           zones.WWW4)
    flow = gate.wait_flow(lambda f: f["verdict"] == "deny")
    assert flow["name"] == "x.ads.example" and rule_text(flow) == "deny any .ads.example"


def test_a_new_rule_against_a_name_is_heard_where_an_address_was_open(lab):
    gate = lab.scupperd(default="allow", rules="allow /usr/bin/nobody any")
    words = tls("x.ads.example", zones.WWW4, port=80)
    assert gate.run(*words).ok and gate.run(*words).ok
    gate.rule_add("deny any .ads.example")
    with lab.capture_to(zones.WWW4) as wire:
        assert not gate.run(*words).ok
        assert not wire.packets()
        assert gate.run(*tls("www.shop.test", zones.WWW4, port=80)).ok


def test_a_denied_name_is_heard_in_single_bytes_and_late(lab):
    """The hello cut to single bytes, a second after the connection, and with padding as of
    post-quantum keys: nothing of it goes before it was heard."""
    gate = lab.scupperd(default="allow", rules="deny any .ads.example")
    code = """
name, wait, cut = sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
c.set_alpn_protocols(["x" * 200] * 10)
t = c.wrap_bio(i, o, server_hostname=name)
try: t.do_handshake()
except ssl.SSLWantReadError: pass
hello = o.read()
s = socket.create_connection((sys.argv[1], 443), 30); s.settimeout(30)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
time.sleep(wait)
for at in range(0, len(hello), cut):
    s.sendall(hello[at:at + cut])
    if cut < 100: time.sleep(.0003)
sys.exit(0 if s.recv(5)[:1] in (b"\\x15", b"\\x16") else 9)  # hello or alert
"""
    for wait, cut in (("0", "1"), ("1", "5000"), ("0.6", "300")):
        yes = python(gate, code, zones.WWW4, "www.shop.test", wait, cut)
        assert yes.ok, yes
        with lab.capture_to(zones.WWW4) as wire:
            no = python(gate, code, zones.WWW4, "x.ads.example", wait, cut)
            assert not no.ok, no
            assert not [p for p in wire.packets() if p.payload], "its hello left"


def test_a_later_request_with_another_host_is_judged_too(lab):
    code = """
import socket, sys
def request(host): s.sendall(f"GET / HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
def answer():
    got = b""
    while not got.endswith(b"hello\\n"):
        more = s.recv(4096)
        if not more: sys.exit("ended")
        got += more
s = socket.create_connection((sys.argv[1], 80), 30); s.settimeout(30)
for host in sys.argv[2:]:
    request(host); answer(); print(host, flush=True)
"""
    copies = [lab.program(PYTHON, f"talker{n}") for n in (1, 2)]
    gate = lab.scupperd(rules="\n".join(f"allow {copy} www.shop.test\n"
                                        f"allow {copy} good-alias.shop.test" for copy in copies))
    both = gate.run(copies[0], "-c", code, zones.WWW4, "www.shop.test", "good-alias.shop.test",
                    "www.shop.test")
    assert both.ok, f"two names of one address on one connection: {both}"
    with lab.capture_to(zones.WWW4) as wire:
        no = gate.run(copies[1], "-c", code, zones.WWW4, "www.shop.test", "www.other.example")
        assert not no.ok and no.out == "www.shop.test\n", no
        assert not [p for p in wire.packets() if b"other.example" in p.payload]
    gate.wait_flow(lambda f: f["address"] == zones.WWW4 and f["verdict"] == "deny")


def test_http_that_two_servers_could_read_differently_does_not_pass(lab):
    gate = lab.scupperd(default="allow", rules="deny any .ads.example")
    code = """
s = socket.create_connection((sys.argv[1], 80), 30); s.settimeout(30)
s.sendall(sys.argv[2].encode().decode("unicode_escape").encode())
print(s.recv(4096).decode())
"""
    for head in (r"GET / HTTP/1.1\r\nHost: www.shop.test\r\nHost: x.ads.example\r\n\r\n",
                 r"GET / HTTP/1.1\r\nHost : x.ads.example\r\n\r\n",
                 r"GET http://x.ads.example/ HTTP/1.1\r\nHost: www.shop.test\r\n\r\n"):
        with lab.capture_to(zones.WWW4) as wire:
            assert not python(gate, code, zones.WWW4, head).ok
            assert not [p for p in wire.packets() if p.payload], head
    assert "hello" in python(gate, code, zones.WWW4,
                             r"GET / HTTP/1.1\r\nHost: www.shop.test\r\n\r\n").out


# bytes


def test_bytes_are_the_same_both_ways_and_each_side_ends_on_its_own(lab):
    """64 MB to an echo of lines while its answers come back; the client ends its side first."""
    gate = lab.scupperd(rules=f"allow {PYTHON}* {zones.ECHO4}:7/tcp")
    code = """
import hashlib, threading
s = socket.create_connection((sys.argv[1], 7), 5)
line = bytes(range(11, 139)) * 500 + b"\\n"
out, back = hashlib.sha256(), hashlib.sha256()
def send():
    for _ in range(1024):
        s.sendall(line); out.update(line)
    s.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
n = 0
while more := s.recv(1 << 16):
    back.update(more); n += len(more)
t.join()
print(n, out.hexdigest() == back.hexdigest())
"""
    done = python(gate, code, zones.ECHO4)
    assert done.out == f"{1024 * 64001} True\n", done
    flow = gate.wait_flow(lambda f: f["port"] == 7 and f["state"] == "done")
    assert flow["tx"] >= 1024 * 64001 and flow["rx"] >= 1024 * 64001


def test_half_a_gigabyte_is_passed_on_whole(lab):
    gate = lab.scupperd(rules=f"allow /usr/bin/curl {zones.WWW4}")
    # the gate meets the first connection only
    done = gate.run("sh", "-c", f"curl -sSm60 http://{zones.WWW4}/fast | sha256sum", timeout=300)
    wanted = hashlib.sha256()
    for _ in range(512):
        wanted.update(bytes(1 << 20))
    assert done.out.split()[0] == wanted.hexdigest(), done


def test_ssh_through_the_gate(lab):
    gate = lab.scupperd(rules=f"allow /usr/bin/ssh {zones.SSH4}:22/tcp")
    key = lab.world.dir / "client_key"
    done = gate.run("sh", "-c", f"head -c 20000000 /dev/urandom > {lab.tmp}/sent; "
                    f"ssh -i {key} -o UserKnownHostsFile={lab.world.dir}/known_hosts "
                    f"root@{zones.SSH4} sha256sum < {lab.tmp}/sent; sha256sum < {lab.tmp}/sent",
                    timeout=300)
    sums = [line.split()[0] for line in done.out.splitlines()]
    assert len(sums) == 2 and sums[0] == sums[1], done


WS = """
def until(end):
    got = b""
    while not got.endswith(end):
        more = s.recv(4096)
        if not more: sys.exit(f"ended after {got}")
        got += more
    return got
s = socket.create_connection((sys.argv[1], 8080), 30); s.settimeout(30)
for request in sys.argv[2:]:
    s.sendall(request.encode().decode("unicode_escape").encode())
    end = b"ok" if request.startswith("GET /no") else b"\\r\\n\\r\\n"
    print(until(end)[9:12].decode(), flush=True)
"""
UPGRADE = r"GET / HTTP/1.1\r\nHost: www.shop.test\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"


def test_a_connection_that_switches_protocols_goes_on(lab):
    gate = lab.scupperd(default="allow", rules="deny any .ads.example")
    code = WS + """
frames = bytes(range(256)) * 100
s.sendall(frames)
got = b""
while len(got) < len(frames): got += s.recv(65536)
print(got == frames)
"""
    assert python(gate, code, zones.ECHO4, UPGRADE).out == "101\nTrue\n"


def test_asking_to_switch_does_not_end_the_judging(lab):
    """The server goes on with HTTP: so does the gate, whatever the client asked for."""
    gate = lab.scupperd(default="allow", rules="deny any .ads.example")
    refused = UPGRADE.replace("GET /", "GET /no")
    with lab.capture_to(zones.ECHO4) as wire:
        no = python(gate, WS, zones.ECHO4, refused,
                    r"GET /no HTTP/1.1\r\nHost: x.ads.example\r\n\r\n")
        assert not no.ok and no.out == "200\n", no
        assert not [p for p in wire.packets() if b"ads.example" in p.payload]


def test_a_client_or_a_server_that_says_nothing(lab):
    """Held open as long as they like, by address; nothing of them stays when they are gone."""
    gate = lab.scupperd(rules=f"allow {PYTHON}* {zones.ECHO4}:9/tcp")
    code = "s = socket.create_connection((sys.argv[1], 9), 5); print('in', flush=True)\n" \
           "s.settimeout(60); s.recv(1)"
    quiet = [gate.start(PYTHON, "-c", "import socket, sys\n" + code, zones.ECHO4)
             for _ in range(3)]
    gate.wait_flow(lambda f: f["port"] == 9 and f["state"] == "live")
    for one in quiet:
        one.stop()
    wait_for(lambda: not [f for f in gate.flows() if f["state"] == "live"], "their ends")


def test_a_removed_rule_ends_what_the_gate_passes_on(lab):
    gate = lab.scupperd()
    number = gate.rule_add(f"allow /usr/bin/curl {zones.WWW4}:80/tcp")
    got = lab.tmp / "got"
    curl = gate.start("curl", "-sS", "-o", got, f"http://{zones.WWW4}/slow")
    wait_for(lambda: got.exists() and got.stat().st_size, "the download to begin")
    gate.rule_rm(number)
    wait_for(lambda: not curl.running, "the download to be ended")
    flow = gate.wait_flow(lambda f: f["address"] == zones.WWW4)
    assert flow["state"] == "done" and flow["reason"] == "rule-removed"


# its own safety


def test_nobody_talks_to_the_gate_itself_or_takes_its_port(lab):
    gate = lab.scupperd(rules="allow any any")
    listed = lab.outside.run("ss", "-Hltn", "src", "127.0.0.153").out.split()
    port = next(int(word.rsplit(":", 1)[1]) for word in listed
                if word.startswith("127.0.0.153:") and not word.endswith(":53"))
    code = "socket.create_connection(('127.0.0.153', int(sys.argv[1])), 3)"
    assert not python(gate, code, str(port)).ok
    code = "s = socket.socket(); s.bind((sys.argv[2], int(sys.argv[1])))"
    for at in ("127.0.0.153", "0.0.0.0"):
        no = python(gate, code, str(port), at)
        assert not no.ok and ("PermissionError" in no.err or "in use" in no.err), no
