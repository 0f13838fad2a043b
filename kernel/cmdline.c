/* SPDX-License-Identifier: MIT */
/*
 * cmdline.c: the options of the kernel's command line.
 *
 * Owns:       options[], and a copy of the command line that the values point into.
 * Locks:      none: written by cmdline_init on the boot CPU, constant afterwards.
 * Invariants: a stored value is well formed and within its option's range.  So callers may convert
 *             its unit: no value in the range is large enough to overflow.
 * Tests:      cmdline, cmdline_init, tests/qemu/test_cmdline.py.
 */
#include <quarry/cmdline.h>
#include <quarry/string.h>

#include <quarry/bootinfo.h>
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/isolation.h>
#include <quarry/port.h>

#define MILLION    1000000
#define ANY_NUMBER (~0ULL)
#define HELP_MAX   256 /* bytes of an option's help */

#define TEXT(name, help)                                                                           \
	{                                                                                          \
		name, help, OPT_TEXT, NULL, 0, 0, ""                                               \
	}
#define CHOICE(name, words, help)                                                                  \
	{                                                                                          \
		name, help, OPT_CHOICE, words, 0, 0, ""                                            \
	}
#define NUMBER(name, first, last, units, help)                                                     \
	{                                                                                          \
		name, help, OPT_NUMBER, NULL, first, last, units                                   \
	}
#define PERCENT(name, last, help)                                                                  \
	{                                                                                          \
		name, help, OPT_PERCENT, NULL, 0, last, "%"                                        \
	}
#define SIZE(name, first, last, help)                                                              \
	{                                                                                          \
		name, help, OPT_SIZE, NULL, first, last, "MiB"                                     \
	}
#define RANGE(name, first, last, units, help)                                                      \
	{                                                                                          \
		name, help, OPT_RANGE, NULL, first, last, units                                    \
	}

static const struct cmdline_option options[] = {
    TEXT("selftest", "tests: all most quick none, contract cost inside, or SUITE and SUITE.TEST"),
    CHOICE("report", "short all", "how selftests are shown: a line a suite, or KTAP"),
    NUMBER("seed", 0, ANY_NUMBER, "", "seed of all random numbers"),
    CHOICE("isolation", ISO_POLICY_NAMES(" "), "how offlining keeps pages out of caches"),
    PERCENT("movable", 95, "zone MOVABLE's part of each node"),
    SIZE("standby", 0, 16ULL << 20,
        "memory of each zone above 4 GiB that is online from the start; 0: all"),
    SIZE("cma", 0, 16ULL << 20, "memory lent to movable pages until it is needed in one piece"),
    TEXT("trace", "name of the boot module with a trace to replay"),
    TEXT("script", "name of the boot module with commands to carry out after the tour"),
    CHOICE("tour", "on off", "the tour after the selftests"),
    CHOICE("picture", "plain live", "what is shown: lines, or the live screen on a terminal"),
    CHOICE("charset", "ascii utf8", "the characters that the terminal can show"),
    NUMBER("rounds", 0, MILLION, "offlines",
        "offlines under stress, for each policy, instead of the tour"),
    NUMBER("hotplug", 0, MILLION, "CPUs",
        "CPUs taken down and up again under stress, instead of the tour"),
    NUMBER("poison", 0, MILLION, "requests",
        "random requests to retire pages under load, instead of the tour"),
    RANGE("pressure", 0, ANY_NUMBER, "", "out of memory on all CPUs, not the tour: seeds"),
    TEXT("race", "race scripts to replay instead of the tour: all, or names with commas"),
    NUMBER("race_repeat", 1, MILLION, "times", "how often to replay them"),
    NUMBER("race_patience", 1, MILLION, "milliseconds", "all threads wait this long: stuck"),
    RANGE("race_seed", 0, ANY_NUMBER, "", "run them in the orders that derive from these seeds"),
    TEXT("race_step", "step through one script by keys, after these moves (letters)"),
    NUMBER("programs", 0, MILLION, "offlines",
        "offlines under programs in ring 3, instead of the tour"),
    TEXT("user", "a program of the boot modules to run in ring 3, or off"),
    NUMBER("user_arg", 0, ANY_NUMBER, "", "a number for that program"),
    NUMBER("user_rounds", 0, MILLION, "times", "run it so often, with CPUs and memory hotplug"),
    CHOICE("monitor", "on off", "the monitor at the end, or power off"),
    TEXT("bench", "print figures instead of the tour: all, or groups with commas"),
    CHOICE("console", "screen serial",
        "where output goes: to the screen too, or to the serial line only"),
    CHOICE("poweroff", "on off", "off: the machine stays on at the end, to read its screen"),
    CHOICE("apic", "x2apic xapic", "how local APICs are addressed, if the CPU leaves a choice"),
    CHOICE("slots", "on off", "memory and CPUs plugged in at run time: used or ignored"),
    CHOICE("idle_tick", "slow fast",
        "the timer of an idle CPU: once a second, or as fast as a busy one's"),
    NUMBER("ipi_timeout", 200, MILLION, "milliseconds", "a CPU silent this long is reported"),
    CHOICE("history", "slow all",
        "what the trace rings record: slow paths, or every allocation and free"),
    CHOICE("fault", FAULT_NAMES, "provoke a fault instead of the tour, to see its report"),
    CHOICE("badpage", "panic report", "a bad free is a panic, or only reported and refused"),
};
static const char *values[ARRAY_SIZE(options)]; /* NULL: not given, or invalid */
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

