/*
 * syscalls.h - the system calls that net and key need once they are jailed: data only, no code.
 *
 * seccomp.pxi makes a filter of it; any other call ends the process. A row may bind one argument: its low 32 bits
 * under `mask` must be `value`; a mask of 0 binds nothing. A number that may have several values has a row for each, one
 * behind the other. They are looked through in this order, so what a transfer calls comes first.
 * tests/isolation/test_calls.py measures what is called.
 */
#ifndef BEARWRAP_SYSCALLS_H
#define BEARWRAP_SYSCALLS_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/audit.h>

/* 0: no filter, for a machine that nobody has measured, and for sanitizers, which call what they please. */
#if defined __SANITIZE_ADDRESS__ || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
enum { BW_ARCH = 0 };
#elif defined __x86_64__ && !defined __ILP32__
static const uint32_t BW_ARCH = AUDIT_ARCH_X86_64;
#elif defined __aarch64__
static const uint32_t BW_ARCH = AUDIT_ARCH_AARCH64;
#elif defined __riscv && __riscv_xlen == 64
static const uint32_t BW_ARCH = AUDIT_ARCH_RISCV64;
#else
enum { BW_ARCH = 0 };
#endif

enum { BW_NET = 1, BW_KEY = 2, BW_BOTH = BW_NET | BW_KEY };
typedef struct { uint8_t who, argument; int number; uint32_t mask, value; } bw_call;
static const bw_call bw_calls[] = {
	/* the loops */
#ifdef SYS_epoll_wait
	{ BW_BOTH, 0, SYS_epoll_wait, 0, 0 },
#endif
	{ BW_BOTH, 0, SYS_epoll_pwait, 0, 0 },
	{ BW_BOTH, 0, SYS_readv, 0, 0 }, { BW_BOTH, 0, SYS_writev, 0, 0 },
	{ BW_BOTH, 0, SYS_read, 0, 0 }, { BW_BOTH, 0, SYS_write, 0, 0 }, { BW_BOTH, 0, SYS_recvfrom, 0, 0 },
	{ BW_BOTH, 0, SYS_close, 0, 0 }, { BW_BOTH, 0, SYS_exit_group, 0, 0 }, { BW_BOTH, 0, SYS_exit, 0, 0 },
	{ BW_BOTH, 0, SYS_restart_syscall, 0, 0 }, { BW_BOTH, 0, SYS_rt_sigreturn, 0, 0 },
	/* where the vDSO has no clock, and what a libc asks for memory; nothing becomes executable */
	{ BW_BOTH, 0, SYS_clock_gettime, 0, 0 }, { BW_BOTH, 0, SYS_gettimeofday, 0, 0 },
#ifdef SYS_time
	{ BW_BOTH, 0, SYS_time, 0, 0 },
#endif
	{ BW_BOTH, 0, SYS_brk, 0, 0 }, { BW_BOTH, 0, SYS_munmap, 0, 0 }, { BW_BOTH, 0, SYS_mremap, 0, 0 },
	{ BW_BOTH, 0, SYS_getrandom, 0, 0 },
	{ BW_BOTH, 2, SYS_mmap, PROT_EXEC, 0 }, { BW_BOTH, 2, SYS_mprotect, PROT_EXEC, 0 },
	/* an idle connection's memory goes back; nothing is offered for merging with other processes' pages */
	{ BW_BOTH, 2, SYS_madvise, 0xffffffff, MADV_DONTNEED }, { BW_BOTH, 2, SYS_madvise, 0xffffffff, MADV_REMOVE },
	/* its own affinity, once it need not stay on one processor */
	{ BW_BOTH, 0, SYS_sched_setaffinity, 0xffffffff, 0 },
	/* no call at all, which a tracer puts in place of one that is to fail */
	{ BW_BOTH, 0, -1, 0, 0 },
	/* net's descriptors and children; fcntl only for the pipe that signals prog, ioctl only for what is queued */
	{ BW_NET, 0, SYS_epoll_ctl, 0, 0 }, { BW_NET, 0, SYS_shutdown, 0, 0 }, { BW_NET, 0, SYS_wait4, 0, 0 },
	{ BW_NET, 0, SYS_getpeername, 0, 0 }, { BW_NET, 0, SYS_getsockname, 0, 0 },
	{ BW_NET, 1, SYS_fcntl, 0xffffffff, F_SETSIG }, { BW_NET, 1, SYS_ioctl, 0xffffffff, TIOCOUTQ },
	/* prog's pipes become wider */
	{ BW_KEY, 1, SYS_fcntl, 0xffffffff, F_SETPIPE_SZ },
	/* Python, between net's end and its own */
	{ BW_NET, 0, SYS_futex, 0, 0 }, { BW_NET, 0, SYS_rt_sigaction, 0, 0 },
	{ BW_NET, 0, SYS_getpid, 0, 0 }, { BW_NET, 0, SYS_gettid, 0, 0 },
#ifdef BEARWRAP_TEST_HOOKS
	{ BW_BOTH, 0, SYS_tgkill, 0, 0 }, { BW_BOTH, 0, SYS_rt_sigprocmask, 0, 0 },
	{ BW_KEY, 0, SYS_getpid, 0, 0 }, { BW_KEY, 0, SYS_gettid, 0, 0 },
#endif
};
enum { BW_CALLS = sizeof bw_calls / sizeof bw_calls[0] };
/* two answers, four steps to the first row; for a row one to its number and three to its argument */
enum { BW_FILTER_MAX = 6 + 4 * BW_CALLS };
_Static_assert(BW_FILTER_MAX <= 256, "a jump passes over 255 steps at most");

#endif
