/* SPDX-License-Identifier: MIT */
/*
 * pager.c: requests of memory objects to a pager in ring 3, sent as calls of its endpoint.
 *
 * If several threads want a page, one requests it.  The others wait until the page is supplied, or
 * for the answer.  The pager is trusted only with the content: every wait for a pager has a limit,
 * its answers are verified, and the cost that all pagers of one family can cause reclaim is bounded
 * (pager_trust.c).  Requests to clean a page go before requests for pages.
 *
 * Owns:       struct pager, its requests and its buffer.
 * Locks:      pager->lock (RANK_TASK) for requests; pager->copying, a mutex, for the buffer, held
 *             while ring 3's memory is copied to it or from it.
 * Invariants: a request is on the list from before the pager can know of it until its answer is in.
 *             At most one request for a page is not served.
 *             A handed-over page is read under the lock, while its request is on the list.
 *             No page waits here for a pager: a silent pager keeps no page from moving.
 * Tests:      pager, pager_wait, silence_pager, silence_trust,
 *             tests/fiber/explore_pagers.c, user/paged.c, tests/qemu/test_hostile.py.
 */
#include "pager_trust.h"
#include <quarry/account.h>
#include <quarry/lock.h>
#include <quarry/mm.h>
#include <quarry/pager.h>
#include <quarry/task.h>
#include <quarry/user.h>

/* Letters behind fields: a atomic; c constant. */
struct request {
	u32 what, index;                 /* c: ABI_PAGER_..., the page's number */
	u64 id;                          /* c: unique within this pager, not 0 */
	u32 refs GUARDED_BY(task_class); /* lock: the requester and other waiters */
	u32 served;   /* a, set under lock: the page is in its slot, or the pager has the content */
	u32 done;     /* a: result is valid */
	bool dropped; /* lock: the pager has dropped the page that is handed over */
	int result;   /* written before done */
	const void *data;         /* c: the content handed over; NULL: a page is requested */
	LIST_ENTRY(request) link; /* lock */
};

struct pager {
	struct endpoint *ep;     /* c, a reference */
	u64 number;              /* c: the pager's number for the object */
	u64 timeout_ns;          /* c */
	unsigned long task;      /* c: id of the pager's task; 0: a thread of the kernel */
	struct account *account; /* c, a reference: charged for the pager */
	struct spinlock lock;
	LIST_HEAD(, request) requests GUARDED_BY(task_class); /* lock */
	struct request own;                                   /* in use while it has references */
	u64 last_id GUARDED_BY(task_class);                   /* lock */
	struct pager_trust *trust; /* c: that of account's family, or own_trust */
	struct pager_trust own_trust;
	struct waitq wq; /* threads waiting for another thread's request */
	struct mutex copying;
	void *buffer; /* copying: a page, so that none is allocated on low memory */
};

/* ---- requests ---- */

/*
 * The requester of a page that was supplied may not run for long.  If the page has gone again
 * meanwhile, it must be requested anew: so that request is not found.
 */
static struct request *find(struct pager *p, u32 what, u64 index) REQUIRES(task_class)
{
	struct request *r;

	LIST_FOREACH(r, &p->requests, link)
		if (r->what == what && r->index == index && !r->dropped &&
		    !(what == ABI_PAGER_GET && r->served))
			break;
	return r;
}

static void add(struct pager *p, struct request *r) REQUIRES(task_class)
{
	r->id = ++p->last_id;
	LIST_INSERT_HEAD(&p->requests, r, link);
}

/*
 * Add the request for page @index, in @r (from kmalloc). If @r is NULL, use the pager's own record,
 * unless another request uses it. Returns the record; NULL: there is none.
 */
static struct request *add_get(struct pager *p, struct request *r, u32 index) REQUIRES(task_class)
{
	if (!r && !p->own.refs)
		r = &p->own;
	if (r) {
		*r = (struct request){.what = ABI_PAGER_GET, .index = index, .refs = 1};
		add(p, r);
	}
	return r;
}

/* Another thread's request for page @index, with a reference; NULL: there is none. */
static struct request *join(struct pager *p, u32 index) REQUIRES(task_class)
{
	struct request *r = find(p, ABI_PAGER_GET, index);

	if (r)
		r->refs++;
	return r;
}

