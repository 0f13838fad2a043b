/* SPDX-License-Identifier: MIT */
/*
 * test_live_draw.c: the frames of the live screen, and the bytes that a terminal gets. A small
 * terminal of the test's own reads them.
 */
#include "demo/live_draw.h"
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

#define CPUS  255
#define STEPS 400

static struct live_view view;
static struct live_frame frame, shown;
static struct live_cpu cpus[2 * CPUS];

/* ---- a terminal ---- */

static struct {
	struct ktest *t;
	unsigned cols, rows, row, col;
	char sgr[16];
	u8 text[LIVE_MAX_ROWS][LIVE_MAX_COLS];
	u8 colour[LIVE_MAX_ROWS][LIVE_MAX_COLS];
	char escape[24];
	unsigned escaped; /* bytes in the escape sequence; 0: none has begun */
	bool half;        /* the first byte of a middle dot was read */
	unsigned pieces;
	size_t longest;
} tty;

static const char *const sgr_of[NR_LIVE_COLOURS] = {"0", "0;1", "0;90", "0;32", "0;92;1", "0;97;41",
    "0;30;43", "0;95;1", "0;36", "0;97;45", "0;30;103", "0;7"};

static void tty_init(struct ktest *t, unsigned cols, unsigned rows)
{
	memset(&tty, 0, sizeof(tty));
	memset(tty.text, ' ', sizeof(tty.text));
	tty.t = t;
	tty.cols = cols;
	tty.rows = rows;
}

static unsigned number(const char **p)
{
	unsigned n = 0;

	while (**p >= '0' && **p <= '9')
		n = n * 10 + (unsigned)(*(*p)++ - '0');
	return n;
}

static void tty_command(void)
{
	const char *p = tty.escape + 2;
	char last = tty.escape[tty.escaped - 1];

	tty.escape[tty.escaped - 1] = '\0';
	tty.escaped = 0;
	if (last == 'm') {
		ksnprintf(tty.sgr, sizeof(tty.sgr), "%s", p);
		return;
	}
	EXPECT_EQ(tty.t, last, 'H');
	tty.row = number(&p) - 1;
	p += *p == ';';
	tty.col = number(&p) - 1;
	EXPECT(tty.t, tty.row < tty.rows && tty.col < tty.cols);
}

static void tty_char(u8 c)
{
	unsigned i;

	if (tty.row >= tty.rows || tty.col >= tty.cols) {
		ktest_fail(tty.t, __FILE__, __LINE__, "written at %u, %u", tty.row, tty.col);
		return;
	}
	for (i = 0; i < NR_LIVE_COLOURS && strcmp(sgr_of[i], tty.sgr) != 0; i++)
		;
	EXPECT(tty.t, i < NR_LIVE_COLOURS);
	tty.text[tty.row][tty.col] = c;
	tty.colour[tty.row][tty.col++] = (u8)i;
}

static void tty_send(void *arg, const char *bytes, size_t len)
{
	tty.pieces++;
	tty.longest = MAX(tty.longest, len);
	/* Other code may write between two pieces. */
	EXPECT(tty.t, !tty.escaped && !tty.half);
	for (; len; bytes++, len--) {
		u8 c = (u8)*bytes;

		if (tty.escaped || c == 27) {
			tty.escape[tty.escaped++ % sizeof(tty.escape)] = (char)c;
			if (tty.escaped > 2 && c >= '@')
				tty_command();
		} else if (c == 0xc2) {
			tty.half = true;
		} else if (tty.half) {
			EXPECT_EQ(tty.t, c, 0xb7);
			tty.half = false;
			tty_char((u8)MIDDLE_DOT);
		} else {
			EXPECT(tty.t, c >= ' ' && c < 0x7f);
			tty_char(c);
		}
	}
}

static struct live_pen fresh_pen(bool utf8)
{
	return (struct live_pen){
	    .row = LIVE_MAX_ROWS, .colour = NR_LIVE_COLOURS, .utf8 = utf8, .send = tty_send};
}

