# SPDX-License-Identifier: GPL-2.0-or-later
"""dnssec= and upstream=recursive, against a signed tree: the root, test., good.test. and
plain.test. (not signed), bad.test. (signed by another key than its parent says)."""

import pytest
from lab import zones
from lab.process import sh, wait_for

pytestmark = pytest.mark.usefixtures("bpf")
ROOT, HINT = "198.18.0.60", "198.18.0.61"
STUB, KDIG = "@127.0.0.53", "allow /usr/bin/kdig .test"
SIGNED = (".", "test.", "good.test.", "bad.test.")

CONF = """server:
    rundir: {dir}
    listen: {root}@53
database:
    storage: {dir}
log:
  - target: stderr
    any: warning
policy:
  - id: lab
    algorithm: ecdsap256sha256
    single-type-signing: on
    manual: on
template:
  - id: default
    storage: {dir}
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    dnssec-policy: lab
zone:
"""
SIGN = """  - domain: {zone}
    file: "{zone}zone"
    dnssec-signing: {signed}
"""


def soa(zone):
    dot = "" if zone == "." else zone
    return (f"$ORIGIN {zone}\n$TTL 60\n@ IN SOA ns.{dot} host.{dot} 1 3600 600 86400 10\n"
            f"@ IN NS ns.{dot}\nns.{dot} IN A {ROOT}\n")


def records(ds):
    """Each zone's file; ds gives a zone's DS record as its keys say."""
    glue = "".join(f"{z} IN NS ns.{z}\nns.{z} IN A {ROOT}\n"
                   for z in ("good.test.", "bad.test.", "plain.test."))
    forged = ds("good.test.").replace("good.test.", "bad.test.")
    return {
        ".": soa(".") + f"test. IN NS ns.test.\nns.test. IN A {ROOT}\n{ds('test.')}",
        "test.": soa("test.") + glue + ds("good.test.") + forged,
        "good.test.": soa("good.test.") + f"www IN A {zones.WWW4}\n"
                                          "alias IN CNAME www.plain.test.\n",
        "bad.test.": soa("bad.test.") + f"www IN A {zones.WWW4}\n",
        "plain.test.": soa("plain.test.") + f"www IN A {zones.WWW4}\n",
    }


@pytest.fixture
def tree(lab):
    """Starts the signed tree on the far side; gives the file of the root's keys."""
    d = lab.tmp / "tree"
    d.mkdir()
    conf = d / "knot.conf"
    conf.write_text(CONF.format(dir=d, root=ROOT) + "".join(
        SIGN.format(zone=z, signed="on" if z in SIGNED else "off")
        for z in (*SIGNED, "plain.test.")))

    def keys(*args):
        return sh("keymgr", "-c", conf, *args)
    for zone in SIGNED:
        keys(zone, "generate", "algorithm=13", "ksk=yes", "zsk=yes")

    def ds(zone):
        return [line for line in keys(zone, "ds").splitlines() if " 13 2 " in line][0] + "\n"
    for zone, text in records(ds).items():
        (d / f"{zone}zone").write_text(text)
    anchor = lab.tmp / "root.key"
    anchor.write_text(keys(".", "dnskey"))
    hints = lab.tmp / "root.hints"
    hints.write_text(f". 3600000 NS ns.\nns. 3600000 A {ROOT}\n")
    knot = lab.far.start("knotd", "-c", conf)
    wait_for(lambda: lab.outside.run("kdig", "+dnssec", "+retry=0", "+time=1", f"@{ROOT}",
                                     "www.good.test").out.count("RRSIG") > 0 or not knot.running,
             "the signed tree to answer")
    assert knot.running, knot.err
    yield anchor, hints
    knot.stop()


def flags(answer):
    return answer.out.split("Flags:")[1].split(";")[0].split()


def ask(gate, *what):
    return gate.run("kdig", STUB, "+retry=0", "+time=20", *what)