/* Send the request and wait: 0 or the pager's result; -EPIPE; -ETIMEDOUT; -EINTR; -ENOMEM. */
static int pager_ask(struct pager *p, const struct request *r, u64 timeout_ns)
{
	struct ipc_msg msg = {.word = {r->what, r->index, p->number}};
	int err = r->what == ABI_PAGER_CLEAN ? ipc_call_first(p->ep, &msg, timeout_ns)
	                                     : ipc_call(p->ep, &msg, timeout_ns);

	if (err)
		return err;
	cap_drop(&msg.give);
	return msg.word[0] > ABI_PAGER_NO_MEMORY ? (int)ABI_PAGER_FAILED : (int)msg.word[0];
}

static bool pager_done(void *arg)
{
	struct request *r = arg;

	return READ_ONCE(r->served) || READ_ONCE(r->done) || task_interrupted();
}

static void request_put(struct pager *p, struct request *r)
{
	bool last;

	task_lock(&p->lock);
	last = --r->refs == 0;
	task_unlock(&p->lock);
	kfree(last && r != &p->own ? r : NULL);
}

/* Wait for another thread's request: 0 supplied; its answer; -EAGAIN if only that thread failed. */
static int pager_await(struct pager *p, struct request *r, u64 timeout_ns)
{
	int err = -ETIMEDOUT;

	wait_until(&p->wq, pager_done, r, timeout_ns);
	if (READ_ONCE(r->served))
		err = 0;
	else if (load_acquire(&r->done))
		/* The end, the memory or the time of the thread that has asked is its own. */
		err = r->result == -EINTR || r->result == -ENOMEM || r->result == -ETIMEDOUT
		    ? -EAGAIN
		    : r->result;
	request_put(p, r);
	return err && task_interrupted() ? -EINTR : err;
}

/*
 * Store the answer as the result, take the request off the list, and drop the requester's
 * reference. Each waiter has a reference of its own. True: the dropped reference was the last.
 */
static bool pager_finish(struct pager *p, struct request *r, int *err)
{
	bool others;

	task_lock(&p->lock);
	LIST_REMOVE(r, link);
	if (!*err && !r->served)
		*err = -EIO;
	r->result = *err;
	store_release(&r->done, 1u);
	others = --r->refs > 0;
	task_unlock(&p->lock);
	if (others)
		wake_up_for(&p->wq, r);
	return !others;
}

/*
 * Note for a request for page @index, if there is one, that the page has been supplied, and wake
 * the threads that wait for this request: they need not wait until the requester runs.
 */
static void supplied(struct pager *p, u64 index)
{
	struct request *r;
	bool waited = false;

	task_lock(&p->lock);
	r = find(p, ABI_PAGER_GET, index);
	if (r) {
		WRITE_ONCE(r->served, 1u);
		waited = r->refs > 1;
	}
	task_unlock(&p->lock);
	if (waited)
		wake_up_for(&p->wq, r);
}

/* ---- operations that memory objects call: see struct vm_pager_ops ---- */

/*
 * The time left for the running thread's access, for all its tries together.  A page that the
 * pager drops before the thread has seen it does not end the access.  Waits for memory, or for a
 * page that moves or is handed over, do not count (access_waited).  vm_fault clears access_ns.
 */
static u64 access_left(const struct pager *p)
{
	struct mm_task *task = port_task();
	u64 now = arch_clock_ns(), end;

	if (!task->access_ns)
		task->access_ns = now;
	end = task->access_ns + p->timeout_ns;
	return end > now ? end - now : 0;
}

/* As join, *@joined; or else the caller's own request, a new one.  NULL: no memory. */
static struct request *request_page(struct pager *p, u32 index, bool *joined)
{
	struct request *spare = NULL, *r;

	do {
		task_lock(&p->lock);
		*joined = (r = join(p, index)) != NULL;
		r = r ? r : add_get(p, spare, index);
		task_unlock(&p->lock);
	} while (!r && (spare = kmalloc(sizeof(*spare))));
	if (r != spare)
		kfree(spare);
	return r;
}

