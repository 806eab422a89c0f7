# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard's port: who may connect, and what a request must bring."""

import pathlib

SCRIPT = pathlib.Path(__file__).with_name("websafety.py")


def link(gate):
    return gate.json("open")["url"]


def test_every_route_and_header(lab):
    gate = lab.scupperd()
    done = gate.run("/usr/bin/python3", SCRIPT, link(gate))
    assert done.ok, done.out + done.err


def test_another_user_is_not_answered(lab):
    gate = lab.scupperd()
    done = gate.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                    "curl", "-sS", "-m5", link(gate).split("#")[0])
    assert not done.ok and not done.out
    assert gate.run("curl", "-sS", "-m5", "-o/dev/null", "-w%{http_code}",
                    link(gate).split("#")[0] + "api/v1/status").out == "401"
