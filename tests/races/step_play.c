/* SPDX-License-Identifier: MIT */
/*
 * step_play.c: choosing the moves of a race: by keys, moves given beforehand, or a seed; and the
 * summary at the end.
 *
 * Owns: the session.
 */
#include "step.h"
#include <quarry/console.h>
#include <quarry/ktest.h>

#define SWITCH_ONE_IN 4 /* random moves: one in so many goes to another role than the last one */

static struct step_session session;
static struct race_result result;
static bool impossible; /* a move given beforehand could not be made */
static char replayed[STEP_MOVES + 1];
/* The states seen since a role began to move on and on. */
static struct {
	u64 picture[64], last;
	unsigned nr;
} run;
void (*step_run)(const struct race_script *s, struct race_result *res) = race_run;

static void say_text(const char *text)
{
	char line[160];
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		for (end = text; *end && *end != '\n';)
			end++;
		ksnprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
		session.say(line);
	}
}

static void say(const char *what, const char *text)
{
	static char line[STEP_MOVES + 40];

	ksnprintf(line, sizeof(line), "%s%s", what, text);
	session.say(line);
}

/* ---- by keys ---- */

static bool is_back(int key)
{
	return key == '<' || key == '\b' || key == 127;
}

static int by_key(int key, unsigned movable)
{
	unsigned role = (unsigned)((key | 0x20) - 'a');

	if (key < 'A' || role >= RACE_ROLES) {
		if (key != '?')
			say("step: no such key", "");
		say("step: keys: a letter: that role moves; a capital: it moves on and on; <: one "
		    "step back; "
		    "q: leave",
		    "");
		return -1;
	}
	if (!(movable >> role & 1)) {
		const char name[] = {(char)('A' + role), '\0'};

		say("step: cannot move: ", name);
		return -1;
	}
	if (key < 'a') {
		session.run = (int)role;
		run.nr = 0;
	}
	return (int)role;
}

/*
 * A role that moves on and on stops at a state that it has been in before, unless it did not move
 * at all.
 */
static bool been_here(void)
{
	u64 picture = step_look_hash();
	unsigned i;

	for (i = 0; i < run.nr; i++)
		if (run.picture[i] == picture && picture != run.last)
			return true;
	if (run.nr < ARRAY_SIZE(run.picture))
		run.picture[run.nr++] = picture;
	run.last = picture;
	return false;
}

static int choose_by_keys(struct step_session *s, unsigned movable)
{
	char letters[RACE_ROLES + 1];
	unsigned role, n = 0;
	int key, chosen = -1;

	if (*s->given) {
		role = (unsigned)(*s->given++ - 'a');
		impossible = role >= RACE_ROLES || !(movable >> role & 1);
		return impossible ? STEP_QUIT : (int)role;
	}
	if (s->run >= 0 && movable >> s->run & 1 && !s->ended && !been_here())
		return s->run;
	s->run = -1;
	for (role = 0; role < RACE_ROLES; role++)
		if (movable >> role & 1)
			letters[n++] = (char)('a' + role);
	letters[n] = '\0';
	do {
		say("step: choose ", letters);
		do
			key = s->key();
		while (key == '\n' || key == '\r' || key == ' ');
		s->back = is_back(key) && s->nr_moves;
		if (key < 0 || key == 'q' || s->back)
			return STEP_QUIT;
		chosen = by_key(key, movable);
	} while (chosen < 0);
	return chosen;
}

static const char *outcome_of_script(void)
{
	/* If the reader leaves early, the moves still make a script that ends. */
	return !strcmp(result.outcome, "QUIT") ? "OK" : result.outcome;
}

static void say_script(void)
{
	static char text[RACE_ENTRIES * 64];

	if (session.made.error[0]) {
		say("step: no script: ", session.made.error);
		return;
	}
	race_write(&session.made, outcome_of_script(), text, sizeof(text));
	say_text(text);
}

/* Print outcome and script; a step back is still possible after that. */
static void say_end(void)
{
	session.back = false;
	say("step: outcome ", result.outcome);
	if (result.why[0])
		say("step: why ", result.why);
	say("step: moves ", session.moves);
	ksnprintf(session.made.name, sizeof(session.made.name), "mine");
	say("step: script", "");
	say_script();
	say("step: end", "");
	if (result.abandoned || !session.nr_moves || !strcmp(result.outcome, "QUIT"))
		return;
	say("step: <: one step back; any other key: leave", "");
	session.back = is_back(session.key());
}

bool step_by_keys(
    const struct race_script *s, const char *given, int (*key)(void), void (*to)(const char *line))
{
	impossible = false;
	do {
		session = (struct step_session){.choose = choose_by_keys,
		    .say = to,
		    .key = key,
		    .given = given,
		    .run = -1,
		    .hush = given == replayed};
		step_session = &session;
		step_run(s, &result);
		step_session = NULL;
		if (impossible) {
			say("step: not possible after these moves: ", session.moves);
			return false;
		}
		if (!session.back)
			say_end();
		if (session.back) {
			memcpy(replayed, session.moves, sizeof(replayed));
			replayed[session.nr_moves - 1] = '\0';
			given = replayed;
			say("step: back", "");
		}
	} while (session.back && !result.abandoned);
	return true;
}

/* ---- by chance ---- */

static int choose_by_chance(struct step_session *s, unsigned movable)
{
	u64 r = ktest_rand(&s->rand) >> 8;
	unsigned role, others = movable, pick;

	if (s->run >= 0 && movable >> s->run & 1 && r % SWITCH_ONE_IN)
		return s->run;
	if (s->run >= 0 && others & ~(1u << s->run))
		others &= ~(1u << s->run);
	pick = (unsigned)(r / SWITCH_ONE_IN % count_bits(others));
	for (role = 0; !(others >> role & 1) || pick--; role++)
		;
	s->run = (int)role;
	return (int)role;
}

bool step_by_seed(const struct race_script *s, u64 seed, bool always, void (*to)(const char *line))
{
	char line[RACE_NAME + 60];

	session = (struct step_session){
	    .choose = choose_by_chance, .rand = seed * 0x9e3779b97f4a7c15ULL | 1, .run = -1};
	step_session = &session;
	step_run(s, &result);
	step_session = NULL;
	session.say = to;
	ksnprintf(
	    line, sizeof(line), "race: begin %s seed %llu", s->name, (unsigned long long)seed);
	to(line);
	if (always)
		say_text(result.trace);
	say("race: moves ", session.moves);
	ksnprintf(line, sizeof(line), "race: end %s seed %llu %s", s->name,
	    (unsigned long long)seed, result.outcome);
	to(line);
	if (result.why[0])
		say("race: why: ", result.why);
	if (always || strcmp(result.outcome, "OK") != 0) {
		ksnprintf(session.made.name, sizeof(session.made.name), "%.20s-%llu", s->name,
		    (unsigned long long)seed);
		say_script();
	}
	return !strcmp(result.outcome, "OK");
}