/* One request: 0 (check again); -EAGAIN; ABI_PAGER_NO_MEMORY; or the access's error. */
static int try_get(struct pager *p, struct vm_object *object, u32 index, u64 left)
{
	bool joined, there;
	struct request *r = request_page(p, index, &joined);
	int err;

	if (!r)
		return vm_object_has(object, index) ? 0 : -ENOMEM;
	if (joined)
		return pager_await(p, r, left);
	/* An earlier request may have supplied the page since the caller read the slot. */
	there = vm_object_has(object, index);
	if (there)
		supplied(p, index);
	err = there ? 0 : pager_ask(p, r, left);
	if (err == ABI_PAGER_FAILED || err == -EPIPE)
		err = -EIO;
	if (pager_finish(p, r, &err))
		kfree(r == &p->own ? NULL : r);
	return err;
}

static int pager_get(struct vm_object *object, u32 index)
{
	struct pager *p = object->pager;
	u64 left;
	int err;

	task_asks(object);
	for (;;) {
		left = access_left(p);
		err = left ? try_get(p, object, index, left) : -ETIMEDOUT;
		if (err == ABI_PAGER_NO_MEMORY)
			err = vm_await_memory(object, index);
		if (err != -EAGAIN)
			break;
	}
	task_asks_no_more();
	return err;
}

static int pager_clean(struct vm_object *object, u32 index, const void *data, u64 limit_ns)
{
	struct request r = {.what = ABI_PAGER_CLEAN, .index = index, .refs = 1, .data = data};
	const struct task *task = task_current();
	struct pager *p = object->pager;
	u64 wait, began;
	int err;

	/* The pager would wait for itself. */
	if (task && task->id == p->task)
		return -EIO;
	/* Nobody can ask for the content any more, and nobody is waited for, whatever is owed. */
	if (endpoint_closed(p->ep))
		return 0;
	wait = MIN(pager_trust_left(p->trust), p->timeout_ns);
	if (!wait || !limit_ns)
		return -ETIMEDOUT;
	task_lock(&p->lock);
	add(p, &r);
	task_unlock(&p->lock);
	began = arch_clock_ns();
	err = pager_ask(p, &r, MIN(wait, limit_ns));
	pager_finish(p, &r, &err); /* DONE without the content is an error from here on */
	pager_trust_charge(p->trust, began, err, limit_ns < wait);
	if (err == -EPIPE && endpoint_closed(p->ep))
		return 0;
	if (err == -ETIMEDOUT && limit_ns < wait)
		return -EAGAIN; /* it might have answered */
	return err == 0 || err == -ETIMEDOUT ? err : -EIO;
}

static void free_pager(struct pager *p)
{
	account_uncharge(p->account, ACCOUNT_BUFFERS, 1);
	account_put(p->account);
	kfree(p->buffer);
	kfree(p);
}

/* The object was freed. */
static void pager_release(void *pager) NO_LOCK_ANALYSIS
{
	struct pager *p = pager;

	KASSERT(p->own.refs == 0);
	endpoint_put(p->ep, 0);
	free_pager(p);
}

static const struct vm_pager_ops pager_ops = {
    .get = pager_get, .clean = pager_clean, .release = pager_release};

int pager_create(
    struct endpoint *ep, unsigned long nr_pages, u64 number, u64 timeout_ns, struct vm_object **out)
{
	struct task *task = task_current();
	struct pager *p;
	int err;

	if (timeout_ns == 0 || timeout_ns > ABI_MAX_PAGER_NS || nr_pages == 0 ||
	    nr_pages > OBJ_MAX_PAGES)
		return -EINVAL;
	p = kmalloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct pager){.ep = ep,
	    .number = number,
	    .timeout_ns = timeout_ns,
	    .task = task ? task->id : 0,
	    .lock = SPINLOCK("pager", RANK_TASK),
	    .wq = WAITQ("pager"),
	    .copying = MUTEX("pager's buffer"),
	    .buffer = kmalloc(PAGE_SIZE),
	    .account = account_current()};
	p->trust = task ? &account_family(p->account)->trust : &p->own_trust;
	account_get(p->account);
	account_count(p->account, ACCOUNT_BUFFERS, 1);
	err = p->buffer ? vm_object_create(&kernel_memory, OBJ_PAGER, nr_pages, &pager_ops, p, out)
	                : -ENOMEM;
	if (err) {
		free_pager(p);
		return err;
	}
	endpoint_get(ep, 0);
	return 0;
}

/* ---- operations of the pager ---- */

static struct pager *pager_of(const struct vm_object *object, u64 index)
{
	return object->ops == &pager_ops && index < object->nr_pages ? object->pager : NULL;
}

