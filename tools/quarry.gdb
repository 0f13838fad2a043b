# SPDX-License-Identifier: MIT
# quarry.gdb: gdb commands that show Quarry's memory; loaded by `make debug`.
# They read kernel_memory while the machine is stopped, so the values are consistent.
set pagination off
set confirm off
set print pretty on

define k-help
	printf "k-page PFN      one page: state, order, references, flags, links\n"
	printf "k-zone [N]      zone N, or all\n"
	printf "k-pcp CPU       counts and capacities of the caches of one CPU\n"
	printf "k-cpus          each CPU: where it is\n"
	printf "k-start         run to kernel_main\n"
end
document k-help
List Quarry's commands.
end

define k-start
	hbreak kernel_main
	continue
end
document k-start
Run to kernel_main.  A hardware breakpoint: the page is not mapped at reset.
end

define k-page
	set $k_page = &kernel_memory.memmap[$arg0]
	set $k_word = $k_page->word
	printf "pfn %#lx: ", (unsigned long)($arg0)
	output (enum page_state)(($k_word >> 16) & 15)
	printf " order %u refs %u flags %#x\n", ($k_word >> 20) & 15, $k_word & 0x7fff, \
		$k_word >> 24
	print *$k_page
end
document k-page
k-page PFN: one page.  The word: references 15 bits, pinned 1, state 4, order 4, flags 8.
end

define k-zone
	set $k_i = 0
	set $k_end = sizeof(kernel_memory.zones) / sizeof(kernel_memory.zones[0])
	if $argc == 1
		set $k_i = $arg0
		set $k_end = $arg0 + 1
	end
	while $k_i < $k_end
		set $k_z = &kernel_memory.zones[$k_i]
		if $k_z->end_pfn
			printf "zone %u: node %u ", $k_i, $k_z->node
			output (enum zone_kind)$k_z->kind
			printf ": pfn %#lx-%#lx present %lu managed %lu free %lu isolated %lu\n", \
				$k_z->start_pfn, $k_z->end_pfn, $k_z->present, $k_z->managed, \
				$k_z->nr_free, $k_z->nr_isolated
		end
		set $k_i = $k_i + 1
	end
end
document k-zone
k-zone [N]: a zone of the kernel's memory, or all.
end

define k-pcp
	set $k_pcp = kernel_memory.pcp[$arg0]
	printf "count:    "
	output/d $k_pcp->count
	printf "\ncapacity: "
	output/d $k_pcp->capacity
	printf "\n"
end
document k-pcp
k-pcp CPU: the counts and capacities of one CPU's caches, by stack number.
end

define k-cpus
	info threads
	thread apply all -q backtrace 4
end
document k-cpus
k-cpus: where each CPU is.
end
