/* The part of SQLite's extension interface that the bridge uses.
 *
 * SQLite hands every extension a table of routines. A routine's place in that table is fixed for
 * ever and new ones are appended, so the slot numbers below hold for all versions from 3.38 on
 * (the least that is accepted) and later; what is newer is asked for by version first.
 *
 * There is no file-scope pointer to the table: two SQLite libraries may live in one process (the
 * standard library's and pysqlite3's), and each connection must be served by its own.
 */
#ifndef MUNINN_SQLITE_API_H
#define MUNINN_SQLITE_API_H

#include <stdint.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
typedef struct sqlite3_context sqlite3_context;
typedef struct sqlite3_value sqlite3_value;
typedef struct sqlite3_index_info sqlite3_index_info;
typedef struct sqlite3_module sqlite3_module;
typedef struct sqlite3_vtab sqlite3_vtab;
typedef struct sqlite3_vtab_cursor sqlite3_vtab_cursor;

typedef void (*sqlite_routine)(void);
typedef const sqlite_routine *sqlite_api;
typedef void (*sqlite_destructor)(void *);
typedef void (*sqlite_function)(sqlite3_context *, int, sqlite3_value **);
typedef int (*sqlite_init)(sqlite3 *, char **, sqlite_api);

#define SQLITE_TRANSIENT ((sqlite_destructor)(intptr_t)-1)
#define SQLITE_STATIC ((sqlite_destructor)0)

enum {
    SQLITE_OK = 0,
    SQLITE_ERROR = 1,
    SQLITE_LOCKED = 6,
    SQLITE_NOMEM = 7,
    SQLITE_INTERRUPT = 9,
    SQLITE_SCHEMA = 17,
    SQLITE_CONSTRAINT = 19,
    SQLITE_MISUSE = 21,
    SQLITE_NOTADB = 26,
    SQLITE_ROW = 100,
    SQLITE_DONE = 101,
};

enum { SQLITE_TXN_READ = 1, SQLITE_FCNTL_DATA_VERSION = 35 };

enum { SQLITE_INTEGER = 1, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB, SQLITE_NULL };

enum {
    SQLITE_UTF8 = 1,
    SQLITE_PREPARE_PERSISTENT = 1,
    SQLITE_INDEX_SCAN_UNIQUE = 1,
    SQLITE_VTAB_CONSTRAINT_SUPPORT = 1,
    SQLITE_VTAB_INNOCUOUS = 2,
    SQLITE_VTAB_DIRECTONLY = 3,
    SQLITE_INDEX_CONSTRAINT_EQ = 2,
    SQLITE_INDEX_CONSTRAINT_GT = 4,
    SQLITE_INDEX_CONSTRAINT_LE = 8,
    SQLITE_INDEX_CONSTRAINT_LT = 16,
    SQLITE_INDEX_CONSTRAINT_GE = 32,
    SQLITE_INDEX_CONSTRAINT_MATCH = 64,
    SQLITE_INDEX_CONSTRAINT_LIMIT = 73,
    SQLITE_INDEX_CONSTRAINT_OFFSET = 74,
};

struct sqlite3_index_info {
    int nConstraint;
    struct sqlite3_index_constraint {
        int iColumn;
        unsigned char op;
        unsigned char usable;
        int iTermOffset;
    } *aConstraint;
    int nOrderBy;
    struct sqlite3_index_orderby {
        int iColumn;
        unsigned char desc;
    } *aOrderBy;
    struct sqlite3_index_constraint_usage {
        int argvIndex;
        unsigned char omit;
    } *aConstraintUsage;
    int idxNum;
    char *idxStr;
    int needToFreeIdxStr;
    int orderByConsumed;
    double estimatedCost;
    int64_t estimatedRows;
    int idxFlags;
    uint64_t colUsed;
};

struct sqlite3_vtab {
    const sqlite3_module *pModule;
    int nRef;
    char *zErrMsg;
};

struct sqlite3_vtab_cursor {
    sqlite3_vtab *pVtab;
};

