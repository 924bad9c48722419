/* Batches of rows, given by Python column by column and read by SQLite without the GIL.
 *
 * A column is a numpy array (or anything with __array_struct__), read in place at any stride,
 * or a sequence of Python values, whose text and bytes are read in place too: the batch keeps a
 * tuple of the values, so that nobody can change or free them. SQLite copies what it is given
 * (a static pointer would travel through aggregates and outlive the batch). None or a number is a
 * column that has it in every row.
 *
 * A callable is a column that is made when SQLite first asks for it: SQLite does not tell whether
 * a column that a MATCH names is read, too.
 */

#include "bridge.h"

typedef struct {
    union {
        int64_t integer;
        double real;
        const char *bytes;
    } as;
    Py_ssize_t length;
    unsigned char type;
} Cell;

typedef enum {
    CELLS,
    INT8,
    INT16,
    INT32,
    INT64,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    FLOAT32,
    FLOAT64,
    VECTORS,  /* one blob a row */
    CONSTANT, /* one cell for all rows */
    LATER,    /* keep is a callable that makes the column */
} Storage;

struct Column {
    Storage storage;
    const char *data;
    Py_ssize_t stride;
    Py_ssize_t bytes; /* of one row's blob */
    Py_ssize_t length;
    Cell *cells;
    PyObject *keep;
};

/* ---- Reading columns: with the GIL ---- */

static int cell_from_object(Cell *cell, PyObject *object, PyObject **replaced)
{
    if (object == Py_None) {
        cell->type = SQLITE_NULL;
    } else if (PyLong_Check(object)) {
        int overflow;
        cell->type = SQLITE_INTEGER;
        cell->as.integer = PyLong_AsLongLongAndOverflow(object, &overflow);
        if (overflow) {
            PyErr_SetString(PyExc_OverflowError, "an integer does not fit into SQLite's 64 bits");
            return -1;
        }
    } else if (PyFloat_Check(object)) {
        cell->type = SQLITE_FLOAT;
        cell->as.real = PyFloat_AsDouble(object);
    } else if (PyUnicode_Check(object)) {
        cell->type = SQLITE_TEXT;
        cell->as.bytes = PyUnicode_AsUTF8AndSize(object, &cell->length);
        return cell->as.bytes ? 0 : -1;
    } else if (PyBytes_Check(object)) {
        char *blob;
        cell->type = SQLITE_BLOB;
        PyBytes_AsStringAndSize(object, &blob, &cell->length);
        cell->as.bytes = blob;
    } else if (PyByteArray_Check(object) || PyMemoryView_Check(object)) {
        *replaced = PyBytes_FromObject(object);
        return *replaced ? cell_from_object(cell, *replaced, replaced) : -1;
    } else if (PyObject_HasAttrString(object, "dtype")) {
        *replaced = PyObject_CallMethod(object, "item", NULL);
        if (*replaced == NULL) {
            return -1;
        }
        if (PyObject_HasAttrString(*replaced, "dtype")) {
            PyErr_Format(PyExc_TypeError, "a value of type %S has no SQLite type", Py_TYPE(object));
            return -1;
        }
        return cell_from_object(cell, *replaced, replaced);
    } else {
        PyErr_Format(PyExc_TypeError, "a value of type %S has no SQLite type", Py_TYPE(object));
        return -1;
    }
    return 0;
}

static int column_from_sequence(Column *column, PyObject *source)
{
    /* A list, so that a value that had to be converted can take its original's place. */
    PyObject *list = PySequence_List(source);
    if (list == NULL) {
        return -1;
    }
    column->storage = CELLS;
    column->keep = list;
    column->length = PyList_Size(list);
    column->cells = calloc(column->length ? column->length : 1, sizeof(Cell));
    if (column->cells == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < column->length; i++) {
        PyObject *replaced = NULL;
        int failed = cell_from_object(&column->cells[i], PyList_GetItem(list, i), &replaced);
        if (replaced != NULL) {
            PyList_SetItem(list, i, replaced);
        }
        if (failed) {
            return -1;
        }
    }
    return 0;
}

