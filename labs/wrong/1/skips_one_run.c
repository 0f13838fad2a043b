/* SPDX-License-Identifier: MIT */
/*
 * title: one run without a whole page is skipped, and not a second one
 * layer: contract
 * file: mm/core/memblock.c
 */

static void round_inward(struct memblock_range *run)
{
	run->end = ALIGN_DOWN(run->end, PAGE_SIZE);
	run->start = ALIGN_UP(MIN(run->start, run->end), PAGE_SIZE);
}

bool memblock_next_free(const struct memblock *mb, phys_t from, struct memblock_range *out)
{
	if (!next_free(mb, from, out))
		return false;
	from = out->end;
	round_inward(out);
	if (out->start < out->end)
		return true;
	if (!next_free(mb, from, out))
		return false;
	round_inward(out);
	return out->start < out->end;
}
