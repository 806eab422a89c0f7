# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of one machine talk to each other, whatever the default."""

import pytest
from lab import zones
from lab.gate import refused_beside_control

pytestmark = pytest.mark.usefixtures("bpf")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", zones.NEAR4, zones.NEAR6_LAN])
def test_two_guarded_programs_talk(lab, address):
    gate = lab.scupperd()
    server, client = lab.program(lab.talk, "server"), lab.program(lab.talk, "client")
    tcp = gate.start(server, "serve-tcp", address, "4000").wait_out("ready")
    udp = gate.start(server, "serve-udp", address, "4000").wait_out("ready")
    assert gate.run(client, "tcp", address, "4000").out == "hello\n"
    assert gate.run(client, "udp", address, "4000", "hi").out == "hi"
    assert lab.outside.run(client, "tcp", address, "4000").out == "hello\n"
    for running in (tcp, udp):
        running.stop()


def test_a_server_from_before_the_daemon(lab):
    server = lab.inside.start(lab.talk, "serve-tcp", "127.0.0.1", "4000").wait_out("ready")
    gate = lab.scupperd()
    assert gate.run(lab.program(lab.talk, "client"), "tcp", "127.0.0.1", "4000").ok
    server.stop()


def test_local_is_not_lan(lab):
    gate = lab.scupperd()
    url = f"http://{zones.FAR4}/"
    refused_beside_control(lab, lambda: gate.run("curl", "-sS", "-m3", url),
                           lambda: lab.outside.run("curl", "-sS", "-m3", url), zones.FAR4)


def test_localhost_has_its_name(lab):
    gate = lab.scupperd(rules="allow /usr/bin/kdig .shop.test")
    answer = gate.run("kdig", "@127.0.0.53", "localhost")
    assert answer.status == "NOERROR" and "127.0.0.1" in answer.out
    assert "localhost" not in lab.dns.queries()


def test_others_reach_a_guarded_server(lab):
    gate = lab.scupperd()
    server = gate.start(lab.talk, "serve-tcp", zones.NEAR4, "4000").wait_out("ready")
    far = lab.world.holders.run(lab.talk, "tcp", zones.NEAR4, "4000")
    assert far.out == "hello\n", far
    server.stop()


def test_inbound_refused_where_the_default_says_so(lab):
    gate = lab.scupperd(default_in="deny")
    server = gate.start(lab.talk, "serve-tcp", zones.NEAR4, "4000").wait_out("ready")
    assert not lab.world.holders.run(lab.talk, "tcp", zones.NEAR4, "4000").ok
    gate.rule_add(f"allow {lab.talk} any in")
    assert lab.world.holders.run(lab.talk, "tcp", zones.NEAR4, "4000").ok
    server.stop()
