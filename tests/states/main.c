/* SPDX-License-Identifier: MIT */
/*
 * main.c: the program that searches scopes: states SCOPE...
 *
 *   states --list          the scopes
 *   states --again LIST    make the calls of a list again, "pages:3,17,4"
 *
 * Owns:       nothing.
 * Locks:      none: one thread.
 * Invariants: none.
 * Tests:      tests/qemu/test_states.py.
 */
#include "states.h"
#include <quarry/string.h>
#include <stdio.h>

static const char *const when_text[] = {"each", "full", "hand"};

static const struct scope *scope_named(const char *name, size_t length)
{
	unsigned i;

	for (i = 0; i < nr_scopes; i++) {
		if (strlen(scopes[i].name) == length && !memcmp(scopes[i].name, name, length))
			return &scopes[i];
	}
	return NULL;
}

static int again(const char *text)
{
	const char *list = text;
	const struct scope *scope;

	while (*list && *list != ':')
		list++;
	scope = scope_named(text, (size_t)(list - text));
	if (!scope || !*list)
		return 2;
	return say_again(scope, list + 1) ? 0 : 1;
}

int main(int argc, char **argv)
{
	unsigned k, failed = 0;
	int i;

	if (argc == 3 && !strcmp(argv[1], "--again"))
		return again(argv[2]);
	for (k = 0; argc == 2 && !strcmp(argv[1], "--list") && k < nr_scopes; k++)
		printf("%s\t%s\t%s\n", scopes[k].name, when_text[scopes[k].when], scopes[k].about);
	if (argc < 2)
		printf("states SCOPE... | --list | --again SCOPE:NUMBER,...\n");
	if (argc < 2 || argv[1][0] == '-')
		return argc < 2;
	for (i = 1; i < argc; i++) {
		const struct scope *scope = scope_named(argv[i], strlen(argv[i]));

		if (!scope) {
			printf("no scope %s\n", argv[i]);
			return 2;
		}
		failed += !search(scope);
	}
	return failed ? 1 : 0;
}
