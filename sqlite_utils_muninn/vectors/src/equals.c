/* Candidates with the very same vector are equally far: of more than are wanted, those with the
 * lowest ids will do, and nobody has to read the others. */
#include "hnsw.h"

typedef struct {
    Coarse coarse;
    int64_t id;
    Near item;
} Equal;

static int by_copy(const void *a, const void *b)
{
    const Equal *x = a, *y = b;
    int order = memcmp(&x->coarse, &y->coarse, sizeof(Coarse));
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* Of items that are equally far. Returns how many are left. */
static int64_t thin_out_run(const Collector *collector, Near *items, int64_t count)
{
    const Graph *graph = collector->graph;
    Equal *equals = malloc((size_t)count * sizeof(Equal));
    if (equals == NULL) {
        return count; /* they do no harm */
    }
    for (int64_t i = 0; i < count; i++) {
        int32_t node = (int32_t)items[i].node;
        Equal equal = {graph->coarse[node], graph->ids[node], items[i]};
        equals[i] = equal;
    }
    qsort(equals, (size_t)count, sizeof(Equal), by_copy);
    int64_t kept = 0, same = 0;
    for (int64_t i = 0; i < count; i++) {
        int is_same = i > 0 && are_same(graph, (int32_t)equals[i - 1].item.node,
                                        (int32_t)equals[i].item.node);
        same = is_same ? same + 1 : 0;
        if (same < collector->wanted) {
            items[kept++] = equals[i].item;
        }
    }
    free(equals);
    return kept;
}

/* Of candidates in order of distance. */
void thin_out(Collector *collector)
{
    Near *items = collector->items;
    int64_t kept = 0;
    for (int64_t start = 0, end; start < collector->count; start = end) {
        end = start + 1;
        while (end < collector->count && items[end].far == items[start].far) {
            end++;
        }
        int64_t left = end - start;
        if (left > collector->wanted && collector->wanted > 0) {
            left = thin_out_run(collector, items + start, left);
        }
        memmove(items + kept, items + start, (size_t)left * sizeof(Near));
        kept += left;
    }
    collector->count = kept;
}
