/* The handle that callbacks get instead of the user's connection.
 *
 * It prepares and steps statements itself, without the GIL: Python's sqlite3 in its legacy mode
 * would open a transaction inside the running statement.
 */
#include <limits.h>

#include "bridge.h"

PyTypeObject *database_type;

static Database *open_databases; /* guarded by the GIL */

/* ---- Life ---- */

PyObject *database_known(sqlite3 *db)
{
    for (Database *database = open_databases; database != NULL; database = database->next) {
        if (database->db == db) {
            return Py_NewRef((PyObject *)database);
        }
    }
    Py_RETURN_NONE;
}

Database *database_for(sqlite3 *db, sqlite_api api, PyTypeObject *type)
{
    PyObject *known = database_known(db);
    if (known != Py_None) {
        return (Database *)known;
    }
    Py_DECREF(known);
    if (SQ(api, libversion_number)() < SQLITE_LEAST_VERSION) {
        PyErr_SetString(python.sql_error, "SQLite 3.38 or newer is needed");
        return NULL;
    }
    int library = library_number(api);
    if (library < 0) {
        PyErr_SetString(python.sql_error, "too many SQLite libraries in one process");
        return NULL;
    }
    Database *database = (Database *)PyObject_CallNoArgs((PyObject *)type);
    if (database != NULL) {
        database->db = db;
        database->api = api;
        database->library = library;
    }
    return database;
}

/* The first registration makes the handle findable; when SQLite has given back the last one, the
 * connection is closing and its pointer must not be used again. */
void database_hold(Database *database)
{
    if (database->registrations++ == 0) {
        database->next = open_databases;
        open_databases = database;
    }
    Py_INCREF((PyObject *)database);
}

void database_release(Database *database)
{
    if (--database->registrations == 0) {
        Database **link = &open_databases;
        while (*link != NULL && *link != database) {
            link = &(*link)->next;
        }
        if (*link != NULL) {
            *link = database->next;
        }
        statements_forget(database);
        database->db = NULL;
    }
    Py_DECREF((PyObject *)database);
}

