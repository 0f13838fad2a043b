/* SPDX-License-Identifier: MIT */
/*
 * trace_parse.c: strict parser from the text of an allocation trace to an array of events.
 *
 * The parser passes over the text once; the first error ends the pass.  Fields are separated by one
 * blank.  A number is decimal without sign or leading zeros.  Each line ends in a newline, except
 * possibly the last one.  The header's counts are compared with the events.
 *
 * Owns:       the memory of struct trace_array.
 * Locks:      none.
 * Invariants: an event's id is below the header's ids, its cpu below cpus, its order at most
 *             MAX_ORDER; events of one id are numbered from 0, alternately alloc and free.  Memory
 *             taken is bounded by the length of the text, not by the header's counts, apart from a
 *             directory of 8 bytes for each 4096 ids.
 * Tests:      trace, trace_report, tests/qemu/test_trace.py.
 */
#include <quarry/console.h>
#include <quarry/string.h>
#include <quarry/trace.h>

/* The shortest event: "f 0 0" and its newline. */
#define SHORTEST_EVENT 6

struct parser {
	struct trace *trace;
	const char *next, *end; /* the place behind the present line; the end of the text */
	/* the line's start; the place behind its last parsed field; the line's end */
	const char *start, *at, *stop;
	u32 line;
	u64 live_pages;
	u32 events, allocs, frees;
	u64 peak_pages;
	int err;
	struct trace_error *error;
};

void *trace_array_make(struct trace_array *array, u32 index)
{
	void **chunk = &array->chunk[index / TRACE_CHUNK_ITEMS];

	if (!*chunk) {
		struct page *page = alloc_pages(GFP_KERNEL | GFP_ZERO, TRACE_CHUNK_ORDER);

		if (!page)
			return NULL;
		*chunk = page_address(page);
	}
	return trace_array_at(array, index);
}

static int array_init(struct trace_array *array, u32 items)
{
	array->nr_chunks = (unsigned)((items + TRACE_CHUNK_ITEMS - 1) / TRACE_CHUNK_ITEMS);
	/* Allocate one pointer more, so that an array without items is no special case. */
	array->chunk = kmalloc((array->nr_chunks + 1) * sizeof(*array->chunk));
	return array->chunk ? 0 : -ENOMEM;
}

static void array_free(struct trace_array *array)
{
	unsigned i;

	for (i = 0; array->chunk && i < array->nr_chunks; i++) {
		if (array->chunk[i])
			free_pages(virt_to_page(array->chunk[i]), TRACE_CHUNK_ORDER);
	}
	kfree(array->chunk);
	*array = (struct trace_array){.chunk = NULL};
}

void trace_free(struct trace *trace)
{
	array_free(&trace->events);
	array_free(&trace->ids);
}

/* Record the first error; returns false, for the callers to return. */
static bool __attribute__((format(printf, 3, 4)))
refuse(struct parser *p, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(p->error->reason, sizeof(p->error->reason), fmt, ap);
	va_end(ap);
	p->error->line = p->line;
	p->err = err;
	return false;
}

/* Every byte of a line must be printable ASCII; frequent errors have a message of their own. */
static bool check_bytes(struct parser *p)
{
	const char *c;

	for (c = p->at; c < p->stop; c++) {
		if (*c == '\r')
			return refuse(p, -EINVAL, "carriage return: lines end in a newline alone");
		if ((u8)*c == 0x1f && p->line == 1 && c == p->at)
			return refuse(p, -EINVAL, "not text: unpack it first, it seems to be gzip");
		if (*c < 0x20 || *c > 0x7e)
			return refuse(p, -EINVAL, "not text: byte 0x%02x", (u8)*c);
	}
	return true;
}

