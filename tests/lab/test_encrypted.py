# SPDX-License-Identifier: GPL-2.0-or-later
"""tls:// and https:// upstreams, against unbound with certificates of a CA of its own."""

import pytest
from lab import zones
from lab.process import sh, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
PORTS = {"tls": 853, "https": 8443}
SERVER, EXPIRED, NAME = "198.18.0.70", "198.18.0.71", "dns.lab.test"
STUB, KDIG = "@127.0.0.53", "allow /usr/bin/kdig any"

CONF = """server:
  chroot: ""
  username: ""
  directory: "{dir}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: {server}@853
  interface: {server}@8443
  tls-port: 853
  https-port: 8443
  tls-service-key: "{dir}/server.key"
  tls-service-pem: "{dir}/server.pem"
  access-control: 0.0.0.0/0 allow
  do-ip6: no
  num-threads: 1
  cache-max-ttl: 0
  module-config: "iterator"
  local-zone: "test." nodefault
forward-zone:
  name: "."
  forward-addr: {far}
forward-zone:
  name: "slow.shop.test"
  forward-addr: {slow}
remote-control:
  control-enable: no
"""


def certificate(d, ca, server, days, name=NAME):
    """server.pem: for the name and the server's address."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    d.mkdir()
    (d / "names").write_text(f"subjectAltName=DNS:{name},IP:{server}\n")
    if not ca.exists():
        sh("openssl", "req", "-x509", *curve, "-keyout", f"{ca}.key", "-out", ca, "-days", "3",
           "-subj", "/CN=dns lab", "-addext", "basicConstraints=critical,CA:TRUE")
    sh("openssl", "req", *curve, "-keyout", d / "server.key", "-out", d / "server.csr",
       "-subj", f"/CN={name}")
    sh("openssl", "x509", "-req", "-in", d / "server.csr", "-CA", ca, "-CAkey", f"{ca}.key",
       "-CAcreateserial", "-out", d / "server.pem", "-days", days, "-extfile", d / "names")


class Unbound:
    def __init__(self, lab, ca, server, days="3", name=NAME):
        self.lab, self.server, self.dir = lab, server, lab.tmp / f"unbound-{server}"
        certificate(self.dir, ca, server, days, name)
        (self.dir / "unbound.conf").write_text(CONF.format(
            dir=self.dir, server=server, far=zones.DNS4, slow=zones.DNS4_SLOW))
        self.start()

    def start(self):
        self.process = self.lab.far.start("/usr/sbin/unbound", "-d", "-c",
                                          self.dir / "unbound.conf")
        wait_for(lambda: self.lab.far.run("ss", "-Hltn", f"src {self.server}").out.count("\n")
                 >= 2 or not self.process.running, "unbound to listen", 60)
        assert self.process.running, self.process.err

    def stop(self):
        self.process.stop()


@pytest.fixture
def ca(lab):
    return lab.tmp / "ca.pem"


@pytest.fixture
def unbound(lab, ca):
    server = Unbound(lab, ca, SERVER)
    yield server
    server.stop()


def ask(gate, name, *more):
    return gate.run("kdig", "+time=20", "+retry=0", *more, STUB, name)


def state(gate, n=0):
    return gate.status()["upstreams"][n]


@pytest.mark.parametrize("upstream,port", [
    (f"tls://{SERVER}#{NAME}", 853), (f"tls://{SERVER}", 853),
    (f"https://{NAME}:8443/dns-query#{SERVER}", 8443), (f"https://{SERVER}:8443/dns-query", 8443)])
def test_answers_and_nothing_in_clear(lab, ca, unbound, upstream, port):
    gate = lab.scupperd(rules=KDIG, upstream=upstream, tls_ca=ca)
    with lab.capture("src host 10.53.0.1 and (port 53 or port 853 or port 8443)") as wire:
        for n in range(1, 6):
            answer = ask(gate, zones.name(n))
            assert answer.status == "NOERROR" and zones.address4(n) in answer.out, answer
        sent, syns = wire.packets(), wire.syns()
    assert sent and {p.dport for p in sent} == {port}, [str(p) for p in sent]
    assert len(syns) == 1, "one connection for all"
    assert state(gate)["why"] is None and state(gate)["failed"] == 0


def test_a_route_may_be_encrypted(lab, ca, unbound):
    gate = lab.scupperd(rules=KDIG, route=f"shop.test=tls://{SERVER}#{NAME}", tls_ca=ca)
    with lab.capture("src host 10.53.0.1 and (port 53 or port 853)") as wire:
        answer = ask(gate, zones.name(1))
        assert answer.status == "NOERROR" and zones.address4(1) in answer.out, answer
        assert {p.dport for p in wire.packets()} == {853}


@pytest.mark.parametrize("scheme", ["tls", "https"])
def test_a_certificate_that_does_not_hold(lab, ca, unbound, scheme):
    expired = Unbound(lab, ca, EXPIRED, days="0")
    port = PORTS[scheme]
    other = ca.with_name("other.pem")
    certificate(lab.tmp / "other", other, SERVER, "3")
    try:
        for upstream, trusted, why in (
                (f"{scheme}://{SERVER}:{port}#other.test", ca, "does not match"),
                (f"{scheme}://{EXPIRED}:{port}#{NAME}", ca, "expired"),
                (f"{scheme}://{SERVER}:{port}#{NAME}", other, "certificate"),
                (f"{scheme}://{SERVER}:{port}#{NAME}", None, "certificate")):
            gate = lab.scupperd(rules=KDIG, upstream=upstream,
                                **({"tls_ca": trusted} if trusted else {}))
            answer = ask(gate, "www.shop.test", "+edns")
            assert answer.status == "SERVFAIL", (upstream, answer)
            said = state(gate)["why"] or ""
            assert why in said or "match" in said and why == "does not match", (upstream, said)
            assert said in gate.cli("status").out
            gate.stop()
            gate.clean_up()
    finally:
        expired.stop()


@pytest.mark.parametrize("scheme", ["tls", "https"])
def test_a_connection_that_breaks(lab, ca, unbound, scheme):
    gate = lab.scupperd(rules=KDIG, upstream=f"{scheme}://{SERVER}:{PORTS[scheme]}#{NAME}", tls_ca=ca)
    assert ask(gate, "www.shop.test").status == "NOERROR"
    killed = lab.far.run("ss", "-HKtn", "src", f"{SERVER}:{PORTS[scheme]}")
    assert SERVER in killed.out, killed
    assert ask(gate, zones.name(1)).status == "NOERROR"
    unbound.stop()
    unbound.start()
    assert ask(gate, zones.name(2)).status == "NOERROR"


@pytest.mark.parametrize("scheme", ["tls", "https"])
def test_a_connection_that_breaks_under_a_query(lab, ca, unbound, scheme):
    gate = lab.scupperd(rules=KDIG, upstream=f"{scheme}://{SERVER}:{PORTS[scheme]}#{NAME}",
                        tls_ca=ca)
    assert ask(gate, "www.shop.test").status == "NOERROR"
    asking = gate.start("kdig", "+time=20", "+retry=0", STUB, "a.slow.shop.test")
    wait_for(lambda: state(gate)["sent"] == 2, "the query to be sent")
    killed = lab.far.run("ss", "-HKtn", "src", f"{SERVER}:{PORTS[scheme]}")
    assert SERVER in killed.out, killed
    wait_for(lambda: not asking.running, "the answer")
    assert zones.WWW4 in asking.out and state(gate)["failed"] == 0, asking.out


def test_the_fallback(lab, ca, unbound):
    """In clear, but only while nobody else can be reached."""
    gate = lab.scupperd(rules=KDIG, upstream=f"tls://{SERVER}#{NAME}", fallback=zones.DNS4,
                        tls_ca=ca)
    assert ask(gate, "www.shop.test").status == "NOERROR"
    assert not lab.dns.asked()
    unbound.stop()
    assert ask(gate, zones.name(1)).status == "NOERROR"
    assert zones.name(1) in lab.dns.queries()
    assert "(fallback)" in gate.cli("status").out


def test_a_race(lab, ca, unbound):
    dead = f"tls://{zones.DNS4_DEAD}#{NAME}"
    gate = lab.scupperd(rules=KDIG, upstream=[dead, f"tls://{SERVER}#{NAME}"], tls_ca=ca,
                        upstream_policy="race")
    assert ask(gate, zones.name(1)).status == "NOERROR"
    assert state(gate, 1)["sent"] == 1


def test_a_server_known_by_name(lab, ca):
    """The bootstrap server is asked for its address, and for nothing else."""
    name = zones.name(5)
    server = Unbound(lab, ca, zones.address4(5), name=name)
    gate = lab.scupperd(rules=KDIG, upstream="tls://" + name, bootstrap=zones.DNS4, tls_ca=ca)
    answer = ask(gate, "www.shop.test")
    assert answer.status == "NOERROR", (answer, gate.status()["upstreams"])
    assert set(lab.dns.queries()) == {name}
    server.stop()


def test_a_guarded_program_is_not_us(lab, ca, unbound):
    """The server's address and port are no way out for others, nor is theirs bent to us."""
    gate = lab.scupperd(rules=KDIG, upstream=f"tls://{SERVER}#{NAME}", tls_ca=ca)
    assert ask(gate, "www.shop.test").status == "NOERROR"
    with lab.capture(f"dst host {SERVER}") as wire:
        for port in "853", "8443":
            assert not gate.run(lab.talk, "tcp", SERVER, port, "x").ok
        assert not wire.syns()


@pytest.mark.parametrize("conf,says", [
    ({"upstream": ["tls://192.0.2.1", "192.0.2.2"]}, "fallback="),
    ({"upstream": "tls://dns.example"}, "bootstrap="),
    ({"upstream": "tls://192.0.2.1", "tls-ca": "/nowhere/ca.pem"}, "tls-ca="),
    ({"upstream": [], "fallback": "192.0.2.1"}, "fallback= without")])
def test_what_is_refused_at_start(lab, conf, says):
    gate = lab.scupperd(expect_ready=False, **{k.replace("-", "_"): v for k, v in conf.items()})
    wait_for(lambda: says in gate.log, says, 60)
    gate.daemon.wait()
