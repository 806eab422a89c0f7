/* SPDX-License-Identifier: GPL-2.0-or-later
 * A link that signs in, printed, and shown where there is a screen to show it on. */
#include "base/text.h"
#include "cli/browser.h"
#include "cli/call.h"
#include "cli/show.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* who will look: under sudo the user who ran it, who may do what root may */
static json_t *token_request(void)
{
	const char *sudo = geteuid() == 0 ? getenv("SUDO_UID") : NULL;
	json_t *o = json_object();
	uint32_t uid;

	if (sudo && text_u32(sudo, UINT32_MAX - 1, &uid) == 0) {
		json_object_set_new(o, "uid", json_integer(uid));
		json_object_set_new(o, "role", json_string("admin"));
	}
	return o;
}

/* the link alone is on stdout: what became of the browser goes to the other */
static void show_link(const json_t *o)
{
	puts(show_text(o, "url"));
	fflush(stdout);
}

static void open_link(const json_t *o)
{
	show_link(o);
	if (browser_open(show_text(o, "url")) == 0)
		fputs("scupper: opening it in your browser\n", stderr);
}

int command_open(struct command_line *c)
{
	return call_show(c, "POST", "/api/v1/session-tokens", token_request(),
		c->no_browser ? show_link : open_link);
}
