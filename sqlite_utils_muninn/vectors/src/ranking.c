/* Exact distances, as Python calls for them. */
#include "object.h"

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
    double *far =
        malloc((size_t)exact_room(count, ranking->query_size / 4) * sizeof(double));
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

/* is_finite(vectors): no coordinate is NaN or infinite */
PyObject *module_is_finite(PyObject *module, PyObject *vectors)
{
    const uint32_t exponent = 0x7f800000;
    char *bytes;
    Py_ssize_t size;
    uint32_t bits, odd = 0;
    (void)module;
    if (PyBytes_AsStringAndSize(vectors, &bytes, &size) < 0) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i + 4 <= size; i += 4) {
        memcpy(&bits, bytes + i, 4);
        odd |= (bits & exponent) == exponent;
    }
    return PyBool_FromLong(!odd);
}

/* distances(metric, query, vectors) -> float64 */
PyObject *module_distances(PyObject *module, PyObject *given)
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
PyObject *module_rank(PyObject *module, PyObject *given)
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
