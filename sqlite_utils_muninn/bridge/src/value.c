/* Values between SQLite and Python, one at a time. */
#include "bridge.h"

#include <limits.h>

static const char pointer_type[] = "muninn";

void release_object(void *object)
{
    Visit visit;
    if (object != NULL && python_enter(&visit)) {
        Py_DECREF((PyObject *)object);
        python_leave(&visit);
    }
}

PyObject *interned(int name)
{
    static const char *const texts[NAMES] = {"filter", "columns", "rowids", "kept_for",
                                             "__array_struct__"};
    static PyObject *made[NAMES];
    if (made[name] == NULL) {
        made[name] = PyUnicode_InternFromString(texts[name]);
    }
    return made[name];
}

PyObject *value_to_python(sqlite_api api, sqlite3_value *value)
{
    switch (SQ(api, value_type)(value)) {
    case SQLITE_INTEGER:
        return PyLong_FromLongLong(SQ(api, value_int64)(value));
    case SQLITE_FLOAT:
        return PyFloat_FromDouble(SQ(api, value_double)(value));
    case SQLITE_TEXT: {
        const char *text = (const char *)SQ(api, value_text)(value);
        int length = SQ(api, value_bytes)(value);
        return text ? PyUnicode_DecodeUTF8(text, length, "replace") : PyErr_NoMemory();
    }
    case SQLITE_BLOB: {
        const void *blob = SQ(api, value_blob)(value);
        int length = SQ(api, value_bytes)(value);
        return blob || length == 0 ? PyBytes_FromStringAndSize(blob, length) : PyErr_NoMemory();
    }
    default: {
        PyObject *object = SQ(api, value_pointer)(value, pointer_type);
        return Py_NewRef(object ? object : Py_None);
    }
    }
}

PyObject *values_to_tuple(sqlite_api api, int count, sqlite3_value **values, PyObject *first)
{
    int offset = first != NULL;
    PyObject *tuple = PyTuple_New(count + offset);
    if (tuple == NULL) {
        return NULL;
    }
    if (first != NULL) {
        PyTuple_SetItem(tuple, 0, Py_NewRef(first));
    }
    for (int i = 0; i < count; i++) {
        PyObject *item = SQ(api, value_nochange)(values[i]) ? Py_NewRef(python.nochange)
                                                            : value_to_python(api, values[i]);
        if (item == NULL) {
            Py_DECREF(tuple);
            return NULL;
        }
        PyTuple_SetItem(tuple, i + offset, item);
    }
    return tuple;
}

/* numpy's scalars and memory views become plain Python objects; others are refused. */
static PyObject *plain_object(PyObject *object)
{
    if (PyByteArray_Check(object) || PyMemoryView_Check(object)) {
        return PyBytes_FromObject(object);
    }
    if (PyObject_HasAttrString(object, "item") && PyObject_HasAttrString(object, "dtype")) {
        PyObject *item = PyObject_CallMethod(object, "item", NULL);
        if (item != NULL && Py_TYPE(item) == Py_TYPE(object)) {
            Py_DECREF(item);
            item = NULL;
        }
        if (item != NULL) {
            return item;
        }
        PyErr_Clear();
    }
    PyErr_Format(PyExc_TypeError, "a value of type %S has no SQLite type", Py_TYPE(object));
    return NULL;
}

static int integer_of(PyObject *object, int64_t *value)
{
    int overflow;
    *value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow) {
        PyErr_SetString(PyExc_OverflowError, "an integer does not fit into SQLite's 64 bits");
    }
    return PyErr_Occurred() ? -1 : 0;
}

static int result_pointer(sqlite_api api, sqlite3_context *context, PyObject *object)
{
    PyObject *value = PyObject_GetAttrString(object, "value");
    if (value == NULL) {
        return -1;
    }
    SQ(api, result_pointer)(context, value, pointer_type, release_object);
    return 0;
}

int python_to_result(sqlite_api api, sqlite3_context *context, PyObject *object, int json)
{
    if (object == Py_None) {
        SQ(api, result_null)(context);
    } else if (PyLong_Check(object)) {
        int64_t value;
        if (integer_of(object, &value) < 0) {
            return -1;
        }
        SQ(api, result_int64)(context, value);
    } else if (PyFloat_Check(object)) {
        SQ(api, result_double)(context, PyFloat_AsDouble(object));
    } else if (PyUnicode_Check(object)) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(object, &length);
        if (text == NULL) {
            return -1;
        }
        SQ(api, result_text64)(context, text, length, SQLITE_TRANSIENT, SQLITE_UTF8);
        if (json) {
            SQ(api, result_subtype)(context, 'J');
        }
    } else if (PyBytes_Check(object)) {
        char *blob;
        Py_ssize_t length;
        PyBytes_AsStringAndSize(object, &blob, &length);
        SQ(api, result_blob64)(context, blob, length, SQLITE_TRANSIENT);
    } else if (PyObject_IsInstance(object, python.pointer) == 1) {
        return result_pointer(api, context, object);
    } else {
        PyObject *plain = plain_object(object);
        if (plain == NULL) {
            return -1;
        }
        int outcome = python_to_result(api, context, plain, json);
        Py_DECREF(plain);
        return outcome;
    }
    return 0;
}

static int bind_bytes(sqlite_api api, sqlite3_stmt *statement, int index, PyObject *object)
{
    char *blob;
    Py_ssize_t length;
    PyBytes_AsStringAndSize(object, &blob, &length);
    if (length > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a blob is too long for SQLite");
        return -1;
    }
    return SQ(api, bind_blob)(statement, index, length ? blob : "", (int)length, SQLITE_STATIC);
}

static int bind_text(sqlite_api api, sqlite3_stmt *statement, int index, PyObject *object)
{
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(object, &length);
    if (text == NULL) {
        return -1;
    }
    if (length > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a text is too long for SQLite");
        return -1;
    }
    return SQ(api, bind_text)(statement, index, text, (int)length, SQLITE_STATIC);
}

/* Text and blobs are bound without a copy: the caller keeps the parameters, and in `keep` what had
 * to be made of them, until the statement is reset and its bindings are cleared. */
int python_to_binding(sqlite_api api, sqlite3_stmt *statement, int index, PyObject *object,
                      PyObject *keep)
{
    if (object == Py_None) {
        return SQ(api, bind_null)(statement, index);
    }
    if (PyLong_Check(object)) {
        int64_t value;
        return integer_of(object, &value) < 0 ? -1 : SQ(api, bind_int64)(statement, index, value);
    }
    if (PyFloat_Check(object)) {
        return SQ(api, bind_double)(statement, index, PyFloat_AsDouble(object));
    }
    if (PyUnicode_Check(object)) {
        return bind_text(api, statement, index, object);
    }
    if (PyBytes_Check(object)) {
        return bind_bytes(api, statement, index, object);
    }
    PyObject *plain = plain_object(object);
    if (plain == NULL) {
        return -1;
    }
    int outcome = PyList_Append(keep, plain);
    if (outcome == 0) {
        outcome = python_to_binding(api, statement, index, plain, keep);
    }
    Py_DECREF(plain);
    return outcome;
}
