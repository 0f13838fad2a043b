# SPDX-License-Identifier: MIT
# Quarry: one non-recursive Makefile.  `make help` lists the targets; everything goes to build/.

# What a target needs is installed first if it is missing; with nothing missing no package manager runs.
NEEDS_run   := compile boot $(if $(filter pvh,$(BOOT)),,iso) $(filter uefi,$(BOOT))
NEEDS_iso   := compile iso
NEEDS_test-bochs := compile iso check bochs
NEEDS_model := model
NEEDS_race  := compile boot $(if $(GRUB),iso)
NEEDS_mutants := compile boot check
NEEDS_mutate := compile boot check mutate
NEEDS_failsweep := compile check
NEEDS_debug := compile boot debug
NEEDS_lint  := compile lint
NEEDS_test  := test
NEEDS_setup := test debug
NEEDS       := $(foreach goal,$(MAKECMDGOALS),$(NEEDS_$(goal)))
ifeq ($(findstring n,$(firstword -$(MAKEFLAGS)))$(if $(strip $(NEEDS)),yes),yes)
ifneq ($(shell sh tools/setup.sh $(NEEDS) >&2 || echo failed),)
$(error what `make $(MAKECMDGOALS)` needs is missing; see above)
endif
endif
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DELETE_ON_ERROR .SUFFIXES:
B := build
ifneq ($(words $(B)),1)
$(error B="$(B)": wanted one directory, without blanks in its name)
endif
# As typed: a $ in it is the kernel's.
override CMDLINE := $(value CMDLINE)

# ---- what is built of what -------------------------------------------------------------------
# Each room lists its own sources in its files.mk, one name a line, in link order.
$(foreach list,MM_SRCS SHARED_SRCS BOTH_SRCS KERNEL_SRCS USER_SRCS PROGRAMS HOSTILE_SRCS ARCH_SRCS BOOT_SRCS \
	HOST_BASE HOST_SRCS HOST_TEST_SRCS HOST_PORT TEST_SRCS SHARED_TESTS KTEST_SRCS RACE_SRCS FIBER_SRCS \
	THREAD_SRCS SILENCE_SRCS SCHED_SRCS,$(eval $(list) :=))
