/* Hashes of values; the same on every run where the seed is. */
#ifndef MUNINN_HASH_H
#define MUNINN_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix(uint64_t a)
{
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93u;
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93u;
    return a ^ a >> 32;
}

static inline uint64_t hash_bytes(const char *bytes, size_t length, uint64_t seed)
{
    uint64_t hash = seed ^ length * 0x9e3779b97f4a7c15u;
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = hash_mix(hash ^ word);
    }
    uint64_t rest = 0;
    memcpy(&rest, bytes, length);
    return hash_mix(hash ^ rest);
}

#endif
