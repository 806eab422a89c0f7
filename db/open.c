/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "db/open.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* migrations[n] leads from user_version n to n + 1; never change one that was released.
 * AUTOINCREMENT: a number is never given to another rule, history speaks of it. */
static const char *const migrations[] = {
	"CREATE TABLE rule ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" text TEXT NOT NULL,"
	" created_s INTEGER NOT NULL,"
	" changed_s INTEGER NOT NULL) STRICT;",
};

int db_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_TOOBIG:
		return -EFBIG;
	}
	return -EIO;
}

static void folder_of(const char *path, char out[static PATH_MAX])
{
	char *slash;

	text_copy(out, PATH_MAX, path);
	slash = strrchr(out, '/');
	if (slash == out)
		slash++;
	if (slash)
		*slash = '\0';
	else
		text_copy(out, PATH_MAX, ".");
}

static int refused(const char *path, int r, struct text *why)
{
	char folder[PATH_MAX];

	folder_of(path, folder);
	text_addf(why, "%s: cannot write: %s; ", path, strerror(-r));
	if (r == -ENOSPC)
		text_addf(why, "free some space in %s", folder);
	else if (r == -ENOENT)
		text_addf(why, "make the directory %s, or set [daemon] state-dir", folder);
	else
		text_addf(why, "let the daemon's user write in %s, or set [daemon] state-dir",
			folder);
	return r;
}

/* SQLite gives -wal and -shm the rights of the file itself: so make it before SQLite does */
int db_make_file(const char *path, gid_t group)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (group != (gid_t)-1 && st.st_gid != group && fchown(fd, (uid_t)-1, group) < 0)
		return -errno;
	if ((st.st_mode & 07777) != 0640 && fchmod(fd, 0640) < 0)
		return -errno;
	return 0;
}

int db_exec(sqlite3 *sql, const char *text)
{
	return db_errno(sqlite3_exec(sql, text, NULL, NULL, NULL));
}

static int read_number(sqlite3 *sql, const char *query, int *out)
{
	sqlite3_stmt *s = NULL;
	int r = sqlite3_prepare_v2(sql, query, -1, &s, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_step(s);
	if (r == SQLITE_ROW)
		*out = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return r == SQLITE_ROW ? 0 : db_errno(r == SQLITE_DONE ? SQLITE_CORRUPT : r);
}

/* -EBADMSG if SQLite finds anything out of place */
static int check_whole(sqlite3 *sql)
{
	sqlite3_stmt *s = NULL;
	int r = sqlite3_prepare_v2(sql, "PRAGMA quick_check(1)", -1, &s, NULL);
	const char *said;

	if (r == SQLITE_OK)
		r = sqlite3_step(s);
	if (r == SQLITE_ROW) {
		said = (const char *)sqlite3_column_text(s, 0);
		r = said && strcmp(said, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
	}
	sqlite3_finalize(s);
	return db_errno(r);
}

static int migrate_one(sqlite3 *sql, const char *text, int to)
{
	char set[64];
	int r = db_exec(sql, "BEGIN IMMEDIATE");

	if (r < 0)
		return r;
	snprintf(set, sizeof(set), "PRAGMA user_version = %d", to);
	r = db_exec(sql, text);
	if (r == 0)
		r = db_exec(sql, set);
	if (r == 0)
		r = db_exec(sql, "COMMIT");
	if (r < 0)
		sqlite3_exec(sql, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int db_migrate(sqlite3 *sql, const char *path, const char *const *steps, int now,
	struct text *why)
{
	int version = 0, r;

	r = read_number(sql, "PRAGMA user_version", &version);
	if (r < 0)
		return r;
	if (version < 0 || version > now) {
		text_addf(why, "%s: made by another version of scupper (its schema is %d, "
			"this one knows up to %d): use that version, or move the file away",
			path, version, now);
		return -EPROTO;
	}
	for (; r == 0 && version < now; version++)
		r = migrate_one(sql, steps[version], version + 1);
	return r;
}

static int migrate(sqlite3 *sql, const char *path, struct text *why)
{
	int now = (int)ARRAY_LEN(migrations), r;
	char touch[64];

	r = db_migrate(sql, path, migrations, now, why);
	if (r < 0)
		return r;
	/* a write, so that a full or read-only disk is known at start and not with the
	 * first rule somebody makes */
	snprintf(touch, sizeof(touch), "PRAGMA user_version = %d", now);
	r = db_exec(sql, touch);
	if (r != -ENOSPC)
		return r;
	refused(path, r, why); /* the rules that are there can be read: go on with them */
	text_add(why, "; own rules hold, new ones cannot be made until then");
	return 0;
}

static int open_once(const char *path, struct text *why, sqlite3 **out)
{
	sqlite3 *sql = NULL;
	int r = db_make_file(path, (gid_t)-1);

	if (r < 0)
		return refused(path, r, why);
	r = db_errno(sqlite3_open_v2(path, &sql,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL));
	if (r == 0)
		r = db_errno(sqlite3_extended_result_codes(sql, 1));
	if (r == 0)
		r = db_errno(sqlite3_busy_timeout(sql, 2000));
	if (r == 0)
		r = db_exec(sql, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			" PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;");
	if (r == 0)
		r = check_whole(sql);
	if (r == 0)
		r = migrate(sql, path, why);
	if (r == 0) {
		*out = sql;
		return 0;
	}
	if (r != -EBADMSG && r != -EPROTO)
		refused(path, r, why);
	sqlite3_close(sql);
	return r;
}

static int set_aside(const char *path, const char *ending, const char *stamp)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (snprintf(from, sizeof(from), "%s%s", path, ending) >= (int)sizeof(from) ||
		snprintf(to, sizeof(to), "%s.corrupt-%s%s", path, stamp, ending) >=
			(int)sizeof(to))
		return -ENAMETOOLONG;
	return rename(from, to) < 0 ? -errno : 0;
}

int db_set_aside(const char *path, const char *stamp)
{
	int r = set_aside(path, "", stamp);

	if (r < 0)
		return r;
	set_aside(path, "-wal", stamp); /* most often there is none */
	set_aside(path, "-shm", stamp);
	return 0;
}

int db_file_open(const char *path, struct text *why, sqlite3 **out)
{
	char stamp[TEXT_TIME_MAX];
	int r = open_once(path, why, out);

	if (r != -EBADMSG)
		return r;
	text_time(clock_unix_ms(), stamp);
	r = db_set_aside(path, stamp);
	if (r < 0) {
		text_addf(why, "%s: corrupt, and cannot be moved aside: %s", path,
			strerror(-r));
		return r;
	}
	r = open_once(path, why, out);
	if (r == 0)
		text_addf(why, "%s: corrupt: moved to %s.corrupt-%s; own rules start empty",
			path, path, stamp);
	return r == -EBADMSG ? -EIO : r;
}
