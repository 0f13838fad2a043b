/* SPDX-License-Identifier: MIT */
/* page_assert.h: assertions and panics that are about a page (page.c). */
#ifndef QUARRY_MM_PAGE_ASSERT_H
#define QUARRY_MM_PAGE_ASSERT_H

#include <quarry/mm.h>

/*
 * If this thread panics next, the panic shows @page.  The page belongs to @mem; NULL: to the
 * kernel's memory.
 */
void panic_blame(const struct memory *mem, const struct page *page) __attribute__((cold));
void page_assert_failed(const struct memory *mem, const struct page *page, const char *where,
    const char *what) __attribute__((noreturn, cold));
/* KASSERT, with a page for the panic to show. */
#define PAGE_ASSERT(mem, page, cond)                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			page_assert_failed(                                                        \
			    (mem), (page), __FILE__ ":" PAGE_ASSERT_TEXT(__LINE__), #cond);        \
	} while (0)
#define PAGE_ASSERT_TEXT(line)  PAGE_ASSERT_TEXT_(line)
#define PAGE_ASSERT_TEXT_(line) #line

#endif
