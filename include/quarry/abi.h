/* SPDX-License-Identifier: MIT */
/*
 * abi.h: the numbers shared by the kernel and programs in ring 3.  docs/abi.md explains each call.
 *
 * A system call: SYSCALL with the number in RAX and arguments in RDI, RSI, RDX, R10, R8, R9, R12.
 * The result comes in RAX, negative errno on failure.  Calls that pass messages return words and
 * handles in the argument registers; every other call preserves these registers.  RCX and R11 are
 * lost.
 */
#ifndef QUARRY_ABI_H
#define QUARRY_ABI_H

enum syscall_nr {
	SYS_DEBUG_WRITE,     /* (text, length) */
	SYS_EXIT,            /* (status): ends the task */
	SYS_THREAD_EXIT,     /* () */
	SYS_YIELD,           /* () */
	SYS_SLEEP,           /* (ns) */
	SYS_CLOCK,           /* () -> ns */
	SYS_INFO,            /* (enum abi_info, handle) -> number */
	SYS_TASK_CREATE,     /* (programs, name, length, give, arg0, arg1, limits or 0) -> handle */
	SYS_TASK_WAIT,       /* (task, timeout) -> enum task_end; RSI: status */
	SYS_TASK_KILL,       /* (task) */
	SYS_THREAD_CREATE,   /* (entry, stack pointer, arg) -> number of the thread */
	SYS_OBJECT_CREATE,   /* (pages) -> handle */
	SYS_MAP,             /* (object, address, pages, first page, protection) */
	SYS_UNMAP,           /* (address, pages) */
	SYS_PROTECT,         /* (address, pages, protection) */
	SYS_ENDPOINT_CREATE, /* () -> handle */
	SYS_CALL,            /* (endpoint, timeout, 4 words, give) -> 4 words, handle */
	SYS_RECEIVE,         /* (endpoint, timeout) -> RDI: reply handle; 4 words, handle */
	SYS_REPLY,           /* (reply, -, 4 words, give) */
	SYS_HANDLE_CLOSE,    /* (handle) */
	SYS_HANDLE_DUP,      /* (handle, rights) -> handle */
	SYS_PAGER_BIND,      /* (endpoint, pages, number, timeout) -> handle */
	SYS_PAGER_SUPPLY,    /* (object, page, address) */
	SYS_PAGER_TAKE_BACK, /* (object, page, address) */
	SYS_PAGER_DROP,      /* (object, page, pages) */
	SYS_FAULT_HANDLER,   /* (endpoint) */
	SYS_REPLY_RECEIVE,   /* (reply, endpoint, 4 words, timeout) -> as SYS_RECEIVE */
	NR_SYSCALLS,
};

/* The positions of a message's registers among the arguments: RDI is 0, R12 is 6. */
#define ABI_WORDS 4 /* RDX, R10, R8, R9 */
#define ABI_WORD0 2
#define ABI_GIVE  6

#define ABI_PAGE_SIZE    4096UL
#define ABI_WAIT_FOREVER (~0ULL)
#define ABI_MAX_WRITE    256 /* bytes of one SYS_DEBUG_WRITE */
#define ABI_MAX_LINE     128 /* bytes of a line that it prints, beside the task's name */
#define ABI_MAX_NAME     32  /* bytes of a program's name */
#define ABI_MAX_HANDLES  256 /* of a task */
#define ABI_MAX_THREADS  64  /* of a task */
#define ABI_MAX_TASKS    64
#define ABI_MAX_MAPPINGS 255 /* of one object in a task; each part of a split mapping counts */

/*
 * Limits on what the kernel allocates for a task and all its descendants together.  SYS_TASK_CREATE
 * gets limits for the new task, each at most the caller's own, or ABI_LIMIT_INHERIT.
 */
