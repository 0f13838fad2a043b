/* SPDX-License-Identifier: MIT */
/*
 * page_alloc_names.h: renames each public function of mm/core/page_alloc.c to OWN(name), for tests
 * that include its source. The test defines OWN before it includes this header.
 */
#define mem_alloc_pages      OWN(mem_alloc_pages)
#define mem_free_pages       OWN(mem_free_pages)
#define zero_block           OWN(zero_block)
#define alloc_slow           OWN(alloc_slow)
#define free_slow            OWN(free_slow)
#define bad_free             OWN(bad_free)
#define mem_alloc_pages_bulk OWN(mem_alloc_pages_bulk)
#define mem_free_pages_bulk  OWN(mem_free_pages_bulk)
#define mem_alloc_page       OWN(mem_alloc_page)
#define mem_free_page        OWN(mem_free_page)
