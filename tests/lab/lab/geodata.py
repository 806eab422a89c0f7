# SPDX-License-Identifier: GPL-2.0-or-later
"""A map of the far side: databases of single addresses, made with geo/make-mmdb."""

import os
import subprocess


def make(lab, kind, rows):
    """A database of single addresses; replaced as a whole if it was there."""
    csv, out = lab.tmp / f"{kind}.csv", lab.tmp / f"{kind}.mmdb"
    csv.write_text("".join(
        ",".join((row[0], row[0], *(f'"{x}"' for x in row[1:]))) + "\n" for row in rows))
    subprocess.run([lab.world.build / "geo/make-mmdb", kind, out, csv], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ,
                                                   "SOURCE_DATE_EPOCH": "1780272000"})
    out.chmod(0o644)
    return out