static int column_from_value(Column *column, PyObject *value)
{
    PyObject *replaced = NULL;
    column->storage = CONSTANT;
    column->cells = calloc(1, sizeof(Cell));
    if (column->cells == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return cell_from_object(column->cells, value, &replaced);
}

/* What __array_struct__ gives, by numpy's array interface protocol, version 3. */
typedef struct {
    int two, dimensions;
    char kind;
    int size, flags;
    Py_ssize_t *shape, *strides;
    void *data;
    PyObject *description;
} Array;
enum { NATIVE_ORDER = 0x200 };

/* -1: not a kind that is read in place (objects, text, halves). */
static int storage_of(const Array *array)
{
    static const struct {
        char kind;
        int size;
        Storage storage;
    } known[] = {
        {'b', 1, UINT8},  {'i', 1, INT8},   {'i', 2, INT16},  {'i', 4, INT32},
        {'i', 8, INT64},  {'u', 1, UINT8},  {'u', 2, UINT16}, {'u', 4, UINT32},
        {'u', 8, UINT64}, {'f', 4, FLOAT32}, {'f', 8, FLOAT64},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].kind == array->kind && known[i].size == array->size) {
            return (int)known[i].storage;
        }
    }
    return -1;
}

/* Fills the column's place and strides. 1: it is not read in place (or foreign byte order, more
 * dimensions). */
static int column_from_array(Column *column, const Array *array)
{
    int storage = storage_of(array);
    if (array->two != 2 || storage < 0 || !(array->flags & NATIVE_ORDER) ||
        array->dimensions < 1 || array->dimensions > 2) {
        return 1;
    }
    Py_ssize_t across = array->dimensions == 2 ? array->shape[1] : 1;
    if (array->dimensions == 2) {
        if (storage != FLOAT32 || (across > 1 && array->strides[1] != array->size)) {
            return 1;
        }
        storage = VECTORS;
    }
    column->storage = (Storage)storage;
    column->length = array->shape[0];
    column->bytes = across * array->size;
    column->stride = array->strides[0];
    column->data = array->data;
    return 0;
}

static int column_read(Column *column, PyObject *source)
{
    if (PyCallable_Check(source)) {
        column->storage = LATER;
        column->keep = Py_NewRef(source);
        return 0;
    }
    if (PyList_CheckExact(source) || PyTuple_CheckExact(source)) {
        return column_from_sequence(column, source);
    }
    if (source == Py_None || PyLong_Check(source) || PyFloat_Check(source)) {
        return column_from_value(column, source);
    }
    PyObject *name = interned(NAME_ARRAY);
    PyObject *capsule = name ? PyObject_GetAttr(source, name) : NULL;
    if (capsule == NULL) {
        PyErr_Clear();
        return column_from_sequence(column, source);
    }
    const Array *array = PyCapsule_GetPointer(capsule, NULL);
    int outcome = array ? column_from_array(column, array) : -1;
    Py_DECREF(capsule);
    if (outcome == 0) {
        column->keep = Py_NewRef(source);
    } else if (outcome == 1) {
        PyObject *list = PyObject_CallMethod(source, "tolist", NULL);
        outcome = list ? column_from_sequence(column, list) : -1;
        Py_XDECREF(list);
    }
    return outcome;
}

static void column_clear(Column *column)
{
    free(column->cells);
    Py_CLEAR(column->keep);
    column->cells = NULL;
}

void batch_clear(Batch *batch)
{
    for (int i = 0; i < batch->width; i++) {
        column_clear(&batch->columns[i]);
    }
    if (batch->rowids != NULL) {
        column_clear(batch->rowids);
    }
    free(batch->columns);
    free(batch->rowids);
    memset(batch, 0, sizeof(*batch));
}

static int is_integer(const Column *column, Py_ssize_t row)
{
    const char *at = column->data + row * column->stride;
    uint64_t value = 0;
    switch (column->storage) {
    case CELLS:
        return column->cells[row].type == SQLITE_INTEGER;
    case UINT64:
        memcpy(&value, at, sizeof(value));
        return value <= INT64_MAX;
    case FLOAT32:
    case FLOAT64:
    case VECTORS:
    case CONSTANT:
        return 0;
    default:
        return 1;
    }
}

