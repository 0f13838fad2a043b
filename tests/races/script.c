/* SPDX-License-Identifier: MIT */
/*
 * script.c: reads the texts of race scripts.
 *
 * Owns: nothing; a script is the caller's.
 */
#include "engine.h"
#include <quarry/console.h>
#include <quarry/isolation.h>
#include <quarry/string.h>

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool fail(struct race_script *s, const char *what, const char *at)
{
	if (!s->error[0])
		ksnprintf(s->error, sizeof(s->error), "%s: \"%.*s\"", what, 30, at);
	return false;
}

/*
 * Copy the text between @from and @end without the blanks around it.  False: @to has no room for
 * all of it.
 */
static bool copy_trimmed(
    struct race_script *s, char *to, size_t size, const char *from, const char *end)
{
	size_t len;

	while (from < end && blank(*from))
		from++;
	while (end > from && blank(end[-1]))
		end--;
	len = MIN((size_t)(end - from), size - 1);
	memcpy(to, from, len);
	to[len] = '\0';
	return from + len == end || fail(s, "too long", from);
}

#define NAMED(err)                                                                                 \
	{                                                                                          \
		"-" #err, -(err)                                                                   \
	}
static const struct {
	const char *name;
	int err;
} errors[] = {NAMED(EINVAL), NAMED(EBUSY), NAMED(EIO), NAMED(ENOMEM), NAMED(EAGAIN),
    NAMED(ETIMEDOUT), NAMED(EINTR), NAMED(EALREADY), NAMED(EDEADLK), NAMED(EOVERFLOW),
    NAMED(EUCLEAN), NAMED(ENOSYS), NAMED(ENXIO), NAMED(EHWPOISON), NAMED(EOPNOTSUPP), NAMED(EDQUOT),
    NAMED(EFAULT), NAMED(EACCES), NAMED(EEXIST), NAMED(ENOENT), {"0", 0}};

const char *race_errno(int err)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(errors); i++)
		if (errors[i].err == err)
			return errors[i].name;
	return "?";
}

/* A number of one to nine digits. */
static bool parse_number(const char *text, unsigned *value)
{
	const char *p = text;

	for (*value = 0; *p >= '0' && *p <= '9'; p++)
		*value = *value * 10 + (unsigned)(*p - '0');
	return p > text && p - text < 10 && !*p;
}

static bool parse_result(struct race_script *s, struct race_entry *e, const char *text)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		if (!strcmp(errors[i].name, text)) {
			e->wants = true;
			e->want = errors[i].err;
			return true;
		}
	}
	return fail(s, "no such result", text);
}

/*
 * The number of the hit meant by @name without a number, after @nr entries. For role@P it is the
 * hit at which the last role?P arrived, if the role has not left it; else the next hit.
 */
static unsigned next_hit(
    const struct race_script *s, unsigned nr, unsigned role, const char *name, bool leave)
{
	unsigned arrived = 0, left = 0, i, j;

	for (i = 0; i < nr; i++) {
		const struct race_entry *e = &s->entry[i];

		if (e->role != role || e->kind > RACE_LEAVE)
			continue;
		for (j = 0; j < e->nr_places; j++) {
			if (strcmp(e->place[j].name, name) != 0)
				continue;
			if (e->kind == RACE_LEAVE)
				left = MAX(left, e->place[j].nth);
			else
				arrived = MAX(arrived, e->place[j].nth);
		}
	}
	return leave && arrived > left ? arrived : MAX(arrived, left) + 1;
}

static bool parse_place(
    struct race_script *s, struct race_entry *e, const char *from, const char *end)
{
	struct race_place *p = &e->place[e->nr_places++];
	char *hash;

	if (!copy_trimmed(s, p->name, sizeof(p->name), from, end))
		return false;
	if (!p->name[0])
		return fail(s, "a point is missing", from);
	for (hash = p->name; *hash && *hash != '#';)
		hash++;
	if (*hash) {
		*hash = '\0';
		if (!parse_number(hash + 1, &p->nth) || p->nth == 0)
			return fail(s, "not a number of a hit", from);
	} else {
		p->nth = next_hit(s, s->nr, e->role, p->name, e->kind == RACE_LEAVE);
	}
	return true;
}

