# SPDX-License-Identifier: MIT
# Variables of `make bench`; for the Makefile.
#
#   RECORD="why"      record the figures in bench/history.jsonl
#   ONLY=row,group    measure these rows, and those of these groups
#   TRACES="file ..." replay these allocation traces, and measure nothing else
#   PLUGIN=file.so    measure that allocator beside ours, hosted (examples/plugin/plugin.h)
#   PROFILE=function,...   with ONLY or TRACES: print which functions the calls of these spend
#                     instructions in
#   REPEAT=3          measure so many times; print which figures differ
#   TIME=1            measure time in a process, not instructions: this tree, a floor, BASE=commit,
#                     PLUGIN="file ..."; REPEAT is the number of rounds (bench/time)
#   CURVES=1          measure docs/figures/churn.crv, for make figures
#
# `make bench-peers RECORD=1` writes its figures to bench/peers.json.
ARGS_bench-peers = $(if $(RECORD),--record)
given = $(filter command environment,$(firstword $(origin $(1))))
ARGS_bench := $(if $(call given,RECORD),--record "$$RECORD") \
	$(if $(call given,TRACES),--traces "$$TRACES") \
	$(if $(call given,PLUGIN),--plugin "$$PLUGIN") $(if $(CURVES),--curves) \
	$(if $(TIME),--time) $(if $(call given,BASE),--base "$$BASE") \
	$(if $(PROFILE),--profile $(PROFILE)) \
	$(if $(REPEAT),--repeat $(REPEAT))