/* Step to the next line and check its bytes.  False at the end of the text, or if a byte is bad. */
static bool next_line(struct parser *p)
{
	const char *c = p->next;

	if (c == p->end)
		return false;
	p->line++;
	while (c < p->end && *c != '\n' && (size_t)(c - p->next) <= TRACE_MAX_LINE)
		c++;
	p->start = p->at = p->next;
	p->stop = c;
	p->next = c < p->end && *c == '\n' ? c + 1 : c;
	if (!check_bytes(p))
		return false;
	if ((size_t)(c - p->at) > TRACE_MAX_LINE)
		return refuse(p, -EINVAL, "line of more than %u bytes", TRACE_MAX_LINE);
	if (p->at == p->stop)
		return refuse(p, -EINVAL, "empty line");
	return true;
}

/* Parse a number of 0 to @max, up to a blank or the end of the line. */
static bool take_number(struct parser *p, const char *what, u64 max, u64 *value)
{
	const char *start = p->at;
	u64 sum = 0;

	while (p->at < p->stop && *p->at >= '0' && *p->at <= '9') {
		u64 digit = (u64)(*p->at++ - '0');

		/* A number that is too large stays too large, however many digits follow. */
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, digit, &sum))
			sum = ~0ULL / 10 + 1;
	}
	if (start == p->stop)
		return refuse(p, -EINVAL, "%s is missing", what);
	if (p->at == start || (p->at < p->stop && *p->at != ' '))
		return refuse(p, -EINVAL, "%s is not a number", what);
	if (*start == '0' && p->at - start > 1)
		return refuse(p, -EINVAL, "%s has a leading zero", what);
	if (sum > max)
		return refuse(p, -EINVAL, "%s is above %llu", what, (unsigned long long)max);
	*value = sum;
	return true;
}

/* Match exactly @text. */
static bool take_text(struct parser *p, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(p->stop - p->at) < len || memcmp(p->at, text, len) != 0)
		return refuse(p, -EINVAL, "expected \"%s\" at column %u", text,
		    (unsigned)(p->at - p->start) + 1);
	p->at += len;
	return true;
}

static bool take_blank(struct parser *p, const char *before)
{
	if (p->at == p->stop)
		return refuse(p, -EINVAL, "%s is missing", before);
	if (*p->at != ' ')
		return refuse(p, -EINVAL, "no blank before %s", before);
	p->at++;
	return true;
}

static bool line_ends(struct parser *p)
{
	return p->at == p->stop || refuse(p, -EINVAL, "more on the line than belongs there");
}

static bool take_header(struct parser *p)
{
	static const char *const key[] = {
	    "# events=",
	    " allocs=",
	    " frees=",
	    " ids=",
	    " peak_live_pages=",
	    " cpus=",
	};
	static const char *const name[] = {
	    "events",
	    "allocs",
	    "frees",
	    "ids",
	    "peak_live_pages",
	    "cpus",
	};
	u64 value[ARRAY_SIZE(key)], room = (u64)(p->end - p->at) / SHORTEST_EVENT + 1;
	const u64 max[ARRAY_SIZE(key)] = {
	    0xfffffffe,
	    0xfffffffe,
	    0xfffffffe,
	    TRACE_MAX_IDS,
	    1ULL << 40,
	    TRACE_MAX_CPUS,
	};
	struct trace *t = p->trace;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(key); i++)
		if (!take_text(p, key[i]) || !take_number(p, name[i], max[i], &value[i]))
			return false;
	if (!line_ends(p))
		return false;
	if (value[0] > room)
		return refuse(p, -EINVAL, "%llu events do not fit into what follows",
		    (unsigned long long)value[0]);
	if (value[0] != value[1] + value[2])
		return refuse(p, -EINVAL, "events is not allocs + frees");
	if (value[5] == 0)
		return refuse(p, -EINVAL, "cpus is 0");
	t->nr_events = (u32)value[0];
	t->nr_allocs = (u32)value[1];
	t->nr_frees = (u32)value[2];
	t->nr_ids = (u32)value[3];
	t->peak_pages = value[4];
	t->nr_cpus = (u32)value[5];
	if (array_init(&t->events, t->nr_events) || array_init(&t->ids, t->nr_ids))
		return refuse(p, -ENOMEM, "no memory for the tables");
	return true;
}

