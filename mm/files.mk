# SPDX-License-Identifier: MIT

# One list for the kernel and for the hosted programs: the same sources, unchanged.
# Lowest floor first: a source calls only sources listed before it (objects.py, `make lint`).

# 1: the word of a page, the tree of a pageblock, events, traces, boot memory
MM_SRCS += mm/core/trace_ring.c
MM_SRCS += mm/core/memblock.c
MM_SRCS += mm/core/free_map.c
MM_SRCS += mm/core/page.c
MM_SRCS += mm/core/debug.c
# 2: zones
MM_SRCS += mm/core/zone.c
# 3: free blocks and pageblocks
MM_SRCS += mm/core/buddy.c
MM_SRCS += mm/core/buddy_batch.c
MM_SRCS += mm/core/poison_take.c
MM_SRCS += mm/core/pageblock.c
MM_SRCS += mm/core/fallback.c
MM_SRCS += mm/core/buddy_range.c
# 4: caches
MM_SRCS += mm/core/pcp_limits.c
MM_SRCS += mm/core/pcp.c
MM_SRCS += mm/core/pcp_slow.c
MM_SRCS += mm/core/claim.c
MM_SRCS += mm/core/zonelist.c
MM_SRCS += mm/core/uncached.c
# 5: drain rounds, which empty the caches
MM_SRCS += mm/core/drain_cpu.c
MM_SRCS += mm/core/drain.c
# 6: allocate and free; the core ends here
MM_SRCS += mm/core/page_alloc.c
MM_SRCS += mm/core/put_page.c
MM_SRCS += mm/core/mm_init.c
CORE_SRCS := $(filter mm/core/%,$(MM_SRCS))
# 7: small objects, memory objects, address spaces
MM_SRCS += mm/vm/slab.c
MM_SRCS += mm/vm/account.c
MM_SRCS += mm/vm/pagetable.c
MM_SRCS += mm/vm/tlb.c
MM_SRCS += mm/vm/lru.c
MM_SRCS += mm/vm/object_lock.c
MM_SRCS += mm/vm/rmap.c
MM_SRCS += mm/vm/migwait.c
MM_SRCS += mm/vm/vm_object.c
MM_SRCS += mm/vm/vm_space.c
MM_SRCS += mm/vm/vm_fault.c
# 8: moving pages
MM_SRCS += mm/move/migrate_lru.c
MM_SRCS += mm/move/migrate_movable.c
MM_SRCS += mm/move/migrate_kind.c
MM_SRCS += mm/move/migrate.c
MM_SRCS += mm/move/compact.c
# 9: isolated ranges, and contiguous ones
MM_SRCS += mm/hotplug/page_isolation.c
MM_SRCS += mm/hotplug/free_held.c
MM_SRCS += mm/hotplug/isolate_policy.c
MM_SRCS += mm/hotplug/patience.c
MM_SRCS += mm/hotplug/evacuate.c
MM_SRCS += mm/hotplug/contig.c
MM_SRCS += mm/hotplug/cma.c
# 10: offlining, adding and removing memory
MM_SRCS += mm/hotplug/offline_query.c
MM_SRCS += mm/hotplug/offline.c
MM_SRCS += mm/hotplug/offline_node.c
MM_SRCS += mm/hotplug/memory_add.c
MM_SRCS += mm/hotplug/page_report.c
# 11: broken memory
MM_SRCS += mm/poison/poison_vm.c
MM_SRCS += mm/poison/poison_judge.c
MM_SRCS += mm/poison/poison.c
# 12: reclaim: what an allocation waits for, and the threads that serve it
MM_SRCS += mm/reclaim/reclaim_ask.c
MM_SRCS += mm/reclaim/alloc_oom.c
MM_SRCS += mm/reclaim/alloc_wait.c
MM_SRCS += mm/reclaim/standby.c
MM_SRCS += mm/reclaim/reclaim_lru.c
MM_SRCS += mm/reclaim/to_movable.c
MM_SRCS += mm/reclaim/reclaim.c
# 13: checking and showing memory
MM_SRCS += mm/check/check_vm.c
MM_SRCS += mm/check/check_setup.c
MM_SRCS += mm/check/check_zone.c
MM_SRCS += mm/check/check.c
MM_SRCS += mm/check/show.c

# make lib CORE=1: the core, and kmalloc above it.
LIB_CORE := $(CORE_SRCS) mm/vm/slab.c

# The builds that stop at each scheduling point have no kmalloc of their own.
NO_SLAB := $(filter-out mm/vm/slab.c,$(MM_SRCS))

# The fast paths begin with a cache line, wherever the rest of the image ends (rows code_lines_* of
# docs/bench.md).
$(addprefix $(B)/kernel/mm/core/,$(addsuffix .c.o,page_alloc put_page)): \
	KFLAGS += -falign-functions=64
