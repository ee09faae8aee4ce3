/*
pubkey.c - the server's public key, decoded without a search

OpenSSL 3.0 and 3.1 collect all their decoders anew for the key of each
certificate, which is a third of the instructions of a handshake; 3.2 keeps
them. They do not for a type of key that an ENGINE has: such a key is decoded
and used by the type's own methods, as all were before 3.0. So this ENGINE
offers the library's methods for EC and RSA, unchanged. The handshake is the
same: the signature is verified, and nothing that is sent is different.
*/
#define OPENSSL_SUPPRESS_DEPRECATED /* ENGINE is, from 3.0 on */
#include "wire.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#if OPENSSL_VERSION_NUMBER >= 0x30000000L && OPENSSL_VERSION_NUMBER < 0x30200000L && !defined(OPENSSL_NO_ENGINE)
#include <openssl/engine.h>

/* Says which types there are, or gives the method of one, which stays the library's. */
static int offer(ENGINE *engine, EVP_PKEY_METHOD **method, const int **types, int type) {
    static const int offered[] = {EVP_PKEY_EC, EVP_PKEY_RSA};

    (void)engine;
    if (!method) {
        *types = offered;
        return sizeof offered / sizeof *offered;
    }
    *method = (EVP_PKEY_METHOD *)EVP_PKEY_meth_find(type); /* not written to, and not freed: it is not dynamic */
    return *method != NULL;
}

/* For the whole process. Where it fails, keys are decoded as usual. */
void pubkey_decode_directly(void) {
    ENGINE *engine = ENGINE_new();

    /* Registering takes no reference: the list of all engines keeps it. */
    if (engine && ENGINE_set_id(engine, "pubkey") && ENGINE_set_name(engine, "public keys without a search") &&
        ENGINE_set_pkey_meths(engine, offer) && ENGINE_add(engine))
        ENGINE_register_pkey_meths(engine);
    ENGINE_free(engine);
    ERR_clear_error();
}
#else
void pubkey_decode_directly(void) {}
#endif
