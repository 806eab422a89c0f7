# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard's port: who may connect, and what a request must bring."""

import json
import os
import pathlib
import signal

import pytest

from lab.process import wait_for

HERE = pathlib.Path(__file__).parent
TOP = HERE.parents[1]
DOCUMENT = json.loads((TOP / "web/openapi.json").read_text())
READER, STRANGER = 65534, 4321
PAGE = "http://127.0.0.1:7531"


def link(gate, uid=None):
    code, o = gate.api("session-tokens", "POST", {} if uid is None else {"uid": uid})
    assert code == 201, o
    return o["url"]


def test_every_route_and_header(lab):
    gate = lab.scupperd(readers=READER)
    case = lab.tmp / "case.json"
    case.write_text(json.dumps({
        "paths": DOCUMENT["paths"], "reader": READER, "stranger": STRANGER,
        "root_url": link(gate), "reader_url": link(gate, READER)}))
    done = gate.run("/usr/bin/python3", HERE / "websafety.py", case, timeout=900)
    # ten thousand connections that are over: conntrack keeps them two minutes, and gives a
    # program's new connection from a port of another program's old one another port
    lab.world.daemon.run("conntrack", "-F")
    print(done.out)
    assert done.ok, done.out + done.err


def curl(gate, *words, uid=None):
    return gate.run("curl", "-sS", "-m10", *words, uid=uid)


def page_status(gate):
    done = curl(gate, "-o/dev/null", "-w%{http_code}", PAGE + "/api/v1/status")
    assert done.ok, done
    return done.out


def test_another_user_is_not_answered(lab):
    gate = lab.scupperd()
    done = curl(gate, PAGE + "/", uid=READER)
    assert not done.ok and not done.out
    assert page_status(gate) == "401"


def control(gate, path, uid):
    done = curl(gate, "-w\n%{http_code}", "--unix-socket", gate.socket,
                f"http://localhost/api/v1/{path}", uid=uid)
    body, code = done.out.rsplit("\n", 1)
    return int(code or 0), json.loads(body) if body else None


def test_a_reader_sees_what_his_own_programs_did(lab):
    gate = lab.scupperd(readers=READER)
    for uid, name in ((None, "of-root"), (READER, "of-reader")):
        gate.run("kdig", "+short", "@127.0.0.53", f"{name}.shop.test", uid=uid)
    gate.wait_query(lambda q: q["name"] == "of-reader.shop.test")
    assert {q["name"] for q in gate.queries()} == {"of-root.shop.test", "of-reader.shop.test"}
    code, seen = control(gate, "queries", READER)
    assert code == 200 and {q["name"] for q in seen["items"]} == {"of-reader.shop.test"}
    code, seen = control(gate, "apps", READER)
    assert code == 200 and {a["uid"] for a in seen["items"]} == {READER}
    assert control(gate, "me", READER)[1]["role"] == "reader"
    assert control(gate, "queries", STRANGER)[0] == 403
    done = gate.run(gate.scupper, "--socket", gate.socket, "rule", "add", "allow any any",
                    uid=READER)
    assert done.rc == 1 and "administrators" in done.err, done


def test_users_are_administrators(lab):
    gate = lab.scupperd(users=READER)
    done = gate.run(gate.scupper, "--socket", gate.socket, "rule", "add",
                    "deny any .ads.example", uid=READER)
    assert done.ok, done
    assert control(gate, "me", READER)[1]["role"] == "admin"


def test_under_sudo_the_link_is_for_who_ran_it(lab):
    """And with root's role, which is what sudo gave."""
    gate = lab.scupperd()
    done = gate.run(gate.scupper, "--socket", gate.socket, "--json", "open",
                    env={"SUDO_UID": str(READER)})
    assert done.ok, done
    o = json.loads(done.out)
    assert (o["uid"], o["role"]) == (READER, "admin")
    assert me(gate, o["token"], uid=0)[0] == 401  # root did not sign in by it
    o = json.loads(gate.run(gate.scupper, "--socket", gate.socket, "--json", "open",
                            env={"SUDO_UID": str(READER)}).out)
    assert me(gate, o["token"], uid=READER) == (200, READER, "admin")


def me(gate, token, uid, at=PAGE):
    """(status, uid, role) of who signs in by this; at is where the request goes."""
    jars = gate.dir / "jars"
    jars.mkdir(exist_ok=True)
    jars.chmod(0o777)
    jar = jars / str(uid)
    done = curl(gate, "-o/dev/null", "-w%{http_code}", "-c", jar, "-H", "Host: 127.0.0.1:7531",
                "-H", f"Origin: {PAGE}", "-H", "X-Scupper: 1", "--json",
                json.dumps({"token": token}), f"{at}/api/v1/login", uid=uid)
    assert done.ok, done
    if done.out != "204":
        return int(done.out), None, None
    o = json.loads(curl(gate, "-b", jar, "-H", "Host: 127.0.0.1:7531", f"{at}/api/v1/me",
                        uid=uid).out)
    return 200, o["uid"], o["role"]


