# SPDX-License-Identifier: MIT
# The labs, docs/labs.md; for the Makefile.
#
#   LAB=2 DIR=../lab2   of skeleton: the lab, and the new directory; of grade, lab and
#                       lab-kernel: whose code
#   TRACK=short4        of skeleton: in that track some labs have fewer functions to write
#   OWN=1               of lab and lab-kernel: this tree's code for every memory
#   ONLY=model.blocks SEED=3 OUT=results   of grade: some tests, other calls, files of results
#   KERNEL=1            of grade: also in QEMU
# labs/variant.mk, if it is there, sets VARIANT, flags of all compilers, and GRADE_SEED.

# What tools/lab_build.py compiles with, which does not go through this Makefile each time.
LAB_SETTINGS := HOSTCC CC LD NM HFLAGS HFLAGS_asan HOSTT KFLAGS LDFLAGS MM_SRCS BOTH_SRCS \
	HOST_BASE HOST_SRCS HOST_PORT TEST_SRCS KSRCS FIBER_FLAGS FIBER_SRCS USER_FLAGS USER_LD
.PHONY: lab-settings skeleton lab lab-kernel labs labs-leak grade labs-check labs-sure
lab-settings: ; @: $(foreach v,$(LAB_SETTINGS),$(info $(v) $($(v))))
skeleton: ; $(Q)$(PYTHON) tools/skeleton.py --build $(B) $(if $(TRACK),--track '$(TRACK)') \
	'$(LAB)' '$(DIR)'
# On this tree's files, or those of DIR: hosted, and in the kernel.
OWN_CODE = $(if $(OWN),--own)
# Lab P is a program: both are its tests in QEMU.
LAB_TREE = --build $(B) $(if $(DIR),--tree '$(DIR)')
lab_tool = $(if $(filter P,$(LAB)),lab_user.py $(LAB_TREE) P,$(1) $(LAB_TREE) $(OWN_CODE) \
	'$(LAB)' --run)
lab: ; $(Q)$(PYTHON) tools/$(call lab_tool,lab_build.py)
lab-kernel: ; $(Q)$(PYTHON) tools/$(call lab_tool,lab_kernel.py)
labs: ; $(Q)$(PYTHON) tools/labs.py
labs-leak: ; $(Q)$(PYTHON) tools/labs_leak.py
grade: ; $(Q)$(PYTHON) tools/grade.py --build $(B) $(if $(only),--only '$(only)') \
	$(if $(KERNEL),--kernel) $(addprefix --seed ,$(or $(SEED),$(GRADE_SEED))) \
	$(if $(OUT),--out '$(OUT)') '$(LAB)' '$(DIR)'
labs-check: ; $(Q)$(PYTHON) tools/labs_check.py --build $(B) $(if $(only),--only '$(only)') \
	$(if $(REPEAT),--repeat '$(REPEAT)') $(if $(MATRIX),--matrix)
labs-sure: ; $(Q)$(PYTHON) tools/labs_sure.py --build $(B) $(if $(only),--only '$(only)') \
	$(addprefix --times ,$(REPEAT)) $(addprefix --pairs ,$(PAIRS))