def check_proofs(gate):
    """What a validating resolver says of the tree."""
    good = ask(gate, "+dnssec", "www.good.test")
    assert good.status == "NOERROR" and "ad" in flags(good) and "RRSIG" in good.out, good
    bare = ask(gate, "+noadflag", "www.good.test")
    assert zones.WWW4 in bare.out and "ad" not in flags(bare) and "RRSIG" not in bare.out
    assert "ad" in flags(ask(gate, "+adflag", "www.good.test"))
    none = ask(gate, "+dnssec", "nothing.good.test")
    assert none.status == "NXDOMAIN" and "ad" in flags(none) and "NSEC" in none.out, none
    assert "NSEC" not in ask(gate, "nothing.good.test").out
    plain = ask(gate, "+dnssec", "www.plain.test")
    assert zones.WWW4 in plain.out and "ad" not in flags(plain), plain
    alias = ask(gate, "+dnssec", "alias.good.test")
    assert zones.WWW4 in alias.out and "ad" not in flags(alias), alias
    bad = ask(gate, "+dnssec", "www.bad.test")
    assert bad.status == "SERVFAIL" and zones.WWW4 not in bad.out, bad
    assert "EDE: 6" in bad.out or "EDE: 9" in bad.out or "EDE: 10" in bad.out, bad
    careless = ask(gate, "+cdflag", "www.bad.test")
    assert careless.status == "NOERROR" and zones.WWW4 in careless.out, careless
    assert ask(gate, "www.bad.test").status == "SERVFAIL"
    denied = ask(gate, "www.ads.example")
    assert denied.status == "NXDOMAIN", denied


def test_validate_by_upstreams(lab, tree):
    anchor, _ = tree
    gate = lab.scupperd(rules=KDIG, upstream=ROOT, dnssec="validate", trust_anchor=anchor)
    check_proofs(gate)
    # the way from libunbound to the upstreams answers nobody else
    core = gate.core
    sockets = gate.world.daemon.run("ss", "-Huanp").out
    port = [line.split()[3].rsplit(":", 1)[1] for line in sockets.splitlines()
            if f"pid={core}," in line and "127.0.0.1:" in line]
    assert len(port) == 1, sockets
    with lab.capture(f"host {ROOT} and port 53") as wire:
        for place in (gate, lab.outside):
            asked = place.run("kdig", "@127.0.0.1", "-p", port[0], "+retry=0", "+time=1",
                              "leak.good.test")
            assert not asked.status, asked
        assert not wire.packets()


def test_recursive_from_the_root(lab, tree):
    anchor, hints = tree
    gate = lab.scupperd(rules=KDIG, upstream="recursive", dnssec="validate",
                        trust_anchor=anchor, root_hints=hints)
    with lab.capture(f"port 53 and not host {ROOT} and not net 127.0.0.0/8") as wire:
        check_proofs(gate)
        assert not wire.packets()
    assert gate.run("curl", "-4sSm10", "http://www.good.test/").rc != 0
    gate.write_rules(KDIG + "\nallow /usr/bin/curl www.good.test:80")
    gate.reload()
    wait_for(lambda: gate.run("curl", "-4sSm10", "http://www.good.test/").ok,
             "curl to be let to a name found from the root")


def test_the_servers_word(lab, tree):
    """trust-ad: what the upstream proved (another scupperd's word is as good), off: nobody's."""
    anchor, _ = tree
    for dnssec, ad in (("trust-ad", True), ("off", False)):
        gate = lab.scupperd(rules=KDIG, upstream=HINT, dnssec=dnssec)
        prover = lab.far.start("unbound", "-d", "-p", "-c", unbound(lab, anchor))
        wait_for(lambda: lab.outside.run("kdig", f"@{HINT}", "+time=1", "+retry=0",
                                         "www.good.test").status == "NOERROR",
                 "unbound to answer")
        answer = ask(gate, "+adflag", "www.good.test")
        assert ("ad" in flags(answer)) == ad, answer
        prover.stop()
        gate.stop()


def unbound(lab, anchor):
    conf = lab.tmp / "unbound.conf"
    conf.write_text(f"""server:
  interface: {HINT}
  access-control: 0.0.0.0/0 allow
  chroot: ""
  username: ""
  directory: "{lab.tmp}"
  pidfile: ""
  use-syslog: no
  trust-anchor-file: "{anchor}"
  local-zone: "test." nodefault
forward-zone:
  name: "."
  forward-addr: {ROOT}
""")
    return conf


def test_mistakes(lab, tree):
    anchor, _ = tree
    gate = lab.scupperd(rules=KDIG, expect_ready=False, dnssec="validate",
                        trust_anchor=lab.tmp / "no")
    gate.daemon.wait(60)
    assert "install dns-root-data" in gate.log and str(lab.tmp / "no") in gate.log, gate.log
    gate.conf.update({"upstream": ["recursive", ROOT], "trust-anchor": anchor})
    gate.write_conf()
    said = gate.world.daemon.run(gate.scupperd, "--check", "--config", gate.file)
    assert said.rc and "stands" not in said.err and "recursive" in said.err, said
