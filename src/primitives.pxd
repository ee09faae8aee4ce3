# primitives.h as Cython sees it.

from bearssl cimport br_ec_impl, br_ssl_engine_context

cdef extern from "primitives.h" nogil:
    int bw_sodium_init()
    const char *bw_sodium_version()
    const br_ec_impl *bw_ec()
    void bw_set_chapol(br_ssl_engine_context *eng)
    int BW_VENDORED
