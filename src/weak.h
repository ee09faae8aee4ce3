/*
 * weak.h - read before each file of BearSSL when its library is built: what gives way to another definition that is
 * linked. Without one BearSSL's own stays.
 */
#pragma weak br_sha2small_round /* SHA-224 and SHA-256 of one block (sha256.c) */
