/* SPDX-License-Identifier: MIT */
/*
 * name: serves_once
 * title: a thread ends when it has answered one request
 * layer: kernel
 */

static void serve(u64 arg)
{
	struct message m;
	s64 from = receive(endpoint, &m, ABI_WAIT_FOREVER);

	if (from < 0)
		exit(4);
	if (manner == PAGED_SILENT)
		return;
	m = (struct message){
	    .word = {m.word[0] == ABI_PAGER_GET ? get(m.word[1]) : clean(m.word[1])}};
	reply((u64)from, &m);
}
