# SPDX-License-Identifier: MIT
# The labs, docs/labs.md; for the Makefile.
#
#   LAB=2 DIR=../lab2   for skeleton: the lab, and the new directory; for grade, lab and
#                       lab-kernel: the lab, and the directory of the code
#   TRACK=short4        for skeleton: in that track some labs have fewer functions to write; for
#                       grade: a file that DIR lacks is as students of that track get it
#   OWN=1               for lab and lab-kernel: the student's code serves every memory
#   OWN=../lab2         for skeleton: earlier labs' files are those of this student's tree
#   ONLY=model.blocks SEED=3 OUT=results   for grade: some tests, other random calls, result files
#   SUB=handed/in       for grade: the same as DIR
#   TEST=SUITE.TEST SET=NAME  for grade: one test of the layers contract and cost, one set of the
#                       explorer; with GDB=1 in the debugger, which stops at the failure
#   SET=NAME PLAN=AB,7:B  for grade: one schedule of a set, move by move
#   KERNEL=1            for grade: also in QEMU
#   BOARD=1             for grade: count instructions, for a leaderboard
#   LAB=2 ONLY=2.wrong  for labs-check and labs-sure: a lab, or some of its solutions
# labs/variant.mk, if it is there, sets VARIANT, flags of all compilers, and GRADE_SEED, which
# labs.py reads.

$(if $(and $(filter labs-check labs-sure,$(firstword $(MAKECMDGOALS))),$(LAB),$(ONLY)), \
	$(error LAB=$(LAB) ONLY=$(ONLY): wanted one of them; ONLY=$(LAB) is all of lab $(LAB)))

# Settings with which lab_build.py compiles; it does not run this Makefile for each source.
LAB_SETTINGS := HOSTCC CC LD NM HFLAGS HFLAGS_asan HFLAGS_suites HOSTT KFLAGS LDFLAGS MM_SRCS \
	BOTH_SRCS SCHED_SRCS LAB_SRCS TEST_SRCS KSRCS FIBER_FLAGS FIBER_SRCS USER_FLAGS USER_LD
.PHONY: lab-settings skeleton lab lab-kernel labs labs-leak grade labs-check labs-sure
lab-settings: ; @: $(foreach v,$(LAB_SETTINGS),$(info $(v) $($(v))))
skeleton: ; $(Q)$(PYTHON) tools/grade/skeleton.py --build $(B) $(if $(TRACK),--track '$(TRACK)') \
	$(if $(OWN),--own '$(OWN)') '$(LAB)' '$(DIR)'
# A student's tree has objects in the place of sources of labs still to come.
GIVEN := labs/reference/given
GIVEN_KERNEL := $(patsubst $(GIVEN)/%,$(B)/%,$(wildcard $(addsuffix .o,$(addprefix \
	$(GIVEN)/kernel/,*/*.c */*/*.c */*/*/*.c */*/*/*/*.c))))
$(GIVEN_KERNEL): $(B)/%: $(GIVEN)/% ; $(Q)$(into) cp $< $@
# `lab` tests the files of this tree, or of DIR, hosted; `lab-kernel` tests them in the kernel.
# Lab P is a program: for it both run its tests in QEMU.
lab lab-kernel: ; $(Q)$(PYTHON) \
	tools/grade/$(if $(filter P lab-kernel,$(LAB) $@),lab_kernel,lab_build).py --build $(B) \
	$(if $(DIR),--tree '$(DIR)') $(if $(OWN),--own) '$(LAB)' --run
labs: ; $(Q)$(PYTHON) tools/grade/labs.py
labs-leak: ; $(Q)$(PYTHON) tools/grade/skeleton.py --leaks
grade_only = $(if $(only),--only '$(only)',$(if $(TEST),--test '$(TEST)', \
	$(if $(SET),--only 'explorer.$(SET)')))
grade: ; $(Q)$(PYTHON) tools/grade/grade.py --build $(B) $(grade_only) \
	$(if $(TRACK),--track '$(TRACK)') $(if $(KERNEL),--kernel) $(if $(BOARD),--board) \
	$(addprefix --seed ,$(SEED)) $(if $(GDB),--gdb) $(if $(PLAN),--plan '$(PLAN)') \
	$(if $(OUT),--out '$(OUT)') '$(LAB)' '$(or $(DIR),$(SUB))'
lab_only = $(if $(or $(only),$(LAB)),--only '$(or $(only),$(LAB))')
labs-check labs-sure: ; $(Q)$(PYTHON) tools/grade/labs_check.py $(filter --sure,$(@:labs%=-%)) \
	--build $(B) $(lab_only) $(addprefix --repeat ,$(REPEAT)) $(if $(MATRIX),--matrix) \
	$(addprefix --pairs ,$(PAIRS))
