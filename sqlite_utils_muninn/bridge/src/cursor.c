/* Cursors: Python is entered once in xFilter and once a batch; everything else is plain C. */

#include "bridge.h"
#include "hash.h"

typedef struct {
    sqlite3_vtab_cursor base;
    Batch batch;
    Py_ssize_t row;      /* within the batch */
    Py_ssize_t end;      /* the first row that is not given: of rows that are kept, one is */
    Kept *kept;          /* what else the batch answers, or NULL */
    int is_by_rowid;     /* the batch was given to be kept */
    int is_in_order;     /* its rowids have been looked at */
    int64_t before;      /* rows of the batches before this one */
    int64_t call;        /* of rowids: differs from call to call of a table function */
    PyObject *batches;   /* iterator over the batches to come, or NULL */
    PyObject *arguments; /* of a table function: (db, argument 1, ...) */
} Cursor;

static int result_width(const Table *table)
{
    return table->width - (table->instance ? 0 : table->module->parameters);
}

int cursor_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    (void)vtab;
    Cursor *cursor = calloc(1, sizeof(Cursor));
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    *out = &cursor->base;
    return SQLITE_OK;
}

static void cursor_reset(Cursor *cursor)
{
    batch_clear(&cursor->batch);
    Py_CLEAR(cursor->batches);
    Py_CLEAR(cursor->arguments);
    kept_free(cursor->kept);
    cursor->kept = NULL;
    cursor->is_by_rowid = cursor->is_in_order = 0;
    cursor->row = cursor->end = 0;
    cursor->before = 0;
    cursor->call = 0;
}

int cursor_close(sqlite3_vtab_cursor *base)
{
    Cursor *cursor = (Cursor *)base;
    Visit visit;
    if (python_enter(&visit)) {
        cursor_reset(cursor);
        python_leave(&visit);
    }
    free(cursor);
    return SQLITE_OK;
}

/* Goes to the next batch that has rows. Needs the GIL; -1 with an exception set. */
static int cursor_advance(Cursor *cursor, int width)
{
    while (cursor->batches != NULL && cursor->row >= cursor->end) {
        cursor->before += cursor->batch.rows;
        cursor->row = cursor->end = 0;
        batch_clear(&cursor->batch);
        PyObject *source = PyIter_Next(cursor->batches);
        if (source == NULL) {
            Py_CLEAR(cursor->batches);
            return PyErr_Occurred() ? -1 : 0;
        }
        int outcome = batch_read(&cursor->batch, source, width);
        Py_DECREF(source);
        if (outcome < 0) {
            return -1;
        }
        cursor->end = cursor->batch.rows;
    }
    return 0;
}

static int cursor_take(Cursor *cursor, PyObject *answer, int width)
{
    if (PyTuple_Check(answer) || PyObject_IsInstance(answer, python.rows) == 1) {
        int outcome = batch_read(&cursor->batch, answer, width);
        cursor->end = cursor->batch.rows;
        return outcome;
    }
    cursor->batches = PyObject_GetIter(answer);
    return cursor->batches ? cursor_advance(cursor, width) : -1;
}

/* ---- Arguments ---- */

static PyObject *in_list(sqlite_api api, sqlite3_value *list)
{
    PyObject *items = PyList_New(0);
    sqlite3_value *value = NULL;
    int code = SQ(api, vtab_in_first)(list, &value);
    while (items != NULL && code == SQLITE_OK && value != NULL) {
        PyObject *item = value_to_python(api, value);
        if (item == NULL || PyList_Append(items, item) < 0) {
            Py_CLEAR(items);
        }
        Py_XDECREF(item);
        code = SQ(api, vtab_in_next)(list, &value);
    }
    if (items != NULL && code != SQLITE_OK && code != SQLITE_DONE) {
        PyErr_SetString(PyExc_RuntimeError, "the list behind IN cannot be read");
        Py_CLEAR(items);
    }
    return items;
}

typedef struct {
    int64_t limit; /* -1: none */
    int64_t offset;
} Window;

static PyObject *window_object(const Window *window)
{
    if (window->limit < 0) {
        return Py_NewRef(Py_None);
    }
    int64_t offset = window->offset > 0 ? window->offset : 0;
    int64_t room = INT64_MAX - window->limit;
    return PyLong_FromLongLong(window->limit + (offset < room ? offset : room));
}

