/* SPDX-License-Identifier: MIT */
/*
 * name: aligned_in_the_area
 * title: an alignment is counted from the start of the area
 * layer: contract
 */

static unsigned long find_run(
    const struct cma *cma, unsigned long from, unsigned long nr, unsigned align)
{
	unsigned long size = cma->end - cma->start, at, i;

	for (at = ALIGN_UP(from, 1UL << align); at + nr <= size; at += 1UL << align) {
		for (i = 0; i < nr; i++) {
			if (is_used(cma, at + i) || !block_serves(cma, cma->start + at + i))
				break;
		}
		if (i == nr)
			return at;
	}
	return size;
}

/*
 * name: alloc_may_sleep_unasked
 * title: cma_alloc does not ask whether the caller may sleep
 * layer: contract
 */

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	mutex_lock(&cma->lock);
	err = cma->used ? alloc_run(cma, nr, align, &pfn) : -EINVAL;
	mutex_unlock(&cma->lock);
	if (!err)
		*out = pfn_to_page_in(cma->mem, pfn);
	return err;
}

/*
 * name: asked_before_the_lock
 * title: whether the area was destroyed is asked before its lock is taken
 * layer: contract
 */

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	if (!cma->used)
		return -EINVAL;
	mutex_lock(&cma->lock);
	err = alloc_run(cma, nr, align, &pfn);
	mutex_unlock(&cma->lock);
	if (!err)
		*out = pfn_to_page_in(cma->mem, pfn);
	return err;
}

/*
 * name: blocker_before_the_run
 * title: the search goes on behind the blocker, even if that lies before the run
 * layer: contract
 */

static unsigned long behind(
    const struct cma *cma, unsigned long at, unsigned long nr, const struct mm_fail *fail)
{
	/* Another operation works on the whole pageblock. */
	if (fail->why == WHY_ISOLATED)
		return ALIGN_DOWN(fail->pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES - cma->start;
	return fail->pfn - cma->start + 1;
}

/*
 * name: busy_run_ends
 * title: a run that went offline since it was found ends the allocation
 * layer: contract
 */

static int alloc_run(struct cma *cma, unsigned long nr, unsigned align, pfn_t *out)
{
	unsigned long size = cma->end - cma->start, at = 0;
	int err = -ENOMEM;

	while ((at = find_run(cma, at, nr, align)) < size) {
		pfn_t pfn = cma->start + at;
		struct mm_fail fail = {.pfn = pfn};

		KASSERT(!(pfn & ((1UL << align) - 1)) && pfn + nr <= cma->end);
		err = alloc_contig_range(cma->mem, pfn, pfn + nr, MT_CMA, &fail);
		if (!err) {
			mark_used(cma, at, nr, true);
			*out = pfn;
		}
		if (err != -EBUSY)
			return err;
		at = behind(cma, at, nr, &fail);
	}
	return err;
}

/*
 * name: destroyed_keeps_the_lock
 * title: an allocation from a destroyed area returns with its lock
 * layer: contract
 */

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&cma->lock);
	if (!cma->used)
		return -EINVAL;
	err = alloc_run(cma, nr, align, &pfn);
	mutex_unlock(&cma->lock);
	if (!err)
		*out = pfn_to_page_in(cma->mem, pfn);
	return err;
}

/*
 * name: destroyed_still_serves
 * title: whether the area was destroyed is not asked by an allocation
 * layer: contract
 */

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&cma->lock);
	err = alloc_run(cma, nr, align, &pfn);
	mutex_unlock(&cma->lock);
	if (!err)
		*out = pfn_to_page_in(cma->mem, pfn);
	return err;
}

/*
 * name: destroyed_takes_back
 * title: whether the area was destroyed is not asked by a free
 * layer: contract
 */

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at, i;
	int err, refused = 0;

	if (nr == 0 || pfn < cma->start || pfn >= cma->end || nr > cma->end - pfn)
		return -EINVAL;
	at = pfn - cma->start;
	mutex_lock(&cma->lock);
	err = 0;
	for (i = at; i < at + nr && !err; i++)
		err = is_used(cma, i) ? 0 : -EINVAL;
	/* A page that is still referenced stays its user's. */
	for (i = at; i < at + nr && !err; i++) {
		if (mem_free_pages(cma->mem, pfn_to_page_in(cma->mem, cma->start + i), 0))
			refused = -EBUSY;
		else
			mark_used(cma, i, 1, false);
	}
	mutex_unlock(&cma->lock);
	return err ? err : refused;
}

/*
 * name: free_asks_the_ends
 * title: a free asks only whether the first and the last page have a user
 * layer: contract
 */

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at, i;
	int err, refused = 0;

	if (nr == 0 || pfn < cma->start || pfn >= cma->end || nr > cma->end - pfn)
		return -EINVAL;
	at = pfn - cma->start;
	mutex_lock(&cma->lock);
	err = cma->used ? 0 : -EINVAL;
	if (!err)
		err = is_used(cma, at) && is_used(cma, at + nr - 1) ? 0 : -EINVAL;
	/* A page that is still referenced stays its user's. */
	for (i = at; i < at + nr && !err; i++) {
		if (!is_used(cma, i))
			continue;
		if (mem_free_pages(cma->mem, pfn_to_page_in(cma->mem, cma->start + i), 0))
			refused = -EBUSY;
		else
			mark_used(cma, i, 1, false);
	}
	mutex_unlock(&cma->lock);
	return err ? err : refused;
}

