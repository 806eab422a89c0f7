# SPDX-License-Identifier: GPL-2.0-or-later
"""The far side's servers: knot, nginx with TLS, sshd, and small ones in services.py."""

import pathlib
import socket
import sys

from . import zones
from .process import sh, wait_for

KNOT = """server:
    rundir: {dir}
    listen: [ {dns}@53, {other}@53, {dns6}@53, {dns}@5300, {dns6}@5300 ]
database:
    storage: {dir}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {dir}
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: .
    file: root.zone
"""

NGINX = """daemon off; user root; pid {dir}/nginx.pid; error_log {dir}/nginx.log warn;
worker_processes 1; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{
    listen 80 backlog=4096; listen [::]:80 backlog=4096;
    listen 443 ssl http2 backlog=4096; listen [::]:443 ssl http2 backlog=4096;
    ssl_certificate {dir}/server.pem; ssl_certificate_key {dir}/server.key;
    root {dir}/www;
    location = / {{ return 200 "hello\\n"; }}
    location = /slow {{ limit_rate 200k; }}
    location = /fast {{ alias {dir}/www/slow; }}
  }}
}}
"""

SSHD = """Port 22
HostKey {dir}/host_key
AuthorizedKeysFile {dir}/client_key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
"""


def keys(directory):
    """A CA, a server certificate, and ssh keys, all for this session only."""
    d = str(directory)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    sh("openssl", "req", "-x509", *curve, "-keyout", f"{d}/ca.key", "-out", f"{d}/ca.pem",
       "-days", "3", "-subj", "/CN=lab", "-addext", "basicConstraints=critical,CA:TRUE")
    (directory / "names").write_text(
        "subjectAltName=DNS:*.shop.test,DNS:*.ads.example,DNS:*.other.example\n")
    sh("openssl", "req", *curve, "-keyout", f"{d}/server.key", "-out", f"{d}/server.csr",
       "-subj", "/CN=shop.test")
    sh("openssl", "x509", "-req", "-in", f"{d}/server.csr", "-CA", f"{d}/ca.pem", "-CAkey",
       f"{d}/ca.key", "-CAcreateserial", "-out", f"{d}/server.pem", "-days", "3",
       "-extfile", f"{d}/names")
    for key in "host_key", "client_key":
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/{key}")
    host = (directory / "host_key.pub").read_text()
    (directory / "known_hosts").write_text(f"* {host}")


def start(place, directory):
    """Starts them all at place and waits until each answers."""
    keys(directory)
    www = directory / "www"
    www.mkdir()
    with open(www / "slow", "wb") as slow:
        slow.truncate(512 << 20)
    with open(www / "bulk", "wb") as bulk:
        bulk.truncate(50 << 20)
    conf = KNOT.format(dir=directory, dns=zones.DNS4, other=zones.DNS4_OTHER,
                       dns6=zones.DNS6)
    files = {"knot.conf": conf, "root.zone": zones.zone(), "nginx.conf": NGINX.format(dir=directory),
             "sshd.conf": SSHD.format(dir=directory)}
    for file, text in files.items():
        (directory / file).write_text(text)
    services = pathlib.Path(__file__).with_name("services.py")
    servers = [
        place.start("knotd", "-c", directory / "knot.conf"),
        place.start("nginx", "-e", directory / "nginx.log", "-c", directory / "nginx.conf"),
        place.start("/usr/sbin/sshd", "-D", "-e", "-f", directory / "sshd.conf"),
        place.start(sys.executable, services),
    ]
    servers[3].wait_out("ready")
    return servers


def wait_ready(netns, servers):
    """Every server takes connections."""
    def takes(address, port):
        assert all(s.running for s in servers), [s.result() for s in servers]
        with netns.entered():
            s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with s:
            return s.connect_ex((address, port)) == 0
    for address, port in ((zones.DNS4, 53), (zones.WWW4, 443), (zones.SSH4, 22),
                          (zones.BANNER4, 2525)):
        wait_for(lambda: takes(address, port), f"the far server on {address} port {port}")
