/* SPDX-License-Identifier: GPL-2.0-or-later
 * macros.h - the handful of macros every file may use. */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#undef MIN /* <sys/param.h>, which <uv.h> brings, has its own */
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define container_of(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

#define format_printf(fmt, args) __attribute__((format(printf, fmt, args)))

static inline void macro_free(void *p)
{
	free(*(void **)p);
}

static inline void macro_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* locals that clean up after themselves: auto_free char *s = NULL; */
#define auto_free __attribute__((cleanup(macro_free)))
#define auto_close __attribute__((cleanup(macro_close)))

#endif
