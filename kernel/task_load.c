/* SPDX-License-Identifier: MIT */
/*
 * task_load.c: loading a program of the boot modules into a new task.
 *
 * Each segment becomes an object of its own.  Pages with content from the file are filled here, all
 * others are zeroed at the first touch.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Tests:      elf, task; tests/qemu/test_user.py.
 */
#include <quarry/bootfile.h>
#include <quarry/elf.h>
#include <quarry/mm.h>
#include <quarry/task.h>
#include <quarry/user.h>

/* Copy the file's part of the object's page @index into the zeroed @buf; false: there is none. */
static bool fill_page(const struct elf_segment *s, const char *file, u32 index, char *buf)
{
	u64 page = ALIGN_DOWN(s->va, PAGE_SIZE) + (u64)index * PAGE_SIZE;
	u64 start = MAX(page, s->va), end = MIN(page + PAGE_SIZE, s->va + s->filesz);

	if (start >= end)
		return false;
	memcpy(buf + (start - page), file + s->offset + (start - s->va), end - start);
	return true;
}

/*
 * A task that is told to end while it creates a task must not leave it behind: either
 * tasks_kill_all finds the new task on the list, or the creator is ending already when it copies
 * the code.  Nor may a victim of the OOM killer spend the reserve on a new task.
 */
static int fill_object(struct vm_object *object, const struct elf_segment *s, const char *file)
{
	char *buf = kmalloc(PAGE_SIZE);
	int err = buf ? 0 : -ENOMEM;
	u32 i;

	for (i = 0; i < object->nr_pages && !err; i++) {
		memset(buf, 0, PAGE_SIZE);
		if (!fill_page(s, file, i, buf))
			break;
		/* -EAGAIN: its frame broke before it was in its slot; the next try gets another. */
		do
			err = task_interrupted() ? -EINTR : vm_object_supply(object, i, buf);
		while (err == -EAGAIN);
	}
	kfree(buf);
	return err;
}

/* Map a new object of @nr pages at @va, with the content of @s from @file if there is one. */
static int map_new(struct task *task, u64 va, unsigned long nr, unsigned prot,
    const struct elf_segment *s, const char *file)
{
	struct vm_object *object;
	int err = vm_object_create(&kernel_memory, OBJ_ANON, nr, NULL, NULL, &object);

	if (err)
		return err;
	if (s)
		err = fill_object(object, s, file);
	if (!err)
		err = vm_map(task->space, va, nr, prot, object, 0);
	vm_object_put(object); /* the mapping has its own reference */
	return err;
}

int task_map_stack(struct task *task, u64 *sp)
{
	*sp = USER_END;
	return map_new(task, USER_END - ABI_STACK_PAGES * PAGE_SIZE, ABI_STACK_PAGES,
	    VM_READ | VM_WRITE, NULL, NULL);
}

int task_load(struct task *task, const char *name, u64 *entry, u64 *sp)
{
	struct elf_program program;
	struct boot_file file;
	const char *why;
	unsigned i;
	int err;

	if (!boot_file_find(name, &file))
		return -ENOENT;
	err = elf_parse(file.data, file.size, &program, &why);
	if (err) {
		printk("program %s: %s\n", name, why);
		return err;
	}
	for (i = 0; i < program.nr && !err; i++) {
		const struct elf_segment *s = &program.segment[i];
		u64 va = ALIGN_DOWN(s->va, PAGE_SIZE);
		u64 end = ALIGN_UP(s->va + s->memsz, PAGE_SIZE);

		err = map_new(task, va, (end - va) >> PAGE_SHIFT, s->prot, s, file.data);
	}
	*entry = program.entry;
	return err ? err : task_map_stack(task, sp);
}

static int start_in(struct task *task, const char *name, struct cap *gift, const u64 arg[2])
{
	u64 entry, sp, args[3] = {0, arg[0], arg[1]};
	int err = task_load(task, name, &entry, &sp);

	if (!err && gift->kind != CAP_NONE) {
		s64 handle = cap_install(&task->caps, gift);

		if (handle < 0)
			return (int)handle;
		gift->kind = CAP_NONE;
		args[0] = (u64)handle;
	}
	if (!err)
		err = task_add_thread(task, -1, entry, sp, args);
	return err < 0 ? err : 0;
}

static int start_as(unsigned as, const char *name, struct cap *gift, const u64 arg[2],
    const struct abi_limits *limits, struct task **out)
{
	int err = task_create_limited(name, limits, TASK_STARTING | as, out);

	if (!err) {
		struct account *before = account_use((*out)->account);

		err = start_in(*out, name, gift, arg);
		account_use(before);
		if (err) {
			WRITE_ONCE((*out)->starting, 0u);
			task_abandon(*out);
			task_put(*out);
		}
	}
	cap_drop(gift);
	return err;
}

int task_start(const char *name, struct cap *gift, const u64 arg[2],
    const struct abi_limits *limits, struct task **out)
{
	return start_as(0, name, gift, arg, limits, out);
}

int task_start_first(const char *name, struct cap *gift, const u64 arg[2], struct task **out)
{
	return start_as(TASK_FIRST, name, gift, arg, NULL, out);
}