static void expect_same(struct ktest *t, const struct live_frame *f)
{
	unsigned row, col, bad = 0;

	for (row = 0; row < f->rows; row++)
		for (col = 0; col < f->cols; col++)
			bad += f->text[row][col] != tty.text[row][col] ||
			    f->colour[row][col] != tty.colour[row][col];
	EXPECT_EQ(t, bad, 0);
}

/* ---- frames ---- */

static void expect_row(struct ktest *t, unsigned row, const char *want)
{
	char have[LIVE_MAX_COLS + 1];
	unsigned len = frame.cols, i;

	for (i = 0; i < len; i++)
		have[i] = (char)(frame.text[row][i] == (u8)MIDDLE_DOT ? '~' : frame.text[row][i]);
	while (len && have[len - 1] == ' ')
		len--;
	have[len] = '\0';
	if (strcmp(have, want) != 0)
		ktest_fail(t, __FILE__, __LINE__, "row %u is\n%s\nnot\n%s", row, have, want);
}

/* A view of two nodes, with a row each, and four CPUs. */
static void small_view(void)
{
	unsigned i;

	memset(&view, 0, sizeof(view));
	memset(cpus, 0, sizeof(cpus));
	view = (struct live_view){.nr_cpus = 4, .nr_nodes = 2, .mib = 1010, .cpu = cpus};
	view.map.nr_rows = 2;
	view.map.cell_blocks = 1;
	view.map.row[0] = (struct live_row){.node = 0, .first = true, .cells = 11};
	view.map.row[1] = (struct live_row){.node = 1, .first = true, .cells = 4};
	memcpy(view.map.cell[0], "+#urURxiI-.", 11);
	memcpy(view.map.cell[1], ".. +", 4);
	for (i = 0; i < 4; i++)
		cpus[i] = (struct live_cpu){.online = true, .fill = 51, .capacity = 64, .hits = 95};
}

KTEST_SUITE(live_draw, KTEST_QUICK);

KTEST(a_frame_says_all_in_words)
{
	unsigned row;

	small_view();
	view.utf8 = true;
	view.tests = view.tests_done = 478;
	ksnprintf(view.title, LIVE_TEXT, "act 2 of 4   precise: 16 MiB leave");
	view.seconds = 74;
	cpus[1].asked_until = 1;
	cpus[1].given = 3;
	cpus[2].waiting = true;
	cpus[3].online = false;
	view.stepping = true;
	view.steps = (struct live_steps){
	    .blocks = 8, .isolated = 8, .in_use = 75, .most = 139, .asked = 4, .waiting = 2};
	view.policy[ISO_DISABLE] = (struct live_policy){1, 4, 0, 300, false};
	view.policy[ISO_PRECISE] = (struct live_policy){1, 4, 95, 0, true};
	view.policy_known[ISO_DISABLE] = view.policy_known[ISO_PRECISE] = true;
	ksnprintf(view.result[0], LIVE_TEXT, "one result");
	view.nr_results = 1;
	ksnprintf(view.say, LIVE_TEXT, " A page is stuck.");
	ksnprintf(view.keys, LIVE_TEXT, "[space] pause");
	EXPECT_EQ(t, live_frame_init(&frame, 80, 24), 0);
	EXPECT(t, live_map_rows(&view, &frame) >= 8);
	EXPECT_EQ(t, live_map_cols(&frame), 64);
	live_compose(&frame, &view);
	expect_row(t, 0, "QUARRY  4 CPUs ~ 2 nodes ~ 1010 MiB ~ selftests 478/478 ok");
	expect_row(t, 1,
	    "act 2 of 4   precise: 16 MiB leave                                          1:14");
	expect_row(t, 2, " node 0  +#urURxiI-~");
	expect_row(t, 3, " node 1  ~~ +");
	expect_row(t, 4,
	    " ~ free  + some  # busy  I isolated  i emptied  - OFFLINE  u r kernel  x broken");
	expect_row(t, 5,
	    PAGEBLOCK_ORDER == 9
	        ? " 1 cell = 2 MiB, a pageblock; # U R: more than half of it is in use"
	        : " 1 cell = 32 KiB, a pageblock; # U R: more than half of it is in use");
	expect_row(t, 6, " cpu0 cache [#######...] 51/64 hit 95%   cpu1 <<IPI>> gives back 3");
	expect_row(t, 7, " cpu2 <<IPI>> no answer yet              cpu3 offline");
	expect_row(t, 8, " 1 isolate [done] > 2 drain [2/4 CPUs] > 3 move [64/139] > 4 offline");
	expect_row(t, 9, "             rounds  IPIs  cache hits meanwhile  time");
	expect_row(t, 10, "  redrain");
	expect_row(t, 11, "  disable       1     4           0 %           0.30 s  <- price");
	expect_row(t, 12, "  precise       1     4          95 %           running");
	expect_row(t, 13, " one result");
	for (row = 14; row < 22; row++)
		expect_row(t, row, "");
	expect_row(t, 22, " A page is stuck.");
	expect_row(t, 23, " [space] pause");
	/* Colours add to the letters. */
	EXPECT_EQ(t, frame.colour[2][9 + 9], LIVE_OFFLINE);
	EXPECT_EQ(t, frame.colour[2][9 + 8], LIVE_ISOLATED);
	/* At the end of an offline all steps are done. */
	view.steps = (struct live_steps){.blocks = 8, .offline = 8, .most = 139, .rounds = 1};
	live_compose(&frame, &view);
	expect_row(t, 8, " 1 isolate [done] > 2 drain [done] > 3 move [done] > 4 offline [done]");
	view.steps = (struct live_steps){.blocks = 8, .isolated = 2};
	live_compose(&frame, &view);
	expect_row(t, 8, " 1 isolate [2/8] > 2 drain > 3 move > 4 offline");
}

