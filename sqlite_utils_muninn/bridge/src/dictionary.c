/* A dictionary of SQLite values: each distinct value gets a code, 0, 1, 2, ... in order of first
 * appearance.
 *
 * It is filled while a statement is stepped, without the GIL and without a Python object for any
 * row, so that millions of text ids become an int32 array. Values are the same where SQLite's "="
 * says so under the BINARY collation: 1 and 1.0 are one value, '1' and x'31' are others.
 */
#include "bridge.h"
#include "hash.h"

typedef struct {
    union {
        int64_t integer;
        double real;
        size_t offset; /* of text and blobs, in the heap */
    } as;
    uint32_t length;
    uint32_t hash : 29; /* enough to tell most values apart without a look at their bytes */
    uint32_t type : 3;
} Entry;

struct Dictionary {
    PyObject_HEAD
    Entry *entries;
    int32_t *slots; /* code + 1; 0: empty; as many as a power of two */
    char *heap;
    size_t count, room, mask, heap_used, heap_room;
    uint64_t seed;
    int filling; /* a statement is stepped without the GIL */
};

PyTypeObject *dictionary_type;

/* ---- Values ---- */

typedef struct {
    int type;
    int64_t integer;
    double real;
    const char *bytes;
    size_t length;
} Key;

static uint32_t key_hash(const Dictionary *dictionary, const Key *key)
{
    uint64_t hash;
    if (key->type == SQLITE_INTEGER) {
        hash = hash_mix((uint64_t)key->integer ^ dictionary->seed);
    } else if (key->type == SQLITE_FLOAT) {
        hash = hash_bytes((const char *)&key->real, sizeof(double), dictionary->seed + 1);
    } else {
        hash = hash_bytes(key->bytes, key->length, dictionary->seed + key->type);
    }
    return (uint32_t)(hash >> 35);
}

/* A real number that is whole is the integer of that value; what it was stays its type. */
static void key_normalize(Key *key)
{
    if (key->type == SQLITE_FLOAT && key->real >= -9223372036854775808.0 &&
        key->real < 9223372036854775808.0 && (double)(int64_t)key->real == key->real) {
        key->integer = (int64_t)key->real;
        key->type = SQLITE_INTEGER;
    }
}

static Key entry_key(const Dictionary *dictionary, const Entry *entry)
{
    Key key = {.type = entry->type};
    if (key.type == SQLITE_INTEGER) {
        key.integer = entry->as.integer;
    } else if (key.type == SQLITE_FLOAT) {
        key.real = entry->as.real;
        key_normalize(&key);
    } else {
        key.bytes = dictionary->heap + entry->as.offset;
        key.length = entry->length;
    }
    return key;
}

static int same_value(const Dictionary *dictionary, const Entry *entry, const Key *key)
{
    Key other = entry_key(dictionary, entry);
    if (other.type != key->type || other.length != key->length) {
        return 0;
    }
    switch (key->type) {
    case SQLITE_INTEGER:
        return other.integer == key->integer;
    case SQLITE_FLOAT:
        return other.real == key->real;
    default:
        return key->length == 0 || memcmp(other.bytes, key->bytes, key->length) == 0;
    }
}

/* ---- The hash table ---- */

/* The slot of a value, or the empty slot where it belongs. */
static size_t find_slot(const Dictionary *dictionary, const Key *key, uint32_t hash)
{
    size_t slot = hash & dictionary->mask;
    for (; dictionary->slots[slot] != 0; slot = (slot + 1) & dictionary->mask) {
        const Entry *entry = &dictionary->entries[dictionary->slots[slot] - 1];
        if (entry->hash == hash && same_value(dictionary, entry, key)) {
            break;
        }
    }
    return slot;
}

static int grow_slots(Dictionary *dictionary)
{
    size_t size = dictionary->slots ? (dictionary->mask + 1) * 2 : 64;
    int32_t *slots = calloc(size, sizeof(int32_t));
    if (slots == NULL) {
        return -1;
    }
    for (size_t i = 0; i < dictionary->count; i++) {
        size_t slot = dictionary->entries[i].hash & (size - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (size - 1);
        }
        slots[slot] = (int32_t)i + 1;
    }
    free(dictionary->slots);
    dictionary->slots = slots;
    dictionary->mask = size - 1;
    return 0;
}

