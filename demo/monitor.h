/* SPDX-License-Identifier: MIT */
/* monitor.h: the prompt on the serial line or the screen, its commands, and scripts of commands. */
#ifndef DEMO_MONITOR_H
#define DEMO_MONITOR_H

#include <quarry/mm.h>
#include <quarry/types.h>

/* ---- the table of commands (demo/monitor.c) ---- */

enum command_group {
	GROUP_MEMORY,
	GROUP_OFFLINE,
	GROUP_BROKEN,
	GROUP_TESTS,
	GROUP_MACHINE,
	GROUP_PROMPT,
	NR_COMMAND_GROUPS
};

/* The kinds of words of a command line, for completion. */
enum word_kind {
	WORD_NONE,
	WORD_CHOICE,  /* one of the command's choices */
	WORD_COMMAND, /* a command; the words behind it are its arguments */
	WORD_HELP,    /* a command or a subject */
	WORD_POLICY,
	WORD_TEST,    /* a suite, SUITE.TEST or a group of tests */
	WORD_ONLINE,  /* first pfn of a range that could go offline */
	WORD_OFFLINE, /* first pfn of an offline range */
	WORD_BROKEN,  /* pfn of a broken page */
	WORD_NR,      /* number of pages of a range; the word before is its first pfn */
	WORD_NODE,
	WORD_CPU,
	WORD_PROGRAM, /* a program of the boot modules */
};

#define SHOWS      1u  /* the command changes nothing */
#define SHOWS_BARE 2u  /* without arguments the command only shows the present state */
#define NEEDS_KEYS 4u  /* the command reads keys: not for scripts */
#define SEEN       8u  /* the live screen is on while the command runs, where possible */
#define FOLLOWS    16u /* the command shows changes until a key is pressed: not for a watch */

#define COMMAND_WORDS 3 /* arguments that can be completed */

struct command {
	const char *name, *args, *help;
	unsigned min, max; /* arguments */
	/* Returns 0, or a negative errno after printing the reason. */
	int (*run)(unsigned n, char **arg);
	enum command_group group;
	unsigned flags;
	const char *example;
	enum word_kind word[COMMAND_WORDS];
	const char *choices; /* separated by blanks */
};

/* Command @i in the order of the table; NULL: @i is behind the last command. */
const struct command *monitor_command(unsigned i);
/* Find a command by its name, or by an alias (?, quit, exit); NULL: none. */
const struct command *monitor_find(const char *name);
/* Print that there is no command @name, and the one whose name is nearest, if one is near. */
void monitor_no_such(const char *name);
/*
 * Carry out the command of @n words.  Returns its result, or, with a line that says so: -ENOSYS no
 * such command; -E2BIG too many or too few arguments, or keys needed in a script.
 */
int monitor_obey(unsigned n, char **word);
/* Split @text at its blanks, and carry out that command like monitor_obey; 0 for an empty text. */
int monitor_obey_text(char *text);

struct monitor_state {
	u64 seed;
	bool no_keys; /* a script or a watch: no command reads keys or shows its progress */
	bool halted;
	void (*on_cancel)(void); /* NULL, or called again and again once the user has cancelled */
};
extern struct monitor_state monitor_state;

/* Can the command be watched with arguments, or, if @bare, without arguments? */
bool monitor_watchable(const struct command *c, bool bare);
/* Print the commands that can be watched. */
void monitor_show_watchable(void);

/* The name of @group as a subject of help. */
const char *monitor_subject(unsigned group);

/*
 * Selftests begin or have ended: `mem` leaves out the events that they cause.  At boot only the end
 * is reported, and all events before it are left out.
 */
void monitor_tests(bool ended);

/* ---- arguments ---- */

/* Parse the number @word into *@value; false, with a line that says so: not a number. */
bool monitor_number(const char *word, u64 *value);
/* Find the policy with the name @word; false, with a line that says so: no such policy. */
bool monitor_policy(const char *word, enum iso_policy *policy);

/* ---- keys and waiting (demo/monitor_wait.c) ---- */

#define MONITOR_CANCELS "Ctrl-U cancels"

