# SPDX-License-Identifier: MIT
# Every field of the structures of mm/ has a row in the table of the suite `fields'.
FIELDS := tests/lib/fields_help.c
$(foreach b,$(HOST_BUILDS),$(B)/host-$(b)/$(FIELDS).o): $(B)/fields.ok
$(B)/fields.ok: $(FIELDS) tools/lint/fields.py $(wildcard include/quarry/*.h)
	$(call say,FIELDS.,$<)
	$(Q)$(into) $(PYTHON) tools/lint/fields.py $(HOSTCC) -Iinclude -Iarch/host \
		-Iarch/x86_64 -I. && touch $@