static int make_room(Dictionary *dictionary, size_t bytes)
{
    if (dictionary->slots == NULL || dictionary->count * 3 >= (dictionary->mask + 1) * 2) {
        if (grow_slots(dictionary) < 0) {
            return -1;
        }
    }
    if (dictionary->count == dictionary->room) {
        size_t room = dictionary->room ? dictionary->room * 2 : 32;
        Entry *entries = realloc(dictionary->entries, room * sizeof(Entry));
        if (entries == NULL) {
            return -1;
        }
        dictionary->entries = entries;
        dictionary->room = room;
    }
    if (dictionary->heap_used + bytes > dictionary->heap_room) {
        size_t room = dictionary->heap_room ? dictionary->heap_room : 512;
        while (room < dictionary->heap_used + bytes) {
            room *= 2;
        }
        char *heap = realloc(dictionary->heap, room);
        if (heap == NULL) {
            return -1;
        }
        dictionary->heap = heap;
        dictionary->heap_room = room;
    }
    return 0;
}

static int32_t add(Dictionary *dictionary, const Key *key, int type, uint32_t hash, size_t slot)
{
    Entry *entry = &dictionary->entries[dictionary->count];
    entry->type = (uint32_t)type & 7u;
    entry->hash = hash & 0x1fffffffu;
    entry->length = 0;
    if (type == SQLITE_INTEGER) {
        entry->as.integer = key->integer;
    } else if (type == SQLITE_FLOAT) {
        entry->as.real = key->real;
    } else {
        entry->length = (uint32_t)key->length;
        entry->as.offset = dictionary->heap_used;
        if (key->length > 0) {
            memcpy(dictionary->heap + dictionary->heap_used, key->bytes, key->length);
        }
        dictionary->heap_used += key->length;
    }
    dictionary->slots[slot] = (int32_t)++dictionary->count;
    return (int32_t)dictionary->count - 1;
}

/* The code of a statement's value, a new one where needed; -1 is NULL, -2 no memory. */
int32_t dictionary_encode(Dictionary *dictionary, sqlite_api api, sqlite3_stmt *statement,
                          int column)
{
    int type = SQ(api, column_type)(statement, column);
    Key key = {.type = type};
    if (type == SQLITE_NULL) {
        return -1;
    }
    if (type == SQLITE_INTEGER) {
        key.integer = SQ(api, column_int64)(statement, column);
    } else if (type == SQLITE_FLOAT) {
        key.real = SQ(api, column_double)(statement, column);
        key_normalize(&key);
    } else {
        key.bytes = type == SQLITE_TEXT ? (const char *)SQ(api, column_text)(statement, column)
                                        : SQ(api, column_blob)(statement, column);
        key.length = (size_t)SQ(api, column_bytes)(statement, column);
        if (key.bytes == NULL && (type == SQLITE_TEXT || key.length > 0)) {
            return -2;
        }
        key.bytes = key.bytes ? key.bytes : "";
    }
    if (dictionary->count >= INT32_MAX - 1 || make_room(dictionary, key.length) < 0) {
        return -2;
    }
    uint32_t hash = key_hash(dictionary, &key);
    size_t slot = find_slot(dictionary, &key, hash);
    if (dictionary->slots[slot] != 0) {
        return dictionary->slots[slot] - 1;
    }
    return add(dictionary, &key, type, hash, slot);
}

size_t dictionary_bytes(const Dictionary *dictionary)
{
    return dictionary->room * sizeof(Entry) + dictionary->heap_room +
           (dictionary->slots ? (dictionary->mask + 1) * sizeof(int32_t) : 0);
}

void dictionary_fill(Dictionary *dictionary, int filling)
{
    dictionary->filling = filling;
}

/* ---- As Python sees it ---- */

int dictionary_is_ready(const Dictionary *dictionary)
{
    if (dictionary->filling) {
        PyErr_SetString(PyExc_RuntimeError, "the dictionary is being filled");
    }
    return !dictionary->filling;
}

