/* SPDX-License-Identifier: MIT */
/* Hashes: a fast keyed one for tables and token chains, SHA-256 (libcrypto) for files. */
#pragma once
#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

/* 64-bit hash with a seed (own mixing of 8-byte words); not cryptographic. */
uint64_t hash_bytes(const void *data, size_t n, uint64_t seed);
/* Random per process; the seed of map and of the prefix cache. */
uint64_t hash_process_seed(void);
/* Lower-case hex digest of a memory block or a file; hex has room for 65 bytes. */
status hash_sha256(const void *data, size_t n, char hex[65], struct err *err);
status hash_sha256_file(const char *path, char hex[65], struct err *err);
