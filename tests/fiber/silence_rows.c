/* SPDX-License-Identifier: MIT */
/* silence_rows.c: rows of operations; see silence_help.h. */
#include "tests/fiber/silence_help.h"
#include "kernel/thread.h"
#include <quarry/console.h>
#include <quarry/errname.h>
#include <quarry/string.h>

#define MAX_WORD    32u
#define MAX_TEXT    160u
#define MAX_THREADS 8u

struct ktest *playing;
struct memory *play_mem;

/* ---- rows ---- */

struct row {
	const char *file;
	int line;
	char text[MAX_TEXT];
	const char *rest;     /* of the text, behind the operation */
	char words[MAX_TEXT]; /* of a panic */
	const struct verb *verb;
	s64 value[4], last; /* the first value goes to @last */
	u64 took;
	struct thread *thread;
	u32 ended; /* atomic */
};
static struct row started[MAX_THREADS];
static unsigned nr_started;

extern const struct verb verbs_start[] __asm__("__start_silence_verbs");
extern const struct verb verbs_end[] __asm__("__stop_silence_verbs");

/* The verb of the suite; or, unless it has that word, one that all suites have. */
static const struct verb *find_verb(const char *file, const char *word)
{
	static const char all[] = "tests/fiber/silence_";
	const struct verb *v, *found = NULL;

	for (v = verbs_start; v != verbs_end; v++)
		if (!strcmp(v->name, word) &&
		    (!strcmp(v->file, file) || (!found && !strncmp(v->file, all, strlen(all)))))
			found = v;
	if (!found)
		panic("no verb %s", word);
	return found;
}

static bool read(const char **at, const char *what)
{
	size_t len = strlen(what);

	while (**at == ' ')
		(*at)++;
	if (strncmp(*at, what, len) != 0)
		return false;
	*at += len;
	return true;
}

static void read_word(const char **at, char *word)
{
	unsigned len = 0;

	read(at, "");
	while (**at && !__builtin_strchr(" =<>!@+", **at) && len < MAX_WORD - 1)
		word[len++] = *(*at)++;
	word[len] = '\0';
}

/* @last, unless NULL: the end of a range. */
static s64 read_range(const char *file, const char **at, s64 *last)
{
	char word[MAX_WORD], *c = word, *dot;
	s64 value, sign, a[4] = {0};
	unsigned nr = 0;

	read_word(at, word);
	for (value = 1; word[0] == '-' && value < 200; value++)
		if (!strcmp(errno_name(value), word + 1))
			return -value;
	sign = *c == '-' ? -1 : 1;
	c += *c == '-';
	if (*c < '0' || *c > '9') {
		for (dot = word; (dot = __builtin_strchr(dot, '.')); nr++) {
			*dot++ = '\0';
			a[nr] = *dot - '0';
		}
		return find_verb(file, word)->fn(a);
	}
	for (value = 0; *c >= '0' && *c <= '9'; c++)
		value = 10 * value + *c - '0';
	for (; last && (*c == '.' || (*c >= '0' && *c <= '9')); c++)
		*last = *c == '.' ? 0 : 10 * *last + *c - '0';
	return sign * value *
	    (*c == 'm'          ? (s64)MS
	            : *c == 's' ? (s64)S
	            : *c == 't' ? (s64)TICK
	                        : 1);
}

static s64 read_value(const char *file, const char **at)
{
	return read_range(file, at, NULL);
}

/* Read the operation. */
static void read_row(struct row *r)
{
	const char *at = r->text, *end;
	char word[MAX_WORD];
	unsigned nr = 0;

	r->words[0] = '\0';
	end = read(&at, "panics [") ? __builtin_strchr(at, ']') : NULL;
	if (end) {
		ksnprintf(r->words, sizeof(r->words), "%s", at);
		r->words[end - at] = '\0';
		at = end + 1;
	}
	read_word(&at, word);
	r->verb = find_verb(r->file, word);
	memset(r->value, 0, sizeof(r->value));
	r->last = -1;
	for (read(&at, ""); *at && !__builtin_strchr("=<>!@", *at); read(&at, ""), nr++)
		r->value[nr % ARRAY_SIZE(r->value)] =
		    read_range(r->file, &at, nr ? NULL : &r->last);
	r->rest = at;
}

