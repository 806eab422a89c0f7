/* SPDX-License-Identifier: GPL-2.0-or-later
 * clock.h - the two clocks. Pure code is given the time, it does not ask. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_read_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* lifetimes: goes on during suspend, never jumps */
static inline int64_t clock_boot_ms(void)
{
	return clock_read_us(CLOCK_BOOTTIME) / 1000;
}

static inline int64_t clock_boot_us(void)
{
	return clock_read_us(CLOCK_BOOTTIME);
}

/* what people read: Unix time */
static inline int64_t clock_unix_ms(void)
{
	return clock_read_us(CLOCK_REALTIME) / 1000;
}

#endif
