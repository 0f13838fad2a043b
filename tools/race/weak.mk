# SPDX-License-Identifier: MIT

# The explorers with a weak memory model: build/fiber-weak/race, build/threads-weak/check.  Their
# mm/ and kernel/ call fiber_hooks.c at each access: gcc's thread sanitizer is not linked.
HOOKED := -fsanitize=thread -Wno-tsan --param tsan-instrument-func-entry-exit=0
own = $(filter mm/% kernel/% %/explore_run.c,$(1)) arch/fiber/fiber_hooks.c
# (directory, program, flags, sources, directory of the objects that it shares)
define weak_build
$(call host_build,$(1),$(2),$(3) \
	$$(if $$(filter %.o,$$@),$$(if $$(filter mm/% kernel/%,$$<),$$(HOOKED))),$(call own,$(4)), \
	$(patsubst %,$(B)/$(1)/%.o,$(call own,$(4))) \
	$(patsubst %,$(B)/$(5)/%.o,$(filter-out $(call own,$(4)),$(4))))
endef
$(eval $(call weak_build,fiber-weak,race,$(FIBER_FLAGS),$(FIBER_SRCS),fiber))
$(eval $(call weak_build,threads-weak,check,$(HFLAGS) $(HFLAGS_threads) -DSINGLES=2000 \
	-DRANDOM=500,$(THREAD_SRCS),host-threads))
