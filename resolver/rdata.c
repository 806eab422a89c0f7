/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/rdata.h"
#include "resolver/wire.h"

#include "base/macros.h"
#include "base/text.h"

#include <errno.h>
#include <strings.h>

static const struct {
	const char *word;
	uint16_t type;
	uint8_t numbers; /* before a name */
} types[] = {
	{ "A", TYPE_A, 0 }, { "AAAA", TYPE_AAAA, 0 }, { "CNAME", TYPE_CNAME, 0 },
	{ "PTR", TYPE_PTR, 0 }, { "MX", TYPE_MX, 1 }, { "TXT", TYPE_TXT, 0 },
	{ "SRV", TYPE_SRV, 3 },
};

uint16_t rdata_type(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcasecmp(word, types[i].word) == 0)
			return types[i].type;
	return 0;
}

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

bool rdata_word(const char **text, char *out, size_t max)
{
	const char *p = skip_blanks(*text);
	size_t n = strcspn(p, " \t");

	if (n == 0 || n >= max)
		return false;
	memcpy(out, p, n);
	out[n] = '\0';
	*text = p + n;
	return true;
}

static int read_addr(uint8_t family, const char **text, struct out *o)
{
	char word[ADDR_TEXT_MAX];
	struct addr a;

	if (!rdata_word(text, word, sizeof(word)) || addr_parse(word, &a) < 0 ||
		a.family != family)
		return -EINVAL;
	out_bytes(o, a.b, addr_bits(&a) / 8);
	return 0;
}

static int read_name(const char **text, unsigned numbers, struct out *o)
{
	char word[HOST_MAX + 1], host[HOST_MAX];
	uint8_t wire[HOST_WIRE_MAX];
	int n;

	for (unsigned i = 0; i < numbers; i++) {
		uint32_t v;

		if (!rdata_word(text, word, sizeof(word)) || text_u32(word, 65535, &v) < 0)
			return -EINVAL;
		out_u16(o, (uint16_t)v);
	}
	if (!rdata_word(text, word, sizeof(word)) || host_parse(word, host) < 0)
		return -EINVAL;
	n = host_to_wire(host, wire);
	if (n < 0)
		return -EINVAL;
	out_bytes(o, wire, (size_t)n);
	return 0;
}

/* one in quotes, where \" and \\ stand for themselves, or a bare word */
static int read_string(const char **text, struct out *o)
{
	const char *p = skip_blanks(*text);
	bool quoted = *p == '"';
	uint8_t *len = out_room(o, 1);
	size_t n = 0;

	p += quoted;
	for (; *p && (quoted ? *p != '"' : *p != ' ' && *p != '\t'); p++, n++) {
		if (quoted && *p == '\\' && p[1])
			p++;
		out_u8(o, (uint8_t)*p);
	}
	if (n > 255 || (quoted && *p++ != '"') || !len)
		return -EINVAL;
	*len = (uint8_t)n;
	*text = p;
	return 0;
}

static int read_text(const char **text, struct out *o)
{
	int r;

	if (!*skip_blanks(*text))
		return -EINVAL;
	do {
		r = read_string(text, o);
	} while (r == 0 && *skip_blanks(*text) == '"');
	return r;
}

int rdata_read(uint16_t type, const char **text, struct out *out)
{
	unsigned numbers = 0;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			numbers = types[i].numbers;
	if (type == TYPE_A || type == TYPE_AAAA)
		r = read_addr(type == TYPE_A ? 4 : 6, text, out);
	else if (type == TYPE_TXT)
		r = read_text(text, out);
	else
		r = read_name(text, numbers, out);
	return r == 0 && out->bad ? -ENOSPC : r;
}
