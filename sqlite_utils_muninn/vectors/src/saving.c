/* An index as bytes, as Python reads and writes them. */
#include "object.h"

PyObject *index_snapshot_size(PyObject *self, PyObject *unused)
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

PyObject *index_snapshot_read(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long start, size;
    if (!PyArg_ParseTuple(given, "LL", &start, &size) || !enter(index, READY) ||
        !is_part(&index->graph, start, size)) {
        return NULL;
    }
    PyObject *part = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (part != NULL) {
        snapshot_read(&index->graph, start, size, (unsigned char *)PyBytes_AsString(part));
    }
    return part;
}

/* snapshot_start(nodes, linked, dead, more, size) */
PyObject *index_snapshot_start(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long count, linked, dead, more, size;
    if (!PyArg_ParseTuple(given, "LLLLL", &count, &linked, &dead, &more, &size) ||
        !enter(index, READY)) {
        return NULL;
    }
    Outline claim = {count, linked, dead, more, size};
    int result = index->graph.count > 0 ? WRONG_SIZE : snapshot_start(&index->graph, &claim);
    if (result == WRONG_SIZE) {
        return PyErr_Format(PyExc_ValueError, "the snapshot has not its size");
    }
    if (result < 0) {
        return fail(result);
    }
    index->ready = WRITTEN;
    Py_RETURN_NONE;
}

PyObject *index_snapshot_write(PyObject *self, PyObject *given)
{
    Index *index = (Index *)self;
    long long start;
    const char *bytes;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(given, "Ly#", &start, &bytes, &size) || !enter(index, WRITTEN) ||
        !is_part(&index->graph, start, size)) {
        return NULL;
    }
    snapshot_write(&index->graph, start, size, (const unsigned char *)bytes);
    Py_RETURN_NONE;
}

PyObject *index_snapshot_check(PyObject *self, PyObject *unused)
{
    Index *index = (Index *)self;
    const char *wrong;
    (void)unused;
    if (!enter(index, WRITTEN)) {
        return NULL;
    }
    WITHOUT_GIL(index);
    wrong = snapshot_check(&index->graph);
    WITH_GIL(index);
    if (wrong != NULL) {
        return PyErr_Format(PyExc_ValueError, "%s", wrong);
    }
    index->ready = FILLED;
    Py_RETURN_NONE;
}

PyObject *index_snapshot_finish(PyObject *self, PyObject *unused)
{
    Index *index = (Index *)self;
    int32_t missing;
    const char *wrong;
    (void)unused;
    if (!enter(index, FILLED)) {
        return NULL;
    }
    WITHOUT_GIL(index);
    missing = restore_missing(&index->graph);
    wrong = missing > 0 ? NULL : restore_finish(&index->graph);
    WITH_GIL(index);
    if (missing > 0) {
        return PyErr_Format(PyExc_ValueError, "it knows %d rows that have no vector", (int)missing);
    }
    if (wrong != NULL) {
        index->ready = BROKEN;
        return PyErr_Format(PyExc_ValueError, "%s", wrong);
    }
    index->ready = READY;
    Py_RETURN_NONE;
}

PyObject *module_checksum(PyObject *module, PyObject *given)
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
