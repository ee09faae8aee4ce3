"""BearSSL's primitives bound by cffi straight from its headers: an oracle beside the Cython binding.

Nothing here goes through `bearwrap._bear`: another binding generator, another copy of the library, other code
around it. What agrees in both is bound right in both.

    from tests.unit.bearssl_cffi import load
    bear = load()                    # compiles the binding once into build/oracle, about two seconds
    bear.hmac("sha256", key, data)
    bear.ffi, bear.lib               # the plain binding, for benchmarks

It uses the library and the flags of the build (`build-aux/bearssl.py library`, `cflags`).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "build" / "oracle"
MODULE = "bearssl_oracle"

# Contexts are opaque here; the compiler fills in their sizes and checks every prototype against the header.
DECLARATIONS = """
typedef struct { ...; } br_hash_class;
typedef union { const br_hash_class *vtable; ...; } br_hash_compat_context;
typedef struct { unsigned char ksi[64]; unsigned char kso[64]; ...; } br_hmac_key_context;
typedef struct { ...; } br_hmac_context;
typedef struct { const void *data; size_t len; } br_tls_prf_seed_chunk;
typedef struct { ...; } br_block_ctr_class;
typedef struct { ...; } br_aes_gen_ctr_keys;
typedef struct { ...; } br_gcm_context;
typedef struct { int curve; unsigned char *q; size_t qlen; } br_ec_public_key;
typedef struct { int curve; unsigned char *x; size_t xlen; } br_ec_private_key;
typedef struct { uint32_t supported_curves; ...; } br_ec_impl;

void br_hmac_key_init(br_hmac_key_context *kc, const br_hash_class *digest_vtable, const void *key, size_t key_len);
void br_hmac_init(br_hmac_context *ctx, const br_hmac_key_context *kc, size_t out_len);
void br_hmac_update(br_hmac_context *ctx, const void *data, size_t len);
size_t br_hmac_out(const br_hmac_context *ctx, void *out);

void br_tls10_prf(void *dst, size_t len, const void *secret, size_t secret_len, const char *label, size_t seed_num,
    const br_tls_prf_seed_chunk *seed);
void br_tls12_sha256_prf(void *dst, size_t len, const void *secret, size_t secret_len, const char *label,
    size_t seed_num, const br_tls_prf_seed_chunk *seed);
void br_tls12_sha384_prf(void *dst, size_t len, const void *secret, size_t secret_len, const char *label,
    size_t seed_num, const br_tls_prf_seed_chunk *seed);

const br_block_ctr_class *br_aes_x86ni_ctr_get_vtable(void);
typedef void (*br_ghash)(void *y, const void *h, const void *data, size_t len);
void br_ghash_ctmul64(void *y, const void *h, const void *data, size_t len);
br_ghash br_ghash_pclmul_get(void);
void br_gcm_init(br_gcm_context *ctx, const br_block_ctr_class **bctx, br_ghash gh);
void br_gcm_reset(br_gcm_context *ctx, const void *iv, size_t len);
void br_gcm_aad_inject(br_gcm_context *ctx, const void *data, size_t len);
void br_gcm_flip(br_gcm_context *ctx);
void br_gcm_run(br_gcm_context *ctx, int encrypt, void *data, size_t len);
void br_gcm_get_tag(br_gcm_context *ctx, void *tag);

typedef uint32_t (*br_chacha20_run)(const void *key, const void *iv, uint32_t cc, void *data, size_t len);
uint32_t br_chacha20_ct_run(const void *key, const void *iv, uint32_t cc, void *data, size_t len);
void br_poly1305_ctmul_run(const void *key, const void *iv, void *data, size_t len, const void *aad, size_t aad_len,
    void *tag, br_chacha20_run ichacha, int encrypt);

const br_ec_impl *br_ec_get_default(void);
typedef uint32_t (*br_ecdsa_vrfy)(const br_ec_impl *impl, const void *hash, size_t hash_len,
    const br_ec_public_key *pk, const void *sig, size_t sig_len);
br_ecdsa_vrfy br_ecdsa_vrfy_asn1_get_default(void);
typedef size_t (*br_ecdsa_sign)(const br_ec_impl *impl, const br_hash_class *hf, const void *hash_value,
    const br_ec_private_key *sk, void *sig);
br_ecdsa_sign br_ecdsa_sign_asn1_get_default(void);

/* What hangs on a function pointer or is a constant object gets a name: cffi takes no address of a constant. */
const br_hash_class *oracle_hash_class(int number);
const br_block_ctr_class *oracle_portable_aes(void);
size_t oracle_hash(const br_hash_class *hash, const void *data, size_t len, void *out);
int oracle_gcm_init(const br_block_ctr_class *cipher, br_gcm_context *ctx, br_aes_gen_ctr_keys *keys, br_ghash ghash,
    const void *key, size_t key_len);
uint32_t oracle_ec_mul(unsigned char *point, size_t len, const unsigned char *x, size_t xlen, int curve);
size_t oracle_ec_mulgen(unsigned char *point, const unsigned char *x, size_t xlen, int curve);
"""

SOURCE = """
#include "bearssl.h"

