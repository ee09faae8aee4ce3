/*
 * chapol.c - ChaCha20-Poly1305 (RFC 8439) by two objects of libcrypto (libcrypto.c), which have a way for each width of
 * vectors, run in constant time, and take less than half of libsodium's time.
 */
#include "libcrypto.h"

#include <string.h>

void ChaCha20_ctr32(unsigned char *out, const unsigned char *in, size_t n, const uint32_t key[8],
	const uint32_t counter[4]);
int poly1305_init(void *state, const unsigned char r[16], void *functions[2]);
void poly1305_blocks(void *state, const unsigned char *in, size_t n, uint32_t padbit);
void poly1305_emit(void *state, unsigned char tag[16], const uint32_t s[4]);

typedef struct {
	_Alignas(64) unsigned char state[512]; /* theirs: 192 bytes */
	struct {
		void (*blocks)(void *, const unsigned char *, size_t, uint32_t);
		void (*emit)(void *, unsigned char *, const uint32_t *);
	} by; /* what poly1305_init chose for this processor */
} poly1305;

static void xor_stream(const void *key, const void *iv, uint32_t counter, unsigned char *data, size_t n)
{
	uint32_t start[4] = {counter};

	memcpy(start + 1, iv, 12);
	ChaCha20_ctr32(data, data, n, key, start);
}

uint32_t bw_chacha20_run(const void *key, const void *iv, uint32_t cc, void *data, size_t len)
{
	xor_stream(key, iv, cc, data, len);
	return cc + (uint32_t)((len + 63) >> 6);
}

/* The padded form of n bytes (RFC 8439 section 2.8), each block of it a whole one. */
static void mac_padded(poly1305 *p, const unsigned char *data, size_t n)
{
	unsigned char last[16] = {0};
	size_t whole = n & ~(size_t)15;

	if (whole > 0) {
		p->by.blocks(p->state, data, whole, 1);
	}
	if (n > whole) {
		memcpy(last, data + whole, n - whole);
		p->by.blocks(p->state, last, 16, 1);
	}
}

void bw_poly1305_run(const void *key, const void *iv, void *data, size_t len, const void *aad, size_t aad_len,
	void *tag, uint32_t (*ichacha)(const void *, const void *, uint32_t, void *, size_t), int encrypt)
{
	uint64_t lengths[2] = {aad_len, len};
	_Alignas(16) unsigned char block[64] = {0};
	poly1305 p = {.by = {poly1305_blocks, poly1305_emit}};

	(void)ichacha;
	xor_stream(key, iv, 0, block, sizeof block);
	if (!poly1305_init(p.state, block, (void **)&p.by)) {
		p.by.blocks = poly1305_blocks;
		p.by.emit = poly1305_emit;
	}
	if (encrypt) {
		xor_stream(key, iv, 1, data, len);
	}
	mac_padded(&p, aad, aad_len);
	mac_padded(&p, data, len);
	p.by.blocks(p.state, (unsigned char *)lengths, 16, 1);
	p.by.emit(p.state, tag, (const uint32_t *)(block + 16));
	if (!encrypt) {
		xor_stream(key, iv, 1, data, len);
	}
	explicit_bzero(block, sizeof block);
	explicit_bzero(&p, sizeof p);
}

#ifdef BEARWRAP_PROBE
/* 0: RFC 8439 section 2.8.2 comes out, and a long run is what its parts are. */
int bw_chapol_probe(void)
{
	static const unsigned char expected[16] = {
		0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91,
	};
	static const unsigned char iv[12] = {7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
	static const unsigned char aad[12] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
	unsigned char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
		"future, sunscreen would be it.";
	static unsigned char run[8192 + 48], parts[sizeof run];
	_Alignas(16) unsigned char key[32], tag[16], other[16];
	poly1305 p, q;
	size_t i, n;

	for (i = 0; i < sizeof key; i++) {
		key[i] = (unsigned char)(0x80 + i);
	}
	bw_poly1305_run(key, iv, text, sizeof text - 1, aad, sizeof aad, tag, 0, 1);
	if (memcmp(tag, expected, sizeof tag) != 0) {
		return 1;
	}
	for (n = 16; n <= sizeof run; n += 16) {
		memset(run, 1, n);
		memset(parts, 1, n);
		bw_chacha20_run(key, iv, 9, run, n);
		for (i = 0; i < n; i += 64) {
			bw_chacha20_run(key, iv, 9 + (uint32_t)(i / 64), parts + i, n - i < 64 ? n - i : 64);
		}
		p = q = (poly1305){.by = {poly1305_blocks, poly1305_emit}};
		poly1305_init(p.state, key, (void **)&p.by);
		poly1305_init(q.state, key, (void **)&q.by);
		mac_padded(&p, run, n);
		for (i = 0; i < n; i += 16) {
			mac_padded(&q, run + i, 16);
		}
		p.by.emit(p.state, tag, (const uint32_t *)(key + 16));
		q.by.emit(q.state, other, (const uint32_t *)(key + 16));
		if (memcmp(run, parts, n) != 0 || memcmp(tag, other, sizeof tag) != 0) {
			return 2;
		}
	}
	return 0;
}
#endif
