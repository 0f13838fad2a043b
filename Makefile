# SPDX-License-Identifier: MIT
# Quarry: one non-recursive Makefile.  `make help` lists the targets; everything goes to build/.
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DELETE_ON_ERROR:
.SUFFIXES:
B := build

# ---- what is built of what -------------------------------------------------------------------
# mm/ is one list for the kernel and for the hosted program: the same sources, unchanged.
MM_SRCS     := $(addprefix mm/,page.c event.c pageblock.c buddy.c zone.c pcp.c drain.c reclaim.c \
	page_alloc.c page_isolation.c migrate.c handle.c memory_hotplug.c slab.c check.c show.c mm_init.c \
	memblock.c)
# These need only arch.h: built and tested hosted too.
SHARED_SRCS := $(addprefix kernel/,lock.c smp.c)
KERNEL_SRCS := $(addprefix kernel/,main.c boot_memory.c cmdline.c printk.c panic.c sched.c thread.c wait.c)
ARCH_SRCS   := $(addprefix arch/x86_64/,acpi.c acpi_numa.c apic.c clock.c cpu.c paging.c power.c smp_boot.c \
	stack.c string.c switch.S trap.c trap_entry.S)
BOOT_SRCS   := $(addprefix boot/,boot.S ap_trampoline.S bootinfo.c)
DRIVER_SRCS := $(addprefix drivers/,serial.c)
HOST_SRCS   := $(addprefix arch/host/,host_main.c host_cpu.c host_port.c)
HOST_PORT   := $(addprefix arch/host/,host_lock.c host_call.c)
TEST_SRCS   := $(addprefix tests/,ktest.c test_lock.c test_smp.c test_fail.c)

# ---- tools -------------------------------------------------------------------------------------
HOSTCC ?= gcc
ifneq ($(shell uname -m),x86_64)
CROSS_COMPILE ?= $(if $(shell command -v x86_64-linux-gnu-gcc),x86_64-linux-gnu-)
endif
ifneq ($(filter default undefined,$(origin CC)),)
CC := $(CROSS_COMPILE)gcc
endif
ifneq ($(findstring clang,$(CC)),)
LD := ld.lld
CC_KERNEL := --target=x86_64-linux-gnu
endif
LD ?= $(CROSS_COMPILE)ld
ifneq ($(filter default undefined,$(origin LD)),)
LD := $(CROSS_COMPILE)ld
endif
NM      ?= $(CROSS_COMPILE)nm
OBJDUMP ?= $(CROSS_COMPILE)objdump
PYTHON  ?= python3
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

WARN   := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla \
	-Wpointer-arith -Wwrite-strings -Wimplicit-fallthrough -Wno-unused-parameter
COMMON := -std=gnu11 -O2 -g $(WARN) -Iinclude -fno-strict-aliasing -fno-common -fwrapv
KFLAGS := $(COMMON) $(CC_KERNEL) -Iarch/x86_64 -I. -ffreestanding -fno-pic -fno-pie -mcmodel=kernel \
	-mno-red-zone -mgeneral-regs-only -fno-stack-protector -fno-omit-frame-pointer \
	-fno-asynchronous-unwind-tables -fcf-protection=none -fno-delete-null-pointer-checks
LDFLAGS := -nostdlib -static -z max-page-size=0x1000 -z noexecstack --build-id=sha1 -T linker.ld

# ---- the kernel --------------------------------------------------------------------------------
KSRCS := $(BOOT_SRCS) $(ARCH_SRCS) $(DRIVER_SRCS) $(SHARED_SRCS) $(KERNEL_SRCS) $(MM_SRCS) $(TEST_SRCS)
KOBJS := $(patsubst %,$(B)/kernel/%.o,$(KSRCS))

.PHONY: all kernel
all: kernel
kernel: $(B)/quarry.elf

$(B)/kernel/%.c.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(KFLAGS) -MMD -MP -c $< -o $@
$(B)/kernel/%.S.o: %.S Makefile
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(KFLAGS) -D__ASSEMBLY__ -MMD -MP -c $< -o $@

# Linked twice: the second time with the table of symbols that backtraces use.
$(B)/quarry.elf: $(KOBJS) linker.ld tools/symtab.sh
	$(call say,LD,$@)
	$(Q)sh tools/symtab.sh /dev/null $(B)/symtab0.S && $(CC) $(KFLAGS) -c $(B)/symtab0.S -o $(B)/symtab0.o
	$(Q)$(LD) $(LDFLAGS) -o $(B)/quarry0.elf $(KOBJS) $(B)/symtab0.o
	$(Q)$(NM) -n $(B)/quarry0.elf > $(B)/symbols.txt && sh tools/symtab.sh $(B)/symbols.txt $(B)/symtab.S
	$(Q)$(CC) $(KFLAGS) -c $(B)/symtab.S -o $(B)/symtab.o
	$(Q)$(LD) $(LDFLAGS) -o $@ $(KOBJS) $(B)/symtab.o

# ---- the hosted program, in several builds: make build/host-asan/check --------------------------
HFLAGS := $(COMMON) -Iarch/host -I. -pthread -fno-omit-frame-pointer
HFLAGS_plain  := -DHOST_PLAIN
HFLAGS_port   :=
HFLAGS_order3 := -DPAGEBLOCK_ORDER=3
HFLAGS_asan   := -fsanitize=address,undefined -fno-sanitize-recover=all
HFLAGS_tsan   := -fsanitize=thread -Wno-tsan
HOST_BUILDS   := plain port order3 asan tsan
# All but one link the host's own locks and cross-calls; "plain" links the kernel's.
host_srcs = $(MM_SRCS) $(HOST_SRCS) $(TEST_SRCS) $(if $(filter plain,$(1)),$(SHARED_SRCS),$(HOST_PORT))
define host_build
$(B)/host-$(1)/%.c.o: %.c Makefile
	$$(call say,HOSTCC,$$< [$(1)])
	$$(Q)mkdir -p $$(@D) && $$(HOSTCC) $$(HFLAGS) $$(HFLAGS_$(1)) -MMD -MP -c $$< -o $$@
$(B)/host-$(1)/check: $(patsubst %,$(B)/host-$(1)/%.o,$(call host_srcs,$(1)))
	$$(call say,HOSTLD,$$@)
	$$(Q)$$(HOSTCC) $$(HFLAGS) $$(HFLAGS_$(1)) -o $$@ $$^
endef
$(foreach b,$(HOST_BUILDS),$(eval $(call host_build,$(b))))

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: clean
clean:
	rm -rf $(B)
