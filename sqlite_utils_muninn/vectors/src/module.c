/* The index as a Python object. Arrays come and go as bytes; work is done without the GIL. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hnsw.h"

typedef struct {
    PyObject_HEAD
    Graph graph;
    int busy;  /* a thread is inside, without the GIL */
    int ready; /* not while a snapshot is being written into it */
} Index;

/* ---- One thread at a time ---- */

static int enter(Index *index, int ready)
{
    if (index->graph.compare == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the index has not been made");
        return 0;
    }
    if (index->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the index is in use by another thread");
        return 0;
    }
    if (index->ready != ready) {
        PyErr_SetString(PyExc_RuntimeError,
                        ready ? "the index has not been checked" : "the index is in use");
        return 0;
    }
    return 1;
}

#define WITHOUT_GIL(index)                                                                        \
    (index)->busy = 1;                                                                            \
    Py_BEGIN_ALLOW_THREADS

#define WITH_GIL(index)                                                                           \
    Py_END_ALLOW_THREADS                                                                          \
    (index)->busy = 0

static PyObject *fail(int code)
{
    if (code == TOO_MANY) {
        PyErr_SetString(PyExc_OverflowError, "an index has room for 2**30 vectors");
        return NULL;
    }
    return PyErr_NoMemory();
}

/* ---- Making one ---- */

