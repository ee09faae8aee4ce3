/*
 * heap - the listener's heap, as a part of its image.
 *
 * The kernel puts the heap of a static program far away from all else, so that for its two pages each fork makes three
 * page tables and each end frees them: 5 us of some 50. So the linker's --wrap sends those who ask for it here: malloc,
 * which takes what goes beyond this by mmap(2), and the start of the C library, for thread-local variables. The latter
 * runs before there are any, thus without errno and without a guard on the stack. In a library without a function of
 * one of these names the heap is where it was.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

enum { ROOM = 160 * 1024 }; /* malloc asks for 132 KiB at once */

static unsigned char room[ROOM] __attribute__((aligned(4096)));
static size_t used;

void *__wrap___sbrk(intptr_t more);
void *__wrap__dl_early_allocate(size_t size);

/* Nothing is given back: less than a page's worth of ours is ever freed. */
void *__wrap___sbrk(intptr_t more)
{
    void *old = room + used;

    if (more < 0 || (size_t)more > ROOM - used) {
        errno = ENOMEM;
        return (void *)-1;
    }
    used += (size_t)more;
    return old;
}

__attribute__((no_stack_protector)) void *__wrap__dl_early_allocate(size_t size)
{
    void *old = room + used;

    if (size > ROOM - used)
        return NULL;
    used = (used + size + 63) & ~(size_t)63;
    return old;
}
