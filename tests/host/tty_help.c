/* SPDX-License-Identifier: MIT */
/* tty_help.c: see tty_help.h. */
#include "demo/live_screen.h"
#include "demo/live_term.h"
#include "tests/host/tty_help.h"

#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/string.h>

struct tty tty;
static char answer[24];
static const char *answers = "";

static bool ends_with(const char *s, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && !strncmp(s + len - n, end, n);
}

static bool has_terminal(void)
{
	return tty.cols > 0;
}

static int next_key(void)
{
	if (tty.on_key)
		tty.on_key();
	if (*answers)
		return *answers++;
	if (*tty.keys == '|') {
		tty.keys++;
		return -1;
	}
	return *tty.keys ? (u8)*tty.keys++ : -1;
}

static void write_tty(const char *s, size_t len, const char *undo)
{
	if (ends_with(s, len, "\033[6n\0338")) {
		ksnprintf(answer, sizeof(answer), "\033[%u;%uR", tty.rows, tty.cols);
		answers = answer;
	} else if (ends_with(s, len, "\033[?1049l")) {
		tty.open = false;
	} else if (!strncmp(s, "\033[?1049h", 8)) {
		tty.open = true;
		tty.opened++;
	} else if (tty.open && ends_with(s, len, "\033[0m\033[2J")) {
		tty.erased++;
	} else if (tty.open) {
		tty.drawn += len;
		tty.preemptible |= arch_preempt_count() == 0;
	} else if (tty.len + len < sizeof(tty.text)) {
		memcpy(tty.text + tty.len, s, len);
		tty.len += len;
		tty.text[tty.len] = '\0';
	}
}

static void set_status(const char *s, size_t len)
{
	ksnprintf(tty.status, sizeof(tty.status), "%.*s", (int)len, s);
	tty.statuses++;
}

const struct live_tty live_tty = {
    .present = has_terminal, .key = next_key, .write = write_tty, .status = set_status};

void tty_begin(const char *picture, unsigned cols, unsigned rows, const char *keys)
{
	char line[32];

	ksnprintf(line, sizeof(line), "picture=%s", picture);
	cmdline_init(*picture ? line : "", false);
	tty = (struct tty){.cols = cols, .rows = rows, .keys = keys};
	answers = "";
}

void tty_end(void)
{
	tty_begin("", 0, 0, "");
}

void tty_forget(void)
{
	tty_end();
	if (live_screen.s)
		kfree(live_screen.s->view.cpu);
	kfree(live_screen.s);
	live_screen.s = NULL;
}
