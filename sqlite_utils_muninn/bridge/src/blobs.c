/* Blobs of one size, read by key: as many runs of one statement as there are keys, in C. */
#include "run.h"

#define WRONG_SIZE (-1) /* no result code of SQLite's */

typedef struct {
    Run *run; /* key -> one blob */
    const char *keys;
    Py_ssize_t count, found;
    int size; /* of each blob, in bytes */
    char *found_keys, *data; /* inside objects that nobody else has yet */
} Blobs;

/* Copies the blob of one key; a key that is not there has none. Runs without the GIL. */
static int read_blob(Blobs *blobs, const char *at)
{
    sqlite_api api = blobs->run->database->api;
    sqlite3_stmt *statement = blobs->run->statement;
    int64_t key;
    memcpy(&key, at, sizeof(key));
    SQ(api, reset)(statement);
    int code = SQ(api, bind_int64)(statement, 1, key);
    code = code == SQLITE_OK ? SQ(api, step)(statement) : code;
    if (code != SQLITE_ROW) {
        return code == SQLITE_DONE ? SQLITE_OK : code;
    }
    /* One look at the column: each other way would lock the connection three times. */
    sqlite3_value *value = SQ(api, column_value)(statement, 0);
    const void *blob = SQ(api, value_blob)(value);
    if (SQ(api, value_type)(value) != SQLITE_BLOB ||
        SQ(api, value_bytes)(value) != blobs->size) {
        return WRONG_SIZE;
    }
    if (blob == NULL) {
        return SQLITE_NOMEM;
    }
    memcpy(blobs->found_keys + 8 * blobs->found, at, 8);
    memcpy(blobs->data + blobs->found++ * (Py_ssize_t)blobs->size, blob, (size_t)blobs->size);
    return SQLITE_OK;
}

static int read_blobs(Blobs *blobs)
{
    int code = SQLITE_OK;
    for (Py_ssize_t i = 0; i < blobs->count && code == SQLITE_OK; i++) {
        code = read_blob(blobs, blobs->keys + 8 * i);
    }
    return code;
}

/* The first bytes of an object that is given away. */
static PyObject *first_bytes(PyObject *whole, Py_ssize_t size)
{
    if (PyBytes_Size(whole) == size) {
        return whole;
    }
    PyObject *part = PyBytes_FromStringAndSize(PyBytes_AsString(whole), size);
    Py_DECREF(whole);
    return part;
}

static PyObject *found_blobs(const Blobs *blobs, PyObject *keys, PyObject *data)
{
    PyObject *both = PyTuple_New(2);
    keys = first_bytes(keys, blobs->found * 8);
    data = first_bytes(data, blobs->found * (Py_ssize_t)blobs->size);
    if (both == NULL || keys == NULL || data == NULL) {
        Py_XDECREF(both);
        Py_XDECREF(keys);
        Py_XDECREF(data);
        return NULL;
    }
    PyTuple_SetItem(both, 0, keys);
    PyTuple_SetItem(both, 1, data);
    return both;
}

static int read_all(Blobs *blobs)
{
    Database *database = blobs->run->database;
    int code;
    if (SQ(database->api, column_count)(blobs->run->statement) != 1) {
        PyErr_Format(PyExc_ValueError, "one column of blobs is needed");
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    code = read_blobs(blobs);
    Py_END_ALLOW_THREADS
    if (code == WRONG_SIZE) {
        PyErr_Format(PyExc_TypeError, "a value is no blob of %d bytes", blobs->size);
        return -1;
    }
    return code == SQLITE_OK ? 0 : database_fail(database, code);
}

static PyObject *blobs_object(Blobs *blobs)
{
    PyObject *keys = PyBytes_FromStringAndSize(NULL, blobs->count * 8);
    PyObject *data = PyBytes_FromStringAndSize(NULL, blobs->count * (Py_ssize_t)blobs->size);
    if (keys != NULL && data != NULL) {
        blobs->found_keys = PyBytes_AsString(keys);
        blobs->data = PyBytes_AsString(data);
        if (read_all(blobs) == 0) {
            return found_blobs(blobs, keys, data);
        }
    }
    Py_XDECREF(keys);
    Py_XDECREF(data);
    return NULL;
}

/* read_blobs(sql, keys, size): runs `sql` with each int64 of `keys`. Gives the keys that have a
 * row, and the blobs in its first column, one behind the other. */
PyObject *database_blobs(Database *database, PyObject *arguments)
{
    PyObject *sql;
    Blobs blobs = {0};
    Py_ssize_t length;
    if (!PyArg_ParseTuple(arguments, "O!y#i", &PyUnicode_Type, &sql, &blobs.keys, &length,
                          &blobs.size)) {
        return NULL;
    }
    if (length % 8 || blobs.size < 1 || blobs.size > 1 << 20) {
        return PyErr_Format(PyExc_ValueError, "keys are int64, and blobs have 1 to 1048576 bytes");
    }
    PyObject *parameters = Py_BuildValue("(i)", 0);
    if (parameters == NULL) {
        return NULL;
    }
    Run run = run_of(database, sql, parameters);
    blobs.run = &run;
    blobs.count = length / 8;
    PyObject *found = run_start(&run) < 0 ? NULL : blobs_object(&blobs);
    run_end(&run);
    Py_DECREF(parameters);
    return found;
}
