# SPDX-License-Identifier: GPL-2.0-or-later
"""Two network namespaces, real servers on the far side, scupperd and a cgroup on the near."""
