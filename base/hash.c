/* SPDX-License-Identifier: MIT */
/* Keyed 64-bit hash by folded 128-bit products; SHA-256 by libcrypto. */
#include "base/hash.h"
#include "base/os.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

/* Odd constants with balanced bits: the fractional parts of square roots of primes. */
#define HASH_K0 UINT64_C(0x6a09e667f3bcc909)
#define HASH_K1 UINT64_C(0xbb67ae8584caa73b)
#define HASH_K2 UINT64_C(0x3c6ef372fe94f82b)

__extension__ typedef unsigned __int128 hash_u128;

/* High and low half of the product, folded: every bit of a and b reaches every bit of the result.
 */
static uint64_t hash_mix(uint64_t a, uint64_t b)
{
    const hash_u128 product = (hash_u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_word(const unsigned char *p, size_t n)
{
    uint64_t word = 0;
    memcpy(&word, p, n);
    return word;
}

uint64_t hash_bytes(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ^ hash_mix(seed ^ HASH_K0, n ^ HASH_K1);
    size_t left = n;

    for (; left >= 16; left -= 16, p += 16)
        h = hash_mix(hash_word(p, 8) ^ HASH_K1 ^ seed, hash_word(p + 8, 8) ^ h);
    const uint64_t a = left >= 8 ? hash_word(p, 8) : 0;
    const size_t tail = left & 7;
    const uint64_t b = tail ? hash_word(p + (left - tail), tail) : 0;
    h = hash_mix(a ^ HASH_K2 ^ seed, b ^ h);
    return hash_mix(h ^ HASH_K0, n ^ HASH_K2);
}

static uint64_t process_seed;

static void hash_seed_once(void) { os_random(&process_seed, sizeof process_seed); }

uint64_t hash_process_seed(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, hash_seed_once);
    return process_seed;
}

status hash_sha256(const void *data, size_t n, char hex[65], struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (EVP_Digest(data, n, digest, &len, EVP_sha256(), NULL) != 1 || len != 32)
        return FAIL(err, ST_INTERNAL, "sha256: libcrypto refused");
    for (size_t i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
    return ST_OK;
}

status hash_sha256_file(const char *path, char hex[65], struct err *err)
{
    struct os_mapping map;

    TRY(os_map_file(path, &map, err));
    const status st = hash_sha256(map.data, map.size, hex, err);
    os_unmap(&map);
    return st;
}
