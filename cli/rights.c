/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/rights.h"
#include "base/macros.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static const unsigned kept[] = {
	CAP_NET_ADMIN,        /* netlink: nft, conntrack, NFLOG, SOCK_DESTROY, SO_MARK */
	CAP_NET_BIND_SERVICE, /* a listener is opened again when an address comes back */
	CAP_BPF,              /* maps */
	CAP_PERFMON,          /* iterators over tracing programs */
	CAP_SYS_PTRACE,       /* pidfd_getfd, /proc/PID/exe and fd of others */
	CAP_DAC_READ_SEARCH,  /* paths of programs in closed folders */
};

static const int never[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(setns),
	SCMP_SYS(unshare), SCMP_SYS(reboot), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(settimeofday), SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname), SCMP_SYS(process_vm_writev), SCMP_SYS(keyctl),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup), SCMP_SYS(quotactl), SCMP_SYS(acct),
};

void rights_find(struct rights *out)
{
	const struct passwd *pw = getpwnam("scupper");

	*out = (struct rights){ 0 };
	if (pw)
		*out = (struct rights){ .uid = pw->pw_uid, .gid = pw->pw_gid,
			.own_user = true };
}

gid_t rights_group(const char *name)
{
	const struct group *gr = getgrnam(name);

	return gr ? gr->gr_gid : (gid_t)-1;
}

static int drop_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(never); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), never[i], 0);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int rights_drop(const struct rights *r, char *why, size_t why_max)
{
	bool have[ARRAY_LEN(kept)];
	int e;

	/* what we were not given cannot be kept: basic mode goes on without it */
	capng_get_caps_process();
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		have[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (have[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
	if (r->own_user)
		e = capng_change_id((int)r->uid, (int)r->gid, CAPNG_DROP_SUPP_GRP);
	else
		e = capng_apply(CAPNG_SELECT_CAPS);
	if (e < 0) {
		snprintf(why, why_max, "cannot drop capabilities (libcap-ng says %d)", e);
		return -EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		snprintf(why, why_max, "cannot set no_new_privs: %s", strerror(errno));
		return -errno;
	}
	e = drop_calls();
	if (e < 0)
		snprintf(why, why_max, "cannot load the seccomp filter: %s", strerror(-e));
	return e;
}
