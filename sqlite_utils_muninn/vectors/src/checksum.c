/* Tells whether a saved index is whole. */
#include "hnsw.h"


static inline uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static inline uint64_t stir(uint64_t state, uint64_t word)
{
    state = (state ^ word) * 0x9e3779b97f4a7c15u;
    return state ^ (state >> 32);
}

/* Tells damage from chance, not from intent: what a crafted file holds is checked above. */
uint64_t checksum(uint64_t seed, const unsigned char *bytes, int64_t size)
{
    uint64_t lanes[4] = {seed, seed + 1, seed + 2, seed + 3};
    int64_t at = 0;
    for (; at + 32 <= size; at += 32) {
        for (int i = 0; i < 4; i++) {
            lanes[i] = stir(lanes[i], word_at(bytes + at + 8 * i));
        }
    }
    for (; at < size; at++) {
        lanes[0] = stir(lanes[0], bytes[at]);
    }
    uint64_t total = stir((uint64_t)size, seed);
    for (int i = 0; i < 4; i++) {
        total = stir(total, lanes[i]);
    }
    return total;
}
