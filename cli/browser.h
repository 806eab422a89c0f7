/* SPDX-License-Identifier: GPL-2.0-or-later
 * browser.h - a link, shown in the browser of the person who asked. */
#ifndef CLI_BROWSER_H
#define CLI_BROWSER_H

/* Under sudo the browser is that of the user who ran it, in their session; never one of
 * root's. 0: started, whatever becomes of it; -ENOTTY: there is no screen to show it on;
 * -EPERM: it would be root's; -errno */
int browser_open(const char *url);

#endif
