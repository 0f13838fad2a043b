# SPDX-License-Identifier: MIT
# The targets that run tools/*/NAME.py, and the variables of make that each tool gets as arguments;
# for the Makefile.  Names in ONLY have commas or blanks between them.
comma := ,
only = $(subst $() ,$(comma),$(strip $(subst $(comma), ,$(ONLY))))
TOOLS      := test test-bochs check lint format bench soak race model mutants mutate failsweep
TOOLS      += kills fuzz coverage figures recording minimal bench-peers amalgamation
TOOLS      += web-check states
ARGS_web-check := $(if $(VARIANTS),--variants $(VARIANTS)) $(if $(SHOTS),--shots)
ARGS_amalgamation = --port $(PORT) $(LIB_CORE)
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
