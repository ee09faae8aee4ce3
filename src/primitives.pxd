# primitives.h as Cython sees it.

from bearssl cimport br_ssl_engine_context

cdef extern from "primitives.h" nogil:
    int bw_sodium_init()
    const char *bw_sodium_version()
    void bw_set_chapol(br_ssl_engine_context *eng)
    int BW_VENDORED