static int is_integers(const Column *column)
{
    int needs_a_look = column->storage == CELLS || column->storage == UINT64;
    Py_ssize_t rows = needs_a_look || column->length == 0 ? column->length : 1;
    for (Py_ssize_t row = 0; row < rows; row++) {
        if (!is_integer(column, row)) {
            return 0;
        }
    }
    return 1;
}

#define UNKNOWN (-1) /* rows, before a column or the rowids have told */

static int batch_read_rowids(Batch *batch, PyObject *source)
{
    PyObject *name = interned(NAME_ROWIDS);
    PyObject *rowids = name ? PyObject_GetAttr(source, name) : NULL;
    if (rowids == NULL || rowids == Py_None) {
        Py_XDECREF(rowids);
        return rowids ? 0 : -1;
    }
    batch->rowids = calloc(1, sizeof(Column));
    if (batch->rowids == NULL) {
        PyErr_NoMemory();
    }
    int outcome = batch->rowids ? column_read(batch->rowids, rowids) : -1;
    Py_DECREF(rowids);
    if (outcome == 0 && batch->rows == UNKNOWN) {
        batch->rows = batch->rowids->length;
    }
    if (outcome == 0 && batch->rowids->length != batch->rows) {
        PyErr_Format(PyExc_ValueError, "%zd rowids for %zd rows", batch->rowids->length,
                     batch->rows);
        return -1;
    }
    if (outcome == 0 && !is_integers(batch->rowids)) {
        PyErr_SetString(PyExc_TypeError, "rowids must be integers of 64 bits");
        return -1;
    }
    return outcome;
}

