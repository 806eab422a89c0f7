/* SPDX-License-Identifier: GPL-2.0-or-later
 * job.h - one request that waits for the core; lives as long as the request. */
#ifndef WEB_JOB_H
#define WEB_JOB_H

#include "web/api.h"
#include "web/undo.h"

struct job {
	struct channel_call call;
	struct api *api;
	struct request *rq;
	json_t *items;          /* rules that came so far */
	char *text;             /* explain's answer so far */
	size_t len;
	uint32_t id;            /* of the rule just made or changed */
	uint32_t undo;          /* the number that undoes it */
	enum undo_kind kind;    /* what is being done to the rule ... */
	char before[LINK_RULE_TEXT_MAX], after[LINK_RULE_TEXT_MAX]; /* ... and its texts */
	int64_t created_s;      /* of the rule that is taken away, or comes back; 0: none */
	int8_t enable;          /* of a change: 1, 0, or -1: after is the new text */
	struct link_explain explained;
};

/* NULL: it has answered */
struct job *job_new(struct api *a, struct request *rq);
/* asks the core, and waits; false: it could not be sent */
bool job_ask(struct job *j, enum link_type type, const void *body);
void job_core_away(struct request *rq);
/* a refusal in the core's words */
void job_refused(struct request *rq, const struct link_done *d);
/* a change that was sent and not answered: it may have been made */
void job_not_known(struct request *rq);
/* for call.got of LINK_GET_STATUS: api->status is then as told */
void job_status_got(struct channel_call *call, const struct link_any *m);
/* for call.got of LINK_GET_RULES: fills items */
void job_rules_got(struct channel_call *call, const struct link_any *m);
void job_rules_keep(struct job *j);
/* the rule of this number, a reference of the caller's; a bare {id} if it is gone */
json_t *job_rule(const struct job *j, uint32_t id);

#endif
