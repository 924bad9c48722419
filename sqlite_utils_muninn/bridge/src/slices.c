/* Parts of blobs, read where they are: a blob of many things need not be loaded for one of them. */
#include "run.h"

typedef struct {
    Run *run; /* id -> row, number of the slice */
    const char *schema, *table, *column;
    int64_t size; /* of a slice, in bytes */
    const char *ids;
    Py_ssize_t count, found;
    char *found_ids, *data;
    sqlite3_blob *blob;
} Slices;

static int open_blob(Slices *slices, int64_t row)
{
    Database *database = slices->run->database;
    sqlite_api api = database->api;
    if (slices->blob != NULL) {
        return SQ(api, blob_reopen)(slices->blob, row);
    }
    return SQ(api, blob_open)(database->db, slices->schema, slices->table, slices->column, row, 0,
                              &slices->blob);
}

/* Finds and copies the slice of one id; an id that is not there has none. Runs without the GIL. */
static int read_slice(Slices *slices, const char *id)
{
    sqlite_api api = slices->run->database->api;
    sqlite3_stmt *statement = slices->run->statement;
    int64_t key;
    memcpy(&key, id, sizeof(key));
    SQ(api, reset)(statement);
    int code = SQ(api, bind_int64)(statement, 1, key);
    code = code == SQLITE_OK ? SQ(api, step)(statement) : code;
    if (code == SQLITE_DONE) {
        return SQLITE_OK;
    }
    if (code != SQLITE_ROW) {
        return code;
    }
    int64_t row = SQ(api, column_int64)(statement, 0);
    int64_t place = SQ(api, column_int64)(statement, 1);
    code = open_blob(slices, row);
    if (code != SQLITE_OK) {
        return code;
    }
    int64_t bytes = SQ(api, blob_bytes)(slices->blob);
    if (place < 0 || place >= bytes / slices->size) {
        return SQLITE_CORRUPT;
    }
    memcpy(slices->found_ids + 8 * slices->found, id, 8);
    return SQ(api, blob_read)(slices->blob, slices->data + slices->found++ * slices->size,
                              (int)slices->size, (int)(place * slices->size));
}

static int read_slices(Slices *slices)
{
    int code = SQLITE_OK;
    for (Py_ssize_t i = 0; i < slices->count && code == SQLITE_OK; i++) {
        code = read_slice(slices, slices->ids + 8 * i);
    }
    return code;
}

static PyObject *slices_object(Slices *slices)
{
    Database *database = slices->run->database;
    int code;
    if (SQ(database->api, column_count)(slices->run->statement) != 2) {
        PyErr_SetString(PyExc_ValueError, "a row and the number of a slice are needed");
        return NULL;
    }
    slices->found_ids = malloc((size_t)slices->count * 8 + 1);
    slices->data = malloc((size_t)slices->count * (size_t)slices->size + 1);
    if (slices->found_ids == NULL || slices->data == NULL) {
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    code = read_slices(slices);
    Py_END_ALLOW_THREADS
    if (code != SQLITE_OK) {
        database_fail(database, code);
        return NULL;
    }
    return Py_BuildValue("y#y#", slices->found_ids, slices->found * 8, slices->data,
                         slices->found * (Py_ssize_t)slices->size);
}

static void slices_end(Slices *slices)
{
    if (slices->blob != NULL) {
        Py_BEGIN_ALLOW_THREADS
        SQ(slices->run->database->api, blob_close)(slices->blob);
        Py_END_ALLOW_THREADS
    }
    free(slices->found_ids);
    free(slices->data);
}

/* read_slices(sql, ids, schema, table, column, size): for each int64 of `ids`, `sql` finds a row
 * and which slice of the blob in it is wanted. Gives the ids that have one, and the slices. */
PyObject *database_slices(Database *database, PyObject *arguments)
{
    PyObject *sql;
    Slices slices = {0};
    long long size;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(arguments, "O!y#sssL", &PyUnicode_Type, &sql, &slices.ids, &length,
                          &slices.schema, &slices.table, &slices.column, &size)) {
        return NULL;
    }
    if (length % 8 || size < 1 || size > 1 << 20) {
        return PyErr_Format(PyExc_ValueError, "ids are int64, and slices have 1 to 1048576 bytes");
    }
    PyObject *parameters = Py_BuildValue("(i)", 0);
    if (parameters == NULL) {
        return NULL;
    }
    Run run = run_of(database, sql, parameters);
    slices.run = &run;
    slices.size = size;
    slices.count = length / 8;
    PyObject *found = run_start(&run) < 0 ? NULL : slices_object(&slices);
    slices_end(&slices);
    run_end(&run);
    Py_DECREF(parameters);
    return found;
}
