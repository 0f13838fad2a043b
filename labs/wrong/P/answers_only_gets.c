/* SPDX-License-Identifier: MIT */
/*
 * title: a request to clean is answered as if it asked for the page
 * layer: kernel
 * file: user/pager.c
 */

static void serve(u64 arg)
{
	for (;;) {
		struct message m;
		s64 from = receive(endpoint, &m, ABI_WAIT_FOREVER);

		if (from < 0)
			exit(4);
		if (manner == PAGED_SILENT)
			continue;
		m = (struct message){.word = {get(m.word[1])}};
		reply((u64)from, &m);
	}
}
