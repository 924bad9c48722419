/* Rows of an index: added, removed, filled in, linked. */
#include "object.h"

/* Does something for each row, and says of each yes or no. */
typedef int (*Each)(Graph *graph, const int64_t *ids, const float *vectors, Py_ssize_t count,
                    uint8_t *flags);

static int add_rows(Graph *graph, const int64_t *ids, const float *vectors, Py_ssize_t count,
                    uint8_t *refused)
{
    float *work = encode_room(graph);
    int result = graph_make_room(graph, graph->count + count);
    if (result == 0) {
        result = places_make(graph, graph->count + count);
    }
    for (Py_ssize_t i = 0; i < count && result == 0 && work != NULL; i++) {
        int32_t node = graph->count;
        int64_t id;
        memcpy(&id, ids + i, sizeof(id));
        refused[i] = node_of(graph, id) != NOBODY ||
                     !node_keep(graph, node, vectors + i * graph->dimensions, work);
        if (!refused[i]) {
            graph->ids[node] = id;
            graph->states[node] = ALIVE;
            note_largest(graph, node);
            graph->count++;
            places_put(graph, node);
        }
    }
    free(work);
    return work == NULL ? NO_MEMORY : result;
}

PyObject *index_drop(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long id;
    if (!PyArg_ParseTuple(given, "L", &id) || !enter(index, READY)) {
        return NULL;
    }
    int32_t node = node_of(&index->graph, id);
    if (node != NOBODY) {
        node_drop(&index->graph, node);
    }
    return PyBool_FromLong(node != NOBODY);
}

PyObject *index_has(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long id;
    if (!PyArg_ParseTuple(given, "L", &id) || !enter(index, READY)) {
        return NULL;
    }
    return PyBool_FromLong(node_of(&index->graph, id) != NOBODY);
}

PyObject *index_ids(PyObject *self, PyObject *unused)
{
    Index *index = (Index *)self;
    Graph *graph = &index->graph;
    (void)unused;
    if (!enter(index, READY)) {
        return NULL;
    }
    int64_t *ids = malloc((size_t)(graph->count + 1) * sizeof(int64_t));
    if (ids == NULL) {
        return PyErr_NoMemory();
    }
    Py_ssize_t count = 0;
    for (int32_t node = 0; node < graph->count; node++) {
        if (graph->states[node] == ALIVE) {
            ids[count++] = graph->ids[node];
        }
    }
    PyObject *found = PyBytes_FromStringAndSize((const char *)ids, count * 8);
    free(ids);
    return found;
}

PyObject *index_link(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    int count, result;
    if (!PyArg_ParseTuple(given, "i", &count) || !enter(index, READY)) {
        return NULL;
    }
    WITHOUT_GIL(index);
    result = graph_link(&index->graph, count);
    WITH_GIL(index);
    return result < 0 ? fail(result) : PyLong_FromLong(index->graph.count - index->graph.linked);
}

static int fill_rows(Graph *graph, const int64_t *ids, const float *vectors, Py_ssize_t count,
                     uint8_t *unknown)
{
    float *work = encode_room(graph);
    int32_t next = 0;
    for (Py_ssize_t i = 0; i < count && work != NULL; i++) {
        int64_t id;
        memcpy(&id, ids + i, sizeof(id));
        unknown[i] = !restore_copy(graph, id, vectors + i * graph->dimensions, work, &next);
    }
    free(work);
    return work == NULL ? NO_MEMORY : 0;
}

static PyObject *each_row(PyObject *self, PyObject *given, int ready, Each each)
{
    Index *index = (Index *)self;
    const char *ids, *vectors;
    Py_ssize_t id_size, vector_size;
    if (!PyArg_ParseTuple(given, "y#y#", &ids, &id_size, &vectors, &vector_size) ||
        !enter(index, ready)) {
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

PyObject *index_add(PyObject *self, PyObject *given)
{
    return each_row(self, given, READY, add_rows);
}

PyObject *index_snapshot_fill(PyObject *self, PyObject *given)
{
    return each_row(self, given, FILLED, fill_rows);
}

PyObject *index_snapshot_lose(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    const char *ids;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(given, "y#", &ids, &size) || !enter(index, FILLED)) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i + 8 <= size; i += 8) {
        int64_t id;
        memcpy(&id, ids + i, sizeof(id));
        restore_lose(&index->graph, id);
    }
    Py_RETURN_NONE;
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
        if (from->states[node] == ALIVE) {
            int32_t new = to->count++;
            memcpy(to->codes.bytes + new * to->stride, codes_of(from, node), (size_t)to->stride);
            to->coarse[new] = from->coarse[node];
            to->ids[new] = from->ids[node];
            to->states[new] = ALIVE;
            note_largest(to, new);
            places_put(to, new);
        }
    }
    return result;
}

PyObject *index_compact(PyObject *self, PyObject *unused)
{
    Index *index = (Index *)self;
    Graph *old = &index->graph, new;
    int result;
    (void)unused;
    if (!enter(index, READY)) {
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
