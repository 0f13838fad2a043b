# SPDX-License-Identifier: MIT
# Which sets of packages (setup.sh) each target needs, and ccache; for the Makefile.
# Packages that a target needs are installed first.  If none is missing, no package manager runs.
NEEDS_all   := compile
NEEDS_kernel := compile
NEEDS_check := compile
NEEDS_run   := compile boot $(if $(filter pvh,$(BOOT)),,iso) $(filter uefi,$(BOOT))
NEEDS_selftest = $(NEEDS_run)
NEEDS_iso   := compile iso
NEEDS_usb   := compile iso uefi
NEEDS_test-bochs := compile iso check bochs
NEEDS_bench := compile boot
NEEDS_bench-peers := compile boot peers
NEEDS_model := model
NEEDS_states := compile
NEEDS_race  := compile boot $(if $(GRUB),iso)
NEEDS_mutants := compile boot check
NEEDS_mutate := compile boot check mutate
NEEDS_kills := compile boot check mutate
NEEDS_failsweep := compile check
NEEDS_debug := compile boot debug
NEEDS_lint  := compile lint
NEEDS_format := lint
NEEDS_figures := figures
NEEDS_recording := compile boot iso check
NEEDS_minimal := minimal
NEEDS_test  := test rust $(if $(FULL),web web-check docs minimal)
NEEDS_amalgamation := compile
NEEDS_soak := compile boot
NEEDS_fuzz := compile fuzz
NEEDS_coverage := compile fuzz
NEEDS_lab := compile $(if $(filter P,$(LAB)),boot)
NEEDS_lab-kernel := compile boot
NEEDS_grade := compile $(if $(KERNEL)$(BOARD)$(filter P 10,$(LAB)),boot) $(if $(GDB),debug)
NEEDS_labs-check := compile boot
NEEDS_labs-sure := compile boot
NEEDS_skeleton := compile
NEEDS_setup := test debug figures docs book rust
NEEDS_lib := compile
NEEDS_install := compile
NEEDS_images := iso uefi
NEEDS_dist = compile $(foreach part,$(or $(subst $(comma), ,$(ONLY)),web docs images book),\
	$(NEEDS_$(part)))
NEEDS_book := book
NEEDS_arena := compile
NEEDS_porting-check := compile
NEEDS_mini := compile boot
NEEDS_web := compile web
NEEDS_web-check := compile web web-check
NEEDS_docs := docs
# The .d files of objects are read only for the programs that the goals may need; to read all takes
# ten times as long as all else.  Some targets only run tools, which call make for what they need.
GOALS := $(or $(MAKECMDGOALS),all)
KERNEL_TOOLS := lint $(if $(TIME),,bench) soak test-bochs
KERNEL_GOALS := all kernel iso usb debug $(KERNEL_TOOLS) $(B)/quarry.elf $(B)/bin/%
NO_GOALS := help run selftest setup clean grade lab lab-kernel lab-settings labs labs-check \
	labs-leak labs-sure skeleton variant-vars $(filter-out $(KERNEL_TOOLS),$(TOOLS))
HOST_GOALS := $(B)/states/% $(B)/host-% $(B)/fiber/% $(B)/fiber-asan/% $(B)/fiber-weak/% \
	$(B)/alone/%
OTHER_GOALS := $(filter-out $(NO_GOALS) $(KERNEL_GOALS) $(HOST_GOALS),$(GOALS))
# Those of the .d files $(2) that are there, if one of the goals is in $(1), or may need any object.
# For a missing file make would look in all its own directories of files to include.
there = $(if $(OTHER_GOALS)$(filter $(1),$(GOALS)),$(wildcard $(2)))
NO_PYTHON := help run selftest all kernel iso usb debug setup clean $(B)/%
NEEDS := $(foreach goal,$(GOALS),$(NEEDS_$(goal))) \
	$(if $(filter-out $(NO_PYTHON),$(MAKECMDGOALS)),python)
ifeq ($(findstring n,$(firstword -$(MAKEFLAGS)))$(if $(strip $(NEEDS)),yes),yes)
ifneq ($(shell sh tools/run/setup.sh $(NEEDS) >&2 || echo failed),)
$(error what `make $(GOALS)` needs is missing; see above)
endif
endif
# With ccache, sources that another tree has compiled are not compiled again.  It is used if it
# works here, unless CCACHE= is given.
ifeq ($(origin CCACHE),undefined)
CCACHE := $(shell ccache -s > /dev/null 2>&1 && echo ccache)
endif
export CCACHE
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
# So an object's lines for gdb and addr2line are those of files in ".", not in the other tree.
DEBUG := $(or $(KG),-g) -fdebug-prefix-map=$(CURDIR)=.
# New compilers have new warnings, which are errors only with those that needs.txt has tried.
major = $(firstword $(subst ., ,$(shell $(1) -dumpversion 2> /dev/null)))
tried = $(filter $(call major,$(1)),$(shell \
	sed -n 's/^tried $(if $(findstring clang,$(1)),clang,gcc) .*|//p' tools/run/needs.txt))
both_tried = $(if $(call tried,$(1)),$(or $(filter $(1),$(2)),$(call tried,$(2))))
WERROR = $(if $(call both_tried,$(CC),$(HOSTCC)),-Werror)
