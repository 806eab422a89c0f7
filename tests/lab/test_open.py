# SPDX-License-Identifier: GPL-2.0-or-later
"""scupper open: the link, and whose browser shows it."""

import os

import pytest
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")

PERSON = 65534  # nobody: everybody has one
NOTES = """#!/bin/sh
{ id -u; id -ru; echo "$1"; env | sort; } >"$0.part" && mv "$0.part" "$0.said"
"""

# a shell of the user's above a command of root's, as sudo leaves it: the real and effective
# user of this process become the person's, and its child, which may still, root's again
SUDO = """
import os, sys
os.setresuid(int(sys.argv[1]), int(sys.argv[1]), 0)
if os.fork() == 0:
    os.setresuid(0, 0, 0)
    env = {"PATH": "/usr/bin:/bin", "SUDO_UID": sys.argv[1]}
    os.execve(sys.argv[2], sys.argv[2:], env)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


class Desk:
    """A browser of nobody's choice that notes who started it, and with what."""

    def __init__(self, gate, lab):
        self.gate, self.bin = gate, lab.tmp / "desk"
        self.bin.mkdir()
        self.browser = self.bin / "xdg-open"
        self.browser.write_text(NOTES)
        self.browser.chmod(0o755)
        self.bin.chmod(0o777)
        self.env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "SUDO_UID": str(PERSON),
                    "DISPLAY": ":77", "WAYLAND_DISPLAY": "", "XDG_RUNTIME_DIR": "/tmp"}
        self.said_file = self.bin / "xdg-open.said"

    def open(self, *words, env=None):
        return self.gate.world.daemon.run(self.gate.scupper, "--socket", self.gate.socket,
                                          *words, env={**self.env, **(env or {})})

    def said(self):
        wait_for(self.said_file.exists, "the browser to be started")
        return self.said_file.read_text().splitlines()


@pytest.fixture
def desk(lab):
    return Desk(lab.scupperd(default="allow"), lab)


def test_the_browser_is_the_users_who_ran_sudo(desk):
    done = desk.open("open", env={"ROOTS_OWN": "secret", "HOME": "/root"})
    assert done.ok and done.out.startswith("http://127.0.0.1:"), done
    uid, real, url, *env = desk.said()
    assert uid == real == str(PERSON)
    assert url == done.out.strip() and "/#t=" in url
    assert "DISPLAY=:77" in env and "USER=nobody" in env
    assert not any(line.startswith(("ROOTS_OWN", "SUDO_", "HOME=/root")) for line in env), env
    assert "browser" in done.err


def test_their_own_environment_where_sudo_took_it(desk):
    python = "/usr/bin/python3"
    done = desk.gate.world.daemon.run(
        python, "-c", SUDO, PERSON, desk.gate.scupper, "--socket", desk.gate.socket, "open",
        env={**desk.env, "WAYLAND_DISPLAY": "wayland-7", "XDG_RUNTIME_DIR": "/run/user/theirs"})
    assert done.ok, done
    uid, _, _, *env = desk.said()
    assert uid == str(PERSON)
    assert {"WAYLAND_DISPLAY=wayland-7", "XDG_RUNTIME_DIR=/run/user/theirs"} <= set(env), env


@pytest.mark.parametrize("words, env", [
    (("open", "--no-browser"), {}),
    (("--json", "open"), {}),
    (("open",), {"SUDO_UID": ""}),       # root by itself: never a browser as root
    (("open",), {"SUDO_UID": "0"}),
    (("open",), {"DISPLAY": "", "WAYLAND_DISPLAY": ""}),
], ids=["asked not to", "for a program", "root", "root under sudo", "no screen"])
def test_the_link_alone(desk, words, env):
    done = desk.open(*words, env=env)
    assert done.ok and "http://127.0.0.1:" in done.out and not done.err, done
    assert not done.err
    # the browser is started before the command ends, if it is: a later one shows which
    assert desk.open("open").ok
    assert desk.said()[2] not in done.out
