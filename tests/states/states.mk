# SPDX-License-Identifier: MIT
# The search of all states of small memories: make states, docs/proof.md; for the Makefile.
#
# Besides mm/ the program has the machine of the fuzz targets, and the model that the grader of labs
# has too.  All of it is compiled with -O2: its own sources run as often as mm/.
STATES_SRCS := arch/host/host_lock.c arch/host/host_format.c tests/fuzz/host_fuzz.c demo/handle.c \
	$(addprefix tests/model/,arena.c call.c model.c model_must.c model_split.c model_cache.c \
	model_count.c model_record.c model_range.c give_back.c) \
	$(addprefix tests/states/,scopes.c ops.c store.c search.c say.c main.c)
$(B)/states/%.o: HOSTT :=
$(eval $(call host_build,states,states,$(HFLAGS) -DPAGEBLOCK_ORDER=3,$(MM_SRCS) $(STATES_SRCS)))