static void database_dealloc(PyObject *self)
{
    Database *database = (Database *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(database->last_error);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

int database_is_open(Database *database)
{
    if (database->db == NULL) {
        PyErr_SetString(python.sql_error, "the connection is closed");
        return 0;
    }
    return 1;
}

int database_fail(Database *database, int code)
{
    sqlite_api api = database->api;
    if ((code & 0xff) == SQLITE_INTERRUPT) {
        PyErr_SetString(python.interrupted, "interrupted");
        return -1;
    }
    if (PyErr_Occurred()) {
        return -1; /* a parameter that could not be bound */
    }
    PyObject *text = PyUnicode_DecodeUTF8(SQ(api, errmsg)(database->db),
                                          strlen(SQ(api, errmsg)(database->db)), "replace");
    int extended = SQ(api, extended_errcode)(database->db);
    if ((extended & 0xff) != (code & 0xff)) {
        extended = code;
    }
    PyObject *error =
        text ? PyObject_CallFunction(python.sql_error, "Oi", text, extended) : NULL;
    if (error != NULL) {
        PyErr_SetObject(python.sql_error, error);
    }
    Py_XDECREF(error);
    Py_XDECREF(text);
    return -1;
}

/* ---- Statements ---- */

static void finalize(Database *database, sqlite3_stmt *statement)
{
    Py_BEGIN_ALLOW_THREADS
    SQ(database->api, finalize)(statement);
    Py_END_ALLOW_THREADS
}

void statements_forget(Database *database)
{
    for (int i = 0; i < STATEMENT_CACHE_SIZE; i++) {
        CachedStatement *cached = &database->cache[i];
        if (cached->statement != NULL && !cached->busy) {
            sqlite3_stmt *statement = cached->statement;
            PyObject *sql = cached->sql;
            cached->statement = NULL;
            cached->sql = NULL;
            finalize(database, statement);
            Py_DECREF(sql);
        }
    }
}

static int same_text(PyObject *a, PyObject *b)
{
    return a == b || (a != NULL && PyUnicode_Compare(a, b) == 0);
}

static CachedStatement *cache_find(Database *database, PyObject *sql)
{
    for (int i = 0; i < STATEMENT_CACHE_SIZE; i++) {
        CachedStatement *cached = &database->cache[i];
        if (cached->statement != NULL && !cached->busy && same_text(cached->sql, sql)) {
            return cached;
        }
    }
    return NULL;
}

/* A statement that stayed prepared would keep a closing connection open, and nothing tells us that
 * one closes but the end of a virtual table. Our own tables will not do, for a kept statement may
 * hold them: so there is one that no other statement uses. It cannot be made while another ends,
 * for the connection may be past its turn. */
static int is_watched(Database *database)
{
    enum { MOST_TRIES = 3 };
    sqlite3_stmt *statement = NULL;
    if (!database->watched && database->leaving == 0 && database->watch_tries < MOST_TRIES) {
        database->watch_tries++;
        Py_BEGIN_ALLOW_THREADS
        SQ(database->api, prepare_v3)(database->db, "SELECT 1 FROM " WATCH_NAME, -1, 0, &statement,
                                      NULL);
        SQ(database->api, finalize)(statement);
        Py_END_ALLOW_THREADS
    }
    return database->watched;
}

/* Keeps a statement for the next time; the oldest in its place goes. */
static void cache_keep(Database *database, PyObject *sql, sqlite3_stmt *statement)
{
    static unsigned turn; /* guarded by the GIL */
    if (database->db != NULL && is_watched(database)) {
        for (int i = 0; i < STATEMENT_CACHE_SIZE; i++) {
            CachedStatement *cached = &database->cache[turn++ % STATEMENT_CACHE_SIZE];
            if (cached->busy) {
                continue;
            }
            sqlite3_stmt *old = cached->statement;
            PyObject *old_sql = cached->sql;
            cached->statement = statement;
            cached->sql = Py_NewRef(sql);
            if (old != NULL) {
                finalize(database, old);
                Py_DECREF(old_sql);
            }
            return;
        }
    }
    finalize(database, statement);
}

typedef struct {
    Database *database;
    PyObject *sql;
    PyObject *parameters;
    PyObject *keep; /* objects made for bindings */
    CachedStatement *cached;
    sqlite3_stmt *statement;
    size_t limit; /* bytes that columns may take; 0: no limit */
    int refused;  /* by us, after it was prepared: not to be kept */
} Run;

static int bind_parameters(Run *run)
{
    sqlite_api api = run->database->api;
    Py_ssize_t count = PyTuple_Size(run->parameters);
    if (count != SQ(api, bind_parameter_count)(run->statement)) {
        PyErr_Format(python.sql_error, "%zd values for %d parameters", count,
                     SQ(api, bind_parameter_count)(run->statement));
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        int code = python_to_binding(api, run->statement, (int)i + 1,
                                     PyTuple_GetItem(run->parameters, i), run->keep);
        if (code != SQLITE_OK) {
            return database_fail(run->database, code);
        }
    }
    return 0;
}

static int prepare(Run *run)
{
    Database *database = run->database;
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(run->sql, &length);
    const char *tail = NULL;
    int code;
    if (text == NULL) {
        return -1;
    }
    if (length >= INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "the statement is too long");
        return -1;
    }
    if (strlen(text) != (size_t)length) {
        PyErr_SetString(PyExc_ValueError, "the statement contains a null character");
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    code = SQ(database->api, prepare_v3)(database->db, text, (int)length + 1,
                                         database->watched ? SQLITE_PREPARE_PERSISTENT : 0,
                                         &run->statement, &tail);
    Py_END_ALLOW_THREADS
    if (code != SQLITE_OK) {
        return database_fail(database, code);
    }
    if (run->statement == NULL || tail[strspn(tail, " \t\r\n;")] != '\0') {
        PyErr_SetString(python.sql_error, "exactly one statement is needed");
        run->refused = 1;
        return -1;
    }
    return 0;
}

static int run_start(Run *run)
{
    run->keep = PyList_New(0);
    if (run->keep == NULL || !database_is_open(run->database)) {
        return -1;
    }
    run->cached = cache_find(run->database, run->sql);
    if (run->cached != NULL) {
        run->cached->busy = 1;
        run->statement = run->cached->statement;
    } else if (prepare(run) < 0) {
        return -1;
    }
    return bind_parameters(run);
}

static void run_end(Run *run)
{
    Database *database = run->database;
    sqlite_api api = database->api;
    if (run->statement != NULL) {
        Py_BEGIN_ALLOW_THREADS
        SQ(api, reset)(run->statement);
        SQ(api, clear_bindings)(run->statement);
        Py_END_ALLOW_THREADS
        if (run->refused) {
            finalize(database, run->statement);
        } else if (run->cached == NULL) {
            cache_keep(database, run->sql, run->statement);
        } else {
            run->cached->busy = 0;
            if (!database->watched) {
                statements_forget(database);
            }
        }
    }
    Py_XDECREF(run->keep);
}

/* ---- Results: collected without the GIL, made into Python objects afterwards ---- */

enum { KIND_ANY, KIND_INTEGER, KIND_REAL, KIND_TEXT, KIND_BLOB, KIND_CODE, KIND_VECTOR };

typedef struct {
    union {
        int64_t integer;
        double real;
        size_t offset; /* of text and blobs, in the heap */
    } as;
    int length;
    unsigned char type;
} Item;

typedef struct {
    int kind;
    size_t bytes; /* of one vector */
    char *data;   /* items, or bare numbers for the typed kinds */
    size_t used, room;
    char *heap;
    size_t heap_used, heap_room;
    Dictionary *dictionary; /* of codes */
} Sink;

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

#define WRONG_TYPE (-2)
#define TOO_LARGE (-3)
#define WRONG_WIDTH (-4)

typedef struct {
    Sink *sinks;
    int width;
    int typed; /* the kinds of the columns are given */
    Py_ssize_t rows;
    int failed; /* the column that had a wrong type */
} Result;

static int result_start(Result *result, int width)
{
    result->sinks = calloc(width ? width : 1, sizeof(Sink));
    result->width = width;
    if (result->sinks == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static void result_clear(Result *result)
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
    const Dictionary *counted = NULL; /* one dictionary serves all columns */
    for (int i = 0; i < result->width; i++) {
        const Sink *sink = &result->sinks[i];
        bytes += sink->room + sink->heap_room;
        if (sink->dictionary != NULL && counted == NULL) {
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

static void wrong_width(Py_ssize_t kinds, int width)
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

static int collect(Run *run, Result *result)
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
        wrong_width(result->width, SQ(run->database->api, column_count)(run->statement));
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

static PyObject *item_object(const Sink *sink, Py_ssize_t row)
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
        PyObject *value = item_object(&result->sinks[i], row);
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

static Run run_of(Database *database, PyObject *sql, PyObject *parameters)
{
    Run run = {.database = database, .sql = sql, .parameters = parameters};
    return run;
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
            collect(&run, &result) == 0) {
            list = rows_object(&result);
        }
        result_clear(&result);
    }
    run_end(&run);
    Py_DECREF(parameters);
    return list;
}

/* ---- Typed columns ---- */

typedef struct {
    PyObject_HEAD
    char *data;
    Py_ssize_t rows;
    Py_ssize_t width; /* numbers a row; 0: a flat array */
    int kind;
} Buffer;

PyTypeObject *buffer_type;

static void buffer_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    free(((Buffer *)self)->data);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyObject *buffer_interface(PyObject *self, void *unused)
{
    const Buffer *buffer = (const Buffer *)self;
    static const char *const codes[] = {"", "i8", "f8", "", "", "i4", "f4"};
    const uint16_t probe = 1;
    const char *order = *(const char *)&probe ? "<" : ">";
    (void)unused;
    PyObject *shape = buffer->kind == KIND_VECTOR
                          ? Py_BuildValue("(nn)", buffer->rows, buffer->width)
                          : Py_BuildValue("(n)", buffer->rows);
    PyObject *typestr = PyUnicode_FromFormat("%s%s", order, codes[buffer->kind]);
    PyObject *place = PyLong_FromVoidPtr(buffer->data);
    if (!shape || !typestr || !place) {
        Py_XDECREF(shape);
        Py_XDECREF(typestr);
        Py_XDECREF(place);
        return NULL;
    }
    return Py_BuildValue("{s:N,s:N,s:(NO),s:i}", "shape", shape, "typestr", typestr, "data", place,
                         Py_False, "version", 3);
}

static PyGetSetDef buffer_getset[] = {
    {"__array_interface__", buffer_interface, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot buffer_slots[] = {
    {Py_tp_dealloc, buffer_dealloc},
    {Py_tp_getset, buffer_getset},
    {0, NULL},
};
PyType_Spec buffer_spec = {
    "sqlite_utils_muninn.bridge._vtbridge.Buffer",
    sizeof(Buffer),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    buffer_slots,
};

static PyObject *column_object(Sink *sink, Py_ssize_t rows)
{
    if (sink->kind == KIND_INTEGER || sink->kind == KIND_REAL || sink->kind == KIND_CODE ||
        sink->kind == KIND_VECTOR) {
        allocfunc allocate = (allocfunc)PyType_GetSlot(buffer_type, Py_tp_alloc);
        Buffer *buffer = (Buffer *)allocate(buffer_type, 0);
        if (buffer != NULL) {
            if (sink->data == NULL) {
                sink->data = calloc(1, 8); /* numpy wants an address for no rows, too */
            }
            buffer->data = sink->data;
            buffer->rows = rows;
            buffer->width = (Py_ssize_t)(sink->bytes / sizeof(float));
            buffer->kind = sink->kind;
            sink->data = NULL;
        }
        return (PyObject *)buffer;
    }
    PyObject *list = PyList_New(rows);
    for (Py_ssize_t row = 0; list != NULL && row < rows; row++) {
        PyObject *value = item_object(sink, row);
        if (value == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SetItem(list, row, value);
        }
    }
    return list;
}

static int sink_kind(Sink *sink, PyObject *kind)
{
    static const char *const names[] = {"any", "integer", "real", "text", "blob", "code"};
    const char *name = PyUnicode_AsUTF8AndSize(kind, NULL);
    if (name == NULL) {
        return -1;
    }
    for (int i = 0; i < 6; i++) {
        if (strcmp(name, names[i]) == 0) {
            sink->kind = i;
            return 0;
        }
    }
    long dimensions = strncmp(name, "vector:", 7) == 0 ? strtol(name + 7, NULL, 10) : 0;
    if (dimensions < 1 || dimensions > INT_MAX / (long)sizeof(float)) {
        PyErr_Format(PyExc_ValueError, "unknown kind of column %R", kind);
        return -1;
    }
    sink->kind = KIND_VECTOR;
    sink->bytes = (size_t)dimensions * sizeof(float);
    return 0;
}

/* Gives the columns of codes their dictionary. -1 with an exception set. */
static int sink_dictionary(Sink *sink, Dictionary *dictionary)
{
    if (sink->kind == KIND_CODE && dictionary == NULL) {
        PyErr_SetString(PyExc_ValueError, "a column of codes needs a dictionary");
        return -1;
    }
    sink->dictionary = sink->kind == KIND_CODE ? dictionary : NULL;
    return 0;
}

static int collect_codes(Run *run, Result *result, Dictionary *dictionary)
{
    if (dictionary == NULL) {
        return collect(run, result);
    }
    if (!dictionary_is_ready(dictionary)) {
        return -1;
    }
    dictionary_fill(dictionary, 1);
    int outcome = collect(run, result);
    dictionary_fill(dictionary, 0);
    return outcome;
}

static int set_kinds(Result *result, PyObject *kinds, Dictionary *dictionary)
{
    for (int i = 0; i < result->width; i++) {
        if (sink_kind(&result->sinks[i], PyTuple_GetItem(kinds, i)) < 0 ||
            sink_dictionary(&result->sinks[i], dictionary) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *columns_object(Result *result)
{
    PyObject *columns = PyTuple_New(result->width);
    for (int i = 0; columns != NULL && i < result->width; i++) {
        PyObject *column = column_object(&result->sinks[i], result->rows);
        if (column == NULL) {
            Py_CLEAR(columns);
        } else {
            PyTuple_SetItem(columns, i, column);
        }
    }
    return columns;
}

static PyObject *columns_of(Run *run, PyObject *kinds, Dictionary *dictionary)
{
    Result result = {.typed = 1};
    PyObject *columns = NULL;
    int width = SQ(run->database->api, column_count)(run->statement);
    /* A kept statement is measured when it has been stepped: it may be prepared anew. */
    if (run->cached == NULL && PyTuple_Size(kinds) != width) {
        wrong_width(PyTuple_Size(kinds), width);
        return NULL;
    }
    if (result_start(&result, (int)PyTuple_Size(kinds)) == 0 &&
        set_kinds(&result, kinds, dictionary) == 0 &&
        collect_codes(run, &result, dictionary) == 0) {
        columns = columns_object(&result);
    }
    result_clear(&result);
    return columns;
}

PyObject *database_columns(Database *database, PyObject *arguments)
{
    PyObject *sql, *given, *given_kinds, *dictionary = Py_None, *columns = NULL;
    Py_ssize_t limit = 0;
    if (!PyArg_ParseTuple(arguments, "UOO|On", &sql, &given, &given_kinds, &dictionary, &limit)) {
        return NULL;
    }
    if (dictionary != Py_None && !PyObject_TypeCheck(dictionary, dictionary_type)) {
        PyErr_SetString(PyExc_TypeError, "codes need a Dictionary");
        return NULL;
    }
    PyObject *parameters = PySequence_Tuple(given);
    PyObject *kinds = PySequence_Tuple(given_kinds);
    if (parameters != NULL && kinds != NULL) {
        Run run = run_of(database, sql, parameters);
        run.limit = limit > 0 ? (size_t)limit : 0;
        if (run_start(&run) == 0) {
            columns = columns_of(&run, kinds,
                                 dictionary == Py_None ? NULL : (Dictionary *)dictionary);
        }
        run_end(&run);
    }
    Py_XDECREF(parameters);
    Py_XDECREF(kinds);
    return columns;
}

/* ---- Interrupts ---- */

/* A progress handler (Datasette's time limit) runs only while SQLite's own machine does: so a
 * small statement of about a thousand steps is run, and stopped if the host wants us to stop. */
PyObject *database_check(Database *database, PyObject *unused)
{
    static PyObject *sql;
    (void)unused;
    if (!database_is_open(database)) {
        return NULL;
    }
    if (SQ(database->api, libversion_number)() >= SQLITE_VERSION_WITH_IS_INTERRUPTED &&
        SQ(database->api, is_interrupted)(database->db)) {
        PyErr_SetString(python.interrupted, "interrupted");
        return NULL;
    }
    if (sql == NULL) {
        sql = PyUnicode_InternFromString("WITH RECURSIVE steps(n) AS (SELECT 1 UNION ALL SELECT "
                                         "n + 1 FROM steps LIMIT 80) SELECT count(*) FROM steps");
    }
    PyObject *parameters = sql ? PyTuple_Pack(1, sql) : NULL;
    PyObject *rows = parameters ? database_execute(database, parameters) : NULL;
    Py_XDECREF(parameters);
    if (rows == NULL) {
        return NULL;
    }
    Py_DECREF(rows);
    Py_RETURN_NONE;
}

/* ---- Small facts ---- */

static const char *schema_argument(PyObject *arguments)
{
    const char *schema = "main";
    return PyArg_ParseTuple(arguments, "|s", &schema) ? schema : NULL;
}

static PyObject *database_filename(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    const char *schema = schema_argument(arguments);
    if (schema == NULL || !database_is_open(database)) {
        return NULL;
    }
    const char *name = SQ(database->api, db_filename)(database->db, schema);
    return PyUnicode_DecodeFSDefault(name ? name : "");
}

static PyObject *database_read_only(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    const char *schema = schema_argument(arguments);
    if (schema == NULL || !database_is_open(database)) {
        return NULL;
    }
    return PyBool_FromLong(SQ(database->api, db_readonly)(database->db, schema) == 1);
}

static PyObject *database_transaction_state(PyObject *self, PyObject *arguments)
{
    static const char *const names[] = {"none", "read", "write"};
    Database *database = (Database *)self;
    const char *schema = schema_argument(arguments);
    if (schema == NULL || !database_is_open(database)) {
        return NULL;
    }
    int state = SQ(database->api, txn_state)(database->db, schema);
    return PyUnicode_FromString(state >= 0 && state <= 2 ? names[state] : "none");
}

/* Runs the entry point of another extension (its address) on this connection. */
static PyObject *database_initialize(PyObject *self, PyObject *arguments)
{
    Database *database = (Database *)self;
    unsigned long long address;
    char *message = NULL;
    int code;
    if (!PyArg_ParseTuple(arguments, "K", &address) || !database_is_open(database)) {
        return NULL;
    }
    sqlite_init initialize = (sqlite_init)(uintptr_t)address;
    Py_BEGIN_ALLOW_THREADS
    code = initialize(database->db, &message, database->api);
    Py_END_ALLOW_THREADS
    if (code == SQLITE_OK) {
        Py_RETURN_NONE;
    }
    if (message == NULL) {
        database_fail(database, code);
        return NULL;
    }
    PyErr_SetString(python.sql_error, message);
    SQ(database->api, free)(message);
    return NULL;
}

#define NUMBER_GETTER(name, type, expression)                                                     \
    static PyObject *name(PyObject *self, void *unused)                                           \
    {                                                                                             \
        Database *database = (Database *)self;                                                    \
        (void)unused;                                                                             \
        return database_is_open(database) ? type(expression) : NULL;                              \
    }

NUMBER_GETTER(get_in_transaction, PyBool_FromLong, !SQ(database->api, get_autocommit)(database->db))
NUMBER_GETTER(get_changes, PyLong_FromLong, SQ(database->api, changes)(database->db))
NUMBER_GETTER(get_total_changes, PyLong_FromLong, SQ(database->api, total_changes)(database->db))
NUMBER_GETTER(get_rowid, PyLong_FromLongLong, SQ(database->api, last_insert_rowid)(database->db))
NUMBER_GETTER(get_version, PyLong_FromLong, SQ(database->api, libversion_number)())

static int set_rowid(PyObject *self, PyObject *value, void *unused)
{
    Database *database = (Database *)self;
    (void)unused;
    long long rowid = value ? PyLong_AsLongLong(value) : 0;
    if (PyErr_Occurred() || !database_is_open(database)) {
        return -1;
    }
    SQ(database->api, set_last_insert_rowid)(database->db, rowid);
    return 0;
}

static PyObject *get_closed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((Database *)self)->db == NULL);
}

static PyObject *get_library(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(((Database *)self)->library);
}

static PyObject *get_last_error(PyObject *self, void *unused)
{
    PyObject *text = ((Database *)self)->last_error;
    (void)unused;
    return Py_NewRef(text ? text : Py_None);
}

static PyGetSetDef database_getset[] = {
    {"in_transaction", get_in_transaction, NULL, "Whether a transaction is open.", NULL},
    {"changes", get_changes, NULL, "Rows changed by the last statement.", NULL},
    {"total_changes", get_total_changes, NULL, "Rows changed since the connection opened.", NULL},
    {"last_insert_rowid", get_rowid, set_rowid, "Rowid of the last INSERT.", NULL},
    {"sqlite_version", get_version, NULL, "Number of the SQLite library, as 3045001.", NULL},
    {"library", get_library, NULL, "Which of the process's SQLite libraries, from 0.", NULL},
    {"closed", get_closed, NULL, "Whether the connection is closed.", NULL},
    {"last_error", get_last_error, NULL, "Traceback of the last failed callback.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef database_methods[] = {
    {"execute", (PyCFunction)database_execute, METH_VARARGS, "Runs one statement, gives its rows."},
    {"read_columns", (PyCFunction)database_columns, METH_VARARGS, "Runs one statement by column."},
    {"check", (PyCFunction)database_check, METH_NOARGS, "Raises Interrupted when it must stop."},
    {"filename", database_filename, METH_VARARGS, "Absolute path of a schema's file, or ''."},
    {"read_only", database_read_only, METH_VARARGS, "Whether a schema cannot be written."},
    {"transaction_state", database_transaction_state, METH_VARARGS, "none, read or write."},
    {"initialize", database_initialize, METH_VARARGS, "Runs an extension's entry point."},
    {"create_function", (PyCFunction)database_create_function, METH_VARARGS, NULL},
    {"create_module", (PyCFunction)database_create_module, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot database_slots[] = {
    {Py_tp_dealloc, database_dealloc},
    {Py_tp_methods, database_methods},
    {Py_tp_getset, database_getset},
    {0, NULL},
};

PyType_Spec database_spec = {
    "sqlite_utils_muninn.bridge._vtbridge.Database",
    sizeof(Database),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    database_slots,
};