static bool parse_places(struct race_script *s, struct race_entry *e, const char *text)
{
	const char *end;

	for (;;) {
		for (end = text; *end && *end != '|';)
			end++;
		if (e->nr_places == RACE_PLACES)
			return fail(s, "too many places", text);
		if (!parse_place(s, e, text, end))
			return false;
		if (!*end)
			return true;
		text = end + 1;
	}
}

static bool parse_op(struct race_script *s, struct race_entry *e, const char *text)
{
	const char *end = text;

	while (*end && *end != '=')
		end++;
	if (*end && !parse_result(s, e, end + 1))
		return false;
	if (!copy_trimmed(s, e->op, sizeof(e->op), text, end))
		return false;
	if (e->kind == RACE_RUN && !strcmp(e->op, "join"))
		e->kind = RACE_JOIN;
	else if (!ops_known(e->op))
		return fail(s, "no such operation", e->op);
	return true;
}

static bool parse_count(struct race_script *s, struct race_entry *e, const char *text)
{
	const char *end = text;
	unsigned want = 0;

	while (*end && *end != '=')
		end++;
	if (!copy_trimmed(s, e->op, sizeof(e->op), text, end))
		return false;
	e->kind = RACE_COUNT;
	e->wants = *end;
	if (!e->op[0] || (*end && !parse_number(end + 1, &want)))
		return fail(s, "not a count", text);
	e->want = (int)want;
	s->nr++;
	return true;
}

static bool parse_entry(struct race_script *s, const char *text)
{
	struct race_entry *e = &s->entry[s->nr];
	bool good;

	if (s->nr == RACE_ENTRIES)
		return fail(s, "too many entries", text);
	*e = (struct race_entry){.kind = RACE_CHECK};
	if (!strncmp(text, "check", 5) && (!text[5] || text[5] == ' ')) {
		good = copy_trimmed(s, e->op, sizeof(e->op), text + 5, text + strlen(text));
		s->nr += good;
		return good;
	}
	if (!strncmp(text, "count ", 6))
		return parse_count(s, e, text + 6);
	if (text[0] == 'R' && (text[1] == '?' || text[1] == '@')) {
		e->role = RACE_RECLAIM;
	} else {
		if (text[0] < 'A' || text[0] >= 'A' + RACE_ROLES)
			return fail(s, "not an entry", text);
		e->role = (unsigned)(text[0] - 'A');
		s->nr_roles = MAX(s->nr_roles, e->role + 1);
	}
	switch (text[1]) {
	case '?': e->kind = RACE_ARRIVE; break;
	case '@': e->kind = RACE_LEAVE; break;
	case '!': e->kind = RACE_START; break;
	case ':': e->kind = RACE_RUN; break;
	default: return fail(s, "not an entry", text);
	}
	good = e->kind <= RACE_LEAVE ? parse_places(s, e, text + 2) : parse_op(s, e, text + 2);
	s->nr += good;
	return good;
}

bool race_parse_entries(struct race_script *s, const char *text)
{
	char entry[160];
	const char *end;

	for (;; text = end + 1) {
		for (end = text; *end && *end != ';';)
			end++;
		if (!copy_trimmed(s, entry, sizeof(entry), text, end))
			return false;
		if (entry[0] && !parse_entry(s, entry))
			return false;
		if (!*end)
			return true;
	}
}

/*
 * The value of "key:" at the start of a line of @text, with its continuation lines, which begin
 * with a blank.  False: no line begins so.
 */
static bool value_of(struct race_script *s, const char *text, const char *file_end, const char *key,
    char *value, size_t size)
{
	size_t len = strlen(key);
	const char *line, *end;

	for (line = text; line < file_end; line = end + 1) {
		for (end = line; end < file_end &&
		     (*end != '\n' || (end + 1 < file_end && (end[1] == ' ' || end[1] == '\t')));)
			end++;
		if (!strncmp(line, key, len)) {
			copy_trimmed(s, value, size, line + len, end);
			return true;
		}
	}
	value[0] = '\0';
	return false;
}

static const char *file_end(const char *text)
{
	const char *p = text + 1;

	while (*p && !(p[-1] == '\n' && !strncmp(p, "race:", 5)))
		p++;
	return p;
}

