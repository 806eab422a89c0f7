# SPDX-License-Identifier: GPL-2.0-or-later
"""A map of the far side: databases of single addresses, made with geo/make-mmdb."""

import os
import pathlib
import subprocess

import pytest

MAKE_MMDB = pathlib.Path(__file__).resolve().parents[3] / "geo/make-mmdb"
WRITER = ["perl", "-MMaxMind::DB::Writer::Tree", "-e", "1"]


def make(lab, kind, rows):
    """A database of single addresses; replaced as a whole if it was there."""
    if subprocess.run(WRITER, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no libmaxmind-db-writer-perl")
    csv, out = lab.tmp / f"{kind}.csv", lab.tmp / f"{kind}.mmdb"
    csv.write_text("".join(
        ",".join((row[0], row[0], *(f'"{x}"' for x in row[1:]))) + "\n" for row in rows))
    subprocess.run([MAKE_MMDB, kind, out, csv], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ,
                                                   "SOURCE_DATE_EPOCH": "1780272000"})
    out.chmod(0o644)
    return out