/* 0; -EINTR: the task is ending.  Interruptible: another pager can delay the buffer's holder. */
static int lock_buffer(struct pager *p) TRY_ACQUIRE(0, p->copying) NO_LOCK_ANALYSIS
{
	return mutex_lock_unless(&p->copying, task_interrupted, WAIT_FOREVER) ? 0 : -EINTR;
}

static void unlock_buffer(struct pager *p) RELEASE(p->copying) NO_LOCK_ANALYSIS
{
	KASSERT(mutex_is_held(&p->copying));
	mutex_unlock(&p->copying);
}

static int copy_now(void *page, void *arg)
{
	const u64 *from = arg;

	return copy_from_user_now(page, *from, PAGE_SIZE);
}

/*
 * The pager's own memory must be faulted in, so the thread may wait for another pager. If it held a
 * page of the object meanwhile, that page's memory could not go offline for as long.
 */
static int supply_by_buffer(struct pager *p, struct vm_object *object, u32 index, u64 from)
{
	int err = lock_buffer(p);

	if (err)
		return err;
	err = copy_from_user(p->buffer, from, PAGE_SIZE);
	if (!err)
		err = vm_object_supply(object, index, p->buffer);
	unlock_buffer(p);
	return err;
}

int pager_supply(struct vm_object *object, u64 index, u64 from)
{
	struct pager *p = pager_of(object, index);
	int err;

	if (!p)
		return -EINVAL;
	err = vm_object_supply_by(object, (u32)index, copy_now, &from);
	if (err == -EFAULT)
		err = supply_by_buffer(p, object, (u32)index, from);
	if (!err || err == -EEXIST || err == -EAGAIN)
		supplied(p, index);
	return err;
}

/*
 * Must the content not be read?  Reading a page that is known to be broken would raise a fatal
 * machine check; one that the pager dropped before the request was added has left its object.
 */
static bool is_gone(const void *data)
{
	const struct page *page = virt_to_page(data);

	if (!pfn_valid_in(&kernel_memory, virt_to_pfn(data)))
		return false;
	return page_word(page) & PAGE_POISON ||
	    (word_state(page_word(page)) == PG_ISO_MIG && !READ_ONCE(page->owner));
}

/* Copy the content of a handed-over page to the buffer; returns the request's id, 0: none. */
static u64 fetch(struct pager *p, u64 index) REQUIRES(p->copying)
{
	struct request *r;
	u64 id = 0;

	task_lock(&p->lock);
	r = find(p, ABI_PAGER_CLEAN, index);
	if (r && !is_gone(r->data)) {
		memcpy(p->buffer, r->data, PAGE_SIZE);
		id = r->id;
	}
	task_unlock(&p->lock);
	return id;
}

/* Note that the pager has the content.  False: too late, the page may have changed since. */
static bool fetched(struct pager *p, u64 index, u64 id)
{
	struct request *r;
	bool there;

	task_lock(&p->lock);
	r = find(p, ABI_PAGER_CLEAN, index);
	there = r && r->id == id;
	if (there)
		r->served = 1;
	task_unlock(&p->lock);
	return there;
}

int pager_take_back(struct vm_object *object, u64 index, u64 to)
{
	struct pager *p = pager_of(object, index);
	int err;
	u64 id;

	if (!p)
		return -EINVAL;
	err = lock_buffer(p);
	if (err)
		return err;
	id = fetch(p, index);
	err = id ? copy_to_user(to, p->buffer, PAGE_SIZE) : -ENOENT;
	unlock_buffer(p);
	return err || fetched(p, index, id) ? err : -ENOENT;
}

int pager_drop(struct vm_object *object, u64 index, u64 nr)
{
	struct pager *p = pager_of(object, index);
	u64 end = index + nr;
	struct request *r;

	if (!p || nr > object->nr_pages || end > object->nr_pages)
		return -EINVAL;
	/* Many regions may show a page: a task that is ending does not wait for all. */
	while (index < end) {
		nr =
		    vm_object_remove_some(object, (u32)index, (u32)(end - index), task_interrupted);
		/* What is being handed over of these pages is their content no more. */
		task_lock(&p->lock);
		LIST_FOREACH(r, &p->requests, link)
			if (r->what == ABI_PAGER_CLEAN && r->index - index < nr)
				r->dropped = true;
		task_unlock(&p->lock);
		index += nr;
		if (task_interrupted())
			return -EINTR;
	}
	return 0;
}
