/* The encoder for one kind of CPU: included by a file that says TARGET, LANES, PANELS, ROWS,
 * ATTENTION_ROWS, FORWARD, dot(), fused(), higher() and lower().
 *
 * A difference in the last place of a float may round a byte the other way, and the layers behind
 * make much of it. So additions have one order, and are fused with a multiplication only where
 * fused() says so (setup.py forbids the compiler the rest): a text's vector is the same to the last
 * bit whatever texts stand beside it. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "encoder.h"

typedef float Floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

enum { VECTORS = PANEL / LANES, WIDE = PANELS * VECTORS };

#define INLINE static inline __attribute__((always_inline)) TARGET

INLINE Floats load(const float *from) { return *(const Floats *)from; }
INLINE void store(float *to, Floats value) { *(Floats *)to = value; }
INLINE Floats all(float value) { return value - (Floats){0}; }

/* Halves are folded upon each other: the same order of additions wherever this is inlined. */
INLINE float sum(Floats v) {
    float lanes[LANES];
    store(lanes, v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

INLINE float largest(Floats v) {
    float lanes[LANES];
    store(lanes, v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] = lanes[i + half] > lanes[i] ? lanes[i + half] : lanes[i];
    return lanes[0];
}

/* e^x within 2 units of the last place: 2^n times a polynomial of degree 5 (Cephes' expf). */
INLINE Floats exponential(Floats x) {
    const float rounding = 12582912.0f; /* 1.5 * 2^23: its last bits are then the whole number */
    x = lower(higher(x, all(-87.0f)), all(88.0f));
    Floats shifted = x * 1.44269504088896341f + rounding;
    Ints n = (Ints)shifted - (Ints)all(rounding);
    Floats whole = __builtin_convertvector(n, Floats);
    x = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    Floats p = fused(x, all(1.9875691500e-4f), all(1.3981999507e-3f));
    p = fused(p, x, all(8.3334519073e-3f));
    p = fused(p, x, all(4.1665795894e-2f));
    p = fused(p, x, all(1.6666665459e-1f));
    p = fused(p, x, all(5.0000001201e-1f));
    p = p * x * x + x + 1.0f;
    return p * (Floats)((n + 127) << 23);
}

/* Gaussian error linear unit (Hendrycks and Gimpel 2016), by its logistic form with the cubic. */
INLINE Floats gelu(Floats x) {
    Floats inner = 1.5957691216f * (x + 0.044715f * x * x * x);
    return x / (1.0f + exponential(-inner));
}

/* Normalize a row to mean 0 and variance 1, then gain and bias (Ba et al. 2016). */
INLINE void normalize(float *row, const Norm *norm, int width, float epsilon) {
    Floats total = {0}, squares = {0};
    for (int i = 0; i < width; i += LANES) total += load(row + i);
    float mean = sum(total) / (float)width;
    for (int i = 0; i < width; i += LANES) {
        Floats apart = load(row + i) - mean;
        squares = fused(apart, apart, squares);
    }
    float inverse = 1.0f / sqrtf(sum(squares) / (float)width + epsilon);
    for (int i = 0; i < width; i += LANES)
        store(row + i, fused((load(row + i) - mean) * inverse, load(norm->gain + i),
                             load(norm->bias + i)));
}

/* Rows as signed bytes: row = bytes * scale + middle; offset: what the 128 in the weights adds. */
typedef struct {
    int8_t *bytes;
    float *scale, *middle;
    int32_t *offset;
} Quantized;

INLINE void quantize(const float *row, int width, int number, const Quantized *to) {
    const float rounding = 12582912.0f;
    Floats most = load(row), least = most;
    for (int i = LANES; i < width; i += LANES) {
        most = higher(most, load(row + i));
        least = lower(least, load(row + i));
    }
    float high = largest(most), low = -largest(-least);
    float middle = 0.5f * (high + low), reach = 0.5f * (high - low);
    float inverse = reach > 0 ? 127.0f / reach : 0.0f;
    int8_t *bytes = to->bytes + (size_t)number * width;
    Ints total = {0};
    for (int i = 0; i < width; i += LANES) {
        Ints whole = (Ints)((load(row + i) - middle) * inverse + rounding) - (Ints)all(rounding);
        total += whole;
        *(Bytes *)(bytes + i) = __builtin_convertvector(whole, Bytes);
    }
    int32_t offset = 0;
    for (int i = 0; i < LANES; i++) offset += total[i];
    to->offset[number] = 128 * offset;
    to->scale[number] = reach / 127.0f;
    to->middle[number] = middle;
}

/* A tile of `rows` (a constant to the compiler) x PANELS panels of a product. */
INLINE void tile(const Dense *dense, const Quantized *x, int row, const int rows, int panel,
                 const float *added, float *out) {
    Ints sums[ROWS][WIDE];
    const size_t size = (size_t)dense->inputs * PANEL;
    const uint8_t *weights = dense->packed + panel * size;
    const int8_t *bytes = x->bytes + (size_t)row * dense->inputs;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < WIDE; v++) sums[r][v] = (Ints){0};
    for (int k = 0; k < dense->inputs; k += 4) {
        Ints w[WIDE];
        for (int v = 0; v < WIDE; v++)
            w[v] = *(const Ints *)(weights + v / VECTORS * size + (size_t)k * PANEL
                                   + 4 * LANES * (v % VECTORS));
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, bytes + (size_t)r * dense->inputs + k, 4);
#pragma GCC unroll 4
            for (int v = 0; v < WIDE; v++) sums[r][v] = dot(sums[r][v], w[v], four);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        size_t place = (size_t)(row + r) * dense->outputs + panel * PANEL;
        float scale = x->scale[row + r], middle = x->middle[row + r];
        int32_t offset = x->offset[row + r];
#pragma GCC unroll 4
        for (int v = 0; v < WIDE; v++) {
            int column = panel * PANEL + v * LANES;
            Floats y = __builtin_convertvector(sums[r][v] - offset, Floats);
            Floats shift =
                fused(all(middle), load(dense->sum + column), load(dense->bias + column));
            y = fused(y, scale * load(dense->scale + column), shift);
            if (added) y += load(added + place + v * LANES);
            store(out + place + v * LANES, y);
        }
    }
}

