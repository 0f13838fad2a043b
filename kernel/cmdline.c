/* SPDX-License-Identifier: MIT */
/*
 * cmdline.c: the options of the kernel's command line.
 *
 * Owns:       options[] and a copy of the command line that their values point into.
 * Locks:      none: written by cmdline_init on the boot CPU, constant afterwards.
 */
#include <quarry/hotplug.h>
#include <quarry/kernel.h>

enum option_kind { OPT_TEXT, OPT_NUMBER, OPT_RANGE, OPT_PERCENT, OPT_CHOICE };

struct option {
	const char *name;
	const char *help;
	enum option_kind kind;
	const char *choices; /* OPT_CHOICE: with blanks between */
	const char *value;   /* NULL: not given, or malformed */
};

static struct option options[] = {
	{"selftest", "tests: all quick none fail, or SUITE and SUITE.TEST with commas", OPT_TEXT, NULL, NULL},
	{"seed", "what all chance derives from: a number", OPT_NUMBER, NULL, NULL},
	{"isolation", "how offlining keeps pages out of caches", OPT_CHOICE, "precise disable redrain", NULL},
	{"movable", "zone MOVABLE's part of each node: N%, at most 95%", OPT_PERCENT, NULL, NULL},
	{"standby", "MiB of each zone above 4 GiB that are online from the start, the rest stands by; 0: all are", OPT_NUMBER,
	    NULL, NULL},
	{"trace", "name of the boot module with a trace to replay", OPT_TEXT, NULL, NULL},
	{"tour", "the tour after the selftests", OPT_CHOICE, "on off", NULL},
	{"picture", "how the tour draws memory", OPT_CHOICE, "plain ansi off", NULL},
	{"rounds", "offline rounds under stress, for each policy, instead of the tour", OPT_NUMBER, NULL, NULL},
	{"hotplug", "CPUs taken down and up again under stress, instead of the tour", OPT_NUMBER, NULL, NULL},
	{"poison", "random requests to retire pages under load, instead of the tour", OPT_NUMBER, NULL, NULL},
	{"pressure", "memory runs out on all CPUs, instead of the tour: a seed, or FIRST-LAST", OPT_RANGE, NULL, NULL},
	{"race", "race scripts to replay instead of the tour: all, or names with commas", OPT_TEXT, NULL, NULL},
	{"race_repeat", "how often to replay them", OPT_NUMBER, NULL, NULL},
	{"race_patience", "milliseconds in which all wait for each other until a race counts as stuck", OPT_NUMBER, NULL, NULL},
	{"race_seed", "run them in the orders that derive from these seeds: N or N-M", OPT_TEXT, NULL, NULL},
	{"race_step", "step through the one, by keys; the moves made before, as letters", OPT_TEXT, NULL, NULL},
	{"programs", "offline rounds under programs in ring 3, instead of the tour", OPT_NUMBER, NULL, NULL},
	{"user", "a program of the boot modules to run in ring 3, or off", OPT_TEXT, NULL, NULL},
	{"user_arg", "a number for that program", OPT_NUMBER, NULL, NULL},
	{"user_rounds", "run it so often, while CPUs and ranges of memory go and come", OPT_NUMBER, NULL, NULL},
	{"monitor", "the monitor at the end, or power off", OPT_CHOICE, "on off", NULL},
	{"bench", "print the figures, then power off", OPT_TEXT, NULL, NULL},
	{"console", "where output goes: to the screen too, or to the serial line only", OPT_CHOICE, "screen serial", NULL},
	{"poweroff", "off: at the end the machine stays on, for who reads its screen", OPT_CHOICE, "on off", NULL},
	{"apic", "how local APICs are talked to, if the CPU leaves a choice", OPT_CHOICE, "x2apic xapic", NULL},
	{"slots", "memory and CPUs that are plugged in while the machine runs: used, or left alone", OPT_CHOICE, "on off", NULL},
	{"idle_tick", "the timer of a CPU with nothing to do: once a second, or as fast as ever", OPT_CHOICE, "slow fast", NULL},
	{"ipi_timeout", "milliseconds until a silent CPU is reported", OPT_NUMBER, NULL, NULL},
	{"history", "what the trace rings record: slow paths, or every allocation and free", OPT_CHOICE,
	    "slow all", NULL},
	{"fault", "a fault made on purpose instead of the tour, to see what is said of it", OPT_CHOICE,
	    FAULT_NAMES, NULL},
	{"badpage", "is a bad free a panic, or only reported and refused?", OPT_CHOICE, "panic report", NULL},
};