static void read_window(Window *window, sqlite_api api, int kind, sqlite3_value *value)
{
    if (SQ(api, value_type)(value) == SQLITE_INTEGER) {
        if (kind == ARGUMENT_LIMIT) {
            window->limit = SQ(api, value_int64)(value);
        } else {
            window->offset = SQ(api, value_int64)(value);
        }
    }
}

/* One statement may call a function with several sets of arguments, joined by OR; SQLite then drops
 * rows whose rowid it has seen. So rowids differ by the arguments, whatever order those are given
 * in. Thirty bits, as a JSON reader has 53 for all of a rowid. */
static int64_t hash_argument(sqlite_api api, int column, sqlite3_value *value)
{
    int type = SQ(api, value_type)(value);
    uint64_t seed = hash_mix((uint64_t)column * 8 + (uint64_t)type + 1);
    if (type == SQLITE_INTEGER) {
        seed = hash_mix(seed ^ (uint64_t)SQ(api, value_int64)(value));
    } else if (type == SQLITE_FLOAT) {
        double real = SQ(api, value_double)(value);
        seed = hash_bytes((const char *)&real, sizeof(real), seed);
    } else if (type != SQLITE_NULL) {
        const char *bytes = SQ(api, value_blob)(value);
        seed = hash_bytes(bytes ? bytes : "", (size_t)SQ(api, value_bytes)(value), seed);
    }
    return (int64_t)(seed >> 34);
}

#define ROWS_BITS 23

/* (db, argument 1, ..., argument n) and with pushdown (..., limit, used columns). */
static PyObject *function_arguments(Cursor *cursor, const Table *table, PlanReader *reader,
                                    int argc, sqlite3_value **argv)
{
    const Module *module = table->module;
    sqlite_api api = module->database->api;
    int first = result_width(table);
    Window window = {-1, 0};
    const Use *use = NULL;
    Py_ssize_t extra = module->pushdown ? 2 : 0;
    PyObject *arguments = PyTuple_New(1 + module->parameters + extra);
    if (arguments == NULL) {
        return NULL;
    }
    PyTuple_SetItem(arguments, 0, Py_NewRef((PyObject *)module->database));
    for (int i = 0; i < module->parameters; i++) {
        PyTuple_SetItem(arguments, 1 + i, Py_NewRef(python.missing));
    }
    for (int i = 0; i < argc; i++) {
        int kind = plan_reader_next(reader, &use);
        if (kind != ARGUMENT_USE) {
            read_window(&window, api, kind, argv[i]);
            continue;
        }
        PyObject *value = value_to_python(api, argv[i]);
        if (value == NULL) {
            Py_DECREF(arguments);
            return NULL;
        }
        PyTuple_SetItem(arguments, 1 + use->column - first, value);
        cursor->call ^= hash_argument(api, use->column, argv[i]);
    }
    if (module->pushdown) {
        PyTuple_SetItem(arguments, 1 + module->parameters, window_object(&window));
        PyTuple_SetItem(arguments, 2 + module->parameters,
                        PyLong_FromUnsignedLongLong(reader->used));
    }
    return arguments;
}

static PyObject *call_function(Cursor *cursor, const Table *table, PlanReader *reader, int argc,
                               sqlite3_value **argv)
{
    PyObject *arguments = function_arguments(cursor, table, reader, argc, argv);
    PyObject *answer = arguments ? PyObject_Call(table->module->call, arguments, NULL) : NULL;
    cursor->arguments = arguments;
    return answer;
}

/* {"column operator": value, ...} */
static PyObject *constraint_values(sqlite_api api, PlanReader *reader, int argc,
                                   sqlite3_value **argv, Window *window)
{
    PyObject *constraints = PyDict_New();
    const Use *use = NULL;
    for (int i = 0; constraints != NULL && i < argc; i++) {
        int kind = plan_reader_next(reader, &use);
        if (kind != ARGUMENT_USE) {
            read_window(window, api, kind, argv[i]);
            continue;
        }
        PyObject *value =
            use->op == 'i' ? in_list(api, argv[i]) : value_to_python(api, argv[i]);
        if (value == NULL || PyDict_SetItem(constraints, use->key, value) < 0) {
            Py_CLEAR(constraints);
        }
        Py_XDECREF(value);
    }
    return constraints;
}

