/* The encoder for x86 CPUs with AVX-512 VNNI: Ice Lake, Zen 4 and later. */
#include "encoder.h"
#ifdef HAS_AVX512
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))
#define LANES 16
#define PANELS 2
#define ROWS 12
#define ATTENTION_ROWS 8
#define FORWARD forward_avx512
#define dot(sums, weights, four) \
    ((Ints)_mm512_dpbusd_epi32((__m512i)(sums), (__m512i)(weights), _mm512_set1_epi32(four)))
#define fused(a, b, c) ((Floats)_mm512_fmadd_ps(a, b, c))
#define higher(a, b) ((Floats)_mm512_max_ps(a, b))
#define lower(a, b) ((Floats)_mm512_min_ps(a, b))
#include "forward.h"
#endif