static const br_hash_class *oracle_hash_class(int number)
{
    static const br_hash_class *const all[] = { &br_md5_vtable, &br_sha1_vtable, &br_sha224_vtable, &br_sha256_vtable,
        &br_sha384_vtable, &br_sha512_vtable };
    return all[number - 1];
}

static const br_block_ctr_class *oracle_portable_aes(void) { return &br_aes_ct64_ctr_vtable; }

static size_t oracle_hash(const br_hash_class *hash, const void *data, size_t len, void *out)
{
    br_hash_compat_context c;
    hash->init(&c.vtable);
    hash->update(&c.vtable, data, len);
    hash->out(&c.vtable, out);
    return (hash->desc >> BR_HASHDESC_OUT_OFF) & BR_HASHDESC_OUT_MASK;
}

static int oracle_gcm_init(const br_block_ctr_class *cipher, br_gcm_context *ctx, br_aes_gen_ctr_keys *keys,
    br_ghash ghash, const void *key, size_t key_len)
{
    if (cipher == 0 || ghash == 0)
        return 0;
    cipher->init((const br_block_ctr_class **)&keys->vtable, key, key_len);
    br_gcm_init(ctx, (const br_block_ctr_class **)&keys->vtable, ghash);
    return 1;
}

static uint32_t oracle_ec_mul(unsigned char *point, size_t len, const unsigned char *x, size_t xlen, int curve)
{
    return br_ec_get_default()->mul(point, len, x, xlen, curve);
}

