/* Rows of a statement, by column, in buffers of our own until the GIL is back. */
#include "run.h"

typedef struct {
    union {
        int64_t integer;
        double real;
        size_t offset; /* of text and blobs, in the heap */
    } as;
    int length;
    unsigned char type;
} Item;

#define WRONG_TYPE (-2)
#define TOO_LARGE (-3)
#define WRONG_WIDTH (-4)

static int grow(char **data, size_t *room, size_t used, size_t more)
{
    if (used + more <= *room) {
        return 0;
    }
    size_t size = *room ? *room * 2 : 1024;
    while (size < used + more) {
        size *= 2;
    }
    char *bigger = realloc(*data, size);
    if (bigger == NULL) {
        return -1;
    }
    *data = bigger;
    *room = size;
    return 0;
}

static int sink_add(Sink *sink, const void *data, size_t size)
{
    if (grow(&sink->data, &sink->room, sink->used, size) < 0) {
        return SQLITE_NOMEM;
    }
    memcpy(sink->data + sink->used, data, size);
    sink->used += size;
    return SQLITE_OK;
}

int result_start(Result *result, int width)
{
    result->sinks = calloc(width ? width : 1, sizeof(Sink));
    result->width = width;
    if (result->sinks == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

void result_clear(Result *result)
{
    for (int i = 0; result->sinks != NULL && i < result->width; i++) {
        free(result->sinks[i].data);
        free(result->sinks[i].heap);
    }
    free(result->sinks);
}

/* A statement that SQLite had to prepare anew may have another number of columns. */
static int result_resize(Result *result, int width)
{
    if (width == result->width) {
        return SQLITE_OK;
    }
    Sink *sinks = result->typed ? NULL : calloc(width ? width : 1, sizeof(Sink));
    if (sinks != NULL) {
        free(result->sinks);
        result->sinks = sinks;
    }
    result->width = sinks ? width : result->width;
    return result->typed ? WRONG_WIDTH : sinks ? SQLITE_OK : SQLITE_NOMEM;
}

static int sink_item(Sink *sink, sqlite_api api, sqlite3_stmt *statement, int column)
{
    Item item = {.type = (unsigned char)SQ(api, column_type)(statement, column)};
    const void *bytes = NULL;
    switch (item.type) {
    case SQLITE_INTEGER:
        item.as.integer = SQ(api, column_int64)(statement, column);
        break;
    case SQLITE_FLOAT:
        item.as.real = SQ(api, column_double)(statement, column);
        break;
    case SQLITE_TEXT:
        bytes = SQ(api, column_text)(statement, column);
        break;
    case SQLITE_BLOB:
        bytes = SQ(api, column_blob)(statement, column);
        break;
    }
    if (item.type == SQLITE_TEXT || item.type == SQLITE_BLOB) {
        item.length = SQ(api, column_bytes)(statement, column);
        item.as.offset = sink->heap_used;
        if ((bytes == NULL && item.length > 0) ||
            grow(&sink->heap, &sink->heap_room, sink->heap_used, item.length) < 0) {
            return SQLITE_NOMEM;
        }
        if (item.length > 0) {
            memcpy(sink->heap + sink->heap_used, bytes, item.length);
        }
        sink->heap_used += item.length;
    }
    return sink_add(sink, &item, sizeof(item));
}

static int sink_take(Sink *sink, sqlite_api api, sqlite3_stmt *statement, int column)
{
    int type = SQ(api, column_type)(statement, column);
    switch (sink->kind) {
    case KIND_INTEGER: {
        int64_t value = SQ(api, column_int64)(statement, column);
        return type == SQLITE_INTEGER ? sink_add(sink, &value, sizeof(value)) : WRONG_TYPE;
    }
    case KIND_REAL: {
        double value = SQ(api, column_double)(statement, column);
        if (type == SQLITE_NULL) {
            value = Py_NAN;
        }
        int is_number = type == SQLITE_FLOAT || type == SQLITE_INTEGER || type == SQLITE_NULL;
        return is_number ? sink_add(sink, &value, sizeof(value)) : WRONG_TYPE;
    }
    case KIND_CODE: {
        int32_t code = dictionary_encode(sink->dictionary, api, statement, column);
        return code == -2 ? SQLITE_NOMEM : sink_add(sink, &code, sizeof(code));
    }
    case KIND_VECTOR: {
        const void *blob = SQ(api, column_blob)(statement, column);
        size_t length = SQ(api, column_bytes)(statement, column);
        if (type != SQLITE_BLOB || length != sink->bytes) {
            return WRONG_TYPE;
        }
        return sink_add(sink, blob, length);
    }
    case KIND_TEXT:
        return type == SQLITE_TEXT || type == SQLITE_NULL
                   ? sink_item(sink, api, statement, column)
                   : WRONG_TYPE;
    case KIND_BLOB:
        return type == SQLITE_BLOB || type == SQLITE_NULL
                   ? sink_item(sink, api, statement, column)
                   : WRONG_TYPE;
    default:
        return sink_item(sink, api, statement, column);
    }
}

static size_t result_bytes(const Result *result)
{
    size_t bytes = 0;
    const Dictionary *counted = NULL; /* columns of one dictionary stand together, or count more */
    for (int i = 0; i < result->width; i++) {
        const Sink *sink = &result->sinks[i];
        bytes += sink->room + sink->heap_room;
        if (sink->dictionary != NULL && counted != sink->dictionary) {
            counted = sink->dictionary;
            bytes += dictionary_bytes(counted);
        }
    }
    return bytes;
}

/* Steps to the end. Without the GIL. */
static int drain(Run *run, Result *result)
{
    sqlite_api api = run->database->api;
    int code = SQ(api, step)(run->statement);
    int fits = result_resize(result, SQ(api, column_count)(run->statement));
    if (fits != SQLITE_OK && (code == SQLITE_ROW || code == SQLITE_DONE)) {
        return fits;
    }
    for (; code == SQLITE_ROW; code = SQ(api, step)(run->statement)) {
        for (int i = 0; i < result->width; i++) {
            code = sink_take(&result->sinks[i], api, run->statement, i);
            if (code != SQLITE_OK) {
                result->failed = i;
                return code;
            }
        }
        result->rows++;
        if (run->limit > 0 && result->rows % 4096 == 0 && result_bytes(result) > run->limit) {
            return TOO_LARGE;
        }
    }
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

void result_wrong_width(Py_ssize_t kinds, int width)
{
    PyErr_Format(PyExc_ValueError, "%zd kinds for %d columns", kinds, width);
}

static void wrong_type(const Result *result)
{
    static const char *const kinds[] = {"", "an integer", "a number", "text", "a blob"};
    const Sink *sink = &result->sinks[result->failed];
    if (sink->kind == KIND_VECTOR) {
        PyErr_Format(PyExc_TypeError, "row %zd, column %d: not a vector of %zu bytes",
                     result->rows + 1, result->failed + 1, sink->bytes);
    } else {
        PyErr_Format(PyExc_TypeError, "row %zd, column %d: not %s", result->rows + 1,
                     result->failed + 1, kinds[sink->kind]);
    }
}

int result_collect(Run *run, Result *result)
{
    int code;
    Py_BEGIN_ALLOW_THREADS
    code = drain(run, result);
    Py_END_ALLOW_THREADS
    switch (code) {
    case SQLITE_OK:
        return 0;
    case WRONG_TYPE:
        wrong_type(result);
        return -1;
    case WRONG_WIDTH:
        result_wrong_width(result->width, SQ(run->database->api, column_count)(run->statement));
        return -1;
    case TOO_LARGE:
        PyErr_Format(PyExc_MemoryError, "more than %zu bytes after %zd rows", run->limit,
                     result->rows);
        return -1;
    case SQLITE_NOMEM:
        PyErr_NoMemory();
        return -1;
    default:
        return database_fail(run->database, code);
    }
}

PyObject *sink_object(const Sink *sink, Py_ssize_t row)
{
    const Item *item = (const Item *)sink->data + row;
    switch (item->type) {
    case SQLITE_INTEGER:
        return PyLong_FromLongLong(item->as.integer);
    case SQLITE_FLOAT:
        return PyFloat_FromDouble(item->as.real);
    case SQLITE_TEXT:
        return PyUnicode_DecodeUTF8(sink->heap + item->as.offset, item->length, "replace");
    case SQLITE_BLOB:
        return PyBytes_FromStringAndSize(sink->heap + item->as.offset, item->length);
    default:
        return Py_NewRef(Py_None);
    }
}

static PyObject *row_object(const Result *result, Py_ssize_t row)
{
    PyObject *tuple = PyTuple_New(result->width);
    for (int i = 0; tuple != NULL && i < result->width; i++) {
        PyObject *value = sink_object(&result->sinks[i], row);
        if (value == NULL) {
            Py_CLEAR(tuple);
        } else {
            PyTuple_SetItem(tuple, i, value);
        }
    }
    return tuple;
}

static PyObject *rows_object(const Result *result)
{
    Py_ssize_t rows = result->width ? result->rows : 0;
    PyObject *list = PyList_New(rows);
    for (Py_ssize_t row = 0; list != NULL && row < rows; row++) {
        PyObject *tuple = row_object(result, row);
        if (tuple == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, row, tuple);
        }
    }
    return list;
}

PyObject *database_execute(Database *database, PyObject *arguments)
{
    PyObject *sql, *given = NULL, *list = NULL;
    if (!PyArg_ParseTuple(arguments, "U|O", &sql, &given)) {
        return NULL;
    }
    PyObject *parameters = given ? PySequence_Tuple(given) : PyTuple_New(0);
    if (parameters == NULL) {
        return NULL;
    }
    Run run = run_of(database, sql, parameters);
    if (run_start(&run) == 0) {
        Result result = {0};
        if (result_start(&result, SQ(database->api, column_count)(run.statement)) == 0 &&
            result_collect(&run, &result) == 0) {
            list = rows_object(&result);
        }
        result_clear(&result);
    }
    run_end(&run);
    Py_DECREF(parameters);
    return list;
}