/* Parse the rest of an allocation after its id. */
static bool take_alloc(struct parser *p, struct trace_id *id, struct trace_event *ev)
{
	u64 order;

	if (!take_blank(p, "order") || !take_number(p, "order", MAX_ORDER, &order) ||
	    !take_blank(p, "type"))
		return false;
	switch (p->at < p->stop ? *p->at : 0) {
	case 'U': ev->gfp = GFP_UNMOVABLE; break;
	case 'M': ev->gfp = GFP_MOVABLE; break;
	case 'R': ev->gfp = GFP_RECLAIMABLE; break;
	default: return refuse(p, -EINVAL, "type is none of U, M and R");
	}
	p->at++;
	if (id->done % 2)
		return refuse(p, -EINVAL, "id %u is allocated already", ev->id);
	if (p->allocs == p->trace->nr_allocs)
		return refuse(p, -EINVAL, "more allocations than the header's %u", p->allocs);
	p->allocs++;
	ev->order = (u8)order;
	id->order = ev->order;
	p->live_pages += 1ULL << order;
	p->peak_pages = MAX(p->peak_pages, p->live_pages);
	return true;
}

static bool take_free(struct parser *p, struct trace_id *id, struct trace_event *ev)
{
	if (id->done % 2 == 0)
		return refuse(p, -EINVAL, "id %u is not allocated", ev->id);
	if (p->frees == p->trace->nr_frees)
		return refuse(p, -EINVAL, "more frees than the header's %u", p->frees);
	p->frees++;
	p->live_pages -= 1ULL << id->order;
	return true;
}

static bool take_event(struct parser *p)
{
	struct trace *t = p->trace;
	bool is_alloc = *p->at == 'a';
	struct trace_event *ev;
	struct trace_id *id;
	u64 number, cpu;

	if (!is_alloc && *p->at != 'f')
		return refuse(p, -EINVAL, "neither an allocation (a) nor a free (f)");
	if (p->events == t->nr_events)
		return refuse(p, -EINVAL, "more events than the header's %u", t->nr_events);
	p->at++;
	if (!take_blank(p, "id"))
		return false;
	if (!t->nr_ids)
		return refuse(p, -EINVAL, "an event, but the header has no ids");
	if (!take_number(p, "id", t->nr_ids - 1, &number))
		return false;
	id = trace_array_make(&t->ids, (u32)number);
	ev = trace_array_make(&t->events, p->events);
	if (!id || !ev)
		return refuse(p, -ENOMEM, "no memory for the tables");
	ev->id = (u32)number;
	ev->seq = id->done;
	if (!(is_alloc ? take_alloc(p, id, ev) : take_free(p, id, ev)))
		return false;
	if (!take_blank(p, "cpu") || !take_number(p, "cpu", t->nr_cpus - 1, &cpu) || !line_ends(p))
		return false;
	ev->cpu = (u16)cpu;
	id->done++;
	p->events++;
	return true;
}

/* Are all events there that the header announced?  If not, the error is in the last line. */
static void check_counts(struct parser *p)
{
	if (p->events < p->trace->nr_events) {
		refuse(p, -EINVAL, "the trace ends after %u of %u events", p->events,
		    p->trace->nr_events);
	} else if (p->peak_pages != p->trace->peak_pages) {
		p->line = 1;
		refuse(p, -EINVAL, "peak_live_pages is %llu, but the events make it %llu",
		    (unsigned long long)p->trace->peak_pages, (unsigned long long)p->peak_pages);
	}
}

int trace_parse(
    struct trace *trace, const char *name, const char *text, size_t len, struct trace_error *error)
{
	struct trace_error own;
	struct parser p = {
	    .trace = trace,
	    .next = text,
	    .end = text + len,
	    .error = error ? error : &own,
	};

	*trace = (struct trace){.name = name};
	if (!next_line(&p)) {
		if (!p.err) {
			p.line = 1;
			refuse(&p, -EINVAL, "empty");
		}
	} else if (take_header(&p)) {
		while (next_line(&p) && take_event(&p))
			;
		if (!p.err)
			check_counts(&p);
	}
	if (p.err) {
		trace_free(trace);
		printk("%s:%u: %s\n", name, p.error->line, p.error->reason);
	}
	return p.err;
}
