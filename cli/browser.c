/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * sudo keeps little of the user's environment, and nothing that says where a Wayland screen
 * or their bus is. What the nearest process above us that is the user's began with (their
 * shell, mostly) says it all; without one it is our own environment, and the run-time
 * directory that logind makes. Only the variables named here are handed on. */
#include "cli/browser.h"
#include "base/io.h"
#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENVIRON_MAX = 256 * 1024, ABOVE_MAX = 64 };

extern char **environ;

static const char *const handed_on[] = { "PATH", "LANG", "LC_ALL", "DISPLAY", "XAUTHORITY",
	"WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "XDG_CURRENT_DESKTOP",
	"XDG_SESSION_TYPE", "XDG_SESSION_DESKTOP", "DESKTOP_SESSION", "XDG_DATA_DIRS",
	"XDG_CONFIG_DIRS", "KDE_FULL_SESSION", "KDE_SESSION_VERSION", "BROWSER" };

struct person {
	uid_t uid;
	gid_t gid;
	char *name, *home, *shell;       /* owned */
	char *theirs;                    /* NAME=VALUE\0..., owned; NULL: ours is theirs */
	size_t len;
};

static void person_done(struct person *p)
{
	free(p->name);
	free(p->home);
	free(p->shell);
	free(p->theirs);
}

static const char *value_of(const char *pair, const char *name)
{
	size_t n = strlen(name);

	return strncmp(pair, name, n) == 0 && pair[n] == '=' ? pair + n + 1 : NULL;
}

static const char *person_env(const struct person *p, const char *name)
{
	const char *value = NULL;

	if (!p->theirs)
		value = getenv(name);
	for (size_t at = 0; at < p->len && !value; at += strlen(p->theirs + at) + 1)
		value = value_of(p->theirs + at, name);
	return value && *value ? value : NULL;
}

/* pid's parent, or 0; *uid is real and effective user, or -1 where they differ */
static pid_t parent_of(pid_t pid, uid_t *uid)
{
	char path[64];
	auto_free char *text = NULL;
	unsigned real = 0, effective = 1, parent = 0;
	const char *at;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (io_read_file(path, 64 * 1024, &text, &len) < 0)
		return 0;
	at = strstr(text, "\nPPid:");
	if (!at || sscanf(at, "\nPPid: %u", &parent) != 1)
		return 0;
	at = strstr(text, "\nUid:");
	if (!at || sscanf(at, "\nUid: %u %u", &real, &effective) != 2)
		return 0;
	*uid = real == effective ? real : (uid_t)-1;
	return (pid_t)parent;
}

static void read_theirs(struct person *p)
{
	pid_t pid = getpid();
	uid_t uid = (uid_t)-1;
	char path[64];

	for (int i = 0; i < ABOVE_MAX && pid > 0; i++) {
		pid_t above = parent_of(pid, &uid);

		if (uid == p->uid) {
			snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
			if (io_read_file(path, ENVIRON_MAX, &p->theirs, &p->len) < 0)
				p->theirs = NULL;
			return;
		}
		pid = above;
	}
}

/* -EPERM: that would be root */
static int person_find(struct person *p)
{
	const char *sudo = getenv("SUDO_UID");
	const struct passwd *pw;
	uint32_t uid = getuid();

	if (geteuid() == 0 && (!sudo || text_u32(sudo, UINT32_MAX - 1, &uid) < 0))
		return -EPERM;
	if (uid == 0)
		return -EPERM;
	p->uid = uid;
	pw = getpwuid(uid);
	if (!pw)
		return -ENOENT;
	p->gid = pw->pw_gid;
	p->name = strdup(pw->pw_name);
	p->home = strdup(pw->pw_dir);
	p->shell = strdup(pw->pw_shell);
	if (!p->name || !p->home || !p->shell)
		return -ENOMEM;
	if (geteuid() == 0)
		read_theirs(p);
	return 0;
}

static bool is_theirs(const struct person *p, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && st.st_uid == p->uid;
}

/* the session's directory and bus stand where logind put them, if nothing says otherwise */
static void add_session(const struct person *p)
{
	char dir[64], bus[96];

	snprintf(dir, sizeof(dir), "/run/user/%u", (unsigned)p->uid);
	if (!is_theirs(p, dir))
		return;
	setenv("XDG_RUNTIME_DIR", dir, 0);
	snprintf(bus, sizeof(bus), "%s/bus", dir);
	if (!is_theirs(p, bus))
		return;
	snprintf(bus, sizeof(bus), "unix:path=%s/bus", dir);
	setenv("DBUS_SESSION_BUS_ADDRESS", bus, 0);
}

/* In the child: only what is theirs, and nothing that root's sudo brought along. */
static int take_environment(const struct person *p)
{
	char *values[ARRAY_LEN(handed_on)] = { NULL };

	for (size_t i = 0; i < ARRAY_LEN(handed_on); i++) {
		const char *value = person_env(p, handed_on[i]);

		values[i] = value ? strdup(value) : NULL;
		if (value && !values[i])
			return -ENOMEM;
	}
	if (clearenv() != 0)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(handed_on); i++) {
		if (values[i])
			setenv(handed_on[i], values[i], 1);
		free(values[i]);
	}
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 0);
	setenv("USER", p->name, 1);
	setenv("LOGNAME", p->name, 1);
	setenv("HOME", p->home, 1);
	setenv("SHELL", p->shell, 1);
	add_session(p);
	return 0;
}

static bool become(const struct person *p)
{
	return geteuid() != 0 || (initgroups(p->name, p->gid) == 0 &&
		setresgid(p->gid, p->gid, p->gid) == 0 &&
		setresuid(p->uid, p->uid, p->uid) == 0 && setuid(0) < 0);
}

static void quiet(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0)
		_exit(127);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

/* the child: leaves a grandchild behind that is nobody's to wait for */
static void start(const struct person *p, const char *url)
{
	if (!become(p) || take_environment(p) < 0)
		_exit(127);
	if (setsid() < 0 || fork() != 0)
		_exit(0);
	signal(SIGPIPE, SIG_DFL);
	if (chdir(p->home) < 0 && chdir("/") < 0)
		_exit(127);
	quiet();
	execlp("xdg-open", "xdg-open", url, (char *)NULL);
	_exit(127);
}

int browser_open(const char *url)
{
	struct person p = { 0 };
	int r = person_find(&p), status = 0;
	pid_t pid;

	if (r == 0 && !person_env(&p, "DISPLAY") && !person_env(&p, "WAYLAND_DISPLAY"))
		r = -ENOTTY;
	if (r < 0)
		goto out;
	pid = fork();
	if (pid == 0)
		start(&p, url);
	if (pid < 0)
		r = -errno;
	else if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
		r = -ECHILD;
out:
	person_done(&p);
	return r;
}
