/* SPDX-License-Identifier: GPL-2.0-or-later
 * brief.h - included ahead of everything in scupperd-brief: grants, and links
 * that sign in, end within seconds, so that a story can see one end. */
#ifndef TESTS_LAB_BRIEF_H
#define TESTS_LAB_BRIEF_H

#include "gate/grant.h"
#include "web/session.h"

#define GRANT_LEAST_MS 3000
#define GRANT_NEAR_MS 1500
#define TOKEN_MS 3000

#endif