static PyObject *entry_object(const Dictionary *dictionary, size_t code)
{
    const Entry *entry = &dictionary->entries[code];
    switch (entry->type) {
    case SQLITE_INTEGER:
        return PyLong_FromLongLong(entry->as.integer);
    case SQLITE_FLOAT:
        return PyFloat_FromDouble(entry->as.real);
    case SQLITE_TEXT:
        return PyUnicode_DecodeUTF8(dictionary->heap + entry->as.offset, entry->length, "replace");
    default:
        return PyBytes_FromStringAndSize(dictionary->heap + entry->as.offset, entry->length);
    }
}

/* 0 where the object is no value that a dictionary can hold. */
static int key_from_object(Key *key, PyObject *object)
{
    memset(key, 0, sizeof(*key));
    Py_ssize_t length = 0;
    if (PyLong_Check(object)) {
        int overflow;
        key->type = SQLITE_INTEGER;
        key->integer = PyLong_AsLongLongAndOverflow(object, &overflow);
        return !overflow;
    }
    if (PyFloat_Check(object)) {
        key->type = SQLITE_FLOAT;
        key->real = PyFloat_AsDouble(object);
        key_normalize(key);
        return 1;
    }
    if (PyUnicode_Check(object)) {
        key->type = SQLITE_TEXT;
        key->bytes = PyUnicode_AsUTF8AndSize(object, &length);
        PyErr_Clear();
    } else if (PyBytes_Check(object)) {
        char *bytes = NULL;
        key->type = SQLITE_BLOB;
        PyBytes_AsStringAndSize(object, &bytes, &length);
        key->bytes = bytes;
    }
    key->length = (size_t)length;
    return key->bytes != NULL;
}

static PyObject *dictionary_find(PyObject *self, PyObject *object)
{
    Dictionary *dictionary = (Dictionary *)self;
    Key key;
    if (!dictionary_is_ready(dictionary)) {
        return NULL;
    }
    if (dictionary->count == 0 || !key_from_object(&key, object)) {
        return PyLong_FromLong(-1);
    }
    size_t slot = find_slot(dictionary, &key, key_hash(dictionary, &key));
    return PyLong_FromLong((long)dictionary->slots[slot] - 1);
}

/* take(codes): the values of any sequence of codes; -1 gives None. */
static PyObject *dictionary_take(PyObject *self, PyObject *codes)
{
    Dictionary *dictionary = (Dictionary *)self;
    PyObject *list = dictionary_is_ready(dictionary) ? PySequence_List(codes) : NULL;
    Py_ssize_t count = list ? PyList_Size(list) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *number = PyNumber_Long(PyList_GetItem(list, i));
        Py_ssize_t code = number ? PyLong_AsSsize_t(number) : -2;
        Py_XDECREF(number);
        PyObject *value = NULL;
        if (code == -1 && !PyErr_Occurred()) {
            value = Py_NewRef(Py_None);
        } else if (code >= 0 && (size_t)code < dictionary->count) {
            value = entry_object(dictionary, (size_t)code);
        } else if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_IndexError, "no value has the code %zd", code);
        }
        if (value == NULL || PyList_SetItem(list, i, value) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

static PyObject *dictionary_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    (void)arguments;
    (void)keywords;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Dictionary *dictionary = (Dictionary *)allocate(type, 0);
    if (dictionary != NULL) {
        /* Differs from run to run, so that no file is made to collide. */
        PyObject *text = PyUnicode_FromString("dictionary");
        dictionary->seed = hash_mix((uint64_t)(text ? PyObject_Hash(text) : 0) ^ (uintptr_t)dictionary);
        Py_XDECREF(text);
    }
    return (PyObject *)dictionary;
}

