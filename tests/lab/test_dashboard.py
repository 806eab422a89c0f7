# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard as the daemon serves it, in Chromium."""

import os
import pathlib
import shutil

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SCUPPER_BUILD", TOP / "build"))


def test_sign_in_rule_and_undo(lab):
    for what, there in (("chromium", shutil.which("chromium")), ("node", shutil.which("node")),
                        ("the built dashboard", (BUILD / "web/dashboard/dist/index.html").exists()),
                        ("npm ci", (TOP / "web/dashboard/node_modules/playwright-core").exists())):
        if not there:
            pytest.skip(f"{what} is missing")
    gate = lab.scupperd()
    gate.run("kdig", "+short", "@127.0.0.53", "www.example.org")
    done = gate.run("node", TOP / "tests/browser/real.mjs", gate.json("open")["url"], timeout=60)
    assert done.ok, done.out + done.err