static char words[BOOT_CMDLINE_MAX];

int parse_u64(const char *s, u64 *value)
{
	unsigned base = 10, digit;
	u64 sum = 0;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'f')
			digit = (unsigned)((*s | 0x20) - 'a') + 10;
		else
			return -EINVAL;
		if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, digit, &sum))
			return -EINVAL;
	}
	*value = sum;
	return 0;
}

int parse_range(const char *s, u64 *first, u64 *last)
{
	char number[24];
	size_t len = 0;

	while (s[len] && s[len] != '-')
		len++;
	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, s, len);
	number[len] = '\0';
	if (parse_u64(number, first) || parse_u64(s[len] ? s + len + 1 : number, last))
		return -EINVAL;
	return *first <= *last ? 0 : -EINVAL;
}

static struct option *find_option(const char *name)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (; *choices; choices++) {
		if (len && !strncmp(choices, value, len) && (!choices[len] || choices[len] == ' '))
			return true;
		while (*choices && *choices != ' ')
			choices++;
		if (!*choices)
			break;
	}
	return false;
}

/* 0 to 95, with or without the sign: something must be left for the kernel. */
static bool is_percent(const char *value)
{
	size_t len = strlen(value);
	char digits[8];
	u64 percent;

	if (!len || len >= sizeof(digits))
		return false;
	memcpy(digits, value, len + 1);
	if (digits[len - 1] == '%')
		digits[len - 1] = '\0';
	return !parse_u64(digits, &percent) && percent <= 95;
}

static bool well_formed(const struct option *option, const char *value)
{
	u64 number, last;

	switch (option->kind) {
	case OPT_TEXT: return true;
	case OPT_NUMBER: return !parse_u64(value, &number);
	case OPT_RANGE: return !parse_range(value, &number, &last);
	case OPT_PERCENT: return is_percent(value);
	case OPT_CHOICE: return is_choice(option->choices, value);
	}
	return false;
}

/* One word "name" or "name=value", taken apart in place.  False if something is wrong with it. */
static bool take_word(char *word)
{
	struct option *option;
	char *value = word;

	while (*value && *value != '=')
		value++;
	if (*value)
		*value++ = '\0';
	option = find_option(word);
	if (!option) {
		printk("command line: no option \"%s\"\n", word);
		return false;
	}
	if (!well_formed(option, value)) {
		printk("command line: %s=%s is malformed: %s%s%s\n", word, value, option->help,
		    option->choices ? ": " : "", option->choices ? option->choices : "");
		return false;
	}
	option->value = value;
	return true;
}

static char *next_word(char **rest)
{
	char *word = *rest, *end;

	while (*word == ' ' || *word == '\t' || *word == '\n')
		word++;
	for (end = word; *end && *end != ' ' && *end != '\t' && *end != '\n';)
		end++;
	*rest = *end ? end + 1 : end;
	*end = '\0';
	return *word ? word : NULL;
}

void cmdline_init(void)
{
	char *rest = words, *word;
	bool good = !bootinfo.cmdline_truncated;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		options[i].value = NULL;
	memcpy(words, bootinfo.cmdline, sizeof(words));
	words[sizeof(words) - 1] = '\0';
	if (!good)
		printk("command line: too long; its end was cut off\n");
	while ((word = next_word(&rest)))
		good &= take_word(word);
	if (!good)
		cmdline_help();
	smp_timeout_ns = cmdline_u64("ipi_timeout", smp_timeout_ns / 1000000) * 1000000;
}

const char *cmdline_get(const char *name, const char *def)
{
	const struct option *option = find_option(name);

	KASSERT(option);
	return option->value ? option->value : def;
}

u64 cmdline_u64(const char *name, u64 def)
{
	const char *text = cmdline_get(name, NULL);
	u64 value;

	return text && !parse_u64(text, &value) ? value : def;
}

void cmdline_help(void)
{
	unsigned i;

	printk("command line options:\n");
	for (i = 0; i < ARRAY_SIZE(options); i++)
		printk("  %-12s %s%s%s\n", options[i].name, options[i].help,
		    options[i].choices ? ": " : "", options[i].choices ? options[i].choices : "");
}