static int batch_read_columns(Batch *batch, PyObject *columns, int width)
{
    if (PyTuple_Size(columns) != width) {
        PyErr_Format(PyExc_ValueError, "%zd columns where %d are declared", PyTuple_Size(columns),
                     width);
        return -1;
    }
    batch->columns = calloc(width ? width : 1, sizeof(Column));
    if (batch->columns == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    batch->width = width;
    const Column *first = NULL;
    for (int i = 0; i < width; i++) {
        Column *column = &batch->columns[i];
        if (column_read(column, PyTuple_GetItem(columns, i)) < 0) {
            return -1;
        }
        if (column->storage == LATER || column->storage == CONSTANT) {
            continue;
        }
        first = first ? first : column;
        if (column->length != first->length) {
            PyErr_SetString(PyExc_ValueError, "columns of different length");
            return -1;
        }
    }
    batch->rows = first ? first->length : width ? UNKNOWN : 0;
    return 0;
}

int batch_make_column(Batch *batch, int index)
{
    Column made;
    memset(&made, 0, sizeof(made));
    PyObject *maker = Py_NewRef(batch->columns[index].keep);
    PyObject *source = PyObject_CallNoArgs(maker);
    Py_DECREF(maker);
    int outcome = source ? column_read(&made, source) : -1;
    Py_XDECREF(source);
    int fits = made.storage == CONSTANT || (made.storage != LATER && made.length == batch->rows);
    if (outcome == 0 && !fits) {
        PyErr_SetString(PyExc_ValueError, "a column that was made later has another length");
        outcome = -1;
    }
    if (outcome < 0) {
        column_clear(&made);
        return -1;
    }
    column_clear(&batch->columns[index]);
    batch->columns[index] = made;
    return 0;
}

PyObject *batch_make_value(const Batch *batch, int index, Py_ssize_t row)
{
    PyObject *maker = Py_NewRef(batch->columns[index].keep);
    PyObject *value = PyObject_CallFunction(maker, "L", (long long)batch_rowid(batch, row));
    Py_DECREF(maker);
    return value;
}

int batch_read(Batch *batch, PyObject *source, int width)
{
    memset(batch, 0, sizeof(*batch));
    int outcome;
    if (PyTuple_Check(source)) {
        outcome = batch_read_columns(batch, source, width);
    } else if (PyObject_IsInstance(source, python.rows) == 1) {
        PyObject *name = interned(NAME_COLUMNS);
        PyObject *given = name ? PyObject_GetAttr(source, name) : NULL;
        PyObject *columns = given ? PySequence_Tuple(given) : NULL;
        outcome = columns ? batch_read_columns(batch, columns, width) : -1;
        Py_XDECREF(given);
        Py_XDECREF(columns);
        outcome = outcome == 0 ? batch_read_rowids(batch, source) : outcome;
    } else {
        PyErr_Format(PyExc_TypeError, "rows must be a tuple of columns or Rows, not %S",
                     Py_TYPE(source));
        outcome = -1;
    }
    if (outcome == 0 && batch->rows == UNKNOWN) {
        PyErr_SetString(PyExc_ValueError, "one column at least, or rowids, must be there at once");
        outcome = -1;
    }
    if (outcome < 0) {
        batch_clear(batch);
    }
    return outcome;
}

/* ---- Giving rows to SQLite: without the GIL ---- */

static void cell_result(const Cell *cell, sqlite_api api, sqlite3_context *context)
{
    switch (cell->type) {
    case SQLITE_INTEGER:
        SQ(api, result_int64)(context, cell->as.integer);
        break;
    case SQLITE_FLOAT:
        SQ(api, result_double)(context, cell->as.real);
        break;
    case SQLITE_TEXT:
        SQ(api, result_text64)
        (context, cell->as.bytes, cell->length, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case SQLITE_BLOB:
        SQ(api, result_blob64)(context, cell->as.bytes, cell->length, SQLITE_TRANSIENT);
        break;
    default:
        SQ(api, result_null)(context);
    }
}

/* memcpy, for an array may be unaligned (a field of a structured array). */
#define READ(type, at)                                                                            \
    type value;                                                                                   \
    memcpy(&value, at, sizeof(value))

static int64_t column_integer(const Column *column, const char *at)
{
    switch (column->storage) {
    case INT8: {
        READ(int8_t, at);
        return value;
    }
    case INT16: {
        READ(int16_t, at);
        return value;
    }
    case INT32: {
        READ(int32_t, at);
        return value;
    }
    case UINT8: {
        READ(uint8_t, at);
        return value;
    }
    case UINT16: {
        READ(uint16_t, at);
        return value;
    }
    case UINT32: {
        READ(uint32_t, at);
        return value;
    }
    default: {
        READ(int64_t, at);
        return value;
    }
    }
}

int batch_lacks_column(const Batch *batch, int index)
{
    return batch->columns[index].storage == LATER;
}

void batch_result(const Batch *batch, sqlite_api api, sqlite3_context *context, Py_ssize_t row,
                  int index)
{
    const Column *column = &batch->columns[index];
    const char *at = column->data + row * column->stride;
    switch (column->storage) {
    case CELLS:
        cell_result(&column->cells[row], api, context);
        break;
    case FLOAT32: {
        READ(float, at);
        SQ(api, result_double)(context, value);
        break;
    }
    case FLOAT64: {
        READ(double, at);
        SQ(api, result_double)(context, value);
        break;
    }
    case UINT64: {
        READ(uint64_t, at);
        if (value > INT64_MAX) {
            SQ(api, result_error)
            (context, "an integer does not fit into SQLite's 64 bits", -1);
        } else {
            SQ(api, result_int64)(context, (int64_t)value);
        }
        break;
    }
    case VECTORS:
        SQ(api, result_blob64)(context, at, column->bytes, SQLITE_TRANSIENT);
        break;
    case CONSTANT:
        cell_result(column->cells, api, context);
        break;
    case LATER:
        break; /* cursor_column makes it before */
    default:
        SQ(api, result_int64)(context, column_integer(column, at));
    }
}

int64_t batch_rowid(const Batch *batch, Py_ssize_t row)
{
    const Column *column = batch->rowids;
    if (column->storage == CELLS) {
        return column->cells[row].as.integer;
    }
    return column_integer(column, column->data + row * column->stride);
}

int batch_is_by_rowid(const Batch *batch)
{
    for (Py_ssize_t row = 1; row < batch->rows; row++) {
        if (batch_rowid(batch, row) <= batch_rowid(batch, row - 1)) {
            return 0;
        }
    }
    return 1;
}

Py_ssize_t batch_find(const Batch *batch, int64_t rowid)
{
    Py_ssize_t low = 0, high = batch->rows;
    while (low < high) {
        Py_ssize_t middle = low + (high - low) / 2;
        if (batch_rowid(batch, middle) < rowid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < batch->rows && batch_rowid(batch, low) == rowid ? low : -1;
}
