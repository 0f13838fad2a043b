/* SPDX-License-Identifier: MIT */
/*
 * moment.h: calls during which a function of the test runs at an exact moment, in place of another
 * thread, and calls that must panic (quarry/watch.h).
 */
#ifndef QUARRY_TESTS_MOMENT_H
#define QUARRY_TESTS_MOMENT_H

#include <quarry/lock.h>
#include <quarry/watch.h>

#include <setjmp.h>

/* The moment, by one of its first three members; and what happens then. */
struct moment {
	const char *point; /* a scheduling point */
	const void *lock;  /* a spin lock, a mutex or a rwsem ... */
	enum lock_step step;
	const void *store; /* before a store or an atomic operation there */
	unsigned nth;      /* from 1; 0: the first */
	bool always;       /* from the @nth on each time, else once */
	void (*act)(void); /* NULL: the moments are only counted */
	unsigned seen, acted;
};
extern struct moment moment;
extern const struct watch moment_watch;

/* The value of @call, made while this thread, and the threads that it starts, have @watch. */
#define WATCHED(watch, call)                                                                       \
	({                                                                                         \
		__typeof__(call) result_;                                                          \
                                                                                                   \
		watch_set(watch);                                                                  \
		result_ = (call);                                                                  \
		watch_set(NULL);                                                                   \
		result_;                                                                           \
	})
/* The value of @call, made with the members of struct moment that follow. */
#define AT(call, ...)                                                                              \
	({                                                                                         \
		moment = (struct moment){__VA_ARGS__};                                             \
		WATCHED(&moment_watch, call);                                                      \
	})
/* @call returns @want, and the moment came once. */
#define EXPECT_AT(t, call, want, ...)                                                              \
	do {                                                                                       \
		EXPECT_EQ(t, AT(call, __VA_ARGS__), want);                                         \
		EXPECT_EQ(t, moment.acted, 1);                                                     \
	} while (0)

/* A panic's text, the lock that is held, and where the test continues. */
struct panicked {
	char text[256];
	struct spinlock *held;
	jmp_buf end;
};
extern struct panicked panicked;
extern const struct watch panic_watch;
/* Release the lock, and forget the page that the panic is about; returns @ended. */
bool panic_over(bool ended);

/* Does @call, a statement, panic?  It holds one spin lock then, at most. */
#define PANICS(call)                                                                               \
	({                                                                                         \
		volatile bool ended_ = false;                                                      \
                                                                                                   \
		panicked.text[0] = '\0';                                                           \
		panicked.held = NULL;                                                              \
		watch_set(&panic_watch);                                                           \
		if (!setjmp(panicked.end)) {                                                       \
			call;                                                                      \
			ended_ = true;                                                             \
		}                                                                                  \
		watch_set(NULL);                                                                   \
		!panic_over(ended_);                                                               \
	})

#endif
