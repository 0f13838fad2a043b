// SPDX-License-Identifier: MIT
// memory_why.js: the meaning of each kind of record in a page's history, as
// [sentence, function, rule].
//
// tools/web/web.py checks that mm/ has each function, and that each kind of record is here.
export const WHY = {
  alloc: [
    "CPU C hands P to its caller.",
    "mem_alloc_pages",
    "What is in the CPU's own cache needs no lock; only if that is empty, and after a refill, " +
      "is a page taken elsewhere.",
  ],
  free: [
    "CPU C takes P back into its cache.",
    "mem_free_pages",
    "A freed page stays with its CPU, still warm, as long as the cache has room and its " +
      "pageblock is not isolated.",
  ],
  refill: [
    "CPU C takes P from the free lists into its cache.",
    "buddy_take_batch",
    "A batch costs one lock for many pages. It comes from one block if it can, so that other " +
      "blocks stay whole.",
  ],
  take: [
    "P leaves the free lists.",
    "pcp_refill",
    "Where no cache holds such a block, or the caches are off, it comes from the smallest " +
      "free block that is large enough; the rest of that block goes back.",
  ],
  give: [
    "CPU C gives P back to the free lists.",
    "buddy_give_batch",
    "A full cache, or one that is drained, gives back what was cached longest; free buddies merge.",
  ],
  direct: [
    "P goes straight to the free lists.",
    "pcp_free_slow",
    "Blocks that no cache may take go past it: larger ones, and those of a pageblock that is " +
      "isolated, or while caches are off.",
  ],
  put: [
    "The last reference to P is dropped.",
    "mem_put_page",
    "Who drops the last reference frees the page.",
  ],
  isolate: [
    "The pageblock at P is isolated: nothing is allocated from it any more.",
    "start_isolate_page_range",
    "Its free blocks leave the lists. First the bit, then a round by which every CPU has seen " +
      "it: so no cache takes a page of it afterwards.",
  ],
  restore: [
    "The pageblock at P is back: its free blocks return to the lists.",
    "undo_isolate_page_range",
    "Nothing was lost: the free blocks were counted apart from the others.",
  ],
  offline: [
    "The pageblock at P is offline.",
    "offline_pages",
    "Isolated, drained, and what could be moved was moved; then all of it was free, and was " +
      "taken out of the zone in one lock hold.",
  ],
  online: [
    "The pageblock at P is online again, all of it free.",
    "online_pages",
    "Broken pages stay out.",
  ],
  movable: [
    "The owner of P may have it moved.",
    "page_make_movable",
    "A page with an owner, who can be told that it moves, stands in no offline's way.",
  ],
  lru_take: [
    "P is taken from its owner, to be moved.",
    "isolate_movable_page",
    "In transit: nobody else may move it, or free it, until it is put back or its content is " +
      "elsewhere.",
  ],
  moved: [
    "The content of P was moved to another page.",
    "migrate_pages",
    "The owner has the new page; the old one is free, or what was to happen to it happens.",
  ],
  dropped: ["P was reclaimed.", "reclaim_batch", "Its pager has the content."],
  retired: [
    "P is broken, and out of use.",
    "mem_memory_failure",
    "A broken page is never given out again: it is cut out of its free block, or kept when " +
      "its last user frees it.",
  ],
  bad_free: ["The free of P was refused.", "mem_free_pages", "It is not in use."],
};
