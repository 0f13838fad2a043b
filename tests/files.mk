# SPDX-License-Identifier: MIT

# A suite is a file test_NAME.c in the folder of the room that it tests.  It runs in the kernel and
# hosted, unless its NAME is below; so do the helpers in tests/lib.  Suites run in link order: these
# rooms first, from the ground up, so that the first failure is the lowest; in a room by name.
SUITE_ROOMS := kernel $(addprefix mm/,core vm move hotplug poison reclaim check)

# Hosted only; many simulate the machine, or include a source to stop between its steps or judge it.
HOSTED_ONLY := play_% judge_% step_% fields_help rich_help
HOSTED_ONLY += bootfile bootinfo cmdline_init errname oom_choice
HOSTED_ONLY += buddy_batch churn cpu_nodes events faults free_map layouts \
	memblock_exact short
HOSTED_ONLY += rmap_walk vm_guard vm_late vm_order handle_exact migrate_near contig_late contig_race
HOSTED_ONLY += cma_exact poison_late refused cover fields words
HOSTED_ONLY += machines cpu_slots device_pages
HOSTED_ONLY += line_edit live live_cells live_draw acts progress load choose verdict

# In the kernel only: these need its threads, its CPUs or its page tables.
KERNEL_ONLY := arch arch_% string mce_bank mce_cpu mce_outside mce_help monitor_about boot_memory
KERNEL_ONLY += hotplug hotplug_race hotplug_help tick console hang fair fatal move_help
KERNEL_ONLY += task task_cpu task_help ipc ipc_turns pager pager_wait server_help user_code
KERNEL_ONLY += oom_task poison_task

# Of the kernel's own cross-calls and locks: in the kernel, and in the hosted build that links these
# ("plain").
SHARED_ONLY := smp_dead

test_names  = $(patsubst test_%,%,$(basename $(notdir $(1))))
tests_named = $(foreach t,$(ALL_TESTS),$(if $(filter $(1),$(call test_names,$(t))),$(t)))
ALL_TESTS   := $(sort $(wildcard tests/lib/*.[cS])) \
	$(foreach room,$(SUITE_ROOMS),$(sort $(wildcard tests/suites/$(room)/test_*.c)))
ALL_TESTS   += $(filter-out $(ALL_TESTS),$(sort $(wildcard $(addsuffix test_*.c,tests/suites/*/ \
	tests/suites/*/*/))))
KTEST_SRCS     := $(call tests_named,$(KERNEL_ONLY))
SHARED_TESTS   := $(call tests_named,$(SHARED_ONLY))
# Hosted only is linked last, to run last: a broken allocator makes these suites wait.
HOST_TEST_SRCS := \
	$(addprefix tests/host/,judge_help.c moment.c play_help.c play_kernel.c tty_help.c) \
	$(sort $(wildcard tests/machines/*.c)) $(call tests_named,$(HOSTED_ONLY))
TEST_SRCS      := $(filter-out $(KTEST_SRCS) $(SHARED_TESTS) $(HOST_TEST_SRCS),$(ALL_TESTS))

# The hosted program, and its tests of its own parts.
HOST_SRCS += tests/host/host_main.c
HOST_SRCS += tests/host/host_memmap_test.c

# With -O1, compiling the kernel's suites takes a third less time.
$(B)/kernel/tests/suites/%.o: KFLAGS += -O1

# The texts that assembler directives include in an object.
TEXTS = $(RACE_TEXTS) $(wildcard tests/machines/*.machine)
