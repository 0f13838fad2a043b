# SPDX-License-Identifier: MIT
# Which sets of packages (tools/setup.sh) each target needs; for the Makefile.
# Packages that a target needs are installed first.  If none is missing, no package manager runs.
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
NEEDS_format := lint
NEEDS_test  := test
NEEDS_setup := test debug
NEEDS_lib := compile
NEEDS_arena := compile
NEEDS_porting-check := compile
NEEDS := $(foreach goal,$(MAKECMDGOALS),$(NEEDS_$(goal)))
ifeq ($(findstring n,$(firstword -$(MAKEFLAGS)))$(if $(strip $(NEEDS)),yes),yes)
ifneq ($(shell sh tools/setup.sh $(NEEDS) >&2 || echo failed),)
$(error what `make $(MAKECMDGOALS)` needs is missing; see above)
endif
endif
