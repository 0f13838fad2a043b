/* SPDX-License-Identifier: MIT */
/*
 * states.h: the search of all states of a small memory: its scopes (scopes.c), the calls of a scope
 * (ops.c), the states (store.c), the search (search.c), its report (say.c).
 */
#ifndef QUARRY_TESTS_STATES_H
#define QUARRY_TESTS_STATES_H

#include "tests/model/model.h"

/* ---- scopes ---- */

enum scope_when { EACH_CHANGE, IN_FULL, BY_HAND };

/* A memory, and the calls that are made in it.  All that is not named is not searched. */
struct scope {
	const char *name, *about;
	struct wire_shape shape;
	u64 calls; /* a bit for each code, USE(...) */
	u8 orders; /* a bit for each order of an allocation, and of a handle's block */
	u8 gfps;   /* so many different flags of allocations, all with GFP_NOWAIT */
	gfp_t gfp[4];
	u8 policies; /* a bit for each policy of an isolation or an offline */
	u8 handles;  /* at most so many objects behind handles */
	u8 bulk;     /* pages of a bulk allocation */
	u8 range;    /* pages of a contiguous range, from any page on */
	u8 live;     /* at most so many allocated blocks; 0: as many as fit */
	u8 frames;   /* only the last so many pages break; 0: all */
	bool wrong;  /* each page is also freed with each order, which is mostly wrong */
	u32 limit;   /* stop with so many states; 0: search all */
	enum scope_when when;
};
#define USE(name)    (1ULL << CALL_##name)
#define ALL_POLICIES (1u << ISO_REDRAIN | 1u << ISO_DISABLE | 1u << ISO_PRECISE)

extern const struct scope scopes[];
extern const unsigned nr_scopes;

/* ---- calls ---- */

#define MAX_OPS 2048
#define NO_OP   0xffffu
/* A call of a scope; which operands @a, @b, @c are, wire.h says. */
struct op {
	u8 code, cpu;
	s32 a, b, c;
};
extern struct op ops[MAX_OPS];
extern unsigned nr_ops;

/* List the calls of @scope; the order decides which of several shortest lists is found. */
void ops_list(const struct scope *scope);
/* Complete the call @op for the present state, as the model knows it; false: it makes no sense. */
bool op_call(const struct scope *scope, const struct op *op, struct wire_call *c);

/* ---- states ---- */

/* A state, as a difference to the first one. */
struct state {
	u64 hash;
	u32 parent; /* number of the state before, by the call @op; that of the first state is 0 */
	u16 op;
	u16 words, model_words; /* differing words of the arena, and of the model */
	u32 *diff;              /* pairs of a word's number and its value */
};

/* Begin with the state that the arena and the model now have.  Crashes go to @crashed. */
void store_begin(void (*crashed)(int sig));
/* The hash of the present state: of all that decides what later calls do. */
u64 state_hash(void);
/* Make the present state a state of @s, whose hash, parent and op are set. */
void state_save(struct state *s);
void state_free(struct state *s);
/* Make @s the present state. */
void state_load(const struct state *s);
/* The number of the state with this hash, from 1 on; 0: there is none. */
u32 store_find(u64 hash);
/* Add the present state; returns its number. */
u32 store_add(u64 hash, u32 parent, u16 op);
struct state *store_at(u32 number);
u32 store_count(void);
u64 store_bytes(void);

/* ---- search ---- */

#define STUCK_AFTER 4 /* seconds of CPU time without an end of a call: it has none */

/* Make and judge one call; NULL: right, else what is wrong (verdict.text). */
const char *judged_call(const struct wire_call *c, struct wire_result *r);
/* Make the call @op; false: it makes no sense in this state.  *@wrong: as judged_call. */
bool judged_op(const struct scope *scope, const struct op *op, const char **wrong);
/* Build the memory of @scope; NULL, or what is wrong. */
const char *scope_begin(const struct scope *scope);
/* Give everything back; NULL, or what is wrong.  @say: print each call. */
const char *give_all_back(bool say);
/* Search @scope; false: something is wrong, and the shortest list of calls has been printed. */
bool search(const struct scope *scope);

/* ---- report ---- */

/* The call as a line of C, without its result. */
void say_call(const struct wire_call *c);
void say_result(const struct wire_call *c, const struct wire_result *r);
/* Name the calls of @codes, a bit for each code, none of which has succeeded in any state. */
void say_vain(const struct scope *scope, u64 codes);
/* Make the calls "3,17,4" of the scope's list again, printing each; true: all were right. */
bool say_again(const struct scope *scope, const char *list);

#endif
