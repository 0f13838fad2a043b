# SPDX-License-Identifier: MIT

# The explorer with a weak memory model: build/fiber-weak/race.  Its mm/ and kernel/ tell
# fiber_hooks.c each load and store, as for gcc's thread sanitizer, which is not linked.
HOOKED := -fsanitize=thread -Wno-tsan --param tsan-instrument-func-entry-exit=0
WEAK_SRCS := $(filter mm/% kernel/%,$(FIBER_SRCS)) arch/fiber/fiber_hooks.c
$(eval $(call host_build,fiber-weak,race,$(FIBER_FLAGS) \
	$$(if $$(filter %.o,$$@),$$(if $$(filter mm/% kernel/%,$$<),$$(HOOKED))),$(WEAK_SRCS), \
	$(WEAK_SRCS:%=$(B)/fiber-weak/%.o) \
	$(patsubst %,$(B)/fiber/%.o,$(filter-out $(WEAK_SRCS),$(FIBER_SRCS)))))