static int set_centre(Graph *graph, const char *centre, Py_ssize_t size)
{
    if (centre == NULL) {
        return 0;
    }
    if (size != 4 * (Py_ssize_t)graph->dimensions) {
        PyErr_SetString(PyExc_ValueError, "the centre has not its size");
        return -1;
    }
    graph->centre = malloc((size_t)size);
    if (graph->centre == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(graph->centre, centre, (size_t)size);
    for (int i = 0; i < graph->dimensions; i++) {
        if (!(fabsf(graph->centre[i]) < 1e15f)) {
            PyErr_SetString(PyExc_ValueError, "the centre is not finite");
            return -1;
        }
    }
    return 0;
}

static int index_init(PyObject *self, PyObject *given, PyObject *keywords)
{
    Index *index = (Index *)self;
    Graph *graph = &index->graph;
    const char *centre;
    Py_ssize_t size;
    double unit;
    (void)keywords;
    if (graph->places != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the index is made already");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "iiiiidz#", &graph->dimensions, &graph->metric, &graph->kind,
                          &graph->m, &graph->ef_construction, &unit, &centre, &size)) {
        return -1;
    }
    graph->unit = (float)unit;
    if (graph->dimensions < 1 || graph->dimensions > 1 << 20 || graph->metric < 0 ||
        graph->metric > METRIC_COSINE || graph->kind < 0 || graph->kind > CODES_FLOAT ||
        graph->m < 2 || graph->m > 256 || graph->ef_construction < 1 ||
        graph->ef_construction > 100000 || !(graph->unit > 0) || !isfinite(graph->unit) ||
        (graph->kind == CODES_FLOAT && centre != NULL)) {
        PyErr_SetString(PyExc_ValueError, "an argument is out of bounds");
        return -1;
    }
    if (set_centre(graph, centre, size) < 0) {
        return -1;
    }
    index->ready = 1;
    if (graph_start(graph) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void index_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    graph_end(&((Index *)self)->graph);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

/* ---- Rows ---- */

/* Does something for each row, and says of each yes or no. */
typedef int (*Each)(Graph *graph, const int64_t *ids, const float *vectors, Py_ssize_t count,
                    uint8_t *flags);

static int add_rows(Graph *graph, const int64_t *ids, const float *vectors, Py_ssize_t count,
                    uint8_t *refused)
{
    float *work = malloc((size_t)graph->dimensions * sizeof(float));
    int result = graph_make_room(graph, graph->count + count);
    if (result == 0) {
        result = places_make(graph, graph->count + count);
    }
    for (Py_ssize_t i = 0; i < count && result == 0 && work != NULL; i++) {
        int32_t node = graph->count;
        int64_t id;
        memcpy(&id, ids + i, sizeof(id));
        void *codes = graph->codes.bytes + node * graph->stride;
        refused[i] = node_of(graph, id) != NOBODY ||
                     !encode(graph, vectors + i * graph->dimensions, codes, &graph->coarse[node],
                             work);
        if (!refused[i]) {
            graph->ids[node] = id;
            graph->dead[node] = 0;
            note_largest(graph, node);
            graph->count++;
            places_put(graph, node);
        }
    }
    free(work);
    return work == NULL ? NO_MEMORY : result;
}

static PyObject *index_drop(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long id;
    if (!PyArg_ParseTuple(given, "L", &id) || !enter(index, 1)) {
        return NULL;
    }
    int32_t node = node_of(&index->graph, id);
    if (node != NOBODY) {
        index->graph.dead[node] = 1;
        index->graph.dead_count++;
    }
    return PyBool_FromLong(node != NOBODY);
}

static PyObject *index_has(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long id;
    if (!PyArg_ParseTuple(given, "L", &id) || !enter(index, 1)) {
        return NULL;
    }
    return PyBool_FromLong(node_of(&index->graph, id) != NOBODY);
}

static PyObject *index_ids(PyObject *self, PyObject *unused)
{
    Index *index = (Index *)self;
    Graph *graph = &index->graph;
    (void)unused;
    if (!enter(index, 1)) {
        return NULL;
    }
    int64_t *ids = malloc((size_t)(graph->count + 1) * sizeof(int64_t));
    if (ids == NULL) {
        return PyErr_NoMemory();
    }
    Py_ssize_t count = 0;
    for (int32_t node = 0; node < graph->count; node++) {
        if (!graph->dead[node]) {
            ids[count++] = graph->ids[node];
        }
    }
    PyObject *found = PyBytes_FromStringAndSize((const char *)ids, count * 8);
    free(ids);
    return found;
}

static PyObject *index_link(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    int count, result;
    if (!PyArg_ParseTuple(given, "i", &count) || !enter(index, 1)) {
        return NULL;
    }
    WITHOUT_GIL(index);
    result = graph_link(&index->graph, count);
    WITH_GIL(index);
    return result < 0 ? fail(result) : PyLong_FromLong(index->graph.count - index->graph.linked);
}

/* Says of each vector whether its copy is another one than it should be, or is missing. */
static int compare_rows(Graph *graph, const int64_t *ids, const float *vectors,
                        Py_ssize_t count, uint8_t *differs)
{
    Block codes = {NULL, NULL, 0};
    float *work = malloc((size_t)graph->dimensions * sizeof(float));
    int made = work != NULL && block_make(&codes, (size_t)graph->stride, 0) == 0;
    for (Py_ssize_t i = 0; i < count && made; i++) {
        Coarse coarse;
        int64_t id;
        memcpy(&id, ids + i, sizeof(id));
        int32_t node = node_of(graph, id);
        differs[i] =
            node == NOBODY ||
            !encode(graph, vectors + i * graph->dimensions, codes.bytes, &coarse, work) ||
            memcmp(&coarse, &graph->coarse[node], sizeof(coarse)) != 0 ||
            memcmp(codes.bytes, codes_of(graph, node), (size_t)graph->stride) != 0;
    }
    free(work);
    block_free(&codes);
    return made ? 0 : NO_MEMORY;
}

static PyObject *each_row(PyObject *self, PyObject *given, Each each)
{
    Index *index = (Index *)self;
    const char *ids, *vectors;
    Py_ssize_t id_size, vector_size;
    if (!PyArg_ParseTuple(given, "y#y#", &ids, &id_size, &vectors, &vector_size) ||
        !enter(index, 1)) {
        return NULL;
    }
    Py_ssize_t count = id_size / 8;
    if (id_size % 8 || vector_size != count * 4 * index->graph.dimensions) {
        return PyErr_Format(PyExc_ValueError, "ids and vectors do not fit together");
    }
    uint8_t *flags = malloc((size_t)count + 1);
    if (flags == NULL) {
        return PyErr_NoMemory();
    }
    int result;
    WITHOUT_GIL(index);
    result = each(&index->graph, (const int64_t *)ids, (const float *)vectors, count, flags);
    WITH_GIL(index);
    PyObject *found =
        result < 0 ? fail(result) : PyBytes_FromStringAndSize((const char *)flags, count);
    free(flags);
    return found;
}

static PyObject *index_add(PyObject *self, PyObject *given)
{
    return each_row(self, given, add_rows);
}

static PyObject *index_differ(PyObject *self, PyObject *given)
{
    return each_row(self, given, compare_rows);
}

/* The living nodes again, none of them linked. */
static int copy_living(const Graph *from, Graph *to)
{
    int32_t living = from->count - from->dead_count;
    int result = graph_make_room(to, living);
    if (result == 0) {
        result = places_make(to, living);
    }
    for (int32_t node = 0; node < from->count && result == 0; node++) {
        if (!from->dead[node]) {
            int32_t new = to->count++;
            memcpy(to->codes.bytes + new * to->stride, codes_of(from, node), (size_t)to->stride);
            to->coarse[new] = from->coarse[node];
            to->ids[new] = from->ids[node];
            to->dead[new] = 0;
            note_largest(to, new);
            places_put(to, new);
        }
    }
    return result;
}

static PyObject *index_compact(PyObject *self, PyObject *unused)
{
    Index *index = (Index *)self;
    Graph *old = &index->graph, new;
    int result;
    (void)unused;
    if (!enter(index, 1)) {
        return NULL;
    }
    memset(&new, 0, sizeof(new));
    new.dimensions = old->dimensions;
    new.metric = old->metric;
    new.kind = old->kind;
    new.m = old->m;
    new.ef_construction = old->ef_construction;
    new.unit = old->unit;
    WITHOUT_GIL(index);
    result = graph_start(&new);
    if (result == 0) {
        result = copy_living(old, &new);
    }
    if (result == 0) {
        new.centre = old->centre;
        old->centre = NULL;
        graph_end(old);
        *old = new;
    } else {
        graph_end(&new);
    }
    WITH_GIL(index);
    if (result < 0) {
        return fail(result);
    }
    Py_RETURN_NONE;
}

/* ---- Searching ---- */

typedef struct {
    const float *query;
    Py_ssize_t query_size;
    long long wanted;
    double trust, bounds[2]; /* within, beyond */
    const int64_t *passing, *among; /* ids to be passed over; the only ids that may be found */
    Py_ssize_t passing_size, among_size;
    long long ef; /* 0: every vector is looked at */
} Search;

static void pass_over(Graph *graph, const Search *search, int passed)
{
    for (Py_ssize_t i = 0; i < search->passing_size / 8; i++) {
        node_pass(graph, search->passing[i], passed);
    }
}

static int run_search(Graph *graph, const Search *search, const Probe *probe, Collector *collector)
{
    int result = 0;
    collector_start(collector, graph, probe, search->wanted, search->bounds);
    collector->trust = (float)search->trust;
    set_limit(collector);
    if (collector->failed) {
        return NO_MEMORY;
    }
    pass_over(graph, search, 1);
    if (search->among != NULL) {
        collect_among(graph, probe, search->among, search->among_size / 8, collector);
    } else if (search->ef > 0) {
        result = collect_from_graph(graph, probe, search->ef, collector);
        collect_from_scan(graph, probe, graph->linked, collector);
    } else {
        collect_from_scan(graph, probe, 0, collector);
    }
    pass_over(graph, search, 0);
    return result < 0 ? result : collector_finish(collector);
}

static PyObject *found_ids(const Graph *graph, const Collector *collector)
{
    PyObject *found = PyBytes_FromStringAndSize(NULL, collector->count * 8);
    char *out = found ? PyBytes_AsString(found) : NULL;
    for (int64_t i = 0; out != NULL && i < collector->count; i++) {
        memcpy(out + 8 * i, &graph->ids[collector->items[i].node & ~SEEN], 8);
    }
    return found;
}

static PyObject *search_with(Index *index, const Search *search, void *codes, float *work)
{
    Graph *graph = &index->graph;
    Collector collector;
    Probe probe = {codes, {0, 0, 0}};
    int result = 0, fits;
    memset(&collector, 0, sizeof(collector));
    WITHOUT_GIL(index);
    fits = encode(graph, search->query, codes, &probe.coarse, work);
    if (fits) {
        result = run_search(graph, search, &probe, &collector);
    }
    WITH_GIL(index);
    PyObject *found = !fits ? Py_NewRef(Py_None) : result < 0 ? fail(result)
                                                              : found_ids(graph, &collector);
    collector_free(&collector);
    return found;
}

/* search(query, wanted, ef, trust, within, beyond, passing, among) -> ids, nearest first; None
 * where the query cannot be compared. */
static PyObject *index_search(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    Graph *graph = &index->graph;
    Search search;
    Block codes = {NULL, NULL, 0};
    if (!PyArg_ParseTuple(given, "y#LLdddy#z#", &search.query, &search.query_size, &search.wanted,
                          &search.ef, &search.trust, &search.bounds[0], &search.bounds[1],
                          &search.passing, &search.passing_size, &search.among,
                          &search.among_size) ||
        !enter(index, 1)) {
        return NULL;
    }
    if (search.query_size != 4 * (Py_ssize_t)graph->dimensions || search.wanted < 0 ||
        search.passing_size % 8 || search.among_size % 8) {
        return PyErr_Format(PyExc_ValueError, "an argument has not its size");
    }
    float *work = malloc((size_t)search.query_size);
    if (work == NULL || block_make(&codes, (size_t)graph->stride, 0) < 0) {
        free(work);
        return PyErr_NoMemory();
    }
    PyObject *found = search_with(index, &search, codes.bytes, work);
    free(work);
    block_free(&codes);
    return found;
}

/* ---- Snapshots ---- */

static PyObject *index_snapshot_size(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLongLong(snapshot_size(&((Index *)self)->graph));
}

static int is_part(const Graph *graph, long long start, long long size)
{
    int64_t whole = snapshot_size(graph);
    if (start < 0 || size < 0 || start > whole || size > whole - start) {
        PyErr_SetString(PyExc_ValueError, "no part of the snapshot");
        return 0;
    }
    return 1;
}

static PyObject *index_snapshot_read(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long start, size;
    if (!PyArg_ParseTuple(given, "LL", &start, &size) || !enter(index, 1) ||
        !is_part(&index->graph, start, size)) {
        return NULL;
    }
    PyObject *part = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (part != NULL) {
        snapshot_read(&index->graph, start, size, (unsigned char *)PyBytes_AsString(part));
    }
    return part;
}

static PyObject *index_snapshot_start(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long count, linked;
    if (!PyArg_ParseTuple(given, "LL", &count, &linked) || !enter(index, 1)) {
        return NULL;
    }
    if (index->graph.count > 0 || linked < 0 || linked > count || count >= MOST_NODES) {
        return PyErr_Format(PyExc_ValueError, "the snapshot has not its size");
    }
    index->ready = 0;
    int result = snapshot_make_room(&index->graph, count, linked);
    if (result < 0) {
        return fail(result);
    }
    return PyLong_FromLongLong(snapshot_size(&index->graph));
}

static PyObject *index_snapshot_write(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long start;
    const char *bytes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(given, "Ly#", &start, &bytes, &size) || !enter(index, 0) ||
        !is_part(&index->graph, start, size)) {
        return NULL;
    }
    snapshot_write(&index->graph, start, size, (const unsigned char *)bytes);
    Py_RETURN_NONE;
}

static PyObject *index_snapshot_check(PyObject *self, PyObject *unused)
{
    Index *index = (Index *)self;
    const char *wrong;
    (void)unused;
    if (!enter(index, 0)) {
        return NULL;
    }
    WITHOUT_GIL(index);
    wrong = snapshot_check(&index->graph);
    WITH_GIL(index);
    if (wrong != NULL) {
        return PyErr_Format(PyExc_ValueError, "%s", wrong);
    }
    index->ready = 1;
    Py_RETURN_NONE;
}

static PyObject *module_checksum(PyObject *module, PyObject *given)
{
    unsigned long long seed;
    const char *bytes;
    Py_ssize_t size;
    uint64_t sum;
    (void)module;
    if (!PyArg_ParseTuple(given, "Ky#", &seed, &bytes, &size)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    sum = checksum(seed, (const unsigned char *)bytes, size);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(sum);
}

/* use_loops(name) -> the loops in use: tests compare them, which must not differ. */
static PyObject *module_use_loops(PyObject *module, PyObject *given)
{
    const char *name = NULL;
    (void)module;
    if (!PyArg_ParseTuple(given, "|z", &name)) {
        return NULL;
    }
    if (!distance_choose(name)) {
        return PyErr_Format(PyExc_ValueError, "this CPU has no loops called %s", name);
    }
    return PyUnicode_FromString(distance_name());
}

/* ---- Exact distances ---- */

typedef struct {
    int metric;
    const char *query, *ids, *vectors;
    Py_ssize_t query_size, id_size, vector_size;
    long long most;
    double within, beyond;
} Ranking;

static double *exact(const Ranking *ranking)
{
    Py_ssize_t count = ranking->query_size ? ranking->vector_size / ranking->query_size : -1;
    if (ranking->metric < 0 || ranking->metric > METRIC_COSINE || ranking->query_size % 4 ||
        count < 0 || count * ranking->query_size != ranking->vector_size) {
        PyErr_SetString(PyExc_ValueError, "query and vectors do not fit together");
        return NULL;
    }
    double *far = malloc((size_t)count * sizeof(double) + 1);
    if (far == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    exact_distances(ranking->metric, (const float *)ranking->vectors, count,
                    (const float *)ranking->query, ranking->query_size / 4, far);
    Py_END_ALLOW_THREADS
    return far;
}

/* distances(metric, query, vectors) -> float64 */
static PyObject *module_distances(PyObject *module, PyObject *given)
{
    Ranking ranking = {0};
    (void)module;
    if (!PyArg_ParseTuple(given, "iy#y#", &ranking.metric, &ranking.query, &ranking.query_size,
                          &ranking.vectors, &ranking.vector_size)) {
        return NULL;
    }
    double *far = exact(&ranking);
    PyObject *found = far ? PyBytes_FromStringAndSize(
                                (const char *)far, ranking.vector_size / ranking.query_size * 8)
                          : NULL;
    free(far);
    return found;
}

static PyObject *ranked_object(const Ranked *rows, int64_t count)
{
    PyObject *parts[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3; i++) {
        parts[i] = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)count * 8);
        char *out = parts[i] ? PyBytes_AsString(parts[i]) : NULL;
        for (int64_t row = 0; out != NULL && row < count; row++) {
            const void *from[3] = {&rows[row].id, &rows[row].far, &rows[row].row};
            memcpy(out + 8 * row, from[i], 8);
        }
    }
    PyObject *all = parts[0] && parts[1] && parts[2]
                        ? PyTuple_Pack(3, parts[0], parts[1], parts[2])
                        : NULL;
    for (int i = 0; i < 3; i++) {
        Py_XDECREF(parts[i]);
    }
    return all;
}

/* rank(metric, query, ids, vectors, most, within, beyond) -> ids, distances and old places of the
 * first `most`, in order. */
static PyObject *module_rank(PyObject *module, PyObject *given)
{
    Ranking ranking;
    (void)module;
    if (!PyArg_ParseTuple(given, "iy#y#y#Ldd", &ranking.metric, &ranking.query,
                          &ranking.query_size, &ranking.ids, &ranking.id_size, &ranking.vectors,
                          &ranking.vector_size, &ranking.most, &ranking.within,
                          &ranking.beyond)) {
        return NULL;
    }
    Py_ssize_t count = ranking.id_size / 8;
    if (ranking.id_size % 8 || count * ranking.query_size != ranking.vector_size) {
        return PyErr_Format(PyExc_ValueError, "ids and vectors do not fit together");
    }
    double *far = exact(&ranking);
    Ranked *rows = far ? malloc((size_t)count * sizeof(Ranked) + 1) : NULL;
    if (rows == NULL) {
        free(far);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        rows[i].far = far[i];
        rows[i].row = i;
        memcpy(&rows[i].id, ranking.ids + 8 * i, 8);
    }
    int64_t kept = exact_rank(rows, count, ranking.within, ranking.beyond);
    PyObject *found = ranked_object(rows, kept < ranking.most ? kept : ranking.most);
    free(far);
    free(rows);
    return found;
}

/* ---- The type ---- */

#define COUNT(name, expression)                                                                   \
    static PyObject *name(PyObject *self, void *unused)                                           \
    {                                                                                             \
        const Graph *graph = &((Index *)self)->graph;                                             \
        (void)unused;                                                                             \
        return PyLong_FromLongLong(expression);                                                   \
    }
COUNT(get_nodes, graph->count)
COUNT(get_linked, graph->linked)
COUNT(get_dead, graph->dead_count)
COUNT(get_memory, graph_bytes(graph))

static PyGetSetDef index_getset[] = {
    {"nodes", get_nodes, NULL, "Rows, dead ones too.", NULL},
    {"linked", get_linked, NULL, "How many of them are in the graph.", NULL},
    {"dead", get_dead, NULL, "How many of them are dead.", NULL},
    {"memory", get_memory, NULL, "Bytes of it.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef index_methods[] = {
    {"add", index_add, METH_VARARGS, "add(ids, vectors) -> a byte for each: 1 if it is refused."},
    {"differ", index_differ, METH_VARARGS, "differ(ids, vectors) -> a byte for each, like add()."},
    {"drop", index_drop, METH_VARARGS, "drop(id) -> whether it was there."},
    {"has", index_has, METH_VARARGS, "has(id)"},
    {"ids", index_ids, METH_NOARGS, "All ids."},
    {"link", index_link, METH_VARARGS, "link(count) -> how many are left to be linked."},
    {"compact", index_compact, METH_NOARGS, "Leaves dead nodes out, and the graph to be built."},
    {"search", index_search, METH_VARARGS,
     "search(query, wanted, ef, trust, within, beyond, passing, among) -> ids"},
    {"snapshot_size", index_snapshot_size, METH_NOARGS, NULL},
    {"snapshot_read", index_snapshot_read, METH_VARARGS, "snapshot_read(start, size) -> bytes"},
    {"snapshot_start", index_snapshot_start, METH_VARARGS, "snapshot_start(nodes, linked) -> size"},
    {"snapshot_write", index_snapshot_write, METH_VARARGS, "snapshot_write(start, bytes)"},
    {"snapshot_check", index_snapshot_check, METH_NOARGS, "Raises ValueError, or makes it ready."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot index_slots[] = {
    {Py_tp_init, index_init},       {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, index_dealloc}, {Py_tp_methods, index_methods},
    {Py_tp_getset, index_getset},   {0, NULL},
};

static PyType_Spec index_spec = {
    "sqlite_utils_muninn.vectors._hnsw.Index", sizeof(Index), 0, Py_TPFLAGS_DEFAULT, index_slots,
};

static PyMethodDef functions[] = {
    {"checksum", module_checksum, METH_VARARGS, "checksum(seed, bytes) -> int"},
    {"use_loops", module_use_loops, METH_VARARGS, "use_loops(name or None) -> name"},
    {"distances", module_distances, METH_VARARGS, "distances(metric, query, vectors) -> float64"},
    {"rank", module_rank, METH_VARARGS,
     "rank(metric, query, ids, vectors, most, within, beyond) -> ids, distances, places"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_hnsw", NULL, -1, functions, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__hnsw(void)
{
    distance_choose(NULL);
    PyObject *module = PyModule_Create(&definition);
    PyObject *type = module ? PyType_FromSpec(&index_spec) : NULL;
    if (type == NULL || PyModule_AddObjectRef(module, "Index", type) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(module);
        return NULL;
    }
    Py_DECREF(type);
    return module;
}