/*
 * name: free_stops_at_the_first
 * title: the first page that is still referenced ends the free
 * layer: contract
 */

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at, i;
	int err, refused = 0;

	if (nr == 0 || pfn < cma->start || pfn >= cma->end || nr > cma->end - pfn)
		return -EINVAL;
	at = pfn - cma->start;
	mutex_lock(&cma->lock);
	err = cma->used ? 0 : -EINVAL;
	for (i = at; i < at + nr && !err; i++)
		err = is_used(cma, i) ? 0 : -EINVAL;
	for (i = at; i < at + nr && !err; i++) {
		if (mem_free_pages(cma->mem, pfn_to_page_in(cma->mem, cma->start + i), 0))
			err = -EBUSY;
		else
			mark_used(cma, i, 1, false);
	}
	mutex_unlock(&cma->lock);
	return err ? err : refused;
}

/*
 * name: frees_before_it_looks
 * title: pages are freed one after the other, until one is no user's
 * layer: contract
 */

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at = pfn - cma->start, i;
	int err = 0;

	if (nr == 0 || pfn < cma->start || pfn >= cma->end || nr > cma->end - pfn)
		return -EINVAL;
	mutex_lock(&cma->lock);
	for (i = at; i < at + nr && !err; i++) {
		if (is_used(cma, i)) {
			free_contig_range(cma->mem, cma->start + i, 1);
			mark_used(cma, i, 1, false);
		} else {
			err = -EINVAL;
		}
	}
	mutex_unlock(&cma->lock);
	return err;
}

/*
 * name: locked_out
 * title: an allocation that fails keeps the area's lock
 * layer: contract
 */

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&cma->lock);
	err = alloc_run(cma, nr, align, &pfn);
	if (err)
		return err;
	*out = pfn_to_page_in(cma->mem, pfn);
	mutex_unlock(&cma->lock);
	return 0;
}

/*
 * name: no_target_counts_as_busy
 * title: an allocation goes on to the next run when there is no memory for the pages that must move
 * layer: contract
 */

static int alloc_run(struct cma *cma, unsigned long nr, unsigned align, pfn_t *out)
{
	unsigned long size = cma->end - cma->start, at = 0;
	u64 deadline = deadline_from_now(SEARCH_NS);
	int err = -ENOMEM;

	while ((at = find_run(cma, at, nr, align)) < size) {
		pfn_t pfn = cma->start + at;
		struct mm_fail fail = {.pfn = pfn};

		KASSERT(!(pfn & ((1UL << align) - 1)) && pfn + nr <= cma->end);
		err = alloc_contig_range(cma->mem, pfn, pfn + nr, MT_CMA, &fail);
		if (!err) {
			mark_used(cma, at, nr, true);
			*out = pfn;
		}
		/* A pageblock that went offline since the check is a blocker, too. */
		if (err == -EINVAL || err == -ENOMEM)
			err = -EBUSY;
		if (err != -EBUSY || deadline_past(deadline))
			return err;
		at = behind(cma, at, nr, &fail);
	}
	return err;
}

/*
 * name: range_overflow
 * title: the end is computed as pfn + nr
 * layer: contract
 */

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at, i;
	int err, refused = 0;

	if (nr == 0 || pfn < cma->start || pfn + nr > cma->end)
		return -EINVAL;
	at = pfn - cma->start;
	mutex_lock(&cma->lock);
	err = cma->used ? 0 : -EINVAL;
	for (i = at; i < at + nr && !err; i++)
		err = is_used(cma, i) ? 0 : -EINVAL;
	for (i = at; i < at + nr && !err; i++) {
		if (mem_free_pages(cma->mem, pfn_to_page_in(cma->mem, cma->start + i), 0))
			refused = -EBUSY;
		else
			mark_used(cma, i, 1, false);
	}
	mutex_unlock(&cma->lock);
	return err ? err : refused;
}

/*
 * name: run_of_any_pages
 * title: a run may end behind the area, or go over a page that a user has
 * layer: contract
 */

static unsigned long find_run(
    const struct cma *cma, unsigned long from, unsigned long nr, unsigned align)
{
	unsigned long size = cma->end - cma->start, at;

	for (at = ALIGN_UP(cma->start + from, 1UL << align) - cma->start; at + nr <= size;
	     at += 1UL << align) {
		if (!is_used(cma, at) && !is_used(cma, at + nr - 1))
			return at;
	}
	return size;
}

/*
 * name: skips_the_run
 * title: after a run that failed the search continues behind all of it
 * layer: contract
 */

static unsigned long behind(
    const struct cma *cma, unsigned long at, unsigned long nr, const struct mm_fail *fail)
{
	return at + nr;
}

/*
 * name: tries_one_place
 * title: where the first run that looks free cannot be had the allocation fails
 * layer: contract
 */

static int alloc_run(struct cma *cma, unsigned long nr, unsigned align, pfn_t *out)
{
	unsigned long at = find_run(cma, 0, nr, align);
	pfn_t pfn = cma->start + at;
	int err;

	if (pfn >= cma->end)
		return -ENOMEM;
	err = alloc_contig_range(cma->mem, pfn, pfn + nr, MT_CMA, NULL);
	if (!err) {
		mark_used(cma, at, nr, true);
		*out = pfn;
	}
	return err;
}