SSHD = """Port 2022
ListenAddress 127.0.0.1
HostKey {keys}/host_key
AuthorizedKeysFile {keys}/client_key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""


def test_who_comes_by_ssh_is_who_signed_in_there(lab):
    """A forwarded port: the connection is the forwarding sshd's, which runs as the user."""
    gate = lab.scupperd(default="allow", readers=READER)
    keys = lab.world.dir
    (lab.tmp / "sshd.conf").write_text(SSHD.format(keys=keys))
    sshd = gate.start("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && "
                      f"mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f {lab.tmp}/sshd.conf")
    sshd_ready(gate, sshd)
    tunnel = gate.start("ssh", "-v", "-N", "-p", "2022", "-i", keys / "client_key", "-o",
                        f"UserKnownHostsFile={keys}/known_hosts", "-o", "ExitOnForwardFailure=yes",
                        "-L", "127.0.0.1:17531:127.0.0.1:7531", "nobody@127.0.0.1")
    wait_for(lambda: "Local forwarding listening" in tunnel.err or
             pytest.fail(f"{tunnel.result()} {sshd.err}") if not tunnel.running else
             "Local forwarding listening" in tunnel.err, "the tunnel", 20)
    through = "http://127.0.0.1:17531"
    roots = link(gate).split("#t=")[1]
    assert me(gate, roots, uid=0, at=through)[0] == 401  # root's link, by nobody's tunnel
    own = link(gate, READER).split("#t=")[1]
    assert me(gate, own, uid=0, at=through) == (200, READER, "reader")
    tunnel.stop()
    sshd.stop()


def sshd_ready(gate, sshd):
    def up():
        assert sshd.running, sshd.result()
        return "Server listening" in sshd.err
    wait_for(up, "sshd")


BIND = """
import errno, socket, sys
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"),
                        (socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1"),
                        (socket.AF_INET6, "::"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    s = socket.socket(family)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        s.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        s.bind((address, int(sys.argv[1])))
        s.listen()
        print(address, "bound")
    except OSError as e:
        print(address, errno.errorcode[e.errno])
    s.close()
"""


def binds(gate, port=7531, uid=None):
    done = gate.run("/usr/bin/python3", "-c", BIND, port, uid=uid)
    assert done.ok, done
    return dict(line.split() for line in done.out.splitlines())


def test_nobody_takes_the_dashboards_port(lab, bpf):
    gate = lab.scupperd()
    assert set(binds(gate, 7532).values()) == {"bound"}
    for uid in (None, READER):
        assert set(binds(gate, uid=uid).values()) == {"EPERM"}
    web = gate.pids[2]
    os.kill(web, signal.SIGSTOP)
    os.kill(web, signal.SIGKILL)
    assert set(binds(gate).values()) == {"EPERM"}
    wait_for(lambda: gate.pids[2] not in (None, web), "another scupper-web")
    assert page_status(gate) == "401"
    gate.kill()  # the daemon as a whole: the hook stays, with when-down=closed
    assert set(binds(gate).values()) == {"EPERM"}
    gate.start_daemon()
    assert page_status(gate) == "401"


def test_the_page_as_it_is_sent(lab):
    gate = lab.scupperd()
    dist = gate.scupperd.parent / "web/dashboard/dist"
    if not (dist / "index.html").exists():
        pytest.skip("the built dashboard is missing")

    def head(path, *words):
        lines = curl(gate, "-D-", "-o", lab.tmp / "body", *words, PAGE + path).out.split("\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), fields, (lab.tmp / "body").read_bytes()

    assets = sorted((dist / "assets").glob("*[!z]"))
    assert assets
    for file in [dist / "index.html", *assets]:
        path = "/" if file.name == "index.html" else f"/assets/{file.name}"
        code, plain, body = head(path)
        assert code == 200 and body == file.read_bytes()
        assert "Content-Encoding" not in plain
        code, packed, body = head(path, "-H", "Accept-Encoding: br, gzip;q=0.8")
        assert code == 200 and body == file.with_name(file.name + ".gz").read_bytes()
        assert packed.get("Content-Encoding") == "gzip", packed
        assert plain["ETag"] != packed["ETag"] and not packed["ETag"].startswith("W/")
        lasting = "private, max-age=31536000, immutable"
        for said in plain, packed:
            assert said["Vary"] == "Accept-Encoding"
            assert said["Cache-Control"] == ("private, no-cache" if path == "/" else lasting)
            assert "default-src 'none'" in said["Content-Security-Policy"]
        assert head(path, "-H", "Accept-Encoding: gzip;q=0")[1]["ETag"] == plain["ETag"]
        for words, mine, other in (((), plain, packed),
                                   (("-H", "Accept-Encoding: gzip"), packed, plain)):
            code, said, _ = head(path, "-H", f'If-None-Match: "x", {mine["ETag"]}', *words)
            assert code == 304 and said["ETag"] == mine["ETag"]
            assert said["Vary"] == "Accept-Encoding" and "Content-Encoding" not in said
            assert head(path, "-H", f"If-None-Match: {other['ETag']}", *words)[0] == 200
        code, said, _ = head(path, "-I")
        assert code == 200 and said["ETag"] == plain["ETag"]
        assert said["Content-Length"] == str(file.stat().st_size)
    assert head("/assets/none-00000000.js")[0] == 401
    assert head("/assets/../index.html", "--path-as-is")[0] == 401
    assert head("/index.html.gz")[0] == 401


def test_the_status_tells_of_the_dashboard(lab):
    gate = lab.scupperd()
    web = gate.status()["web"]
    assert web["address"] == PAGE and web["listens"] == ["127.0.0.1:7531", "[::1]:7531"]
    assert web["sessions"] == 0 and web["streams"] == 0
    assert me(gate, link(gate).split("#t=")[1], uid=0)[0] == 200
    assert gate.status()["web"]["sessions"] == 1
    shown = gate.cli("status").out
    assert f"dashboard  {PAGE} (sign in: scupper open); 1 signed in" in shown, shown
