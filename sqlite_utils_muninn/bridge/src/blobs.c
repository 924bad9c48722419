/* Blobs of one size, read by key: as many runs of one statement as there are keys, in C. */
#include "run.h"

#define WRONG_SIZE (-1) /* no result code of SQLite's */

typedef struct {
    Run *run; /* key -> one blob */
    const char *keys;
    Py_ssize_t count, found;
    int size; /* of each blob, in bytes */
    char *found_keys, *data;
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
    if (SQ(api, column_type)(statement, 0) != SQLITE_BLOB ||
        SQ(api, column_bytes)(statement, 0) != blobs->size) {
        return WRONG_SIZE;
    }
    const void *blob = SQ(api, column_blob)(statement, 0);
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

static PyObject *blobs_object(Blobs *blobs)
{
    Database *database = blobs->run->database;
    int code;
    if (SQ(database->api, column_count)(blobs->run->statement) != 1) {
        return PyErr_Format(PyExc_ValueError, "one column of blobs is needed");
    }
    blobs->found_keys = malloc((size_t)blobs->count * 8 + 1);
    blobs->data = malloc((size_t)blobs->count * (size_t)blobs->size + 1);
    if (blobs->found_keys == NULL || blobs->data == NULL) {
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    code = read_blobs(blobs);
    Py_END_ALLOW_THREADS
    if (code == WRONG_SIZE) {
        return PyErr_Format(PyExc_TypeError, "a value is no blob of %d bytes", blobs->size);
    }
    if (code != SQLITE_OK) {
        database_fail(database, code);
        return NULL;
    }
    return Py_BuildValue("y#y#", blobs->found_keys, blobs->found * 8, blobs->data,
                         blobs->found * (Py_ssize_t)blobs->size);
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
    free(blobs.found_keys);
    free(blobs.data);
    run_end(&run);
    Py_DECREF(parameters);
    return found;
}
