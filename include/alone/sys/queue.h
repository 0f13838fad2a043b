/* SPDX-License-Identifier: MIT */
/*
 * sys/queue.h: the linked lists of queue(3) that mm/ uses, for a port without a C library.
 *
 * Written for Quarry; names and meaning are those of queue(3).  Where the machine has a
 * <sys/queue.h> of its own, that one is used: this directory is searched last (docs/porting.md).
 */
#ifndef QUARRY_ALONE_QUEUE_H
#define QUARRY_ALONE_QUEUE_H

/*
 * ---- doubly linked: LIST_REMOVE needs no list; le_prev points to the pointer to this entry ----
 */

#define LIST_HEAD(name, type)                                                                      \
	struct name {                                                                              \
		struct type *lh_first;                                                             \
	}
#define LIST_HEAD_INITIALIZER(head)                                                                \
	{                                                                                          \
		(void *)0                                                                          \
	}
#define LIST_ENTRY(type)                                                                           \
	struct {                                                                                   \
		struct type *le_next;                                                              \
		struct type **le_prev;                                                             \
	}
#define LIST_FIRST(head)      ((head)->lh_first)
#define LIST_EMPTY(head)      (!LIST_FIRST(head))
#define LIST_NEXT(elm, field) ((elm)->field.le_next)
#define LIST_INIT(head)       ((void)(LIST_FIRST(head) = (void *)0))
#define LIST_FOREACH(var, head, field)                                                             \
	for ((var) = LIST_FIRST(head); (var); (var) = LIST_NEXT((var), field))
#define LIST_INSERT_HEAD(head, elm, field)                                                         \
	do {                                                                                       \
		LIST_NEXT((elm), field) = LIST_FIRST(head);                                        \
		if (LIST_FIRST(head))                                                              \
			LIST_FIRST(head)->field.le_prev = &LIST_NEXT((elm), field);                \
		LIST_FIRST(head) = (elm);                                                          \
		(elm)->field.le_prev = &LIST_FIRST(head);                                          \
	} while (0)
#define LIST_REMOVE(elm, field)                                                                    \
	do {                                                                                       \
		if (LIST_NEXT((elm), field))                                                       \
			LIST_NEXT((elm), field)->field.le_prev = (elm)->field.le_prev;             \
		*(elm)->field.le_prev = LIST_NEXT((elm), field);                                   \
	} while (0)

/* ---- singly linked ---- */

#define SLIST_HEAD(name, type)                                                                     \
	struct name {                                                                              \
		struct type *slh_first;                                                            \
	}
#define SLIST_HEAD_INITIALIZER(head)                                                               \
	{                                                                                          \
		(void *)0                                                                          \
	}
#define SLIST_ENTRY(type)                                                                          \
	struct {                                                                                   \
		struct type *sle_next;                                                             \
	}
#define SLIST_FIRST(head)      ((head)->slh_first)
#define SLIST_NEXT(elm, field) ((elm)->field.sle_next)
#define SLIST_INSERT_HEAD(head, elm, field)                                                        \
	((void)(SLIST_NEXT((elm), field) = SLIST_FIRST(head), SLIST_FIRST(head) = (elm)))
#define SLIST_REMOVE_HEAD(head, field)                                                             \
	((void)(SLIST_FIRST(head) = SLIST_NEXT(SLIST_FIRST(head), field)))

#endif