/* What one call works on. */
typedef struct {
    const Encoder *encoder;
    const int32_t *lengths;
    int texts, tokens;
    const volatile char *stop;
    float *hidden; /* [tokens][width] */
    float *wide;   /* [tokens][3 * width], then [tokens][inner] */
    float *mixed;  /* [tokens][width] */
    Quantized quantized;
    float *keys;   /* [head][padded]: of one head of one text, transposed, zeros behind */
    float *scores; /* [ATTENTION_ROWS][padded] */
} Run;

static TARGET void multiply(const Dense *dense, const Run *run, const float *added, float *out) {
    const Quantized *x = &run->quantized;
    for (int panel = 0; panel < dense->outputs / PANEL && !*run->stop; panel += PANELS) {
        int row = 0;
        for (; row + ROWS <= run->tokens; row += ROWS) tile(dense, x, row, ROWS, panel, added, out);
        for (; row + ROWS / 2 <= run->tokens; row += ROWS / 2)
            tile(dense, x, row, ROWS / 2, panel, added, out);
        for (; row < run->tokens; row++) tile(dense, x, row, 1, panel, added, out);
    }
}

/* out[rows][16 * PANELS] = a[rows][inner] b[inner][16 * PANELS], in floats. */
INLINE void product(const float *a, int a_step, const float *b, int b_step, int inner,
                    const int rows, float *out, int out_step) {
    Floats sums[ATTENTION_ROWS][WIDE];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < WIDE; v++) sums[r][v] = (Floats){0};
    for (int k = 0; k < inner; k++) {
        Floats w[WIDE];
        for (int v = 0; v < WIDE; v++) w[v] = load(b + (size_t)k * b_step + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < WIDE; v++) 
                sums[r][v] = fused(all(a[(size_t)r * a_step + k]), w[v], sums[r][v]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < WIDE; v++) store(out + (size_t)r * out_step + v * LANES, sums[r][v]);
}

enum { COLUMNS = PANEL * PANELS };

/* Make the first `count` of `padded` scores shares that add up to 1, and the others 0. */
INLINE void softmax(float *row, int count, int padded, float factor) {
    for (int j = count; j < padded; j++) row[j] = -INFINITY;
    Floats most = load(row), total = {0};
    for (int j = LANES; j < padded; j += LANES) most = higher(most, load(row + j));
    float peak = largest(most);
    for (int j = 0; j < padded; j += LANES) {
        Floats share = exponential((load(row + j) - peak) * factor);
        store(row + j, share);
        total += share;
    }
    float inverse = 1.0f / sum(total);
    for (int j = 0; j < padded; j += LANES) store(row + j, load(row + j) * inverse);
}

/* One head of one text, from its queries, keys and values (Vaswani et al. 2017, equation 1). */
typedef struct {
    const float *queries;
    float *out;
    int tokens, padded, size;
} Head;

INLINE void attend_rows(const Run *run, const Head *head, int row, const int rows) {
    const int width = run->encoder->width, step = 3 * width;
    const float *queries = head->queries + (size_t)row * step;
    const float *values = head->queries + 2 * width;
    for (int j = 0; j < head->padded; j += COLUMNS)
        product(queries, step, run->keys + j, head->padded, head->size, rows, run->scores + j,
                head->padded);
    for (int r = 0; r < rows; r++)
        softmax(run->scores + (size_t)r * head->padded, head->tokens, head->padded,
                1.0f / sqrtf((float)head->size));
    for (int d = 0; d < head->size; d += COLUMNS)
        product(run->scores, head->padded, values + d, step, head->tokens, rows,
                head->out + (size_t)row * width + d, width);
}