/* Do the operation, for each value of its range; all must give the same result. */
static s64 act(struct row *r)
{
	s64 got = r->verb->fn(r->value);

	while (r->last >= 0 && r->value[0]++ < r->last)
		if (r->verb->fn(r->value) != got)
			return -EPROTO;
	return got;
}

static void act_in_panic(void *row)
{
	act(row);
}

static bool play_row(struct row *r)
{
	u64 began, least = 0, slack = SLACK;
	s64 got = 0, want = 0;
	bool right, any, differs, more, less;

	read_row(r);
	any = r->verb->any;
	began = arch_clock_ns();
	if (r->words[0]) {
		got = !whole_panics(act_in_panic, r, r->words, &r->took);
		slack = CALL_SLACK;
		any = true;
	} else {
		got = act(r);
		r->took = arch_clock_ns() - began;
	}
	differs = read(&r->rest, "!=");
	more = read(&r->rest, ">=");
	less = read(&r->rest, "<=");
	if (differs || more || less || read(&r->rest, "="))
		want = read_value(r->file, &r->rest);
	right = differs ? got != want : more ? got >= want : less ? got <= want : got == want;
	if (read(&r->rest, "@")) {
		any = read(&r->rest, "?");
		least = any ? 0 : (u64)read_value(r->file, &r->rest);
		slack = read(&r->rest, "+") ? (u64)read_value(r->file, &r->rest) : slack;
	}
	if (!read(&r->rest, "") || *r->rest)
		panic("a row that ends in %s", r->rest);
	if (!right)
		ktest_fail(playing, r->file, r->line, "%s: got %lld", r->text, (long long)got);
	if (!any && (r->took < least || r->took > least + slack))
		ktest_fail(playing, r->file, r->line, "%s: took %llu ms", r->text,
		    (unsigned long long)(r->took / MS));
	store_release(&r->ended, 1u);
	return right;
}

static void run_row(void *arg)
{
	play_row(arg);
}

static void start_row(const struct row *row, int cpu)
{
	struct row *r = &started[nr_started++];

	*r = *row;
	r->ended = 0;
	r->thread = nr_started > MAX_THREADS ? NULL : thread_start("row", cpu, run_row, r);
	if (!r->thread)
		panic("no thread for %s", r->text);
}

void play(struct ktest *t, const char *file, int line, const char *fmt, ...)
{
	struct row r = {.file = file, .line = line};
	char script[2048], *at = script, *end;
	bool beside, in_words = false; /* of a panic */
	va_list args;

	va_start(args, fmt);
	if (kvsnprintf(script, sizeof(script), fmt, args) >= (int)sizeof(script))
		panic("too long: %s", script);
	va_end(args);
	playing = t;
	play_mem = t->mem ? t->mem : &kernel_memory;
	for (; *at; at = end) {
		for (end = at; *end && (*end != ';' || in_words); end++)
			in_words = *end == '[' || (in_words && *end != ']');
		if (*end)
			*end++ = '\0';
		while (*at == ' ')
			at++;
		beside = *at && at[1] == '>';
		if (ksnprintf(r.text, MAX_TEXT, "%s", beside ? at + 2 : at) >= (int)MAX_TEXT)
			panic("too long: %s", at);
		if (beside)
			start_row(&r, *at == '*' ? -1 : *at - '0');
		else if (*at && !play_row(&r) && !strncmp(r.verb->name, "begin", 5))
			return;
		play_mem = t->mem ? t->mem : &kernel_memory;
	}
}

/* Rows that have not ended. */
static unsigned running(void)
{
	unsigned i, nr = 0;

	for (i = 0; i < nr_started; i++)
		nr += !load_acquire(&started[i].ended);
	return nr;
}

VERB(running, running());
WAIT(join, for (; nr_started > 0; nr_started--) thread_join(started[nr_started - 1].thread));
WAIT(sleep, thread_sleep((u64)a[0]));
