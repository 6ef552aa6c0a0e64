/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The one table of all keys. The parser, `config show` and the sample file are made from it.
 */

typedef enum {
        CONF_GROUP_DEFAULT,
        CONF_GROUP_CLUSTER, /* every group that is not reserved */
        CONF_GROUP_BROKER,
        CONF_GROUP_REDIS,
        CONF_GROUP_MYSQL,
        CONF_GROUP_HTTP,
        CONF_GROUP_ROUTE, /* route:NAME */
        CONF_GROUP_COUNT
} ConfGroupKind;

/* What a value is, and with it the type of the field at `offset` (in brackets). */
typedef enum {
        CONF_TYPE_FILE,          /* a file name [char *] */
        CONF_TYPE_SECRET_FILE,   /* the same, or ${CREDENTIALS_DIRECTORY}/NAME [char *] */
        CONF_TYPE_HOST,          /* [char *] */
        CONF_TYPE_CLUSTER,       /* [char *] */
        CONF_TYPE_QUEUE,         /* [char *] */
        CONF_TYPE_HOSTS,         /* [GStrv] */
        CONF_TYPE_ALIASES,       /* [GStrv] */
        CONF_TYPE_AMQP_URLS,     /* [GStrv] */
        CONF_TYPE_REDIS_URL,     /* [char *] */
        CONF_TYPE_MYSQL_URL,     /* [char *] */
        CONF_TYPE_LISTEN,        /* [Conf] */
        CONF_TYPE_COUNT,         /* [unsigned] */
        CONF_TYPE_PERCENT,       /* [unsigned] */
        CONF_TYPE_SIZE,          /* [uint64_t] bytes */
        CONF_TYPE_TIME_MS,       /* [int64_t] */
        CONF_TYPE_TIME_S,        /* [int64_t] whole seconds */
        CONF_TYPE_SECONDS,       /* [unsigned] whole seconds */
        CONF_TYPE_CHOICE,        /* index in `choices` [an enum] */
        CONF_TYPE_FLAG,          /* two choices, false and true [bool] */
        CONF_TYPE_SOURCES,       /* [GPtrArray *] */
        CONF_TYPE_SOURCE,        /* [ConfSource *] */
        CONF_TYPE_DESTINATION,   /* [ConfRoute] */
        CONF_TYPE_POLICY,        /* [ConfPolicy] */
        CONF_TYPE_POLICY_DOWN,   /* [ConfRoute] */
        CONF_TYPE_BINDS,         /* [GPtrArray *] */
        CONF_TYPE_BIND_EXCHANGE, /* [ConfRoute] */
} ConfType;

typedef struct {
        ConfGroupKind group;
        const char *key;
        ConfType type;
        size_t offset;        /* of the field in Conf, ConfCluster or ConfRoute */
        const char *standard; /* the value if the key is absent, "" for none */
        const char *example;  /* for the sample file, where `standard` says too little; or NULL */
        const char *choices;  /* words separated by "|", for CHOICE and FLAG */
        const char *least;    /* bounds of numbers, written as values are */
        const char *most;
        bool required; /* must stand in its group */
        bool restart;  /* takes effect at the next start; all others at reload */
        const char *sentence;
} ConfRow;

/* All rows, those of one group together, and their number. */
const ConfRow *conf_table(size_t *out_count);

const ConfRow *conf_table_find(ConfGroupKind kind, const char *key); /* NULL if there is no such key */

/* The keys of a group, ending in NULL; the array is new (g_free), the strings are constant. */
const char **conf_table_keys(ConfGroupKind kind) G_GNUC_WARN_UNUSED_RESULT;

/* The name of the group in the file: "broker", "route:NAME", "CLUSTER". */
const char *conf_table_group_name(ConfGroupKind kind);

/* The unit a number is written in, for people; "" if it has none. */
const char *conf_table_unit(const ConfRow *row);