static const struct cmdline_option *find_option(const char *name)
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

/*
 * The factor that a unit behind a number stands for: 1024 for G, as sizes are in MiB; 0: no unit.
 */
static u64 factor_of(enum option_kind kind, char last)
{
	if (kind == OPT_PERCENT && last == '%')
		return 1;
	if (kind != OPT_SIZE)
		return 0;
	switch (last | 0x20) {
	case 'm': return 1;
	case 'g': return 1ULL << 10;
	case 't': return 1ULL << 20;
	}
	return 0;
}

/* Convert @len characters to one number of the option: 0, -EINVAL or -ERANGE. */
static int take_number(const struct cmdline_option *option, const char *s, size_t len, u64 *value)
{
	char digits[24];
	u64 factor;

	if (!len || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, s, len);
	digits[len] = '\0';
	factor = factor_of(option->kind, digits[len - 1]);
	if (factor)
		digits[len - 1] = '\0';
	if (parse_u64(digits, value))
		return -EINVAL;
	/* Compare before multiplying, so that the product cannot wrap. */
	if (factor && *value > option->max / factor)
		return -ERANGE;
	*value *= factor ? factor : 1;
	return *value < option->min || *value > option->max ? -ERANGE : 0;
}

/* Check a value; its numbers, if it has some, go to *@first and *@last.  0, -EINVAL or -ERANGE. */
static int take_value(const struct cmdline_option *option, const char *value, u64 *first, u64 *last)
{
	size_t len = 0;
	int err;

	*first = *last = 0;
	if (option->kind == OPT_TEXT)
		return 0;
	if (option->kind == OPT_CHOICE)
		return is_choice(option->choices, value) ? 0 : -EINVAL;
	while (value[len] && (option->kind != OPT_RANGE || value[len] != '-'))
		len++;
	err = take_number(option, value, len, first);
	*last = *first;
	if (!err && value[len])
		err = take_number(option, value + len + 1, strlen(value + len + 1), last);
	return !err && *first > *last ? -EINVAL : err;
}

