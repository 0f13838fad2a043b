# SPDX-License-Identifier: MIT
# The laboratory in a browser: build/web/, static files.  docs/web.md.
#
# clang compiles the sources of build/fiber/race with wasi-libc; binaryen's asyncify makes fibers
# possible.  -w: native builds show the warnings.
WASM_FLAGS := --target=wasm32-wasi -std=gnu11 -Os -w -fno-strict-aliasing -fno-common -fwrapv \
	-Iinclude -Iarch/fiber -Itests/races -I. -Iweb/wasm/include -idirafter include/alone \
	-idirafter /usr/include -idirafter $(B)/wasm/include -DRACE_BUILD -DCHECKED_BUILD \
	-DPAGEBLOCK_ORDER=3 -D_WASI_EMULATED_MMAN
WASM_SRCS := $(filter-out tests/races/scripts.c,$(FIBER_SRCS)) web/wasm/switch.c
WASM_OBJS := $(WASM_SRCS:%=$(B)/wasm/%.o) $(B)/wasm/race_texts.c.o

# Some systems have libbsd's headers among glibc's, which are not for this target.
$(B)/wasm/include/bsd:
	$(Q)$(into) ln -sfn $(firstword $(wildcard /usr/include/bsd /usr/include/*/bsd)) $@
$(B)/wasm/%.c.o: %.c Makefile tools/web/web.mk | $(B)/wasm/include/bsd
	$(call say,WASMCC.,$<)
	$(Q)$(into) $(CCACHE) clang $(WASM_FLAGS) -MMD -MP -c $< -o $@
# switch.c has the program's main, which switches contexts and calls race_main.
$(B)/wasm/tests/races/fiber_main.c.o: WASM_FLAGS += -Dmain=race_main
$(B)/wasm/race_texts.c: tests/races/scripts.c $(RACE_TEXTS) tools/web/web.py
	$(call say,GEN....,$@)
	$(Q)$(into) $(PYTHON) tools/web/web.py --texts $@
$(B)/wasm/race_texts.c.o: $(B)/wasm/race_texts.c
	$(Q)clang $(WASM_FLAGS) -c $< -o $@
WASM_LINK := clang --target=wasm32-wasi -Wl,--strip-all -Wl,-z,stack-size=262144
# What newer compilers and C libraries use by themselves; all browsers have it.
WASM_USES := $(addprefix --enable-,bulk-memory sign-ext nontrapping-float-to-int mutable-globals)
WASM_OPT  := wasm-opt $(WASM_USES) --asyncify -O1
# Without -O1, for wrong variants: a tenth of the time, twice the size, which matters less there.
WASM_QUICK := wasm-opt $(WASM_USES) --asyncify
$(B)/wasm/race.wasm: $(WASM_OBJS)
	$(call say,WASMLD.,$@)
	$(Q)$(WASM_LINK) -o $(B)/wasm/plain.wasm $^ -lwasi-emulated-mman
	$(Q)$(WASM_OPT) $(B)/wasm/plain.wasm -o $@
-include $(call there,,$(WASM_SRCS:%.c=$(B)/wasm/%.c.d))

# The pages, and a module for each wrong variant in VARIANTS; "all": for each that a script names.
.PHONY: web
web: $(B)/wasm/race.wasm
	$(Q)$(PYTHON) tools/web/web.py --build $(B) $(if $(VARIANTS),--variants '$(VARIANTS)') \
		$(if $(REPOSITORY),--repository '$(REPOSITORY)') \
		$(if $(ARCHIVE),--archive) $(if $(SERVE),--serve)