/*
 * Run @fn in a thread of its own, show its progress, and wait for it.  @cancel, which may be NULL:
 * set to 1 when Ctrl-U or Ctrl-C is typed.  @blocker, which may be NULL: here @fn writes the page
 * that it waits for.  Returns @fn's result, or -ENOMEM.
 */
int monitor_wait(
    const char *what, int (*fn)(void *arg), void *arg, u32 *cancel, const struct mm_fail *blocker);
/*
 * Has Ctrl-U or Ctrl-C been typed?  Other keys are lost.  With no_keys: false, and no key is read.
 * For loops that wait by themselves.
 */
bool monitor_key_cancels(void);

/* ---- ranges of memory (demo/monitor_range.c) ---- */

/*
 * The first run of offline pageblocks from @from on, and its pages in *@nr; standby memory is left
 * out.  PFN_NONE: none.
 */
pfn_t range_offline(pfn_t from, unsigned long *nr);
/*
 * The first run of pageblocks of a zone MOVABLE, from @from on, that could go offline, and its
 * pages in *@nr.  PFN_NONE: none.
 */
pfn_t range_online(pfn_t from, unsigned long *nr);
/*
 * The reason, as a text, why an operation on @nr pages from @pfn is refused.  @already: the text
 * for WHY_ALREADY, "already offline" for example.
 */
const char *range_why(enum mm_why why, u64 pfn, u64 nr, const char *already);
/* The reason, as a text, why @nr pages from @pfn are not whole pageblocks; NULL: they are. */
const char *range_misfit(u64 pfn, u64 nr);
void range_show_offline(const char *what);
void range_show_online(const char *what);

/* ---- completion (demo/monitor_complete.c), for struct line_ops ---- */

struct line_edit;
void monitor_complete(void *arg, struct line_edit *e, const char *before, const char *word);

/* ---- the machine (demo/monitor_about.c) ---- */

/* Print one page about this machine: at most 24 lines of 79 columns.  One caller at a time. */
void monitor_about(void);

/* ---- commands ---- */

/* demo/monitor_help.c */
int cmd_help(unsigned n, char **arg);
/* demo/monitor_show.c */
int cmd_mem(unsigned n, char **arg);
int cmd_zone(unsigned n, char **arg);
int cmd_pcp(unsigned n, char **arg);
int cmd_block(unsigned n, char **arg);
int cmd_page(unsigned n, char **arg);
int cmd_history(unsigned n, char **arg);
int cmd_trace(unsigned n, char **arg);
int cmd_policy(unsigned n, char **arg);
int cmd_check(unsigned n, char **arg);
int cmd_counts(unsigned n, char **arg);
int cmd_run(unsigned n, char **arg);
int cmd_rounds(unsigned n, char **arg);
int cmd_slots(unsigned n, char **arg);
int cmd_mce(unsigned n, char **arg);
int cmd_race(unsigned n, char **arg);
int cmd_user(unsigned n, char **arg);
int cmd_virtio(unsigned n, char **arg);
int cmd_cpus(unsigned n, char **arg);
int cmd_cpu(unsigned n, char **arg);
/* demo/monitor_about.c */
int cmd_about(unsigned n, char **arg);
/* demo/monitor_offline.c */
int cmd_offline(unsigned n, char **arg);
int cmd_online(unsigned n, char **arg);
int cmd_add(unsigned n, char **arg);
int cmd_remove(unsigned n, char **arg);
int cmd_query(unsigned n, char **arg);
int cmd_evacuate(unsigned n, char **arg);
int cmd_compact(unsigned n, char **arg);
int cmd_busy(unsigned n, char **arg);
/* demo/load.c */
int cmd_load(unsigned n, char **arg);
int cmd_burst(unsigned n, char **arg);
/* Allocated blocks, chained by their owner fields; words of each page are written. */
struct burst {
	struct page *top;
	unsigned long pages, damaged;
	u64 seed;
};
/* Take @pages pages, or all there are; free them, and count the pages that are damaged. */
void burst_take(struct burst *b, unsigned long pages);
void burst_give(struct burst *b);
/* demo/monitor_cma.c */
int cmd_cma(unsigned n, char **arg);
/* demo/monitor_poison.c */
int cmd_poison(unsigned n, char **arg);
int cmd_soft(unsigned n, char **arg);
int cmd_unpoison(unsigned n, char **arg);

#endif
