# pages - memory goes back to the kernel while a connection is idle (what is read there afterwards is zeros), and some
# is not handed on to children.

cdef enum:
    PAGE = 4096

cdef extern from *:
    """
    /* A buffer of its own pages, so that all of them can go back. */
    #define BW_PAGES __attribute__((aligned(4096)))
    /* The stack below the caller goes back: called functions left deep frames there. The kernel keeps a gap of 1 MiB
       below a stack, so nothing else can lie there; the nearest page is in use. */
    __attribute__((noinline)) static void bw_drop_stack(void) {
        char *top = (char *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)4095) - 4096;
        if (madvise(top - 131072, 131072, MADV_DONTNEED)) { /* less stack than that: what there is of it is gone */ }
    }
    /* Let the frames of what the caller calls begin at the end of a page: a fork copies each page of the stack that its
       parent or child writes, so those who fork should lie in one. */
    #define bw_stack_page() do { \\
        char *bw_at = alloca(16); \\
        bw_at = alloca(((uintptr_t)bw_at & 4095) | 16); \\
        __asm__ volatile ("" : : "r"(bw_at) : "memory"); \\
    } while (0)
    """
    void bw_drop_stack() nogil
    void bw_stack_page() nogil

cdef void pages_drop(void *p, size_t n) noexcept nogil:
    """Give the whole pages in a range of private memory back."""
    cdef size_t start = (<size_t>p + PAGE - 1) & ~<size_t>(PAGE - 1)
    cdef size_t end = (<size_t>p + n) & ~<size_t>(PAGE - 1)
    if start < end:
        madvise(<void *>start, end - start, MADV_DONTNEED)

cdef void *pages_unforked(size_t n) noexcept nogil:
    """Zeroed memory that no child gets: it costs a fork nothing and a conquered child learns nothing. NULL: none."""
    cdef void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if p == MAP_FAILED or madvise(p, n, MADV_DONTFORK) < 0:
        return NULL
    return p