static PyObject *call_instance(const Table *table, PlanReader *reader, int argc,
                               sqlite3_value **argv)
{
    Window window = {-1, 0};
    PyObject *query = NULL, *answer = NULL;
    sqlite_api api = table->module->database->api;
    PyObject *constraints = constraint_values(api, reader, argc, argv, &window);
    PyObject *limit = constraints ? window_object(&window) : NULL;
    PyObject *used = PyLong_FromUnsignedLongLong(reader->used);
    PyObject *name = interned(NAME_FILTER);
    if (limit != NULL && used != NULL && name != NULL) {
        query = PyObject_CallFunctionObjArgs(python.query, reader->plan->label, constraints, limit,
                                             used, NULL);
    }
    if (query != NULL) {
        answer = PyObject_CallMethodObjArgs(table->instance, name, query, NULL);
    }
    Py_XDECREF(query);
    Py_XDECREF(constraints);
    Py_XDECREF(limit);
    Py_XDECREF(used);
    return answer;
}

/* ---- Rows that are kept ---- */

static void cursor_find(Cursor *cursor, int64_t rowid)
{
    Py_ssize_t row = batch_find(&cursor->batch, rowid);
    cursor->row = row < 0 ? 0 : row;
    cursor->end = row < 0 ? 0 : row + 1;
}

/* Which argument is the rowid; -1: none. */
static int rowid_argument(const Table *table, int number, const char *text, int argc)
{
    PlanReader reader;
    const Use *use = NULL;
    plan_reader_start(&reader, table_plans(table), number, text);
    for (int i = 0; i < argc; i++) {
        if (plan_reader_next(&reader, &use) == ARGUMENT_USE && use->column < 0 && use->op == '=') {
            return i;
        }
    }
    return -1;
}

/* Where rows were given to be kept: finds the one that is asked for now, and keeps the others as
 * far as that can be. -1 with an exception set. */
static int cursor_keep(Cursor *cursor, const Table *table, PyObject *answer, int number,
                       const char *text, int argc, sqlite3_value **argv)
{
    Database *database = table->module->database;
    PyObject *name = interned(NAME_KEPT_FOR);
    PyObject *schema = name ? PyObject_GetAttr(answer, name) : NULL;
    const char *words = NULL;
    if (schema != NULL && schema != Py_None) {
        words = PyUnicode_AsUTF8AndSize(schema, NULL);
    }
    int rowid = words ? rowid_argument(table, number, text, argc) : -1;
    if (words != NULL && rowid < 0) {
        PyErr_SetString(PyExc_ValueError, "rows are kept where one rowid is asked for");
    } else if (words != NULL) {
        cursor->is_by_rowid = 1;
        cursor->kept = kept_make(database, words, number, text, rowid, argc, argv);
        cursor_find(cursor, SQ(database->api, value_int64)(argv[rowid]));
    }
    Py_XDECREF(schema);
    return PyErr_Occurred() ? -1 : 0;
}

/* The second time: many statements ask for one row only, and all rowids would be looked at. */
static int cursor_check_order(Cursor *cursor, Table *table)
{
    Visit visit;
    cursor->is_in_order = cursor->is_in_order || batch_is_by_rowid(&cursor->batch);
    if (cursor->is_in_order) {
        return SQLITE_OK;
    }
    if (!python_enter(&visit)) {
        return SQLITE_MISUSE;
    }
    PyErr_SetString(PyExc_ValueError, "rows that are kept must come in the order of their rowids");
    int code = failure_to_table(table->module->database, &table->base);
    python_leave(&visit);
    return code;
}

/* ---- Callbacks ---- */