KTEST(selftests_are_one_bar)
{
	small_view();
	view.tests = 478;
	view.tests_done = 120;
	view.tests_failed = 1;
	view.suite = "pcp";
	ksnprintf(view.result[0], LIVE_TEXT, "not ok pcp.a_test");
	view.nr_results = 1;
	live_frame_init(&frame, 80, 24);
	live_compose(&frame, &view);
	expect_row(t, 0, "QUARRY  4 CPUs - 2 nodes - 1010 MiB");
	expect_row(t, 1, "selftests [##########..............................] 120/478 pcp");
	expect_row(t, 9, " not ok pcp.a_test");
	view.suite = NULL;
	view.tests_done = 478;
	live_compose(&frame, &view);
	expect_row(t, 0, "QUARRY  4 CPUs - 2 nodes - 1010 MiB - selftests 477/478 not ok");
	/* A name that no test has counts as failed, too. */
	view.tests_done = 0;
	live_compose(&frame, &view);
	expect_row(t, 0, "QUARRY  4 CPUs - 2 nodes - 1010 MiB - selftests 0/478 not ok");
}

KTEST(many_cpus_are_a_digit_each)
{
	unsigned i;

	small_view();
	view.nr_cpus = CPUS;
	view.nr_nodes = 8;
	view.map.cell_blocks = 2048;
	for (i = 0; i < CPUS; i++)
		cpus[i] =
		    (struct live_cpu){.online = i != 3, .fill = i % 65, .capacity = 64, .hits = -1};
	cpus[1].waiting = true;
	cpus[2].asked_until = 1;
	cpus[4].capacity = 0;
	live_frame_init(&frame, 80, 24);
	EXPECT(t, live_map_rows(&view, &frame) >= 8);
	live_compose(&frame, &view);
	expect_row(t, 5,
	    PAGEBLOCK_ORDER == 9
	        ? " 1 cell = 4096 MiB, 2048 pageblocks, the most telling shown; U R: over half"
	        : " 1 cell = 64 MiB, 2048 pageblocks, the most telling shown; U R: over half");
	expect_row(
	    t, 6, " CPUs' caches, in tenths; o off, ? asked by an IPI, ! has answered, - offline");
	expect_row(
	    t, 7, " cpu0    0?!-o00111111222222233333344444455555556666667777777888888999999");
	EXPECT_EQ(t, frame.text[10][1], 'c');
	EXPECT_EQ(t, frame.text[11][1], ' ');
	/* 64 digits fill a row; the 65th begins another. */
	view.nr_cpus = 64;
	i = live_map_rows(&view, &frame);
	view.nr_cpus = 65;
	EXPECT_EQ(t, i, live_map_rows(&view, &frame) + 1);
	/* The map keeps its place, and CPUs beyond a third of the screen are left out. */
	view.nr_cpus = 4096;
	EXPECT_EQ(t, live_map_rows(&view, &frame), 24 - 11 - 8);
	view.map.nr_rows = 5;
	live_compose(&frame, &view);
	expect_row(
	    t, 10, " cpu0    0?!-o00111111222222233333344444455555556666667777777888888999999");
	EXPECT_EQ(t, frame.text[16][3], 'u');
	EXPECT_EQ(t, frame.text[17][3], ' ');
	/* On a larger screen more CPUs have a bar. */
	view.map.nr_rows = 2;
	view.nr_cpus = 60;
	live_frame_init(&frame, 120, 40);
	EXPECT(t, live_map_rows(&view, &frame) >= 8);
	live_compose(&frame, &view);
	EXPECT_EQ(t, frame.text[6][1], 'C');
	view.nr_cpus = 18;
	live_compose(&frame, &view);
	expect_row(t, 11,
	    " cpu15 cache [##........] 15/64 hit -    cpu16 cache [##........] 16/64 hit -    "
	    "cpu17 cache [##........] 17/64 hit -");
}

