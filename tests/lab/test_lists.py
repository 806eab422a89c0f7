# SPDX-License-Identifier: GPL-2.0-or-later
"""Filter lists: made from files and servers, named by rules, kept when something goes wrong."""

import http.server
import json
import pathlib
import sys

import pytest
from lab import zones
from lab.process import wait_for

pytestmark = pytest.mark.usefixtures("bpf")
STUB = "@127.0.0.53"


def serve(folder):
    """A server of one text with an ETag that its content makes; each request is noted."""
    folder = pathlib.Path(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = (folder / "served").read_bytes()
            tag = f'"{len(text)}-{sum(text)}"'
            code = 304 if self.headers.get("If-None-Match") == tag else 200
            with open(folder / "asked", "a") as asked:
                asked.write(f"{code}\n")
            self.send_response(code)
            self.send_header("ETag", tag)
            self.end_headers()
            if code == 200:
                self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    (folder / "port").write_text(str(server.server_port))
    server.serve_forever()


def command(lab, gate, *args):
    return lab.outside.run(gate.scupper, "list", "--config", gate.file, *args)


def status_of(gate, name="www.shop.test", program="kdig"):
    return gate.run(program, STUB, name).status


def test_a_list_denies_what_is_on_it_and_only_that(lab, tmp_path):
    other = lab.program("/usr/bin/kdig", "other")
    gate = lab.scupperd(default="allow", rules="deny any list:ads\n"
                        f"allow {other} list:ads\nallow any www.ads.example\n"
                        f"deny any list:nets")
    assert "there is none" in gate.cli("status").out
    assert status_of(gate, "x.ads.example") == "NOERROR"

    text = tmp_path / "ads.txt"
    text.write_text("! trackers\n||ads.example^\n0.0.0.0 four.shop.test\n")
    made = command(lab, gate, "add", "ads", text)
    assert made.rc == 0 and "2 names" in made.out, made
    wait_for(lambda: status_of(gate, "x.ads.example") == "NXDOMAIN", "the list to count")
    assert status_of(gate, "four.shop.test") == "NXDOMAIN"
    assert status_of(gate, "www.shop.test") == "NOERROR"
    assert status_of(gate, "bad-alias.shop.test") == "NXDOMAIN", "a CNAME to a listed name"
    assert status_of(gate, "www.ads.example") == "NOERROR", "a host goes before a list"
    why = gate.cli("explain", "/usr/bin/kdig", "x.ads.example").out
    assert "below ads.example, line 2 of" in why and "ads.txt" in why, why
    seen = gate.wait_query(lambda q: q["name"] == "x.ads.example" and q["verdict"] == "deny")
    assert "list:ads" in json.dumps(seen["rule"])

    text.write_text(f"{zones.WWW4}/32\n")
    assert command(lab, gate, "add", "nets", text).rc == 0
    wait_for(lambda: status_of(gate, "www.shop.test") == "NXDOMAIN", "a listed address")

    assert command(lab, gate, "rm", "ads").rc == 0
    wait_for(lambda: status_of(gate, "x.ads.example") == "NOERROR", "the list to be gone")
    no = gate.cli("rule", "add", "deny", "any", "list:ads")
    assert no.rc == 1 and "there is no list ads" in no.err, no


def test_a_list_of_a_server_is_kept_up_and_kept(lab, tmp_path):
    gate = lab.scupperd(default="allow", rules="deny any list:ads")
    served = tmp_path / "served"
    served.write_text("x.ads.example\n")
    server = lab.outside.start("/usr/bin/python3", __file__, tmp_path)
    port = tmp_path / "port"
    wait_for(lambda: port.exists() and port.read_text(), "the server to listen")
    url = f"http://127.0.0.1:{port.read_text()}/list"

    assert command(lab, gate, "add", "ads", url).rc == 0
    wait_for(lambda: status_of(gate, "x.ads.example") == "NXDOMAIN", "the list to count")
    again = command(lab, gate, "update")
    assert again.rc == 0 and "not changed" in again.out, again
    assert (tmp_path / "asked").read_text().split() == ["200", "304"]

    served.write_text("<html>no list any more</html>\n")
    broken = command(lab, gate, "update", "ads")
    assert broken.rc == 1 and "is it a list?" in broken.err, broken
    wait_for(lambda: "last update failed" in gate.cli("status").out, "the failure to be said")
    served.write_text("y.ads.example\n")
    assert command(lab, gate, "update", "ads").rc == 0
    wait_for(lambda: status_of(gate, "y.ads.example") == "NXDOMAIN", "the update to count")
    assert status_of(gate, "x.ads.example") == "NOERROR"
    wait_for(lambda: "update failed" not in gate.cli("status").out, "the failure to be over")
    assert command(lab, gate, "update", "ads", "--max-size", "3").rc == 0, "304 needs no room"
    served.write_text("y.ads.example\nz.ads.example\n")
    large = command(lab, gate, "update", "ads", "--max-size", "3")
    assert large.rc == 1 and "larger than 3" in large.err, large

    server.stop()
    gone = command(lab, gate, "update", "ads")
    assert gone.rc == 1 and gone.err, gone
    assert status_of(gate, "y.ads.example") == "NXDOMAIN", "the last good one stays"

    file = pathlib.Path(gate.conf["state-dir"]) / "lists" / "ads.list"
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    new = file.with_suffix(".new")
    new.write_bytes(damaged)
    new.rename(file)
    wait_for(lambda: "damaged" in gate.cli("status").out, "the damage to be said")
    assert status_of(gate, "y.ads.example") == "NXDOMAIN"
    gate.stop()
    gate.start_daemon()
    assert status_of(gate, "x.ads.example") == "NXDOMAIN", "the one before it, on the disk"


if __name__ == "__main__":
    serve(sys.argv[1])