int cursor_filter(sqlite3_vtab_cursor *base, int number, const char *text, int argc,
                  sqlite3_value **argv)
{
    Cursor *cursor = (Cursor *)base;
    Table *table = (Table *)base->pVtab;
    Visit visit;
    int64_t rowid;
    if (cursor->kept != NULL && kept_answers(cursor->kept, number, text, argc, argv, &rowid)) {
        cursor_find(cursor, rowid);
        return cursor_check_order(cursor, table);
    }
    if (!python_enter(&visit)) {
        return SQLITE_MISUSE;
    }
    PlanReader reader;
    int code = SQLITE_OK;
    cursor_reset(cursor);
    plan_reader_start(&reader, table_plans(table), number, text);
    PyObject *answer = table->instance ? call_instance(table, &reader, argc, argv)
                                       : call_function(cursor, table, &reader, argc, argv);
    if (answer == NULL || cursor_take(cursor, answer, result_width(table)) < 0 ||
        (cursor->batch.rowids != NULL && cursor->batches == NULL &&
         cursor_keep(cursor, table, answer, number, text, argc, argv) < 0)) {
        code = failure_to_table(table->module->database, &table->base);
    }
    Py_XDECREF(answer);
    python_leave(&visit);
    return code;
}

int cursor_next(sqlite3_vtab_cursor *base)
{
    Cursor *cursor = (Cursor *)base;
    cursor->row++;
    if (cursor->row < cursor->end || cursor->batches == NULL) {
        return SQLITE_OK;
    }
    Table *table = (Table *)base->pVtab;
    Visit visit;
    if (!python_enter(&visit)) {
        return SQLITE_MISUSE;
    }
    int code = SQLITE_OK;
    if (cursor_advance(cursor, result_width(table)) < 0) {
        code = failure_to_table(table->module->database, &table->base);
    }
    python_leave(&visit);
    return code;
}

int cursor_eof(sqlite3_vtab_cursor *base)
{
    const Cursor *cursor = (const Cursor *)base;
    return cursor->row >= cursor->end;
}

/* SQLite compares an argument again where it is given twice, and where there are more constraints
 * than it keeps account of: so it can be read back. What was left out, or is a pointer, is NULL. */
static void argument_result(const Cursor *cursor, sqlite_api api, sqlite3_context *context,
                            int number)
{
    Visit visit;
    if (!python_enter(&visit)) {
        return;
    }
    PyObject *argument = PyTuple_GetItem(cursor->arguments, 1 + number);
    if (argument == NULL || argument == python.missing ||
        python_to_result(api, context, argument, 0) < 0) {
        PyErr_Clear();
    }
    python_leave(&visit);
}

static int make_column(Cursor *cursor, Table *table, int column)
{
    Visit visit;
    if (!python_enter(&visit)) {
        return SQLITE_MISUSE;
    }
    int code = SQLITE_OK;
    if (batch_make_column(&cursor->batch, column) < 0) {
        code = failure_to_table(table->module->database, &table->base);
    }
    python_leave(&visit);
    return code;
}

static int make_value(Cursor *cursor, Table *table, sqlite3_context *context, int column)
{
    Database *database = table->module->database;
    Visit visit;
    if (!python_enter(&visit)) {
        return SQLITE_MISUSE;
    }
    int code = SQLITE_OK;
    PyObject *value = batch_make_value(&cursor->batch, column, cursor->row);
    if (value == NULL || python_to_result(database->api, context, value, 0) < 0) {
        code = failure_to_table(database, &table->base);
    }
    Py_XDECREF(value);
    python_leave(&visit);
    return code;
}

int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    Cursor *cursor = (Cursor *)base;
    Table *table = (Table *)base->pVtab;
    sqlite_api api = table->module->database->api;
    if (column < cursor->batch.width && !SQ(api, vtab_nochange)(context)) {
        int code = SQLITE_OK;
        if (batch_lacks_column(&cursor->batch, column)) {
            if (cursor->is_by_rowid) {
                return make_value(cursor, table, context, column);
            }
            code = make_column(cursor, table, column);
        }
        if (code != SQLITE_OK) {
            return code;
        }
        batch_result(&cursor->batch, api, context, cursor->row, column);
    } else if (column >= cursor->batch.width && cursor->arguments != NULL) {
        argument_result(cursor, api, context, column - cursor->batch.width);
    }
    return SQLITE_OK;
}

int cursor_rowid(sqlite3_vtab_cursor *base, int64_t *rowid)
{
    const Cursor *cursor = (const Cursor *)base;
    *rowid = cursor->batch.rowids ? batch_rowid(&cursor->batch, cursor->row)
                                  : cursor->call * ((int64_t)1 << ROWS_BITS) + cursor->before +
                                        cursor->row + 1;
    return SQLITE_OK;
}
