# SPDX-License-Identifier: MIT

# One list for the kernel and for the hosted programs: the same sources, unchanged.
# Lowest floor first: a source calls only sources listed before it (tools/floors.py, `make lint`).

# 1: the word of a page, the tree of a pageblock, events, traces, boot memory
MM_SRCS += mm/event.c
MM_SRCS += mm/trace_ring.c
MM_SRCS += mm/memblock.c
MM_SRCS += mm/free_map.c
MM_SRCS += mm/page.c
MM_SRCS += mm/debug.c
# 2: zones
MM_SRCS += mm/zone.c
# 3: free blocks and pageblocks
MM_SRCS += mm/buddy.c
MM_SRCS += mm/buddy_batch.c
MM_SRCS += mm/poison_take.c
MM_SRCS += mm/pageblock.c
MM_SRCS += mm/fallback.c
MM_SRCS += mm/buddy_range.c
# 4: caches
MM_SRCS += mm/pcp_limits.c
MM_SRCS += mm/pcp.c
MM_SRCS += mm/pcp_slow.c
MM_SRCS += mm/claim.c
MM_SRCS += mm/zonelist.c
MM_SRCS += mm/direct.c
# 5: drain rounds, which empty the caches
MM_SRCS += mm/drain_cpu.c
MM_SRCS += mm/drain.c
# 6: allocate and free; the core ends here
MM_SRCS += mm/page_alloc.c
MM_SRCS += mm/put_page.c
MM_SRCS += mm/slab.c
MM_SRCS += mm/mm_init.c
CORE_SRCS := $(MM_SRCS)
# 7: memory objects and address spaces
MM_SRCS += mm/account.c
MM_SRCS += mm/pagetable.c
MM_SRCS += mm/tlb.c
MM_SRCS += mm/lru.c
MM_SRCS += mm/object_lock.c
MM_SRCS += mm/rmap.c
MM_SRCS += mm/migwait.c
MM_SRCS += mm/vm_object.c
MM_SRCS += mm/vm_use.c
MM_SRCS += mm/vm_space.c
MM_SRCS += mm/vm_fault.c
# 8: moving pages
MM_SRCS += mm/migrate_lru.c
MM_SRCS += mm/migrate_movable.c
MM_SRCS += mm/migrate_kind.c
MM_SRCS += mm/migrate.c
MM_SRCS += mm/compact.c
# 9: isolated ranges, and contiguous ones
MM_SRCS += mm/page_isolation.c
MM_SRCS += mm/free_held.c
MM_SRCS += mm/isolate_policy.c
MM_SRCS += mm/patience.c
MM_SRCS += mm/evacuate.c
MM_SRCS += mm/contig.c
MM_SRCS += mm/cma.c
# 10: offlining, adding and removing memory
MM_SRCS += mm/offline_query.c
MM_SRCS += mm/offline.c
MM_SRCS += mm/offline_node.c
MM_SRCS += mm/memory_add.c
MM_SRCS += mm/page_report.c
# 11: broken memory
MM_SRCS += mm/poison_vm.c
MM_SRCS += mm/poison_judge.c
MM_SRCS += mm/poison.c
# 12: reclaim: what an allocation waits for, and the threads that serve it
MM_SRCS += mm/reclaim_ask.c
MM_SRCS += mm/alloc_oom.c
MM_SRCS += mm/alloc_wait.c
MM_SRCS += mm/standby.c
MM_SRCS += mm/reclaim_lru.c
MM_SRCS += mm/to_movable.c
MM_SRCS += mm/reclaim.c
# 13: checking and showing memory
MM_SRCS += mm/check_vm.c
MM_SRCS += mm/check_zone.c
MM_SRCS += mm/check.c
MM_SRCS += mm/show.c

# The hot paths begin with a cache line, wherever the rest of the image ends (rows code_lines_* of
# docs/bench.md).
$(addprefix $(B)/kernel/mm/,$(addsuffix .c.o,page_alloc put_page)): \
	KFLAGS += -falign-functions=64
