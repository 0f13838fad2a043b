# SPDX-License-Identifier: MIT

# One list for the kernel and for the hosted programs: the same sources, unchanged.
# Lowest floor first: a source calls only sources listed before it (objects.py, `make lint`).

# 1: the word of a page, the tree of a pageblock, events, traces, boot memory
MM_SRCS += mm/core/trace_ring.c mm/core/memblock.c mm/core/free_map.c mm/core/page.c \
	mm/core/debug.c
# 2: zones
MM_SRCS += mm/core/zone.c
# 3: free blocks and pageblocks
MM_SRCS += mm/core/buddy.c mm/core/buddy_batch.c mm/core/poison_take.c mm/core/pageblock.c \
	mm/core/fallback.c mm/core/buddy_range.c
# 4: caches
MM_SRCS += mm/core/pcp_limits.c mm/core/pcp.c mm/core/pcp_slow.c mm/core/claim.c \
	mm/core/zonelist.c mm/core/uncached.c
# 5: drain rounds, which empty the caches
MM_SRCS += mm/core/drain_cpu.c mm/core/drain.c
# 6: allocate and free; the core ends here
MM_SRCS += mm/core/page_alloc.c mm/core/put_page.c mm/core/mm_init.c
CORE_SRCS := $(filter mm/core/%,$(MM_SRCS))
# 7: small objects, memory objects, address spaces
MM_SRCS += mm/vm/slab.c mm/vm/account.c mm/vm/pagetable.c mm/vm/tlb.c mm/vm/lru.c \
	mm/vm/object_lock.c mm/vm/rmap.c mm/vm/migwait.c mm/vm/vm_object.c mm/vm/vm_space.c \
	mm/vm/vm_fault.c
# 8: moving pages
MM_SRCS += mm/move/migrate_lru.c mm/move/migrate_movable.c mm/move/migrate_kind.c \
	mm/move/migrate.c mm/move/compact.c
# 9: isolated ranges, and contiguous ones
MM_SRCS += mm/hotplug/page_isolation.c mm/hotplug/free_held.c mm/hotplug/isolate_policy.c \
	mm/hotplug/patience.c mm/hotplug/evacuate.c mm/hotplug/contig.c mm/hotplug/cma.c
# 10: offlining, adding and removing memory
MM_SRCS += mm/hotplug/offline_query.c mm/hotplug/offline.c mm/hotplug/offline_node.c \
	mm/hotplug/memory_add.c mm/hotplug/page_report.c
# 11: broken memory
MM_SRCS += mm/poison/poison_vm.c mm/poison/poison_judge.c mm/poison/poison.c
# 12: reclaim: what an allocation waits for, and the threads that serve it
MM_SRCS += mm/reclaim/reclaim_ask.c mm/reclaim/alloc_oom.c mm/reclaim/alloc_wait.c \
	mm/reclaim/standby.c mm/reclaim/reclaim_lru.c mm/reclaim/to_movable.c mm/reclaim/reclaim.c
# 13: checking and showing memory
MM_SRCS += mm/check/check_vm.c mm/check/check_setup.c mm/check/check_zone.c mm/check/check.c \
	mm/check/show.c

# make lib CORE=1: the core, and kmalloc above it.
LIB_CORE := $(CORE_SRCS) mm/vm/slab.c

# The builds that stop at each scheduling point have no kmalloc of their own.
NO_SLAB := $(filter-out mm/vm/slab.c,$(MM_SRCS))

# The fast paths begin with a cache line, wherever the rest of the image ends (rows code_lines_* of
# docs/bench.md).
$(addprefix $(B)/kernel/mm/core/,$(addsuffix .c.o,page_alloc put_page)): \
	KFLAGS += -falign-functions=64