/* keep(codes): a dictionary of these values alone, which get the codes 0, 1, 2, ... */
static int keep_value(Dictionary *kept, const Dictionary *dictionary, PyObject *number)
{
    Py_ssize_t code = PyLong_AsSsize_t(number);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (code < 0 || (size_t)code >= dictionary->count) {
        PyErr_Format(PyExc_IndexError, "no value has the code %zd", code);
        return -1;
    }
    const Entry *entry = &dictionary->entries[code];
    Key key = entry_key(dictionary, entry);
    if (make_room(kept, key.length) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    size_t slot = find_slot(kept, &key, entry->hash);
    if (kept->slots[slot] != 0) {
        PyErr_Format(PyExc_ValueError, "the code %zd is there twice", code);
        return -1;
    }
    if (entry->type == SQLITE_FLOAT) {
        key.real = entry->as.real;
    }
    add(kept, &key, entry->type, entry->hash, slot);
    return 0;
}

static PyObject *dictionary_keep(PyObject *self, PyObject *codes)
{
    const Dictionary *dictionary = (Dictionary *)self;
    PyObject *list = dictionary_is_ready(dictionary) ? PySequence_List(codes) : NULL;
    PyObject *kept = list ? dictionary_new(Py_TYPE(self), NULL, NULL) : NULL;
    if (kept != NULL) {
        ((Dictionary *)kept)->seed = dictionary->seed;
    }
    for (Py_ssize_t i = 0; kept != NULL && i < PyList_Size(list); i++) {
        if (keep_value((Dictionary *)kept, dictionary, PyList_GetItem(list, i)) < 0) {
            Py_CLEAR(kept);
        }
    }
    Py_XDECREF(list);
    return kept;
}

static PyObject *dictionary_equals(PyObject *self, PyObject *object)
{
    const Dictionary *a = (const Dictionary *)self;
    const Dictionary *b = (const Dictionary *)object;
    if (!PyObject_TypeCheck(object, dictionary_type)) {
        Py_RETURN_FALSE;
    }
    if (!dictionary_is_ready(a) || !dictionary_is_ready(b)) {
        return NULL;
    }
    int same = a->count == b->count && a->heap_used == b->heap_used;
    for (size_t i = 0; same && i < a->count; i++) {
        const Entry *one = &a->entries[i], *other = &b->entries[i];
        same = one->type == other->type && one->length == other->length &&
               one->as.integer == other->as.integer;
    }
    if (same && a->heap_used > 0) {
        same = memcmp(a->heap, b->heap, a->heap_used) == 0;
    }
    return PyBool_FromLong(same);
}

static Py_ssize_t dictionary_length(PyObject *self)
{
    return (Py_ssize_t)((Dictionary *)self)->count;
}

static PyObject *dictionary_nbytes(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSize_t(dictionary_bytes((Dictionary *)self));
}

static void dictionary_dealloc(PyObject *self)
{
    Dictionary *dictionary = (Dictionary *)self;
    PyTypeObject *type = Py_TYPE(self);
    free(dictionary->entries);
    free(dictionary->slots);
    free(dictionary->heap);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

/* The same values with the same codes give the same, on every run. */
static PyObject *dictionary_checksum(PyObject *self, void *unused)
{
    const Dictionary *dictionary = (Dictionary *)self;
    uint64_t hash = hash_bytes(dictionary->heap ? dictionary->heap : "", dictionary->heap_used, 0);
    (void)unused;
    for (size_t i = 0; i < dictionary->count; i++) {
        const Entry *entry = &dictionary->entries[i];
        hash = hash_mix(hash ^ (((uint64_t)entry->length << 3) + entry->type));
        hash = hash_mix(hash ^ (uint64_t)entry->as.integer);
    }
    return PyLong_FromUnsignedLongLong(hash >> 1);
}

static PyMethodDef dictionary_methods[] = {
    {"find", dictionary_find, METH_O, "The code of a value; -1 where there is none."},
    {"take", dictionary_take, METH_O, "A list of the values of codes; -1 gives None."},
    {"keep", dictionary_keep, METH_O, "A dictionary of the values of codes, in their order."},
    {"equals", dictionary_equals, METH_O, "Whether all values and their codes are the same."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef dictionary_getset[] = {
    {"nbytes", dictionary_nbytes, NULL, "Memory that is held.", NULL},
    {"checksum", dictionary_checksum, NULL, "A number of 63 bits from the values.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot dictionary_slots[] = {
    {Py_tp_new, dictionary_new},
    {Py_tp_dealloc, dictionary_dealloc},
    {Py_tp_methods, dictionary_methods},
    {Py_tp_getset, dictionary_getset},
    {Py_sq_length, dictionary_length},
    {0, NULL},
};
PyType_Spec dictionary_spec = {
    "sqlite_utils_muninn.bridge._vtbridge.Dictionary",
    sizeof(Dictionary),
    0,
    Py_TPFLAGS_DEFAULT,
    dictionary_slots,
};