static size_t oracle_ec_mulgen(unsigned char *point, const unsigned char *x, size_t xlen, int curve)
{
    return br_ec_get_default()->mulgen(point, x, xlen, curve);
}
"""

HASHES = {"md5": 1, "sha1": 2, "sha224": 3, "sha256": 4, "sha384": 5, "sha512": 6}  # RFC 5246 section 7.4.1.4.1
CURVES = {"secp256r1": 23, "secp384r1": 24, "secp521r1": 25, "x25519": 29}  # BearSSL's numbers are IANA's
_POINT_ROOM = 133
_SIGNATURE_ROOM = 144


def _ask_build(what: str) -> list[str]:
    """One line of build-aux/bearssl.py, as words."""
    command = [sys.executable, str(ROOT / "build-aux" / "bearssl.py"), what]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _compiled() -> Path:
    """The shared object of the binding, compiled when there is none for these very declarations and library."""
    import cffi

    flags, (library,) = _ask_build("cflags"), _ask_build("library")
    built = f"{DECLARATIONS}{SOURCE}{flags}{Path(library).stat().st_mtime_ns}{sys.version}{cffi.__version__}"
    target = FOLDER / hashlib.sha256(built.encode()).hexdigest()[:16] / f"{MODULE}.so"
    if not target.exists():
        builder = cffi.FFI()
        builder.cdef(DECLARATIONS)
        builder.set_source(MODULE, SOURCE, extra_objects=[library], extra_compile_args=["-O2", *flags])
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            made = builder.compile(tmpdir=folder, verbose=False)
            os.replace(made, target)  # another test process may be doing the same
    return target


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, _compiled())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bear:
    """The primitives over bytes; hash names are hashlib's, curves are CURVES."""

    def __init__(self) -> None:
        module = _module()
        self.ffi: Any = module.ffi
        self.lib: Any = module.lib

    # hashes

    def _hash(self, name: str) -> Any:
        return self.lib.oracle_hash_class(HASHES[name])

    def digest(self, name: str, data: bytes) -> bytes:
        """One hash."""
        out = self.ffi.new("unsigned char[64]")
        return bytes(self.ffi.buffer(out, self.lib.oracle_hash(self._hash(name), data, len(data), out)))

    def hmac(self, name: str, key: bytes, data: bytes) -> bytes:
        """HMAC (RFC 2104)."""
        keys, ctx = self.ffi.new("br_hmac_key_context *"), self.ffi.new("br_hmac_context *")
        out = self.ffi.new("unsigned char[64]")
        self.lib.br_hmac_key_init(keys, self._hash(name), key, len(key))
        self.lib.br_hmac_init(ctx, keys, 0)
        self.lib.br_hmac_update(ctx, data, len(data))
        return bytes(self.ffi.buffer(out, self.lib.br_hmac_out(ctx, out)))

    def hmac_states(self, name: str, key: bytes) -> tuple[bytes, bytes]:
        """The two hash states (inner, outer) that stand for an HMAC key: who has them needs the key no more."""
        keys = self.ffi.new("br_hmac_key_context *")
        self.lib.br_hmac_key_init(keys, self._hash(name), key, len(key))
        size = {"md5": 16, "sha1": 20, "sha224": 32, "sha256": 32, "sha384": 64, "sha512": 64}[name]
        return bytes(self.ffi.buffer(keys.ksi, size)), bytes(self.ffi.buffer(keys.kso, size))

    def prf(self, name: str, secret: bytes, label: bytes, seeds: Sequence[bytes], length: int) -> bytes:
        """A TLS PRF: "tls10" (MD5 xor SHA-1, RFC 2246 section 5), "sha256" or "sha384" (RFC 5246 section 5)."""
        function = {
            "tls10": self.lib.br_tls10_prf,
            "sha256": self.lib.br_tls12_sha256_prf,
            "sha384": self.lib.br_tls12_sha384_prf,
        }[name]
        held = [self.ffi.from_buffer(seed) for seed in seeds]
        chunks = self.ffi.new("br_tls_prf_seed_chunk[]", [(at, len(at)) for at in held])
        out = self.ffi.new("unsigned char[]", length)
        function(out, length, secret, len(secret), label, len(held), chunks)
        return bytes(self.ffi.buffer(out, length))

    # AEADs: (key, nonce, additional data, text) to (text, tag)

    def gcm_implementations(self) -> dict[str, tuple[Any, Any]]:
        """Each pair of AES and GHASH that this processor can run."""
        portable = (self.lib.oracle_portable_aes(), self.lib.br_ghash_ctmul64)
        native = (self.lib.br_aes_x86ni_ctr_get_vtable(), self.lib.br_ghash_pclmul_get())
        found = {"portable": portable}
        return found | {"x86ni": native} if all(native) else found

    def gcm(
        self, key: bytes, nonce: bytes, aad: bytes, text: bytes, encrypt: bool, implementation: str = "portable"
    ) -> tuple[bytes, bytes]:
        """AES-GCM."""
        cipher, ghash = self.gcm_implementations()[implementation]
        keys, ctx = self.ffi.new("br_aes_gen_ctr_keys *"), self.ffi.new("br_gcm_context *")
        assert self.lib.oracle_gcm_init(cipher, ctx, keys, ghash, key, len(key))
        data, tag = self.ffi.new("unsigned char[]", text or b"\0"), self.ffi.new("unsigned char[16]")
        self.lib.br_gcm_reset(ctx, nonce, len(nonce))
        self.lib.br_gcm_aad_inject(ctx, aad, len(aad))
        self.lib.br_gcm_flip(ctx)
        self.lib.br_gcm_run(ctx, encrypt, data, len(text))
        self.lib.br_gcm_get_tag(ctx, tag)
        return bytes(self.ffi.buffer(data, len(text))), bytes(self.ffi.buffer(tag))

    def chacha20_poly1305(
        self, key: bytes, nonce: bytes, aad: bytes, text: bytes, encrypt: bool
    ) -> tuple[bytes, bytes]:
        """ChaCha20-Poly1305 (RFC 8439 section 2.8)."""
        data, tag = self.ffi.new("unsigned char[]", text or b"\0"), self.ffi.new("unsigned char[16]")
        run = self.ffi.addressof(self.lib, "br_chacha20_ct_run")  # its address, not the wrapper
        self.lib.br_poly1305_ctmul_run(key, nonce, data, len(text), aad, len(aad), tag, run, encrypt)
        return bytes(self.ffi.buffer(data, len(text))), bytes(self.ffi.buffer(tag))

    # curves

    def public(self, curve: str, scalar: bytes) -> bytes:
        """The public point of a private scalar (big-endian; x25519: little-endian)."""
        out = self.ffi.new("unsigned char[]", _POINT_ROOM)
        return bytes(self.ffi.buffer(out, self.lib.oracle_ec_mulgen(out, scalar, len(scalar), CURVES[curve])))

    def multiply(self, curve: str, point: bytes, scalar: bytes) -> bytes | None:
        """scalar times point, encoded as the point was; None when BearSSL refuses the point."""
        out = self.ffi.new("unsigned char[]", point)
        good = self.lib.oracle_ec_mul(out, len(point), scalar, len(scalar), CURVES[curve])
        return bytes(self.ffi.buffer(out, len(point))) if good else None

    def ecdsa_verify(self, curve: str, point: bytes, digest: bytes, signature: bytes) -> bool:
        """Whether an ASN.1 ECDSA signature over a digest is by the key with this public point."""
        held = self.ffi.from_buffer(point)
        key = self.ffi.new("br_ec_public_key *", (CURVES[curve], self.ffi.cast("unsigned char *", held), len(point)))
        verify = self.lib.br_ecdsa_vrfy_asn1_get_default()
        ec = self.lib.br_ec_get_default()
        return verify(ec, digest, len(digest), key, signature, len(signature)) == 1

    def ecdsa_sign(self, curve: str, scalar: bytes, hash_name: str, digest: bytes) -> bytes:
        """An ASN.1 ECDSA signature, deterministic (RFC 6979)."""
        held = self.ffi.from_buffer(scalar)
        key = self.ffi.new("br_ec_private_key *", (CURVES[curve], self.ffi.cast("unsigned char *", held), len(scalar)))
        out = self.ffi.new("unsigned char[]", _SIGNATURE_ROOM)
        sign = self.lib.br_ecdsa_sign_asn1_get_default()
        size = sign(self.lib.br_ec_get_default(), self._hash(hash_name), digest, key, out)
        return bytes(self.ffi.buffer(out, size))


@functools.cache
def load() -> Bear:
    """The binding, compiled on first use."""
    return Bear()