static TARGET void attend(const Run *run, const Head *head) {
    const int width = run->encoder->width;
    for (int d = 0; d < head->size; d++) {
        float *keys = run->keys + (size_t)d * head->padded;
        const float *from = head->queries + width + d;
        for (int j = 0; j < head->tokens; j++) keys[j] = from[(size_t)j * 3 * width];
        for (int j = head->tokens; j < head->padded; j++) keys[j] = 0;
    }
    int row = 0;
    for (; row + ATTENTION_ROWS <= head->tokens && !*run->stop; row += ATTENTION_ROWS)
        attend_rows(run, head, row, ATTENTION_ROWS);
    for (; row < head->tokens; row++) attend_rows(run, head, row, 1);
}

INLINE int padded_to_columns(int tokens) { return (tokens + COLUMNS - 1) / COLUMNS * COLUMNS; }

/* wide: queries, keys and values; mixed: what the heads make of them, a text at a time. */
static TARGET void attend_all(const Run *run) {
    const int width = run->encoder->width, size = width / run->encoder->heads;
    size_t start = 0;
    for (int text = 0; text < run->texts; text++) {
        const int tokens = run->lengths[text];
        for (int place = 0; place < width; place += size) {
            Head head = {run->wide + start * 3 * width + place, run->mixed + start * width + place,
                         tokens, padded_to_columns(tokens), size};
            attend(run, &head);
        }
        start += tokens;
    }
}

static TARGET void run_layer(const Run *run, const Layer *layer) {
    const int width = run->encoder->width, inner = run->encoder->inner;
    const float epsilon = run->encoder->epsilon;
    for (int t = 0; t < run->tokens; t++)
        quantize(run->hidden + (size_t)t * width, width, t, &run->quantized);
    multiply(&layer->qkv, run, NULL, run->wide);
    attend_all(run);
    for (int t = 0; t < run->tokens; t++)
        quantize(run->mixed + (size_t)t * width, width, t, &run->quantized);
    multiply(&layer->output, run, run->hidden, run->hidden);
    for (int t = 0; t < run->tokens; t++) {
        float *row = run->hidden + (size_t)t * width;
        normalize(row, &layer->attention, width, epsilon);
        quantize(row, width, t, &run->quantized);
    }
    multiply(&layer->up, run, NULL, run->wide);
    for (int t = 0; t < run->tokens; t++) {
        float *row = run->wide + (size_t)t * inner;
        for (int i = 0; i < inner; i += LANES) store(row + i, gelu(load(row + i)));
        quantize(row, inner, t, &run->quantized);
    }
    multiply(&layer->down, run, run->hidden, run->hidden);
    for (int t = 0; t < run->tokens; t++)
        normalize(run->hidden + (size_t)t * width, &layer->final, width, epsilon);
}

/* Cut the memory of a run into its arrays, each on a 64-byte bound; with NULL count it only. */
static size_t share_out(Run *run, char *memory, size_t longest) {
    const size_t width = run->encoder->width, inner = run->encoder->inner, tokens = run->tokens;
    const size_t widest = inner > 3 * width ? inner : 3 * width, head = width / run->encoder->heads;
    Quantized *q = &run->quantized;
    const struct {
        void *array;
        size_t size;
    } parts[] = {
        {&run->wide, tokens * widest * 4}, {&run->mixed, tokens * width * 4},
        {&q->bytes, tokens * widest},      {&q->scale, tokens * 4},
        {&q->middle, tokens * 4},          {&q->offset, tokens * 4},
        {&run->keys, head * longest * 4},  {&run->scores, ATTENTION_ROWS * longest * 4},
    };
    size_t used = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char *here = memory + used;
        if (memory) memcpy(parts[i].array, &here, sizeof(here));
        used += (parts[i].size + 63) / 64 * 64;
    }
    return used;
}

int TARGET FORWARD(const Encoder *encoder, float *hidden, const int32_t *lengths, int texts,
                   const volatile char *stop) {
    Run run = {
        .encoder = encoder, .lengths = lengths, .texts = texts, .stop = stop, .hidden = hidden};
    int longest = 0;
    for (int i = 0; i < texts; i++) {
        run.tokens += lengths[i];
        longest = lengths[i] > longest ? lengths[i] : longest;
    }
    char *memory = malloc(share_out(&run, NULL, padded_to_columns(longest)) + 64);
    if (!memory) return -1;
    share_out(&run, memory + (64 - (uintptr_t)memory % 64), padded_to_columns(longest));
    for (int t = 0; t < run.tokens; t++)
        normalize(hidden + (size_t)t * encoder->width, &encoder->first, encoder->width,
                  encoder->epsilon);
    for (int i = 0; i < encoder->layers && !*stop; i++) run_layer(&run, encoder->layer + i);
    free(memory);
    return *stop != 0;
}
