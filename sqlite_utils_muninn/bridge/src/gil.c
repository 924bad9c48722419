/* Entering Python from a SQLite callback, and leaving it with an error. */
#include "bridge.h"

Python python;

int python_enter(Visit *visit)
{
    /* While the interpreter ends, objects of the main thread are still being released and that
     * thread still has its state; any other thread, or a later call, must not touch Python. */
    if (!Py_IsInitialized() && PyGILState_GetThisThreadState() == NULL) {
        return 0;
    }
    visit->gil = PyGILState_Ensure();
    PyErr_Fetch(&visit->type, &visit->exception, &visit->traceback);
    return 1;
}

void python_leave(Visit *visit)
{
    if (visit->type != NULL) {
        PyErr_Restore(visit->type, visit->exception, visit->traceback);
    }
    PyGILState_Release(visit->gil);
}

/* The exception that came while another one was being worded goes, unless it is Ctrl-C. */
static void drop_exception(Failure *failure)
{
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        failure->rearm = 1;
    }
    PyErr_Clear();
}

static int error_code_of(PyObject *exception)
{
    int code = SQLITE_ERROR;
    PyObject *number = PyObject_GetAttrString(exception, "sqlite_errorcode");
    if (number != NULL) {
        long value = PyLong_AsLong(number);
        int primary = (int)(value & 0xff);
        /* Not SQLITE_ROW and the like, nor SQLITE_SCHEMA, which runs the statement again. */
        if (value > 0 && value < 0x10000 && primary >= SQLITE_ERROR &&
            primary <= SQLITE_NOTADB && primary != SQLITE_SCHEMA) {
            code = (int)value;
        }
        Py_DECREF(number);
    }
    PyErr_Clear();
    return code;
}

static char *message_of(Failure *failure, sqlite_api api, PyObject *exception)
{
    char *message = NULL;
    PyObject *text = PyObject_Str(exception);
    const char *utf8 = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
    if (utf8 == NULL || utf8[0] == '\0') {
        drop_exception(failure);
        Py_XDECREF(text);
        text = PyObject_GetAttrString((PyObject *)Py_TYPE(exception), "__name__");
        utf8 = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
    }
    message = SQ(api, mprintf)("%s", utf8 ? utf8 : "unknown error");
    PyErr_Clear();
    Py_XDECREF(text);
    return message;
}

static void remember_traceback(Failure *failure, Database *database, PyObject *exception)
{
    PyObject *text = PyObject_CallFunctionObjArgs(python.format_traceback, exception, NULL);
    if (text == NULL) {
        drop_exception(failure);
        return;
    }
    PyObject *old = database->last_error;
    database->last_error = text;
    Py_XDECREF(old);
}

Failure failure_take(Database *database)
{
    Failure failure = {SQLITE_ERROR, NULL, 0};
    PyObject *type, *exception, *traceback;
    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (exception == NULL) {
        failure.message = SQ(database->api, mprintf)("error without an exception");
    } else if (PyErr_GivenExceptionMatches(type, PyExc_KeyboardInterrupt)) {
        failure.code = SQLITE_INTERRUPT;
        failure.rearm = 1;
    } else if (PyErr_GivenExceptionMatches(type, PyExc_MemoryError)) {
        failure.code = SQLITE_NOMEM;
    } else {
        if (traceback != NULL) {
            PyException_SetTraceback(exception, traceback);
        }
        failure.code = error_code_of(exception);
        if ((failure.code & 0xff) == SQLITE_INTERRUPT) {
            failure.code = SQLITE_INTERRUPT; /* no text of ours: hosts look for "interrupted" */
        } else {
            failure.message = message_of(&failure, database->api, exception);
            remember_traceback(&failure, database, exception);
        }
    }
    Py_XDECREF(type);
    Py_XDECREF(exception);
    Py_XDECREF(traceback);
    return failure;
}

/* KeyboardInterrupt cannot travel through SQLite: the statement ends as interrupted, and the thread
 * gets it again as soon as it runs Python code. (PyErr_SetInterrupt would run the signal's handler
 * once more, which may be another one's, and PyErr_CheckSignals swallows it in the middle of C.) */
void interrupt_again(void)
{
    PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), PyExc_KeyboardInterrupt);
}

int failure_to_table(Database *database, sqlite3_vtab *table)
{
    Failure failure = failure_take(database);
    if (table->zErrMsg != NULL) {
        SQ(database->api, free)(table->zErrMsg);
    }
    table->zErrMsg = failure.message;
    if (failure.rearm) {
        interrupt_again();
    }
    return failure.code;
}

int failure_to_pointer(Database *database, char **message)
{
    Failure failure = failure_take(database);
    *message = failure.message;
    if (failure.code == SQLITE_INTERRUPT && *message == NULL) {
        /* Without a text SQLite says "vtable constructor failed". */
        *message = SQ(database->api, mprintf)("%s", "interrupted");
    }
    if (failure.rearm) {
        interrupt_again();
    }
    return failure.code;
}
