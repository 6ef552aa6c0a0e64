/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf_value.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What can be asked of clusterctl, and how an argument vector becomes a request. Each noun keeps its commands
 * in an array of its own file; pure but for command_fail().
 */

/* Exit statuses, as <sysexits.h> has them, and 1 for a check that said no. */
enum {
        EXIT_DONE = 0,
        EXIT_NO = 1,
        EXIT_UNHEALTHY = 2, /* doctor: errors */
        EXIT_USAGE = 64,
        EXIT_DATA = 65,
        EXIT_UNAVAILABLE = 69,
        EXIT_OUTPUT = 74,
        EXIT_TRY_AGAIN = 75,
        EXIT_CONFIG = 78,
};

/* What every command gets. */
typedef struct {
        const char *conf_path;
        bool json;         /* -o json */
        GHashTable *given; /* its own options: name -> value, borrowed from argv */
} Options;

/* An option that only some commands take. One name means the same everywhere, with or without a value. */
typedef struct {
        const char *name;  /* "--route" */
        const char *value; /* for people: "ROUTE"; NULL: it takes none */
        const char *help;  /* one line */
} CommandOption;

typedef struct {
        const char *noun;
        const char *verb;      /* NULL: the noun stands alone */
        const char *arguments; /* for people: "CLUSTER HOST", "[ROUTE]", "" */
        unsigned min_arguments;
        unsigned max_arguments;
        const char *summary; /* one line without a full stop */
        const char *help;    /* the rest: what it does, the JSON it prints, an example */
        int (*run)(const Options *options, char **arguments); /* returns the exit status */
        const CommandOption *options; /* ends in an empty one; NULL: none of its own */
} Command;

typedef enum { REQUEST_RUN, REQUEST_HELP, REQUEST_VERSION } RequestKind;

typedef struct {
        RequestKind kind;
        Options options;
        const char *noun;       /* HELP: of what, NULL for the program */
        const Command *command; /* RUN: what to run; HELP: of what, or NULL for the whole noun */
        GPtrArray *arguments;   /* of char *, borrowed from argv, NULL-terminated */
} Request;

void request_clear(Request *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Request, request_clear)

/*
 * Reads argv[1..]. @nouns is a NULL-terminated list of arrays that each end in an empty Command. On failure
 * returns false and one line for the user, new, in @out_error.
 */
bool request_parse(const Command *const *nouns, const char *const *argv, Request *out_request,
                   char **out_error) G_GNUC_WARN_UNUSED_RESULT;

/* The text of --help for that request; new. */
char *request_help(const Command *const *nouns, const Request *request) G_GNUC_WARN_UNUSED_RESULT;

/* The value of that option, "" for one without a value; NULL if it was not given. */
const char *options_get(const Options *options, const char *name);

/*
 * Its value as a number within bounds, as conf/conf_value.h has them; @out_number stays as it is if it was
 * not given. False after saying what is wrong (then: EXIT_USAGE).
 */
bool options_get_number(const Options *options, const char *name, ConfUnit unit, const char *least,
                        const char *most, uint64_t *out_number) G_GNUC_WARN_UNUSED_RESULT;

/* Says "clusterctl: ..." on stderr and returns @status, to be returned in turn. */
int command_fail(int status, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* The same for what is no failure. */
void command_warn(const char *format, ...) G_GNUC_PRINTF(1, 2);
