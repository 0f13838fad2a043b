# SPDX-License-Identifier: MIT
# mm/ as a library: make lib, arena, porting-check, mini.  docs/porting.md says how to use it.
#
#   make lib prints the line that compiles a program and links it with mm/ and the hosted port.
#
#   CORE=1      the core only: mm/core/, and kmalloc
#   PREFIX=q_   a prefix for each function and variable, in the archive and in its headers
#   PORT=dir    the folder of the port, whose arch_inline.h mm/ includes; arch/host unless given
#   LIBCC=gcc   the compiler; LIBFLAGS=... more flags: -m32, -ffreestanding, -DPAGEBLOCK_ORDER=3
#   PORT_RUN=   a command that runs a program of the port, written before the program's name

PORT  ?= arch/host
LIBCC ?= $(HOSTCC)
ifneq ($(filter default undefined,$(origin AR)),)
AR := $(CROSS_COMPILE)ar
endif
OBJCOPY ?= $(CROSS_COMPILE)objcopy
LIB_HOST  := $(filter arch/host,$(PORT))
# A port with a _start of its own has no C library.
OWN_START := $(if $(LIB_HOST),,$(shell grep -l '^void _start' /dev/null $(wildcard $(PORT)/*.c)))
ifneq ($(OWN_START),)
override LIBFLAGS += -ffreestanding
endif
LIB_ALL   := $(if $(CORE),$(LIB_CORE),$(MM_SRCS))
LIB_OBJS  := $(LIB_ALL:%=$(B)/lib/%.o)
# Headers that a kernel may lack are looked for last.
LIB_BASE  := $(filter-out -g -Iinclude,$(COMMON)) $(HOSTG) $(if $(LIB_HOST),-pthread)
LIB_FLAGS := $(LIB_BASE) -Iinclude -I$(PORT) -I. $(LIBFLAGS) -idirafter include/alone
# Users of the library see its headers only; the host's own sources also need others (HOST_USE).
USE_FLAGS := $(LIB_BASE) -I$(B)/include $(if $(PREFIX),-include quarry/prefix.h) -I$(PORT) \
	-Itests/porting $(LIBFLAGS) -idirafter $(B)/include/alone
# The flags with which lint checks the template of a port.
TEMPLATE_FLAGS := $(LIB_BASE) -Iinclude -Iexamples/port-template -ffreestanding
HOST_USE  := $(if $(LIB_HOST),-Iinclude -I.)
PORT_SRCS ?= $(if $(LIB_HOST),$(HOST_BASE) $(HOST_PORT), \
	$(filter-out %/main.c,$(wildcard $(PORT)/*.c)))
USE_OBJS  := $(PORT_SRCS:%=$(B)/use/%.o)
# A process without a C library begins and ends by itself.
USE_LD    := $(if $(findstring -ffreestanding,$(LIBFLAGS)),-nostdlib -static -no-pie)
CHECK_PORT_SRCS := $(addprefix tests/porting/, \
	porting_check.c porting_calls.c porting_threads.c main.c) \
	$(if $(LIB_HOST),tests/porting/start_host.c)

# The compiler, flags and sources of the library: if they change, the library is built again.
$(B)/lib/settings: always
	$(Q)$(into) echo '$(LIBCC) $(LIB_FLAGS) $(LIB_ALL) $(PREFIX)' > $@.new
	$(Q)cmp -s $@.new $@ || cp $@.new $@

$(LIB_OBJS): $(B)/lib/%.o: % $(B)/lib/settings
	$(call say,LIBCC..,$<)
	$(Q)$(into) $(CCACHE) $(LIBCC) $(LIB_FLAGS) $(frame_limit) -MMD -MP -c $< -o $@
$(B)/lib/plain.a: $(LIB_OBJS)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/libquarry-mm.a: $(B)/lib/plain.a tools/run/lib.py
	$(call say,AR.....,$@)
	$(Q)NM='$(NM)' OBJCOPY='$(OBJCOPY)' $(PYTHON) tools/run/lib.py make --build $(B) \
		$(if $(PREFIX),--prefix $(PREFIX)) $(addprefix --define=,$(filter -D%,$(LIBFLAGS)))

$(B)/use/%.o: % $(B)/libquarry-mm.a
	$(call say,USECC..,$<)
	$(Q)$(into) $(CCACHE) $(LIBCC) $(USE_FLAGS) \
		$(if $(filter examples/% %/main.c %check.c %calls.c %threads.c,$<),,$(HOST_USE)) \
		-MMD -MP -c $< -o $@
define use_program
$(B)/use/$(1): $$(USE_OBJS) $$(patsubst %,$$(B)/use/%.o,$(2)) $$(B)/libquarry-mm.a
	$$(call say,USELD..,$$@)
	$$(Q)$$(LIBCC) $$(LIBFLAGS) $$(if $$(LIB_HOST),-pthread) $$(USE_LD) $(3) -o $$@ $$^
endef
$(eval $(call use_program,arena,examples/arena/arena.c))
$(eval $(call use_program,compare,examples/plugin/compare.c,-ldl))
$(eval $(call use_program,template,$(PORT)/main.c))
$(eval $(call use_program,porting-check,$(CHECK_PORT_SRCS)))
# porting-check on an arch/host that tests/porting/wrong.c makes wrong.
WRAPPED := spin_lock spin_unlock spin_unlock_irqrestore spin_is_held spin_depth smp_call_mask \
	arch_clock_ns wait_until wake_up_locked thread_sleep port_task
$(eval $(call use_program,porting-wrong,$(CHECK_PORT_SRCS) tests/porting/wrong.c, \
	$(WRAPPED:%=-Wl,--wrap=%)))

# Plugins of `make bench PLUGIN=`.
$(B)/plugin/%.so: examples/plugin/%.c examples/plugin/plugin.h
	$(call say,PLUGIN.,$@)
	$(Q)$(into) $(HOSTCC) -O2 -Wall -Wextra -shared -fPIC -o $@ $<
$(B)/plugin/%-by-address.so: examples/plugin/%.c examples/plugin/plugin.h
	$(call say,PLUGIN.,$@)
	$(Q)$(into) $(HOSTCC) -O2 -Wall -Wextra -DBY_ADDRESS -shared -fPIC -o $@ $<

# The hosted port as a library, and the line that links a program with both libraries, since each
# needs the other.
LIB_BOTH := $(B)/libquarry-mm.a $(B)/libquarry-port.a
$(B)/libquarry-port.a: $(USE_OBJS)
	$(call say,AR.....,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
define lib_line
lib: $(LIB_BOTH)
	$(if $(filter install,$(MAKECMDGOALS)),,@echo 'a program of yours:  $(LIBCC) \
		$(strip $(LIBFLAGS) $(if $(PREFIX),-include $(B)/include/quarry/prefix.h)) \
		-I$(B)/include -I$(PORT) -pthread program.c -Wl,--start-group $(LIB_BOTH) \
		-Wl,--end-group -o program')
endef
# pkg-config finds the installed library, with the hosted port, as quarry-mm.
prefix ?= /usr/local
TO     := $(DESTDIR)$(prefix)
define install_rule
install: lib
	$(Q)mkdir -p '$(TO)/include/quarry-mm' '$(TO)/lib/pkgconfig'
	$(Q)cp -R $(B)/include/. '$(TO)/include/quarry-mm/'
	$(Q)cp $(PORT)/arch_inline.h $(PORT)/host.h '$(TO)/include/quarry-mm/'
	$(Q)cp $(LIB_BOTH) '$(TO)/lib/'
	$(Q)sed 's,@prefix@,$(prefix),; s,@version@,$(VERSION),; \
		s,@prefixed@,$(if $(PREFIX),-include quarry/prefix.h),' tools/run/quarry-mm.pc.in \
		> '$(TO)/lib/pkgconfig/quarry-mm.pc'
	@echo '$(TO)/lib/libquarry-mm.a, version $(VERSION); a program of yours:'
	@echo '  export PKG_CONFIG_PATH=$(prefix)/lib/pkgconfig'
	@echo '  $(LIBCC) $$$$(pkg-config --cflags quarry-mm) program.c' \
		'$$$$(pkg-config --libs quarry-mm) -o program'
endef
VERSION = $(shell sed -n 's/.*QUARRY_VERSION  *"\(.*\)"/\1/p' include/quarry/version.h)

# A kernel of its own on the two files; QEMU's multiboot takes a 32-bit ELF file only.
MINI := $(B)/mini
MINI_FLAGS := $(filter-out -Iinclude -Iarch/x86_64 -I. -mcmodel=kernel,$(KFLAGS)) \
	-I$(MINI)/amalgamation -Wno-interrupt-service-routine
$(MINI)/amalgamation/quarry.c: tools/run/amalgamation.py examples/mini/arch_inline.h $(LIB_CORE) \
		$(wildcard include/quarry/*.h mm/core/*.h)
	$(call say,TWO....,$@)
	$(Q)$(into) $(PYTHON) $< --build $(MINI) --port examples/mini $(LIB_CORE) > $@.txt
$(MINI)/%.o: examples/mini/% $(MINI)/amalgamation/quarry.c
	$(call say,MINICC.,$<)
	$(Q)$(into) $(CCACHE) $(CC) $(MINI_FLAGS) -c $< -o $@
$(MINI)/quarry.c.o: $(MINI)/amalgamation/quarry.c
	$(call say,MINICC.,$<)
	$(Q)$(CCACHE) $(CC) $(MINI_FLAGS) -c $< -o $@
# check.elf calls porting_check() first.
$(MINI)/porting_%.o: tests/porting/porting_% $(MINI)/amalgamation/quarry.c
	$(Q)$(into) $(CCACHE) $(CC) $(MINI_FLAGS) -Iinclude -Iexamples/mini -c $< -o $@
$(MINI)/check.elf: $(addprefix $(MINI)/porting_,check.c.o calls.c.o threads.c.o)
$(MINI)/mini.elf $(MINI)/check.elf: examples/mini/mini.ld \
		$(addprefix $(MINI)/,boot.S.o mini.c.o quarry.c.o)
	$(call say,LD.....,$@)
	$(Q)$(LD) $(filter-out --build-id=sha1 linker.ld -T,$(LDFLAGS)) -o $@.64 -T $< \
		$(filter %.o,$^)
	$(Q)$(OBJCOPY) -O elf32-i386 $@.64 $@
mini: $(MINI)/mini.elf
	$(Q)qemu-system-x86_64 -nodefaults -display none -serial stdio -no-reboot -cpu max \
		-device isa-debug-exit,iobase=0xf4,iosize=4 -m $(or $(MEM),1G) \
		-smp $(or $(CPUS),4) -kernel $< -append $(or $(CPUS),4) $(QEMU_FLAGS); \
		test $$? = 33

.PHONY: lib arena porting-check install mini always
lib: $(B)/libquarry-mm.a
$(if $(LIB_HOST),$(eval $(lib_line))$(eval $(install_rule)))
ifeq ($(LIB_HOST),)
install:
	@echo 'install: a kernel copies $(B)/libquarry-mm.a and $(B)/include; without PORT' \
		'the hosted port is installed' >&2; exit 2
endif
arena: $(B)/use/arena
	$(Q)$(B)/use/arena
porting-check: $(B)/use/porting-check
	$(Q)$(PORT_RUN) $(B)/use/porting-check
-include $(call there,,$(LIB_OBJS:.o=.d) $(B)/use/*/*.d $(B)/use/*/*/*.d)
