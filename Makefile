# SPDX-License-Identifier: MIT
# Quarry: one non-recursive Makefile.  `make help ALL=1` lists the targets; all goes to build/.

B := build
include tools/run/args.mk tools/run/needs.mk
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
# Run as many jobs as CPUs, if no -j was given; but make several targets one after another.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS))$(word 2,$(filter-out $(B)/%,$(MAKECMDGOALS))),0)
MAKEFLAGS += -j$(shell nproc || echo 2)
endif
.DELETE_ON_ERROR .SUFFIXES:
ifneq ($(words $(B)),1)
$(error B="$(B)": wanted one directory, without blanks in its name)
endif
# CMDLINE is not expanded: a $ in it is for the kernel.
override CMDLINE := $(value CMDLINE)

# ---- sources ---------------------------------------------------------------------------------
# Each room lists its own sources in its files.mk, in link order.
LISTS := MM_SRCS SHARED_SRCS BOTH_SRCS KERNEL_SRCS USER_SRCS PROGRAM_SRCS HOSTILE_SRCS ARCH_SRCS \
	BOOT_SRCS HOST_BASE HOST_SRCS HOST_TEST_SRCS HOST_PORT TEST_SRCS SHARED_TESTS KTEST_SRCS \
	RACE_SRCS FIBER_SRCS THREAD_SRCS SILENCE_SRCS SCHED_SRCS LAB_SRCS
