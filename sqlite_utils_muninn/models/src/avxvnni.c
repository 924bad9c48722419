/* The encoder for x86 CPUs with AVX-VNNI, which have no AVX-512: Alder Lake and later. */
#include "encoder.h"
#ifdef HAS_AVXVNNI
#include <immintrin.h>
#define TARGET __attribute__((target("avx2,fma,avxvnni")))
#define LANES 8
#define PANELS 1
#define ROWS 6
#define ATTENTION_ROWS 6
#define FORWARD forward_avxvnni
#define dot(sums, weights, four) \
    ((Ints)_mm256_dpbusd_avx_epi32((__m256i)(sums), (__m256i)(weights), _mm256_set1_epi32(four)))
#define fused(a, b, c) ((Floats)_mm256_fmadd_ps(a, b, c))
#define higher(a, b) ((Floats)_mm256_max_ps(a, b))
#define lower(a, b) ((Floats)_mm256_min_ps(a, b))
#include "forward.h"
#endif
