/* SPDX-License-Identifier: GPL-2.0-or-later
 * io.h - whole files and exact reads. 0 or -errno; an out parameter is the caller's to free. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

/* everything from fd, NUL behind it (not counted); -EFBIG over max */
int io_read_all(int fd, size_t max, char **out, size_t *len);
int io_read_file(const char *path, size_t max, char **out, size_t *len);
int io_write_all(int fd, const void *bytes, size_t len);
int io_mkdirs(const char *path, mode_t mode); /* mkdir -p */

#endif