KTEST(small_terminals_get_no_screen)
{
	live_frame_init(&frame, 100, 30);
	EXPECT_EQ(t, live_frame_init(&frame, 79, 24), -EINVAL);
	EXPECT_EQ(t, live_frame_init(&frame, 80, 23), -EINVAL);
	EXPECT(t, frame.cols == 100 && frame.rows == 30);
	EXPECT_EQ(t, live_frame_init(&frame, 1000, 1000), 0);
	EXPECT(t, frame.cols == LIVE_MAX_COLS && frame.rows == LIVE_MAX_ROWS);
}

/* ---- from one frame to the next ---- */

/* Change some cells of the frame. */
static void change(struct live_frame *f, u64 *seed)
{
	unsigned n = (unsigned)(ktest_rand(seed) % 40), len, row, col;

	while (n--) {
		row = (unsigned)(ktest_rand(seed) % f->rows);
		col = (unsigned)(ktest_rand(seed) % f->cols);
		for (len = (unsigned)(ktest_rand(seed) % 12); len && col < f->cols; len--, col++) {
			f->text[row][col] = (u8)(' ' + ktest_rand(seed) % 96);
			f->colour[row][col] = (u8)(ktest_rand(seed) % NR_LIVE_COLOURS);
		}
	}
}

KTEST(a_terminal_follows_every_change)
{
	static const unsigned sizes[][2] = {{80, 24}, {120, 40}, {LIVE_MAX_COLS, LIVE_MAX_ROWS}};
	u64 seed = t->seed;
	unsigned i, s;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct live_pen pen = fresh_pen(true);

		tty_init(t, sizes[s][0], sizes[s][1]);
		live_frame_init(&shown, sizes[s][0], sizes[s][1]);
		live_frame_init(&frame, sizes[s][0], sizes[s][1]);
		for (i = 0; i < STEPS && !t->failures; i++) {
			change(&frame, &seed);
			live_frame_send(&pen, &shown, &frame, ~(size_t)0);
			expect_same(t, &frame);
			EXPECT_EQ(t, live_frame_send(&pen, &shown, &frame, ~(size_t)0), 0);
		}
		EXPECT(t, tty.longest <= 96 && tty.pieces > STEPS);
	}
}

