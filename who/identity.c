/* SPDX-License-Identifier: GPL-2.0-or-later
 * Number -> program. The page says which file, which user and by which path; the image
 * says which of its paths are believed. A program is met once: by the ring's news, or by
 * whoever asks for its number first. */
#include "who/state.h"

#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

enum { SERIAL_UNKNOWN = 2, SERIAL_SELF = 3, PAGE_TRIES = 16, CATCH_UP = 32 };

int identity_init(struct who *w)
{
	w->slots = calloc(WHO_NUMBERS, sizeof(struct slot *));
	if (!w->slots)
		return -ENOMEM;
	w->unknown = (struct program){ .actor = ACTOR_UNKNOWN, .serial = SERIAL_UNKNOWN,
		.path = "unknown" };
	w->self = (struct program){ .actor = ACTOR_SELF, .serial = SERIAL_SELF,
		.uid = (uint32_t)getuid(), .known = true, .path = "scupperd" };
	return 0;
}

void identity_forget(struct who *w, uint32_t n)
{
	struct slot *s = w->slots[n];

	if (!s)
		return;
	if (s->image)
		s->image->programs--;
	keys_forget(s);
	free(s->program);
	free(s);
	w->slots[n] = NULL;
}

void identity_done(struct who *w)
{
	for (uint32_t n = 0; w->slots && n < WHO_NUMBERS; n++)
		identity_forget(w, n);
	free(w->slots);
	w->slots = NULL;
}

/* from page and image; the path it was started by comes first */
static void program_fill(struct program *p, const struct slot *s)
{
	char path[PROGRAM_PATH_MAX];
	const struct image *i = s->image;

	path_build(&s->page.path, path, sizeof(path));
	p->npaths = 0;
	for (unsigned k = 0; i && k < i->npaths; k++) {
		p->paths[p->npaths++] = i->paths[k];
		if (k && strcmp(i->paths[k], path) == 0) {
			p->paths[k] = p->paths[0];
			p->paths[0] = i->paths[k];
		}
	}
	p->believed = p->npaths > 0;
	p->known = p->believed;
	if (p->believed)
		text_copy(p->path, sizeof(p->path), p->paths[0]);
	else
		path_show(&s->page.path, false, p->path, sizeof(p->path));
}

static int page_settled(struct who *w, uint32_t n, struct who_page *page, uint64_t *serial)
{
	int r = -EAGAIN;

	for (int i = 0; i < PAGE_TRIES && r == -EAGAIN; i++)
		r = number_page(w, n, page, serial);
	return r;
}

/* news: the look found a path that other programs of this file had not heard of */
static struct slot *slot_make(struct who *w, uint32_t n, const struct who_page *page,
	uint64_t serial, bool *news)
{
	struct slot *s = calloc(1, sizeof(*s));
	struct program *p = calloc(1, sizeof(*p));
	char path[PROGRAM_PATH_MAX];

	if (!s || !p) {
		free(s);
		free(p);
		return NULL;
	}
	s->page = *page;
	s->serial = serial;
	s->state = SLOT_LIVE;
	s->program = p;
	s->image = image_get(w, &page->exe);
	if (s->image)
		s->image->programs++;
	if (s->image && path_lookable(&page->path)) {
		path_build(&page->path, path, sizeof(path));
		image_look(w, s->image, path, news);
	}
	p->actor = n;
	p->serial = serial;
	p->uid = page->uid;
	program_fill(p, s);
	return s;
}

struct slot *identity_meet(struct who *w, uint32_t n)
{
	struct slot *s = n < WHO_NUMBERS ? w->slots[n] : NULL;
	struct who_page page;
	bool news = false;
	uint64_t serial;

	if (who_by_key(w))
		return keys_meet(w, n);
	if (s && s->serial == atomic_load(&w->serials[n]))
		return s;
	if (n >= WHO_NUMBERS || page_settled(w, n, &page, &serial) < 0)
		return NULL;
	identity_forget(w, n); /* another program's, from before */
	s = slot_make(w, n, &page, serial, &news);
	if (!s)
		return NULL;
	if (news)
		identity_refresh(w, s->image);
	w->slots[n] = s;
	if (w->calls.actor_new)
		w->calls.actor_new(w->calls.ctx, s->program);
	return s;
}

/* A path more is a rule more that may match. The new serial is what makes everybody who
 * kept a verdict for the old one ask again. */
void identity_refresh(struct who *w, const struct image *i)
{
	for (uint32_t n = 1; n <= ACTOR_MAX; n++) {
		struct slot *s = w->slots[n];

		if (!s || s->image != i || s->program->npaths == i->npaths)
			continue;
		program_fill(s->program, s);
		s->program->serial =
			__atomic_add_fetch(&w->meta->serial, 1, __ATOMIC_SEQ_CST);
		if (w->calls.actor_new)
			w->calls.actor_new(w->calls.ctx, s->program);
	}
}

bool identity_catch_up(struct who *w, uint32_t *n)
{
	unsigned made = 0;

	for (; *n <= ACTOR_MAX && made < CATCH_UP; ++*n) {
		uint64_t serial = atomic_load(&w->serials[*n]);
		struct slot *s = w->slots[*n];

		if (serial <= WHO_SERIAL_RESERVED || (s && s->serial == serial))
			continue;
		s = identity_meet(w, *n);
		made++;
		/* an earlier core was about to free it */
		if (s && !number_published(w, &s->page, *n))
			s->state = SLOT_RETIRED;
	}
	return *n <= ACTOR_MAX;
}

const struct program *who_unknown(struct who *w)
{
	return &w->unknown;
}

const struct program *who_actor(struct who *w, uint32_t actor)
{
	struct slot *s;

	if (actor == ACTOR_SELF)
		return &w->self;
	s = identity_meet(w, actor);
	return s ? s->program : &w->unknown;
}

void who_each_actor(struct who *w, void (*each)(void *ctx, const struct program *p),
	void *ctx)
{
	for (uint32_t n = 1; n <= ACTOR_MAX; n++)
		if (w->slots[n])
			each(ctx, w->slots[n]->program);
}

void who_actor_free(struct who *w, uint32_t actor)
{
	struct slot *s = actor < WHO_NUMBERS ? w->slots[actor] : NULL;
	struct who_page page;

	if (who_by_key(w))
		return; /* its number stays its own */
	/* only what actor_idle() gave up can be freed, and only once */
	if (!s || s->state != SLOT_IDLE || s->serial != atomic_load(&w->serials[actor]))
		return;
	page = s->page;
	identity_forget(w, actor);
	number_give_back(w, actor, &page);
}
