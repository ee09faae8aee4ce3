/*
 * p256.c - multiples of P-256's base point, and ECDSA's division modulo its order, by libcrypto's assembly (libcrypto.c).
 *
 * The object has the arithmetic of the field and of the order, both in Montgomery's form, an addition of points and a table
 * of d * 2^(7 i) times the base point, which is read whole for each look-up. It adds without a branch, which its addition
 * for any two points does not, so these are left to nettle. No branch and no address depends on a secret
 * (tests/unit/test_constant_time.py).
 */
#include "libcrypto.h"

#include <string.h>

enum { WINDOW = 7, WINDOWS = 37, DIGITS = 64 };

typedef uint64_t number[4]; /* little-endian */
typedef struct { number x, y; } affine;
typedef struct { number x, y, z; } jacobian;
typedef void multiply(uint64_t *out, const uint64_t *a, const uint64_t *b);
typedef void square(uint64_t *out, const uint64_t *a, uint64_t times);

extern const affine ecp_nistz256_precomputed[WINDOWS][DIGITS];
void ecp_nistz256_gather_w7(affine *out, const affine *table, int digit);
void ecp_nistz256_point_add_affine(jacobian *out, const jacobian *a, const affine *b);
multiply ecp_nistz256_mul_mont, ecp_nistz256_ord_mul_mont;
square ecp_nistz256_ord_sqr_mont;
void ecp_nistz256_sqr_mont(uint64_t *out, const uint64_t *a);
void ecp_nistz256_from_mont(uint64_t *out, const uint64_t *a);
void ecp_nistz256_neg(uint64_t *out, const uint64_t *a);

static const number PRIME_2 = {0xfffffffffffffffd, 0x00000000ffffffff, 0, 0xffffffff00000001}; /* less 2 */
static const number ORDER_2 = {0xf3b9cac2fc63254f, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000};
static const number ORDER = {0xf3b9cac2fc632551, 0xbce6faada7179e84, 0xffffffffffffffff, 0xffffffff00000000};
static const number ORDER_RR = {0x83244c95be79eea2, 0x4699799c49bd6fa6, 0x2845b2392b6bec59, 0x66e12d94f3d95620};

/* The second where the mask is all ones, the first where it is 0. */
static void choose(number out, const number other, uint64_t mask)
{
	for (int i = 0; i < 4; i++) {
		out[i] ^= mask & (out[i] ^ other[i]);
	}
}

static void field_square(uint64_t *out, const uint64_t *a, uint64_t times)
{
	ecp_nistz256_sqr_mont(out, a);
	while (--times > 0) {
		ecp_nistz256_sqr_mont(out, out);
	}
}

/* By Fermat's theorem: a to the modulus less two, which is public, four bits of it a step. */
static void inverse(number out, const number a, const number exponent, multiply *mul, square *sqr)
{
	number power[15];
	int i, digit;

	memcpy(power[0], a, sizeof power[0]);
	for (i = 1; i < 15; i++) {
		mul(power[i], power[i - 1], a);
	}
	memcpy(out, power[14], sizeof power[14]); /* both exponents begin with 15 */
	for (i = 62; i >= 0; i--) {
		sqr(out, out, 4);
		digit = (int)(exponent[i / 16] >> (4 * (i % 16))) & 15;
		if (digit > 0) {
			mul(out, out, power[digit - 1]);
		}
	}
	explicit_bzero(power, sizeof power);
}

/*
 * Digits from -64 to 64: each is seven bits of k, the highest counted negative, and one for the highest of those below.
 * The table's point and the sum of those before it are never the same for such k, which the addition could not do.
 */
void bw_p256_base(uint64_t *x, uint64_t *y, const uint64_t *k)
{
	unsigned char bytes[34] = {0};
	jacobian sum = {{0}, {0}, {0}}; /* the point at infinity */
	affine point;
	number other;
	unsigned bits;
	uint64_t minus;
	int i, at;

	memcpy(bytes + 1, k, 32); /* behind eight bits of zeros */
	for (i = 0; i < WINDOWS; i++) {
		at = WINDOW * i + 7;
		bits = ((unsigned)(bytes[at / 8] | bytes[at / 8 + 1] << 8) >> (at % 8)) & 255;
		minus = -(uint64_t)(bits >> 7);
		bits = (((bits ^ (unsigned)minus) & 255) + 1) >> 1;
		ecp_nistz256_gather_w7(&point, ecp_nistz256_precomputed[i], (int)bits);
		ecp_nistz256_neg(other, point.y);
		choose(point.y, other, minus);
		ecp_nistz256_point_add_affine(&sum, &sum, &point);
	}
	inverse(other, sum.z, PRIME_2, ecp_nistz256_mul_mont, field_square);
	ecp_nistz256_mul_mont(sum.y, sum.y, other);
	ecp_nistz256_sqr_mont(other, other);
	ecp_nistz256_mul_mont(sum.x, sum.x, other);
	ecp_nistz256_mul_mont(sum.y, sum.y, other);
	ecp_nistz256_from_mont(x, sum.x);
	ecp_nistz256_from_mont(y, sum.y);
	explicit_bzero(bytes, sizeof bytes);
	explicit_bzero(&sum, sizeof sum);
	explicit_bzero(&point, sizeof point);
	explicit_bzero(other, sizeof other);
}

void bw_p256_divide(uint64_t *s, const uint64_t *m, const uint64_t *r, const uint64_t *d, const uint64_t *k)
{
	number sum, other, quotient;
	unsigned __int128 word = 0;
	uint64_t carry, borrow;
	int i;

	ecp_nistz256_ord_mul_mont(other, k, ORDER_RR);
	inverse(quotient, other, ORDER_2, ecp_nistz256_ord_mul_mont, ecp_nistz256_ord_sqr_mont);
	ecp_nistz256_ord_mul_mont(sum, d, ORDER_RR);
	ecp_nistz256_ord_mul_mont(sum, sum, r);
	for (i = 0; i < 4; i++) {
		word += (unsigned __int128)sum[i] + m[i];
		sum[i] = (uint64_t)word;
		word >>= 64;
	}
	carry = (uint64_t)word;
	for (i = 0, borrow = 0; i < 4; i++) {
		word = (unsigned __int128)sum[i] - ORDER[i] - borrow;
		other[i] = (uint64_t)word;
		borrow = (uint64_t)(word >> 64) & 1;
	}
	choose(sum, other, -(carry | (borrow ^ 1)));
	ecp_nistz256_ord_mul_mont(s, sum, quotient);
	explicit_bzero(sum, sizeof sum);
	explicit_bzero(other, sizeof other);
	explicit_bzero(quotient, sizeof quotient);
}

#ifdef BEARWRAP_PROBE
/* 0: a chain of a thousand signatures, which meets each entry of the table, ends where it must. */
int bw_p256_probe(void)
{
	static const number end = {
		0xefa287e59ab3a5fa, 0x462b386144f06c67, 0x1cd2aecbd0c874ac, 0x156621924caaff46,
	};
	number k = {1}, d = {0x0123456789abcdef, 2, 3, 4}, x, y;
	int i;

	for (i = 0; i < 1000; i++) {
		bw_p256_base(x, y, k);
		bw_p256_divide(k, y, x, d, k);
	}
	return memcmp(k, end, sizeof k) != 0;
}
#endif