struct sqlite3_module {
    int iVersion;
    int (*xCreate)(sqlite3 *, void *, int, const char *const *, sqlite3_vtab **, char **);
    int (*xConnect)(sqlite3 *, void *, int, const char *const *, sqlite3_vtab **, char **);
    int (*xBestIndex)(sqlite3_vtab *, sqlite3_index_info *);
    int (*xDisconnect)(sqlite3_vtab *);
    int (*xDestroy)(sqlite3_vtab *);
    int (*xOpen)(sqlite3_vtab *, sqlite3_vtab_cursor **);
    int (*xClose)(sqlite3_vtab_cursor *);
    int (*xFilter)(sqlite3_vtab_cursor *, int, const char *, int, sqlite3_value **);
    int (*xNext)(sqlite3_vtab_cursor *);
    int (*xEof)(sqlite3_vtab_cursor *);
    int (*xColumn)(sqlite3_vtab_cursor *, sqlite3_context *, int);
    int (*xRowid)(sqlite3_vtab_cursor *, int64_t *);
    int (*xUpdate)(sqlite3_vtab *, int, sqlite3_value **, int64_t *);
    int (*xBegin)(sqlite3_vtab *);
    int (*xSync)(sqlite3_vtab *);
    int (*xCommit)(sqlite3_vtab *);
    int (*xRollback)(sqlite3_vtab *);
    int (*xFindFunction)(sqlite3_vtab *, int, const char *, sqlite_function *, void **);
    int (*xRename)(sqlite3_vtab *, const char *);
    int (*xSavepoint)(sqlite3_vtab *, int);
    int (*xRelease)(sqlite3_vtab *, int);
    int (*xRollbackTo)(sqlite3_vtab *, int);
    int (*xShadowName)(const char *);
    int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
};