/* Append the values that the option takes, as text, to the @len bytes in @text. */
static void put_allowed(const struct cmdline_option *option, char *text, size_t size, int len)
{
	const char *number = option->kind == OPT_RANGE ? "N or N-M" : "a number";

	text += len;
	size -= (size_t)len;
	if (option->kind == OPT_TEXT)
		ksnprintf(text, size, "a word");
	else if (option->kind == OPT_CHOICE)
		ksnprintf(text, size, "%s", option->choices);
	else if (option->max == ANY_NUMBER && !option->min)
		ksnprintf(text, size, "%s", number);
	else
		ksnprintf(text, size, "%s from %llu to %llu%s%s%s", number,
		    (unsigned long long)option->min, (unsigned long long)option->max,
		    option->unit[0] && option->unit[0] != '%' ? " " : "", option->unit,
		    option->kind == OPT_SIZE ? ", or with M, G, T" : "");
}

/*
 * Print @text in lines of at most CONSOLE_COLUMNS; each line but the first is indented by @indent.
 */
static void print_wrapped(const char *text, int indent)
{
	int column = 0;

	while (*text) {
		int len = 0, word;

		while (text[len] == ' ')
			len++;
		for (word = len; text[len] && text[len] != ' ';)
			len++;
		if (column && column + len > CONSOLE_COLUMNS) {
			printk("\n%*s", indent, "");
			text += word;
			len -= word;
			column = indent;
		}
		printk("%.*s", len, text);
		column += len;
		text += len;
	}
	printk("\n");
}

/* Split one word, "name" or "name=value", in place and store its value.  False: it is invalid. */
static bool take_word(char *word)
{
	const struct cmdline_option *option;
	char *value = word;
	char text[HELP_MAX];
	u64 first, last;
	int err;

	while (*value && *value != '=')
		value++;
	if (*value)
		*value++ = '\0';
	option = find_option(word);
	if (!option) {
		printk("command line: no option \"%s\"\n", word);
		return false;
	}
	err = take_value(option, value, &first, &last);
	if (err) {
		printk("command line: %s=%s is %s and left out\n", word, value,
		    err == -ERANGE ? "out of range" : "malformed");
		put_allowed(
		    option, text, sizeof(text), ksnprintf(text, sizeof(text), "  %s takes ", word));
		print_wrapped(text, 4);
		return false;
	}
	values[option - options] = value;
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

void cmdline_init(const char *line, bool truncated)
{
	char *rest = words, *word;
	bool good = true;
	size_t len = 0;

	memset(values, 0, sizeof(values));
	for (; line[len] && len + 1 < sizeof(words); len++)
		words[len] = line[len];
	words[len] = '\0';
	if (truncated || line[len]) {
		printk("command line: too long; its end was cut off\n");
		good = false;
	}
	while ((word = next_word(&rest)))
		good &= take_word(word);
	if (!good)
		cmdline_help();
}

const char *cmdline_get(const char *name, const char *def)
{
	const struct cmdline_option *option = find_option(name);

	KASSERT(option);
	return values[option - options] ? values[option - options] : def;
}

/* Get the numbers of option @name; false: it was not given. */
static bool given_numbers(const char *name, u64 *first, u64 *last)
{
	const char *text = cmdline_get(name, NULL);

	return text && take_value(find_option(name), text, first, last) == 0;
}

u64 cmdline_u64(const char *name, u64 def)
{
	u64 value, last;

	return given_numbers(name, &value, &last) ? value : def;
}

bool cmdline_range(const char *name, u64 *first, u64 *last)
{
	return given_numbers(name, first, last);
}

int cmdline_check(const char *name, const char *value)
{
	const struct cmdline_option *option = find_option(name);
	u64 first, last;

	return option ? take_value(option, value, &first, &last) : -ENOENT;
}

const struct cmdline_option *cmdline_option(unsigned i)
{
	return i < ARRAY_SIZE(options) ? &options[i] : NULL;
}

void cmdline_help(void)
{
	char text[HELP_MAX];
	unsigned i;
	int len;

	printk("command line options:\n");
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		len =
		    ksnprintf(text, sizeof(text), "  %-13s %s: ", options[i].name, options[i].help);
		put_allowed(&options[i], text, sizeof(text), len);
		print_wrapped(text, 16);
	}
}
