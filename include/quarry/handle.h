/* SPDX-License-Identifier: MIT */
/*
 * handle.h: a table of movable objects: a user knows an object's handle, never its page.
 *
 * It is the simplest owner of movable memory, and the example of struct movable_ops: the page
 * behind a handle may change whenever no code is accessing it.  Each object has a checksum of its
 * content, verified at every access and at every move.
 */
#ifndef QUARRY_HANDLE_H
#define QUARRY_HANDLE_H

#include <quarry/mm.h>
#include <quarry/movable.h>

struct handle {
	struct spinlock lock; /* RANK_OBJECT: the fields below, and the content of the page */
	struct page *page GUARDED_BY(object_class); /* NULL: the handle is free */
	/* checksum of the content as of the last handle_write */
	u64 checksum GUARDED_BY(object_class);
	u32 moves GUARDED_BY(object_class); /* number of moves */
};

struct handle_table {
	struct movable_owner owner; /* the owner field of its pages points here */
	struct memory *mem;
	struct handle *handles;
	u32 nr;
	u32 corrupt; /* atomic: checksums that did not match */
	u64 moved;   /* atomic: objects moved */
};

/* Set up a table over @nr zeroed handles of the caller. */
void handle_table_init(struct handle_table *t, struct memory *mem, struct handle *handles, u32 nr);
/*
 * Put a new object of 2^order pages behind the free handle @h, its content derived from @seed.
 * Returns 0; -ENOMEM; -EBUSY the handle is in use; -EINVAL no such handle, order > 3.  May sleep
 * unless gfp forbids it.
 */
int handle_alloc(struct handle_table *t, u32 h, unsigned order, gfp_t gfp, u64 seed);
/*
 * Verify the object and free it.  Returns 0; -EINVAL no object; -EBUSY pinned; -EUCLEAN content
 * damaged (freed all the same).
 */
int handle_free(struct handle_table *t, u32 h);
/*
 * Verify the object, then write new content derived from @seed.  Returns 0, -EINVAL or -EUCLEAN as
 * handle_free.
 */
int handle_write(struct handle_table *t, u32 h, u64 seed);
/* Verify the object.  Returns as handle_write. */
int handle_verify(struct handle_table *t, u32 h);
/* Pin the object to its page; unpin it.  0; -EINVAL no object; -EAGAIN at the limit. */
int handle_pin(struct handle_table *t, u32 h);
int handle_unpin(struct handle_table *t, u32 h);
/* The pfn of the object at this moment; PFN_NONE: there is no object. */
pfn_t handle_pfn(struct handle_table *t, u32 h);

#endif