/* R(slot, result, name, arguments) */
#define SQLITE_ROUTINES(R)                                                                        \
    R(2, int, bind_blob, (sqlite3_stmt *, int, const void *, int, sqlite_destructor))             \
    R(3, int, bind_double, (sqlite3_stmt *, int, double))                                         \
    R(5, int, bind_int64, (sqlite3_stmt *, int, int64_t))                                         \
    R(6, int, bind_null, (sqlite3_stmt *, int))                                                   \
    R(7, int, bind_parameter_count, (sqlite3_stmt *))                                             \
    R(10, int, bind_text, (sqlite3_stmt *, int, const char *, int, sqlite_destructor))            \
    R(15, int, changes, (sqlite3 *))                                                              \
    R(19, const void *, column_blob, (sqlite3_stmt *, int))                                       \
    R(20, int, column_bytes, (sqlite3_stmt *, int))                                               \
    R(22, int, column_count, (sqlite3_stmt *))                                                    \
    R(27, double, column_double, (sqlite3_stmt *, int))                                           \
    R(29, int64_t, column_int64, (sqlite3_stmt *, int))                                           \
    R(36, const unsigned char *, column_text, (sqlite3_stmt *, int))                              \
    R(38, int, column_type, (sqlite3_stmt *, int))                                                \
    R(39, sqlite3_value *, column_value, (sqlite3_stmt *, int))                                   \
    R(50, int, declare_vtab, (sqlite3 *, const char *))                                           \
    R(53, const char *, errmsg, (sqlite3 *))                                                      \
    R(57, int, finalize, (sqlite3_stmt *))                                                        \
    R(58, void, free, (void *))                                                                   \
    R(60, int, get_autocommit, (sqlite3 *))                                                       \
    R(65, int64_t, last_insert_rowid, (sqlite3 *))                                                \
    R(67, int, libversion_number, (void))                                                         \
    R(68, void *, malloc, (int))                                                                  \
    R(69, char *, mprintf, (const char *, ...))                                                   \
    R(77, int, reset, (sqlite3_stmt *))                                                           \
    R(79, void, result_double, (sqlite3_context *, double))                                       \
    R(80, void, result_error, (sqlite3_context *, const char *, int))                             \
    R(83, void, result_int64, (sqlite3_context *, int64_t))                                       \
    R(84, void, result_null, (sqlite3_context *))                                                 \
    R(94, int, step, (sqlite3_stmt *))                                                            \
    R(95, int, table_column_metadata,                                                             \
      (sqlite3 *, const char *, const char *, const char *, const char **, const char **, int *,  \
       int *, int *))                                                                             \
    R(97, int, total_changes, (sqlite3 *))                                                        \
    R(101, void *, user_data, (sqlite3_context *))                                                \
    R(102, const void *, value_blob, (sqlite3_value *))                                           \
    R(103, int, value_bytes, (sqlite3_value *))                                                   \
    R(105, double, value_double, (sqlite3_value *))                                               \
    R(107, int64_t, value_int64, (sqlite3_value *))                                               \
    R(109, const unsigned char *, value_text, (sqlite3_value *))                                  \
    R(113, int, value_type, (sqlite3_value *))                                                    \
    R(118, int, clear_bindings, (sqlite3_stmt *))                                                 \
    R(119, int, create_module_v2,                                                                 \
      (sqlite3 *, const char *, const sqlite3_module *, void *, sqlite_destructor))               \
    R(127, int, file_control, (sqlite3 *, const char *, int, void *))                             \
    R(146, void, result_error_code, (sqlite3_context *, int))                                     \
    R(162, int, create_function_v2,                                                               \
      (sqlite3 *, const char *, int, int, void *, sqlite_function, sqlite_function,               \
       void (*)(sqlite3_context *), sqlite_destructor))                                           \
    R(166, int, extended_errcode, (sqlite3 *))                                                    \
    R(177, int, vtab_config, (sqlite3 *, int, ...))                                               \
    R(178, int, vtab_on_conflict, (sqlite3 *))                                                    \
    R(180, const char *, db_filename, (sqlite3 *, const char *))                                  \
    R(181, int, db_readonly, (sqlite3 *, const char *))                                           \
    R(201, void, result_blob64, (sqlite3_context *, const void *, uint64_t, sqlite_destructor))   \
    R(202, void, result_text64,                                                                   \
      (sqlite3_context *, const char *, uint64_t, sqlite_destructor, unsigned char))              \
    R(209, void, result_subtype, (sqlite3_context *, unsigned int))                               \
    R(216, void, set_last_insert_rowid, (sqlite3 *, int64_t))                                     \
    R(217, int, prepare_v3,                                                                       \
      (sqlite3 *, const char *, int, unsigned int, sqlite3_stmt **, const char **))               \
    R(220, void, result_pointer, (sqlite3_context *, void *, const char *, sqlite_destructor))    \
    R(221, void *, value_pointer, (sqlite3_value *, const char *))                                \
    R(222, int, vtab_nochange, (sqlite3_context *))                                               \
    R(223, int, value_nochange, (sqlite3_value *))                                                \
    R(224, const char *, vtab_collation, (sqlite3_index_info *, int))                             \
    R(252, int, txn_state, (sqlite3 *, const char *))                                             \
    R(259, int, vtab_in, (sqlite3_index_info *, int, int))                                        \
    R(260, int, vtab_in_first, (sqlite3_value *, sqlite3_value **))                               \
    R(261, int, vtab_in_next, (sqlite3_value *, sqlite3_value **))                                \
    R(266, int, is_interrupted, (sqlite3 *)) /* since 3.41 */

#define SQLITE_DECLARE_ROUTINE(slot, result, name, arguments)                                     \
    enum { SQLITE_SLOT_##name = slot };                                                           \
    typedef result(*sqlite_routine_##name) arguments;
SQLITE_ROUTINES(SQLITE_DECLARE_ROUTINE)
#undef SQLITE_DECLARE_ROUTINE

/* SQ(api, step)(statement): the routine of that SQLite library. */
#define SQ(api, name) ((sqlite_routine_##name)(api)[SQLITE_SLOT_##name])

#define SQLITE_LEAST_VERSION 3038000
#define SQLITE_VERSION_WITH_IS_INTERRUPTED 3041000

enum {
    SQLITE_DIRECTONLY = 0x000080000,
    SQLITE_INNOCUOUS = 0x000200000,
    SQLITE_RESULT_SUBTYPE = 0x001000000,
};

#endif
