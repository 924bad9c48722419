/* Typed columns: numbers and vectors as buffers that numpy reads in place, ids as codes. */
#include "run.h"

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
        PyObject *value = sink_object(sink, row);
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

/* The dictionary of the n-th column of codes: the one for all, or its own of a tuple. */
static Dictionary *dictionary_of(PyObject *given, Py_ssize_t n)
{
    PyObject *own = given;
    if (PyTuple_Check(given)) {
        own = n < PyTuple_Size(given) ? PyTuple_GetItem(given, n) : NULL;
    }
    if (own == NULL || own == Py_None) {
        PyErr_SetString(PyExc_ValueError, "a column of codes needs a dictionary");
        return NULL;
    }
    if (!PyObject_TypeCheck(own, dictionary_type)) {
        PyErr_SetString(PyExc_TypeError, "codes need a Dictionary");
        return NULL;
    }
    return (Dictionary *)own;
}

/* Marks the dictionaries of all columns as being filled, or as ready. */
static void fill_all(Result *result, int filling)
{
    for (int i = 0; i < result->width; i++) {
        if (result->sinks[i].dictionary != NULL) {
            dictionary_fill(result->sinks[i].dictionary, filling);
        }
    }
}

static int collect_codes(Run *run, Result *result)
{
    for (int i = 0; i < result->width; i++) {
        if (result->sinks[i].dictionary && !dictionary_is_ready(result->sinks[i].dictionary)) {
            return -1;
        }
    }
    fill_all(result, 1);
    int outcome = result_collect(run, result);
    fill_all(result, 0);
    return outcome;
}

static int set_kinds(Result *result, PyObject *kinds, PyObject *dictionaries)
{
    Py_ssize_t codes = 0;
    for (int i = 0; i < result->width; i++) {
        Sink *sink = &result->sinks[i];
        if (sink_kind(sink, PyTuple_GetItem(kinds, i)) < 0) {
            return -1;
        }
        sink->dictionary = NULL;
        if (sink->kind == KIND_CODE) {
            sink->dictionary = dictionary_of(dictionaries, codes++);
            if (sink->dictionary == NULL) {
                return -1;
            }
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

static PyObject *columns_of(Run *run, PyObject *kinds, PyObject *dictionaries)
{
    Result result = {.typed = 1};
    PyObject *columns = NULL;
    int width = SQ(run->database->api, column_count)(run->statement);
    /* A kept statement is measured when it has been stepped: it may be prepared anew. */
    if (run->cached == NULL && PyTuple_Size(kinds) != width) {
        result_wrong_width(PyTuple_Size(kinds), width);
        return NULL;
    }
    if (result_start(&result, (int)PyTuple_Size(kinds)) == 0 &&
        set_kinds(&result, kinds, dictionaries) == 0 &&
        collect_codes(run, &result) == 0) {
        columns = columns_object(&result);
    }
    result_clear(&result);
    return columns;
}

PyObject *database_columns(Database *database, PyObject *arguments)
{
    PyObject *sql, *given, *given_kinds, *dictionaries = Py_None, *columns = NULL;
    Py_ssize_t limit = 0;
    if (!PyArg_ParseTuple(arguments, "UOO|On", &sql, &given, &given_kinds, &dictionaries, &limit)) {
        return NULL;
    }
    PyObject *parameters = PySequence_Tuple(given);
    PyObject *kinds = PySequence_Tuple(given_kinds);
    if (parameters != NULL && kinds != NULL) {
        Run run = run_of(database, sql, parameters);
        run.limit = limit > 0 ? (size_t)limit : 0;
        if (run_start(&run) == 0) {
            columns = columns_of(&run, kinds, dictionaries);
        }
        run_end(&run);
    }
    Py_XDECREF(parameters);
    Py_XDECREF(kinds);
    return columns;
}