const char *race_parse(const char *text, struct race_script *s)
{
	static char value[RACE_ENTRIES * 64]; /* as large as the texts that race_write makes */
	const char *end = file_end(text);

	memset(s, 0, sizeof(*s));
	s->policy = ISO_PRECISE;
	value_of(s, text, end, "race:", s->name, sizeof(s->name));
	value_of(s, text, end, "expect:", s->expect, sizeof(s->expect));
	if (value_of(s, text, end, "policy:", value, sizeof(value))) {
		s->policy = iso_policy_by_name(value);
		if (s->policy == NR_ISO_POLICIES)
			fail(s, "no such policy", value);
	}
	if (value_of(s, text, end, "model:", value, sizeof(value))) {
		s->tso = !strcmp(value, "tso");
		if (!s->tso && strcmp(value, "sc") != 0)
			fail(s, "not a model, sc or tso", value);
	}
	if (value_of(s, text, end, "cpus:", value, sizeof(value)) &&
	    (!parse_number(value, &s->nr_cpus) || !s->nr_cpus || s->nr_cpus > RACE_ROLES))
		fail(s, "not a number of CPUs, 1 to 8", value);
	value_of(s, text, end, "setup:", value, sizeof(value));
	if (race_parse_entries(s, value)) {
		s->first = s->nr;
		if (!value_of(s, text, end, "script:", value, sizeof(value)))
			fail(s, "no script", s->name);
		race_parse_entries(s, value);
	}
	s->nr_cpus = MAX(s->nr_cpus, s->nr_roles);
	return end;
}

bool race_find(const char *name, struct race_script *s)
{
	const char *text = race_texts;

	while (*text) {
		text = race_parse(text, s);
		if (!strcmp(s->name, name))
			return true;
	}
	return false;
}

static size_t write_entry(const struct race_script *s, unsigned i, char *text, size_t size)
{
	static const char marks[] = "?@:!:";
	const struct race_entry *e = &s->entry[i];
	const char *name = e->kind <= RACE_LEAVE ? e->place[0].name
	    : e->kind == RACE_JOIN               ? "join"
	                                         : e->op;
	char nth[16] = "", wants[24] = "";

	if (e->kind >= RACE_CHECK)
		return (size_t)ksnprintf(
		    text, size, "%s %s", e->kind == RACE_CHECK ? "check" : "count", e->op);
	if (e->kind <= RACE_LEAVE &&
	    e->place[0].nth != next_hit(s, i, e->role, name, e->kind == RACE_LEAVE))
		ksnprintf(nth, sizeof(nth), "#%u", e->place[0].nth);
	if (e->wants)
		ksnprintf(wants, sizeof(wants), "=%s", race_errno(e->want));
	return (size_t)ksnprintf(
	    text, size, "%c%c%s%s%s", race_letter(e->role), marks[e->kind], name, nth, wants);
}

void race_write(const struct race_script *s, const char *expect, char *text, size_t size)
{
	size_t used = (size_t)ksnprintf(
	    text, size, "race: %s\npolicy: %s\n", s->name, iso_policy_name(s->policy));
	size_t line = 0;
	unsigned i;

	if (s->tso && used < size)
		used += (size_t)ksnprintf(text + used, size - used, "model: tso\n");
	if (s->nr_cpus > s->nr_roles && used < size)
		used += (size_t)ksnprintf(text + used, size - used, "cpus: %u\n", s->nr_cpus);
	if (used < size)
		used += (size_t)ksnprintf(text + used, size - used, "setup:");

	for (i = 0; i < s->nr && used < size; i++) {
		if (i == s->first) {
			used += (size_t)ksnprintf(text + used, size - used, "\nscript:");
			line = used;
		} else if (i && used - line > 80) {
			used += (size_t)ksnprintf(text + used, size - used, " ;\n ");
			line = used;
		} else if (i) {
			used += (size_t)ksnprintf(text + used, size - used, " ;");
		}
		if (used < size)
			used += (size_t)ksnprintf(text + used, size - used, " ");
		if (used < size)
			used += write_entry(s, i, text + used, size - used);
	}
	if (used < size)
		ksnprintf(text + used, size - used, "%s\nexpect: %s\n",
		    s->nr == s->first ? "\nscript:" : "", expect);
}
