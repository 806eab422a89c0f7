/* SPDX-License-Identifier: GPL-2.0-or-later
 * loud.h - included ahead of everything in scupperd-loud: one program may fill the history
 * as fast as it asks, where scupperd lets it have 200 events a second. */
#ifndef TESTS_BENCH_LOUD_H
#define TESTS_BENCH_LOUD_H

#include "gate/internal.h"

#define EVENTS_BURST 1000000
#define EVENTS_PER_S 1000000

#endif
