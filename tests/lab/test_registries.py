# SPDX-License-Identifier: GPL-2.0-or-later
"""scupper run --learn with this machine's own package managers and their registries: what was
learned lets the same pass, and one more contact, hidden in an install script, fails. Each is
skipped where the client does not work without a gate either."""

import json
import shutil
import subprocess

import pytest
from lab import probe
from lab.world import build_dir

HIDDEN = "hidden.example"  # RFC 2606: nobody's


def call(*words, cwd, timeout=180):
    return subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True,
                          errors="replace", timeout=timeout)


def works(client, cwd):
    """The client without a gate; skips where that fails."""
    if not shutil.which(client[0]):
        pytest.skip(f"needs {client[0]}")
    plain = call(*client, cwd=cwd)
    if plain.returncode:
        pytest.skip(f"needs the registry: {' '.join(map(str, client[:3]))} fails without a "
                    f"gate: {(plain.stderr.strip() or 'no reason').splitlines()[-1]}")


@pytest.fixture
def run(tmp_path):
    why = probe.lacks_lab() or probe.lacks_bpf()
    if why:
        pytest.skip(why)

    def start(*words):
        return call(build_dir() / "scupper", "run", *words, cwd=tmp_path)
    return start


@pytest.fixture
def apt(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "cache/archives/partial").mkdir(parents=True)
    return ("apt-get", "-o", f"Dir::State::lists={tmp_path}/lists", "-o",
            f"Dir::Cache={tmp_path}/cache", "-o", "APT::Sandbox::User=root",
            "--error-on=any", "update")


@pytest.fixture
def npm(tmp_path):
    """npm ci with nothing at hand, so that it has to fetch."""
    def command():
        for old in "node_modules", "npm-cache":
            shutil.rmtree(tmp_path / old, ignore_errors=True)
        return "npm", "ci", "--cache", tmp_path / "npm-cache", "--foreground-scripts"
    return command


def package(tmp_path, script):
    """A package from the registry and one of our own with an install script, locked."""
    own = tmp_path / "own"
    own.mkdir(exist_ok=True)
    (own / "package.json").write_text(json.dumps(
        {"name": "own", "version": "1.0.0", "scripts": {"postinstall": script}}))
    (tmp_path / "package-lock.json").unlink(missing_ok=True)
    for stale in "node_modules", "npm-cache":
        shutil.rmtree(tmp_path / stale, ignore_errors=True)
    (tmp_path / "package.json").write_text(json.dumps(
        {"name": "try", "version": "1.0.0",
         "dependencies": {"is-number": "7.0.0", "own": "file:own-1.0.0.tgz"}}))
    works(("npm", "pack", own, "--cache", tmp_path / "npm-cache"), tmp_path)
    works(("npm", "install", "--package-lock-only", "--cache", tmp_path / "npm-cache"),
          tmp_path)


def test_apt_get_update_is_learned_and_passes(run, apt, tmp_path):
    works(apt, tmp_path)
    shutil.rmtree(tmp_path / "lists")
    (tmp_path / "lists/partial").mkdir(parents=True)
    done = run("--learn", "r", "--", *apt)
    assert done.returncode == 0, done
    assert "allow /usr/lib/apt/methods/" in (tmp_path / "r").read_text()
    shutil.rmtree(tmp_path / "lists")
    (tmp_path / "lists/partial").mkdir(parents=True)
    passed = run("--rules", "r", "--fail-on-deny", "--", *apt)
    assert passed.returncode == 0, passed


def test_npm_ci_is_learned_and_what_is_hidden_in_a_script_fails(run, npm, tmp_path):
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    package(tmp_path, "true")
    done = run("--learn", "r", "--", *npm())
    assert done.returncode == 0, done
    learned = (tmp_path / "r").read_text()
    assert "allow /" in learned and "/node " in learned, learned
    passed = run("--rules", "r", "--fail-on-deny", "--", *npm())
    assert passed.returncode == 0, passed

    package(tmp_path, f"curl -sSm5 http://{HIDDEN}/ && touch {tmp_path}/reached || true")
    no = run("--rules", "r", "--fail-on-deny", "--", *npm())
    assert no.returncode == 125, no
    assert not (tmp_path / "reached").exists()
    lines = no.stderr.splitlines()
    at = next(i for i, line in enumerate(lines) if "denied" in line and HIDDEN in line)
    assert "/curl" in no.stderr and "by curl" in lines[at + 1], no.stderr
    assert "npm ci" in lines[at + 1] and "sh -c" in lines[at + 1], no.stderr