$(foreach list,$(LISTS),$(eval $(list) :=))
ROOMS := boot arch/x86_64 arch/host arch/fiber kernel drivers mm demo bench user tests
include $(ROOMS:%=%/files.mk) $(sort $(wildcard tests/*/files.mk)) $(wildcard labs/variant.mk)
KERNEL_SRCS += $(if $(RACE),,demo/no_race.c)
HOST_SRCS   := $(HOST_BASE) $(HOST_SRCS)
RACE_SRCS   += $(sort $(wildcard tests/races/step*.c))
THREAD_SRCS += $(SCHED_SRCS) $(NO_SLAB)
SILENCE_SRCS += $(SCHED_SRCS) $(MM_SRCS)
FIBER_SRCS  += $(NO_SLAB) tests/lib/soft_mmu.c $(SHARED_SRCS) $(RACE_SRCS)
RACE_TEXTS  := $(wildcard tests/races/*.race)

# ---- tools -------------------------------------------------------------------------------------
# On a host other than x86_64: the cross compiler if there is one, else clang and lld.
HOSTCC ?= gcc
ifneq ($(shell uname -m),x86_64)
CROSS_COMPILE ?= $(if $(shell command -v x86_64-linux-gnu-gcc),x86_64-linux-gnu-)
CROSS_INCLUDE := -idirafter /usr/include -idirafter /usr/include/$(shell uname -m)-linux-gnu
else
# Without it GNU's nm loads the plugin of each compiler, which takes ten times as long.
NM_FORMAT = $(if $(filter nm,$(NM)),--target=elf64-x86-64)
endif
ifneq ($(filter default undefined,$(origin CC)),)
CC := $(if $(CROSS_INCLUDE)$(CROSS_COMPILE),$(if $(CROSS_COMPILE),$(CROSS_COMPILE)gcc,clang),gcc)
endif
ifneq ($(findstring clang,$(CC)),)
LD := ld.lld
CC_KERNEL := --target=x86_64-linux-gnu
endif
ifneq ($(filter default undefined,$(origin LD)),)
LD := $(CROSS_COMPILE)ld
endif
NM      ?= $(CROSS_COMPILE)nm
OBJDUMP ?= $(CROSS_COMPILE)objdump
# The distribution's Python, which has the distribution's pytest.
PYTHON  ?= $(firstword $(wildcard /usr/bin/python3) python3)
Q := $(if $(V),,@)
# Print a line for each step, without a process; on a terminal with its number and the number of
# steps of a dry run.  Dots stand for blanks.
say = $(if $(V),,$(info $(if $(TTY),[$(number)])  $(subst ., ,$(1)) $(2)))
# Makes the target's directory; nothing if it is there, which saves two processes for each object.
into = $(if $(wildcard $(@D)),,mkdir -p $(@D) &&)
TTY := $(MAKE_TERMOUT)
number = $(if $(TOTAL),,$(eval TOTAL := $(count_steps)))$(eval STEPS += x)$(if \
	$(word 10,$(STEPS)),, )$(if $(word 100,$(STEPS)),, )$(words $(STEPS))/$(TOTAL)
count_steps = $(shell MAKEFLAGS= $(MAKE) -n $(MAKECMDGOALS) B=$(B) RACE=$(RACE) V= TTY= 2>&1 | \
	grep -c "^  [A-Z]* ")

WARN   := -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla \
	-Wpointer-arith -Wwrite-strings -Wimplicit-fallthrough -Wno-unused-parameter $(VARIANT)
COMMON := -std=gnu11 -O2 $(DEBUG) $(WARN) -Iinclude -fno-strict-aliasing -fno-common -fwrapv
KFLAGS := $(COMMON) $(CC_KERNEL) $(CROSS_INCLUDE) -Iarch/x86_64 -I. -ffreestanding -fno-pic \
	-fno-pie -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	-fno-omit-frame-pointer -fno-asynchronous-unwind-tables -fcf-protection=none \
	-fno-delete-null-pointer-checks
# Stacks are small: limit frames to 512 bytes in the core of mm/, to 1 KiB in the rest of mm/.
frame_limit = $(if $(filter mm/%,$<),-Wframe-larger-than=$(if $(filter $<,$(CORE_SRCS)),512,1024))
quick = $(if $(filter tests/suites/%,$<),-O1)
LDFLAGS := -nostdlib -static -z max-page-size=0x1000 -z noexecstack --build-id=sha1 -T linker.ld

# ---- the kernel --------------------------------------------------------------------------------
KSRCS := $(BOOT_SRCS) $(ARCH_SRCS) $(SHARED_SRCS) $(BOTH_SRCS) $(KERNEL_SRCS) $(MM_SRCS) \
	$(TEST_SRCS) $(USER_SRCS) $(KTEST_SRCS) $(SHARED_TESTS)
# A race build, without suites: RACE=1 B=build/race.  A checked build: CHECKED=1 B=build/checked.
KFLAGS += $(if $(RACE),-DRACE_BUILD) $(if $(CHECKED),-DCHECKED_BUILD)
ifneq ($(RACE),)
KSRCS := $(filter-out tests/suites/%,$(KSRCS)) $(RACE_SRCS)
KSRCS += tests/races/race_boot.c tests/races/waiters.c
endif
KOBJS := $(patsubst %,$(B)/kernel/%.o,$(KSRCS))

all kernel: $(B)/quarry.elf $(PROGRAMS:%=$(B)/bin/%)

$(B)/kernel/%.o: % Makefile
	$(call say,CC.....,$<)
	$(Q)$(into) $(CCACHE) $(CC) $(KFLAGS) $(frame_limit) $(quick) -MMD -MP -c $< -o $@

$(B)/kernel/demo/trace_short.c.o: bench/traces/short.trace
$(B)/kernel/tests/races/scripts.c.o: $(RACE_TEXTS)

# The kernel is linked twice: the second time with the table of symbols that backtraces use.
$(B)/quarry.elf: $(KOBJS) linker.ld tools/run/symtab.sh
	$(call say,LD.....,$@)
	$(Q)sh tools/run/symtab.sh /dev/null $(B)/symtab0.S
	$(Q)$(CC) $(KFLAGS) -c $(B)/symtab0.S -o $(B)/symtab0.o
	$(Q)$(LD) $(LDFLAGS) -o $(B)/quarry0.elf $(KOBJS) $(B)/symtab0.o
	$(Q)$(NM) $(NM_FORMAT) -n $(B)/quarry0.elf > $(B)/symbols.txt
	$(Q)sh tools/run/symtab.sh $(B)/symbols.txt $(B)/symtab.S
	$(Q)$(CC) $(KFLAGS) -c $(B)/symtab.S -o $(B)/symtab.o
	$(Q)$(LD) $(LDFLAGS) -o $@ $(KOBJS) $(B)/symtab.o

# ---- programs for ring 3, each with the small library --------------------------------------------
NOT_USER   := -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -Iarch/x86_64
USER_FLAGS := $(filter-out $(NOT_USER),$(KFLAGS))
USER_LD    := $(filter-out linker.ld -T --build-id=sha1,$(LDFLAGS)) -S -T user/user.ld
$(B)/kernel/user/%.o $(B)/kernel/tests/hostile/%.o: KFLAGS := $(USER_FLAGS)
$(foreach p,$(PROGRAM_SRCS),$(eval $(B)/bin/$(basename $(notdir $p)): $(B)/kernel/$p.o))
$(PROGRAMS:%=$(B)/bin/%): $(B)/kernel/user/crt.S.o $(B)/kernel/user/lib.c.o user/user.ld
	$(call say,LD.....,$@)
	$(Q)$(into) $(LD) $(USER_LD) -o $@ $(filter %.o,$^)
$(B)/bin/hostile: $(HOSTILE_SRCS:%=$(B)/kernel/%.o)

# ---- the hosted program, in several builds: make build/host-asan/check --------------------------
# -g1 has lines for gdb and reports, but no variables: compiling takes a fifth less.  Or: HOSTG=-g.
HOSTG  := -g1
# Tests are compiled with -O0, and most builds have the rest with -O1: compiling takes half as long.
# "plain" has the -O2 of the kernel.
HOSTT  := -O0
HFLAGS := $(COMMON:-g=$(HOSTG)) -Iarch/host -Iarch/x86_64 -I. -pthread -fno-omit-frame-pointer \
	-DCHECKED_BUILD
HFLAGS_order3 := -O1 -DPAGEBLOCK_ORDER=3
HFLAGS_asan   := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
HFLAGS_tsan   := -O1 -fsanitize=thread -Wno-tsan
HFLAGS_threads-asan = $(HFLAGS_threads) $(HFLAGS_asan) -DSINGLES=3000 -DRANDOM=1000
HOST_BUILDS   := plain port order3 asan tsan threads threads-asan silence
# "threads", "threads-asan" and "silence" have CPUs as fibers.  Of the others, "plain" links the
# kernel's locks and cross-calls, the rest the host's.  SHARES_x: the build whose objects x links.
HOST_ALL  = $(MM_SRCS) $(BOTH_SRCS) $(HOST_SRCS) $(TEST_SRCS) $(HOST_TEST_SRCS)
HOST_ONE  = $(if $(filter plain,$(1)),$(SHARED_SRCS) $(SHARED_TESTS),$(HOST_PORT))
host_srcs = $(if $(filter threads%,$(1)),$(THREAD_SRCS),$(if $(filter silence,$(1)), \
	$(SILENCE_SRCS),$(HOST_ALL) $(HOST_ONE)))
host_shared = $(if $(SHARES_$(1)),$(filter $(call host_srcs,$(SHARES_$(1))),$(host_srcs)))
host_objs = $(patsubst %,$(B)/host-$(SHARES_$(1))/%.o,$(host_shared)) \
	$(patsubst %,$(B)/host-$(1)/%.o,$(filter-out $(host_shared),$(host_srcs)))
# What is made in the directory $(1), or links objects of it.
links = $(foreach x,$(HOST_BUILDS),$(if $(filter host-$(SHARES_$(x)),$(1)),host-$(x)))
goals_of = $(patsubst %,$(B)/%/%,$(1) $(links))
# The rules of a program: (directory, program, flags, sources, objects if not those of the sources).
define host_build
$(B)/$(1)/demo/trace_short.c.o: bench/traces/short.trace
$(B)/$(1)/tests/races/scripts.c.o $(B)/$(1)/tests/machines/machines.c.o: $(TEXTS)
$(B)/$(1)/%.c.o: %.c Makefile
	$$(call say,HOSTCC.,$$< [$(1)])
	$$(Q)$$(into) $$(CCACHE) $$(HOSTCC) $(3) $$(if $$(filter tests/%,$$<),$$(HOSTT)) \
		-MMD -MP -c $$< -o $$@
$(B)/$(1)/$(2): $(or $(5),$(patsubst %,$(B)/$(1)/%.o,$(4)))
	$$(call say,HOSTLD.,$$@)
	$$(Q)$$(HOSTCC) $(3) -o $$@ $$^
-include $(call there,$(call goals_of,$(1)),$(patsubst %,$(B)/$(1)/%.d,$(4)))
endef
$(foreach b,$(HOST_BUILDS),$(eval $(call host_build,host-$(b),check, \
	$(HFLAGS) $(WATCH) $(HFLAGS_$(b)),$(call host_srcs,$(b)),$(call host_objs,$(b)))))
# mm/ alone, with nothing of kernel/: the least that another kernel needs.
ALONE_SRCS := $(MM_SRCS) $(HOST_BASE) $(HOST_PORT) arch/host/host_alone.c
$(eval $(call host_build,alone,alone,$(HFLAGS),$(ALONE_SRCS)))
# Race replay and the explorer, with CPUs as fibers: make build/fiber/race build/fiber-asan/race
FIBER_FLAGS := $(COMMON:-g=$(HOSTG)) -Iarch/fiber -Itests/races -I. -fno-omit-frame-pointer \
	-DRACE_BUILD -DCHECKED_BUILD -DPAGEBLOCK_ORDER=3 -O1
$(foreach b,fiber fiber-asan,$(eval \
	$(call host_build,$(b),race,$(FIBER_FLAGS) $(HFLAGS_$(b:fiber-%=%)),$(FIBER_SRCS))))
# mm/ as a library, and programs that use it.
include $(addprefix tools/,race/weak.mk run/lib.mk grade/labs.mk web/web.mk lint/fields.mk) \
	tests/states/states.mk
-include $(call there,$(KERNEL_GOALS),$(KOBJS:.o=.d) \
	$(patsubst %,$(B)/kernel/%.d,$(PROGRAM_SRCS) $(HOSTILE_SRCS) user/lib.c))

# ---- what to type: tools/run/help.txt says what each target does -------------------------
export CPUS MEM NODES BOOT CMDLINE TRACE SCRIPT TIMEOUT QEMU_FLAGS MAKE OBJDUMP
export QUARRY_BUILD := $(B)
# The tools are tools/*/NAME.py; tools/run/args.mk has their arguments.
.PHONY: all kernel help run selftest iso usb debug compile_commands.json setup clean $(TOOLS)
$(TOOLS):
	$(Q)$(PYTHON) $(wildcard tools/*/$@.py) --build $(B) $(if $(only),--only $(only)) $(ARGS_$@)
$(KERNEL_TOOLS): kernel
help: ; @cat tools/run/help$(if $(ALL),,_first).txt
selftest: override CMDLINE := selftest=$(or $(SUITE),all) tour=off monitor=off $(value CMDLINE)
run selftest:
	+$(Q)mkdir -p $(B) && \
		sh tools/run/in_turn.sh $(B)/.building $(MAKE) $(if $(V),,-s) kernel >&2
	$(Q)sh tools/run/run.sh $(B)
image = sh tools/run/mkiso.sh $(B)/quarry.$(1) $(B)/quarry.elf "$$CMDLINE" \
	$(foreach p,$(PROGRAMS),$(p)=$(B)/bin/$(p))
iso: kernel ; $(Q)$(call image,iso) && echo "$(B)/quarry.iso"
usb: kernel ; $(Q)$(call image,img) && sh tools/run/usb.sh $(B)/quarry.img
debug: kernel ; $(Q)sh tools/run/debug.sh $(B)
compile_commands.json: ; $(Q)$(PYTHON) tools/lint/analyse.py --build $(B)
setup: ; @echo "nothing is missing"
clean: ; rm -rf $(B)
