/* Rows that a cursor goes on to answer from, where a join asks for one rowid after the other.
 *
 * They answer as long as whatever else is asked is the same, byte by byte, and nothing that the
 * statement reads has changed: no other transaction, and none that writes. Without the GIL.
 */

#include "bridge.h"

typedef struct {
    int type;
    int length;
    char *bytes; /* of a number, its eight */
} Given;

struct Kept {
    Database *database;
    char *schema;
    unsigned version;
    int number; /* of the plan */
    char *text;
    int rowid; /* the argument that may differ */
    int count;
    Given *given;
};

/* SQLite counts it up when the connection commits, and when it finds that another one has. */
int data_version(const Database *database, const char *schema, unsigned *version)
{
    return SQ(database->api, txn_state)(database->db, schema) == SQLITE_TXN_READ &&
           SQ(database->api, file_control)(database->db, schema, SQLITE_FCNTL_DATA_VERSION,
                                           version) == SQLITE_OK;
}

/* The bytes of an argument, NULL where it has none that can be compared (a pointer is NULL). */
static const char *bytes_of(sqlite_api api, sqlite3_value *value, int64_t *number, int *length)
{
    int type = SQ(api, value_type)(value);
    *length = sizeof(*number);
    if (type == SQLITE_INTEGER) {
        *number = SQ(api, value_int64)(value);
    } else if (type == SQLITE_FLOAT) {
        double real = SQ(api, value_double)(value);
        memcpy(number, &real, sizeof(real));
    } else if (type == SQLITE_NULL) {
        return NULL;
    } else {
        const char *bytes = SQ(api, value_blob)(value);
        *length = SQ(api, value_bytes)(value);
        return bytes ? bytes : "";
    }
    return (const char *)number;
}

static int given_copy(Given *given, sqlite_api api, sqlite3_value *value)
{
    int64_t number;
    const char *bytes = bytes_of(api, value, &number, &given->length);
    given->type = SQ(api, value_type)(value);
    given->bytes = bytes ? malloc((size_t)given->length + 1) : NULL;
    if (given->bytes == NULL) {
        return 0;
    }
    memcpy(given->bytes, bytes, (size_t)given->length);
    return 1;
}

static int given_is(const Given *given, sqlite_api api, sqlite3_value *value)
{
    int64_t number;
    int length;
    const char *bytes = bytes_of(api, value, &number, &length);
    return bytes != NULL && given->type == SQ(api, value_type)(value) &&
           given->length == length && memcmp(given->bytes, bytes, (size_t)length) == 0;
}

void kept_free(Kept *kept)
{
    if (kept == NULL) {
        return;
    }
    for (int i = 0; kept->given != NULL && i < kept->count; i++) {
        free(kept->given[i].bytes);
    }
    free(kept->given);
    free(kept->schema);
    free(kept->text);
    free(kept);
}

static char *copy_of(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    return copy ? strcpy(copy, text) : NULL;
}

static int kept_fill(Kept *kept, const char *schema, const char *text, sqlite3_value **argv)
{
    kept->schema = copy_of(schema);
    kept->text = copy_of(text);
    kept->given = calloc((size_t)kept->count, sizeof(Given));
    if (kept->schema == NULL || kept->text == NULL || kept->given == NULL ||
        !data_version(kept->database, schema, &kept->version)) {
        return 0;
    }
    for (int i = 0; i < kept->count; i++) {
        if (i != kept->rowid && !given_copy(&kept->given[i], kept->database->api, argv[i])) {
            return 0;
        }
    }
    return 1;
}

/* What a call was asked; NULL where rows cannot be kept for others. `rowid` is the argument that
 * names the row. */
Kept *kept_make(Database *database, const char *schema, int number, const char *text, int rowid,
                int argc, sqlite3_value **argv)
{
    Kept *kept = calloc(1, sizeof(Kept));
    if (kept == NULL) {
        return NULL;
    }
    kept->database = database;
    kept->number = number;
    kept->rowid = rowid;
    kept->count = argc;
    if (!kept_fill(kept, schema, text, argv)) {
        kept_free(kept);
        return NULL;
    }
    return kept;
}

/* Whether a call asks for the same, of another row: then `rowid` is that. */
int kept_answers(const Kept *kept, int number, const char *text, int argc, sqlite3_value **argv,
                 int64_t *rowid)
{
    sqlite_api api = kept->database->api;
    unsigned version;
    if (number != kept->number || argc != kept->count || strcmp(text, kept->text) != 0 ||
        SQ(api, value_type)(argv[kept->rowid]) != SQLITE_INTEGER) {
        return 0;
    }
    for (int i = 0; i < argc; i++) {
        if (i != kept->rowid && !given_is(&kept->given[i], api, argv[i])) {
            return 0;
        }
    }
    *rowid = SQ(api, value_int64)(argv[kept->rowid]);
    return data_version(kept->database, kept->schema, &version) && version == kept->version;
}