enum abi_limit {
	LIMIT_TASKS, /* descendants; at most one less than the caller's own */
	LIMIT_THREADS,
	LIMIT_OBJECTS,
	LIMIT_REGIONS, /* mappings; each part of a split mapping counts */
	LIMIT_TABLES,  /* pages that are page tables */
	LIMIT_ENDPOINTS,
	NR_LIMITS,
};
#define ABI_LIMIT_INHERIT (~0ULL) /* half of the caller's own */
struct abi_limits {
	unsigned long long limit[NR_LIMITS];
};
#define ABI_MAX_PAGES (512UL * 512) /* of an object */

/*
 * The words of a request to a pager: one of these numbers, the page, the object's number of
 * SYS_PAGER_BIND.
 */
#define ABI_PAGER_GET   1u /* supply the page */
#define ABI_PAGER_CLEAN 2u /* take its content back: the page is reclaimed */
/* Word 0 of the pager's answer. */
#define ABI_PAGER_DONE      0u
#define ABI_PAGER_FAILED    1u
#define ABI_PAGER_NO_MEMORY 2u             /* of GET: no memory for the page; GET is repeated */
#define ABI_MAX_PAGER_NS    10000000000ULL /* longest time for an answer */

/*
 * The words of a request to a fault handler: this number, the address, and how many bytes from
 * there on are lost.  The handler has ABI_MAX_PAGER_NS to answer.  Word 0 of its answer: 0, other
 * memory is mapped now, and the access is tried again; anything else: the task ends, as without a
 * handler.
 */
#define ABI_FAULT_LOST 1u

/* A handle is a number above 0, valid only in the task that got it. */
typedef unsigned long abi_handle;

/* Rights of a handle.  A duplicate has some of them, never more. */
#define RIGHT_READ    0x01u /* object: map it; the three rights are the ABI_READ ... below */
#define RIGHT_WRITE   0x02u
#define RIGHT_EXEC    0x04u
#define RIGHT_SEND    0x08u  /* endpoint: call */
#define RIGHT_RECEIVE 0x10u  /* endpoint: receive, and serve objects as their pager */
#define RIGHT_DUP     0x20u  /* duplicate it, pass it on */
#define RIGHT_KILL    0x40u  /* task: end it */
#define RIGHT_WAIT    0x80u  /* task: wait for its end */
#define RIGHT_SUPPLY  0x100u /* object: supply its pages as its pager */
#define RIGHTS_ALL    0x1ffu

/* Protections of a mapping.  Each includes ABI_READ; none includes both ABI_WRITE and ABI_EXEC. */
#define ABI_READ  0x1u
#define ABI_WRITE 0x2u
#define ABI_EXEC  0x4u

/* The way in which a task ended. */
enum task_end {
	TASK_RUNS,
	TASK_EXITED,  /* by SYS_EXIT, with its status; or its last thread has ended: status 0 */
	TASK_FAULTED, /* it made an error that the kernel has reported */
	TASK_KILLED,  /* status -ENOMEM: by the OOM killer */
};

enum abi_info {
	INFO_CPUS,           /* CPUs online */
	INFO_CPU,            /* the CPU on which the caller runs */
	INFO_FREE_PAGES,     /* free pages of the machine */
	INFO_TASK,           /* number of the caller's task */
	INFO_THREADS,        /* threads of the caller's task */
	INFO_HANDLES,        /* handles in use in the caller's task */
	INFO_RIGHTS,         /* rights of the handle */
	INFO_OBJECT_PAGES,   /* the object's size in pages */
	INFO_OBJECT_PRESENT, /* the object's pages that have memory */
	INFO_LIMIT, /* a limit of the caller's task; enum abi_limit in the handle's place */
	INFO_USED,  /* the amount of that limit that is in use */
	NR_INFOS,
};

/*
 * The first thread of a task starts with RDI: the handle given, or 0; RSI and RDX: the two
 * arguments.
 */
#define ABI_STACK_PAGES 16 /* pages of its stack */

#endif