ROOMS := boot arch/x86_64 arch/host arch/fiber kernel drivers mm demo user tests tests/races
include $(ROOMS:%=%/files.mk)
KERNEL_SRCS += $(if $(RACE),,demo/no_race.c)
HOST_SRCS   := $(HOST_BASE) $(HOST_SRCS)
RACE_SRCS   += $(sort $(wildcard tests/races/step*.c))
THREAD_SRCS += $(SCHED_SRCS) $(filter-out mm/slab.c,$(MM_SRCS))
SILENCE_SRCS += $(SCHED_SRCS) $(MM_SRCS)
FIBER_SRCS  += $(filter-out mm/slab.c,$(MM_SRCS)) tests/lib/soft_mmu.c $(SHARED_SRCS) $(RACE_SRCS)
RACE_TEXTS  := $(wildcard tests/races/*.race)

# ---- tools -------------------------------------------------------------------------------------
# On another machine: the cross compiler if there is one, else clang and lld.
HOSTCC ?= gcc
ifneq ($(shell uname -m),x86_64)
CROSS_COMPILE ?= $(if $(shell command -v x86_64-linux-gnu-gcc),x86_64-linux-gnu-)
CROSS_INCLUDE := -idirafter /usr/include -idirafter /usr/include/$(shell uname -m)-linux-gnu
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
say = $(if $(V),,@printf '  %-7s %s\n' $(1) '$(2)')

WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla \
	-Wpointer-arith -Wwrite-strings -Wimplicit-fallthrough -Wno-unused-parameter
COMMON := -std=gnu11 -O2 -g $(WARN) -Iinclude -fno-strict-aliasing -fno-common -fwrapv
KFLAGS := $(COMMON) $(CC_KERNEL) $(CROSS_INCLUDE) -Iarch/x86_64 -I. -ffreestanding -fno-pic -fno-pie -mcmodel=kernel \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-omit-frame-pointer \
	-fno-asynchronous-unwind-tables -fcf-protection=none -fno-delete-null-pointer-checks
LDFLAGS := -nostdlib -static -z max-page-size=0x1000 -z noexecstack --build-id=sha1 -T linker.ld

# ---- the kernel --------------------------------------------------------------------------------
KSRCS := $(BOOT_SRCS) $(ARCH_SRCS) $(SHARED_SRCS) $(BOTH_SRCS) $(KERNEL_SRCS) $(MM_SRCS) $(TEST_SRCS) $(USER_SRCS) $(KTEST_SRCS) $(SHARED_TESTS)
# A race build, without the suites: make kernel RACE=1 B=build/race.  A checked one: make kernel CHECKED=1 B=build/checked.
KFLAGS += $(if $(RACE),-DRACE_BUILD) $(if $(CHECKED),-DCHECKED_BUILD)
KSRCS  := $(if $(RACE),$(filter-out tests/suites/%,$(KSRCS)) $(RACE_SRCS) $(addprefix tests/races/,race_boot.c waiters.c),$(KSRCS))
KOBJS := $(patsubst %,$(B)/kernel/%.o,$(KSRCS))

all kernel: $(B)/quarry.elf $(PROGRAMS:%=$(B)/bin/%)

$(B)/kernel/%.o: % Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(KFLAGS) -MMD -MP -c $< -o $@

$(B)/kernel/demo/trace_short.c.o: traces/short.trace
$(B)/kernel/tests/races/scripts.c.o: $(RACE_TEXTS)

# Linked twice: the second time with the table of symbols that backtraces use.
$(B)/quarry.elf: $(KOBJS) linker.ld tools/symtab.sh
	$(call say,LD,$@)
	$(Q)sh tools/symtab.sh /dev/null $(B)/symtab0.S && $(CC) $(KFLAGS) -c $(B)/symtab0.S -o $(B)/symtab0.o
	$(Q)$(LD) $(LDFLAGS) -o $(B)/quarry0.elf $(KOBJS) $(B)/symtab0.o
	$(Q)$(NM) -n $(B)/quarry0.elf > $(B)/symbols.txt && sh tools/symtab.sh $(B)/symbols.txt $(B)/symtab.S
	$(Q)$(CC) $(KFLAGS) -c $(B)/symtab.S -o $(B)/symtab.o
	$(Q)$(LD) $(LDFLAGS) -o $@ $(KOBJS) $(B)/symtab.o

# ---- programs for ring 3, each with the small library ---------------------------------------------
USER_FLAGS := $(filter-out -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -Iarch/x86_64 -I.,$(KFLAGS))
$(B)/kernel/user/%.o: KFLAGS := $(USER_FLAGS)
$(B)/bin/%: $(B)/kernel/user/%.c.o $(B)/kernel/user/crt.S.o $(B)/kernel/user/lib.c.o user/user.ld
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(LD) $(filter-out linker.ld -T --build-id=sha1,$(LDFLAGS)) -S -T user/user.ld -o $@ $(filter %.o,$^)
$(B)/bin/hostile: $(HOSTILE_SRCS:%=$(B)/kernel/%.o)
.PRECIOUS: $(B)/kernel/%.o

# ---- the hosted program, in several builds: make build/host-asan/check --------------------------
# Lines for gdb and reports, without variables: a fifth less to compile.  With them: HOSTG=-g.  Tests half as long.
HOSTG  := -g1
HOSTT  := -O1
HFLAGS := $(COMMON:-g=$(HOSTG)) -Iarch/host -Iarch/x86_64 -I. -pthread -fno-omit-frame-pointer -DCHECKED_BUILD
HFLAGS_plain  := -DHOST_PLAIN
HFLAGS_order3 := -DPAGEBLOCK_ORDER=3
HFLAGS_asan   := -fsanitize=address,undefined -fno-sanitize-recover=all
HFLAGS_tsan   := -fsanitize=thread -Wno-tsan
HFLAGS_threads-asan = $(HFLAGS_threads) $(HFLAGS_asan) -DSINGLES=3000 -DRANDOM=1000
HOST_BUILDS   := plain port order3 asan tsan threads threads-asan silence
# All but one link the host's own locks and cross-calls; "plain" links the kernel's.
host_srcs = $(if $(filter threads%,$(1)),$(THREAD_SRCS),$(if $(filter silence,$(1)),$(SILENCE_SRCS),$(MM_SRCS) $(BOTH_SRCS) $(HOST_SRCS) $(TEST_SRCS) $(HOST_TEST_SRCS) \
	$(if $(filter plain,$(1)),$(SHARED_SRCS) $(SHARED_TESTS),$(HOST_PORT))))
# Of a directory, a program, flags and sources.
define host_build
$(B)/$(1)/demo/trace_short.c.o: traces/short.trace
$(B)/$(1)/tests/races/scripts.c.o: $(RACE_TEXTS)
$(B)/$(1)/%.c.o: %.c Makefile
	$$(call say,HOSTCC,$$< [$(1)])
	$$(Q)mkdir -p $$(@D) && $$(HOSTCC) $(3) $$(if $$(filter tests/%,$$<),$(HOSTT)) -MMD -MP -c $$< -o $$@
$(B)/$(1)/$(2): $(patsubst %,$(B)/$(1)/%.o,$(4))
	$$(call say,HOSTLD,$$@)
	$$(Q)$$(HOSTCC) $(3) -o $$@ $$^
-include $(patsubst %,$(B)/$(1)/%.d,$(4))
endef
$(foreach b,$(HOST_BUILDS),$(eval $(call host_build,host-$(b),check,$(HFLAGS) $(HFLAGS_$(b)),$(call host_srcs,$(b)))))
# mm/ alone, with nothing of kernel/: the least that another kernel needs.
$(eval $(call host_build,alone,alone,$(HFLAGS),$(MM_SRCS) $(HOST_BASE) $(HOST_PORT) arch/host/host_alone.c))
# CPUs as fibers: race replay and the explorer.  make build/fiber/race build/fiber-asan/race
FIBER_FLAGS := $(COMMON:-g=$(HOSTG)) -Iarch/fiber -Itests/races -I. -DRACE_BUILD -DCHECKED_BUILD -DPAGEBLOCK_ORDER=3 -fno-omit-frame-pointer
$(foreach b,fiber fiber-asan,$(eval $(call host_build,$(b),race,$(FIBER_FLAGS) $(HFLAGS_$(b:fiber-%=%)),$(FIBER_SRCS))))
-include $(KOBJS:.o=.d) $(patsubst %,$(B)/kernel/user/%.c.d,$(PROGRAMS) lib) $(HOSTILE_SRCS:%=$(B)/kernel/%.d)

# ---- what to type ------------------------------------------------------------------------------
# `make help` prints these lines: a target's or a variable's name, its default, two blanks, what it is.
# target  run         build, make a GRUB ISO, boot it: selftests, tour, the monitor's prompt
# target  test        all tests, hosted and in QEMU; the last line is "N passed, N failed": ONLY=
# target  test-bochs  the ISO image in Bochs, another implementation of the hardware: ONLY=
# target  check       the hosted tests only, in eight builds: the development loop: ONLY=
# target  all         the kernel, build/quarry.elf
# target  iso         build/quarry.iso, which boots on BIOS and UEFI machines with CMDLINE
# target  debug       boot by PVH, stopped, with gdb and the k- commands of tools/quarry.gdb
# target  lint        includes, sizes, locks, static analysis, the compare that guards free_pages
# target  bench       the table of figures, build/bench.json
# target  soak        long stress: TARGET=boots|suites|offline|hotplug|programs|syscalls|poison|hoard|virtio ROUNDS=n; goes on where it stopped
# target  race        replay races, right and wrong code, hosted and in QEMU: NAME= REPEAT=n GRUB=1; STEP=1 by keys
# target  mutants     wrong variants of the code, and the tests that must notice: ONLY=; WHO=1 lists all that do
# target  mutate      variants that a program writes, and what notices them: N=200 SEED=1 FILES=path,...
# target  failsweep   the n-th allocation of every test fails, for every n: ONLY=SUITE[.TEST]
# target  model       SPIN models of the protocols, right and wrong ones: ONLY=
# target  fuzz        libFuzzer over the allocator and the parsers: SECONDS=n
# target  coverage    lines and branches of mm/ that the hosted tests reach: build/coverage/index.html
# target  setup       install what is missing for all of these
# target  clean       remove build/
# run     CPUS=4      1 to 255 CPUs of `make run` and `make debug`
# run     MEM=1G      memory, 64M to 1T: 512M, 16G, ...; and 1M for each CPU, 4M for each node, 64M for UEFI
# run     NODES=2     1 to 16 NUMA nodes
# run     BOOT=grub   grub (BIOS), uefi or pvh (QEMU loads the kernel itself)
# run     CMDLINE=    the kernel's command line; an unknown option makes the kernel list those it knows
# run     TRACE=      an allocation trace to replay, FILE or FILE.gz
# any     B=build     where everything goes
# any     CC=gcc      or clang, which links with ld.lld; CROSS_COMPILE= a prefix, found by itself
# any     V=1         show the commands
export CPUS MEM NODES BOOT CMDLINE TRACE TIMEOUT QEMU_FLAGS MAKE OBJDUMP
export QUARRY_BUILD := $(B)

# Each is tools/NAME.py.
TOOLS      := test test-bochs check lint bench soak race model mutants mutate failsweep fuzz coverage
ARGS_soak   = '$(TARGET)' $(ROUNDS)
ARGS_race  := $(if $(STEP),--step) $(if $(GRUB),--grub) $(if $(REPEAT),--repeat $(REPEAT)) $(NAME)
ARGS_mutants := $(if $(WHO),--who)
ARGS_mutate := $(if $(N),--number $(N)) $(if $(SEED),--seed $(SEED)) $(if $(FILES),--files $(FILES))
ARGS_fuzz  := $(if $(SECONDS),--seconds $(SECONDS))
.PHONY: all kernel help run iso debug setup clean $(TOOLS)
$(TOOLS):
	$(Q)$(PYTHON) tools/$@.py --build $(B) $(if $(ONLY),--only $(ONLY)) $(ARGS_$@)
lint bench soak test-bochs: kernel

help: ; @echo 'make TARGET [VARIABLE=value ...]' && sed -n 's/^# \(target\|run\|any\)  */  /p' Makefile
run:
	+$(Q)mkdir -p $(B) && sh tools/in_turn.sh $(B)/.building $(MAKE) --no-print-directory kernel
	$(Q)sh tools/run.sh $(B)
iso: kernel
	$(Q)sh tools/mkiso.sh $(B)/quarry.iso $(B)/quarry.elf "$$CMDLINE" $(foreach p,$(PROGRAMS),$(p)=$(B)/bin/$(p)) && echo "$(B)/quarry.iso"
debug: kernel ; $(Q)sh tools/debug.sh $(B)
setup: ; @echo "nothing is missing"
clean: ; rm -rf $(B)
