# SPDX-License-Identifier: MIT
# The variables that each target takes; for the Makefile.
# Any other typed variable is an error: it would be ignored.  A target without a row takes them all.
ANY_TAKES := B V CC LD AR NM OBJDUMP OBJCOPY HOSTCC CROSS_COMPILE CCACHE PYTHON MAKE TTY \
	RACE CHECKED HFLAGS% HOSTG HOSTT KFLAGS LDFLAGS VARIANT
RUN_TAKES := CPUS MEM NODES BOOT CMDLINE TRACE SCRIPT TIMEOUT THREADS QEMU_FLAGS FONT
TAKES_run           := $(RUN_TAKES)
TAKES_selftest      := $(RUN_TAKES) SUITE
TAKES_debug         := CPUS MEM NODES CMDLINE PORT GDB_FLAGS
TAKES_iso           := CMDLINE FONT
TAKES_usb           := CMDLINE FONT
TAKES_test          := ONLY FULL
TAKES_test-bochs    := ONLY FONT
TAKES_check         := ONLY SUITE FAILFAST WATCH
TAKES_lint          := ONLY
TAKES_format        :=
TAKES_bench         := RECORD ONLY TRACES PLUGIN CURVES REPEAT PROFILE TIME BASE
TAKES_bench-peers   := RECORD
TAKES_lib           := CORE PREFIX LIBCC LIBFLAGS PORT PORT_SRCS
TAKES_arena         := $(TAKES_lib)
TAKES_porting-check := $(TAKES_lib) PORT_RUN
TAKES_amalgamation  := PORT CORE PREFIX
TAKES_install       := $(TAKES_lib) prefix DESTDIR
TAKES_dist          := ONLY VARIANTS REPOSITORY
TAKES_book          :=
TAKES_mini          := CPUS MEM QEMU_FLAGS
TAKES_soak          := TARGET ROUNDS
TAKES_race          := NAME LIST REPEAT GRUB STEP ENGINE MODEL
TAKES_web           := SERVE ARCHIVE VARIANTS REPOSITORY
TAKES_web-check     := ONLY VARIANTS SHOTS
TAKES_docs          := REPOSITORY SERVE
TAKES_mutants       := ONLY WHO
TAKES_mutate        := N SEED FILES BY
TAKES_kills         := N SEED FILES ROOM WITHOUT
TAKES_failsweep     := ONLY
TAKES_model         := ONLY
TAKES_states        := SCOPE FULL LIST
TAKES_fuzz          := ONLY SECONDS FUZZ_CC
TAKES_coverage      :=
TAKES_skeleton      := LAB DIR TRACK OWN
TAKES_lab           := LAB DIR OWN
TAKES_lab-kernel    := LAB DIR OWN
TAKES_labs          :=
TAKES_grade         := LAB DIR SUB ONLY TEST SET PLAN GDB SEED OUT KERNEL TRACK BOARD
TAKES_labs-check    := LAB ONLY REPEAT MATRIX
TAKES_labs-sure     := LAB ONLY REPEAT PAIRS
TAKES_labs-leak     :=
TAKES_figures       := ONLY
TAKES_recording     := SIZE TEXT
TAKES_minimal       := FULL SUITE ARCHIVE
TAKES_setup         :=
TAKES_clean         :=
TAKES_help          := ALL

# A make that a tool or a test starts inherits the typed variables: it does not check them again.
ifeq ($(MAKELEVEL),0)
has_row = $(filter-out undefined,$(origin TAKES_$(1)))
no_row  = $(strip $(foreach goal,$(MAKECMDGOALS),$(if $(call has_row,$(goal)),,$(goal))))
taken   = $(strip $(foreach goal,$(MAKECMDGOALS),$(TAKES_$(goal))))
typed   = $(foreach word,$(MAKEOVERRIDES),$(if $(findstring =,$(word)), \
	$(firstword $(subst =, ,$(subst :, ,$(word))))))
is_typed = $(filter command override,$(firstword $(origin $(1))))
refused = $(strip $(foreach v,$(typed),$(if $(call is_typed,$(v)), \
	$(filter-out $(ANY_TAKES) $(taken),$(v)))))
ifneq ($(if $(MAKECMDGOALS),$(if $(no_row),,$(refused))),)
one = $(firstword $(refused))
$(error $(one)=$($(one)): make $(MAKECMDGOALS) does not take $(one); \
	it takes $(or $(taken),no variable))
endif
endif

# ---- the targets that run tools/*/NAME.py, and what each tool gets as arguments -----------------
# Names in ONLY have commas or blanks between them.
comma := ,
only = $(subst $() ,$(comma),$(strip $(subst $(comma), ,$(ONLY))))
TOOLS      := test test-bochs check lint format bench soak race model mutants mutate failsweep
TOOLS      += kills fuzz coverage figures recording minimal bench-peers amalgamation
TOOLS      += web-check states dist book docs
ARGS_web-check := $(if $(VARIANTS),--variants $(VARIANTS)) $(if $(SHOTS),--shots)
ARGS_dist := $(if $(VARIANTS),--variants '$(VARIANTS)') \
	$(if $(REPOSITORY),--repository $(REPOSITORY))
ARGS_docs := $(if $(REPOSITORY),--repository $(REPOSITORY)) $(if $(SERVE),--serve)
ARGS_amalgamation = --port $(PORT) $(if $(PREFIX),--prefix $(PREFIX)) $(LIB_CORE)
ARGS_test := $(if $(FULL),--full)
ARGS_check := $(if $(SUITE),--suite '$(SUITE)') $(if $(FAILFAST),--fail-fast) $(if $(WATCH),--watch)
ARGS_recording := $(if $(SIZE),--size $(SIZE)) $(if $(TEXT),--text $(TEXT))
ARGS_minimal := $(if $(FULL),--whole) $(if $(SUITE),--suite $(SUITE)) $(if $(ARCHIVE),--archive)
ARGS_soak   = '$(TARGET)' $(ROUNDS)
ARGS_race  := $(if $(LIST),--list) $(if $(STEP),--step) $(if $(ENGINE),--engine $(ENGINE)) \
	$(if $(MODEL),--model $(MODEL)) $(if $(GRUB),--grub) \
	$(if $(REPEAT),--repeat $(REPEAT)) $(NAME)
ARGS_mutants := $(if $(WHO),--who)
ARGS_mutate := $(if $(N),--number $(N)) $(if $(SEED),--seed $(SEED)) $(if $(BY),--stages $(BY)) \
	$(if $(FILES),--files $(FILES))
ARGS_kills := $(ARGS_mutate) $(if $(ROOM),--room $(ROOM)) $(if $(WITHOUT),--without $(WITHOUT))
ARGS_states := $(if $(FULL),--full) $(if $(SCOPE),--scope $(SCOPE)) $(if $(LIST),--list)
ARGS_fuzz  := $(if $(SECONDS),--seconds $(SECONDS))
# docs/bench.md says what the variables of bench mean.
ARGS_bench-peers = $(if $(RECORD),--record)
given = $(filter command environment,$(firstword $(origin $(1))))
ARGS_bench := $(if $(call given,RECORD),--record "$$RECORD") \
	$(if $(call given,TRACES),--traces "$$TRACES") \
	$(if $(call given,PLUGIN),--plugin "$$PLUGIN") $(if $(CURVES),--curves) \
	$(if $(TIME),--time) $(if $(call given,BASE),--base "$$BASE") \
	$(if $(PROFILE),--profile $(PROFILE)) \
	$(if $(REPEAT),--repeat $(REPEAT))
