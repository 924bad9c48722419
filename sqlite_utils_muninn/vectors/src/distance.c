/* How far two coarse vectors are from each other: one of several loops, by what the CPU has. */
#include "hnsw.h"

#ifdef HAS_X86
#include <immintrin.h>
#endif

typedef struct {
    const char *name;
    Distance bytes, dot, square;
} Loops;

/* ---- Bytes: whole numbers, so that every loop gives the same ---- */

static float bytes_plain(const void *a, const void *b, int64_t stride)
{
    const int8_t *x = a, *y = b;
    int32_t sum = 0;
    for (int64_t i = 0; i < stride; i++) {
        sum += (int32_t)x[i] * y[i];
    }
    return (float)sum;
}

#ifdef HAS_X86
__attribute__((target("avx2"))) static float bytes_avx2(const void *a, const void *b,
                                                        int64_t stride)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    for (int64_t i = 0; i < stride; i += 32) {
        __m256i x = _mm256_load_si256((const __m256i *)((const char *)a + i));
        __m256i y = _mm256_load_si256((const __m256i *)((const char *)b + i));
        /* Codes are -127 to 127: the sum of two products has room in 16 bits. */
        __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return (float)_mm_cvtsi128_si32(half);
}

/* VNNI multiplies unsigned by signed bytes: x + 128 is taken, and 128 y off again. */
__attribute__((target("avx512f,avx512bw,avx512vnni"))) static float
bytes_vnni(const void *a, const void *b, int64_t stride)
{
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    __m512i sum = _mm512_setzero_si512(), excess = _mm512_setzero_si512();
    for (int64_t i = 0; i < stride; i += 64) {
        __m512i x = _mm512_load_si512((const char *)a + i);
        __m512i y = _mm512_load_si512((const char *)b + i);
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x, offset), y);
        excess = _mm512_dpbusd_epi32(excess, offset, y);
    }
    return (float)_mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excess));
}
#endif

/* ---- Floats: sixteen sums, in an order that the source says ---- */

#define LANES 16

INLINE float lanes_total(const float *sum)
{
    float half[LANES / 2];
    for (int i = 0; i < LANES / 2; i++) {
        half[i] = sum[i] + sum[i + LANES / 2];
    }
    return ((half[0] + half[4]) + (half[2] + half[6])) + ((half[1] + half[5]) + (half[3] + half[7]));
}

INLINE float dot_lanes(const void *a, const void *b, int64_t stride)
{
    const float *x = a, *y = b;
    float sum[LANES] = {0};
    for (int64_t i = 0; i < stride / 4; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            sum[j] += x[i + j] * y[i + j];
        }
    }
    return -lanes_total(sum);
}

INLINE float square_lanes(const void *a, const void *b, int64_t stride)
{
    const float *x = a, *y = b;
    float sum[LANES] = {0};
    for (int64_t i = 0; i < stride / 4; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            float step = x[i + j] - y[i + j];
            sum[j] += step * step;
        }
    }
    return lanes_total(sum);
}

#define FLOAT_LOOPS(name, attribute)                                                              \
    attribute static float dot_##name(const void *a, const void *b, int64_t stride)               \
    {                                                                                             \
        return dot_lanes(a, b, stride);                                                           \
    }                                                                                             \
    attribute static float square_##name(const void *a, const void *b, int64_t stride)            \
    {                                                                                             \
        return square_lanes(a, b, stride);                                                        \
    }
FLOAT_LOOPS(plain, )
#ifdef HAS_X86
FLOAT_LOOPS(avx2, __attribute__((target("avx2"))))
#endif

/* ---- The choice ---- */

static const Loops every[] = {
    {"plain", bytes_plain, dot_plain, square_plain},
#ifdef HAS_X86
    {"avx2", bytes_avx2, dot_avx2, square_avx2},
    {"avx512-vnni", bytes_vnni, dot_avx2, square_avx2},
#endif
};

static const Loops *loops = &every[0];

static int is_supported(const char *name)
{
#ifdef HAS_X86
    __builtin_cpu_init();
    if (strcmp(name, "avx2") == 0) {
        return __builtin_cpu_supports("avx2");
    }
    if (strcmp(name, "avx512-vnni") == 0) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vnni");
    }
#endif
    return strcmp(name, "plain") == 0;
}

/* Chooses the loops of that name, for indexes that are made from now on; NULL: the best. Returns
 * whether this CPU has them. */
int distance_choose(const char *name)
{
    int found = 0;
    for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
        if ((name == NULL || strcmp(name, every[i].name) == 0) && is_supported(every[i].name)) {
            loops = &every[i];
            found = 1;
        }
    }
    return found;
}

const char *distance_name(void)
{
    return loops->name;
}

Distance distance_of(int kind, int metric)
{
    if (kind == CODES_BYTE) {
        return loops->bytes;
    }
    return metric == METRIC_PRODUCT ? loops->dot : loops->square;
}

/* How vectors become copies, by the same choice. */
Encode encode_of(int kind)
{
    return encoder_of(kind, loops != &every[0]);
}