/* A change larger than a frame's bytes is sent in several frames, row by row. */
KTEST(the_line_gets_no_more_than_it_carries)
{
	struct live_pen pen = fresh_pen(true);
	u64 seed = t->seed;
	unsigned i, frames;
	size_t n;

	tty_init(t, 80, 24);
	live_frame_init(&shown, 80, 24);
	live_frame_init(&frame, 80, 24);
	for (i = 0; i < STEPS && !t->failures; i++) {
		change(&frame, &seed);
		for (frames = 0; (n = live_frame_send(&pen, &shown, &frame, 200)) > 0; frames++)
			EXPECT(t, n <= 200 + 24 + 16 * 6);
		EXPECT(t, frames <= 80);
		expect_same(t, &frame);
	}
	/* The first row changes all the time, but the last row gets its turn. */
	frame.text[23][0] = '!';
	for (i = 0; i < 3; i++) {
		unsigned col;

		for (col = 0; col < 80; col++)
			frame.text[0][col] = frame.text[0][col] == 'a' ? 'b' : 'a';
		live_frame_send(&pen, &shown, &frame, 50);
	}
	pen.next = 0;
	for (i = 0; i < 30 && tty.text[23][0] != '!'; i++) {
		frame.text[0][i] = '0';
		live_frame_send(&pen, &shown, &frame, 4);
	}
	EXPECT_EQ(t, tty.text[23][0], '!');
}

/* A whole frame takes few bytes, and so does a usual change of it. */
KTEST(frames_are_short)
{
	struct live_pen pen = fresh_pen(true);
	unsigned i;

	small_view();
	view.map.nr_rows = 8;
	for (i = 0; i < 8; i++) {
		view.map.row[i] = (struct live_row){.first = i == 0, .cells = 64};
		memset(view.map.cell[i], i % 2 ? '+' : '.', 64);
	}
	tty_init(t, 80, 24);
	live_frame_init(&shown, 80, 24);
	live_frame_init(&frame, 80, 24);
	live_compose(&frame, &view);
	EXPECT(t, live_frame_send(&pen, &shown, &frame, ~(size_t)0) < 2048);
	for (i = 0; i < 8; i++)
		view.map.cell[i][20 + i] = '#';
	cpus[1].fill = 30;
	view.seconds++;
	live_compose(&frame, &view);
	EXPECT(t, live_frame_send(&pen, &shown, &frame, ~(size_t)0) < 300);
	expect_same(t, &frame);
	/* Without UTF-8 a full stop replaces the middle dot. */
	pen = fresh_pen(false);
	live_frame_init(&shown, 80, 24);
	live_frame_send(&pen, &shown, &frame, ~(size_t)0);
	EXPECT_EQ(t, tty.text[2][9], '.');
}

/* ---- input ---- */

KTEST(answers_and_keys_are_told_apart)
{
	static const char bytes[] =
	    "a\033[24;80R "
	    "\033[A\033OPq\033[40;120R\033[1;2;3R\033[5~s\033[7R\033[[Ab\033\033[24;80R";
	struct live_input in = {0};
	char have[40];
	unsigned i, n = 0;

	for (i = 0; i + 1 < sizeof(bytes); i++) {
		enum live_event e = live_input(&in, (u8)bytes[i]);

		if (e == LIVE_SIZE)
			EXPECT(
			    t, (in.row == 24 && in.col == 80) || (in.row == 40 && in.col == 120));
		if (e != LIVE_NOTHING)
			have[n++] = (char)(e == LIVE_SIZE ? 'S' : in.key ? in.key : '.');
	}
	have[n] = '\0';
	/* Keys of several bytes are one key each; their bytes are no keys. */
	if (strcmp(have, "aS ..qS..s..b\033S") != 0)
		ktest_fail(t, __FILE__, __LINE__, "read %s", have);
}
