/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The configuration: one file for all nodes, read once, never changed afterwards.
 *
 * conf_load() either gives a whole, checked Conf or a list of errors; there is nothing in between.
 * A Conf is immutable and reference counted, so any thread may read it while it holds a reference.
 * Strings and arrays belong to the Conf. Times are in milliseconds (_ms) or seconds (_s), sizes in bytes.
 */

typedef enum {
        CONF_SOURCE_HEADER, /* header:NAME, an AMQP header */
        CONF_SOURCE_JSON,   /* json:POINTER, RFC 6901 in the body */
        CONF_SOURCE_OSLO,   /* oslo:POINTER, inside the oslo.messaging envelope */
        CONF_SOURCE_KEY,    /* key:TEMPLATE, the routing key; one {cluster} or {host}, * for the rest */
} ConfSourceKind;

/* One place in a message where its cluster may stand. */
typedef struct {
        ConfSourceKind kind;
        bool is_host;   /* "host:" stood in front, or the template holds {host}: the value names a host */
        char *text;     /* what follows the kind: header name, pointer or template */
        char *spelling; /* the source as written, for people */
        unsigned line;
} ConfSource;

typedef enum {
        CONF_POLICY_ANY,     /* any cluster with usable hosts, weighted by their number */
        CONF_POLICY_CLUSTER, /* cluster:NAME */
        CONF_POLICY_QUEUE,   /* queue:NAME on the shared broker */
        CONF_POLICY_PARK,
        CONF_POLICY_DEAD,
        CONF_POLICY_FAIL, /* answer the caller at once */
} ConfPolicyKind;

typedef struct {
        ConfPolicyKind kind;
        char *name; /* for CLUSTER and QUEUE, else NULL */
        unsigned line;
} ConfPolicy;

typedef enum { CONF_MODE_REROUTE, CONF_MODE_TAG } ConfMode;

/* One binding of a route's queue: `bind = EXCHANGE/KEY, ...`. */
typedef struct {
        char *exchange;
        char *key;
} ConfBind;

/* One rule: which shared queue to consume, where to find the cluster, where to send. */
typedef struct {
        char *name;
        unsigned line; /* of its group header */
        char *queue;
        GPtrArray *binds;         /* of ConfBind *, empty if none */
        char *bind_exchange_type; /* used only if the exchange is absent: "topic", ... */
        bool bind_exchange_durable;
        bool bind_exchange_auto_delete;
        GPtrArray *sources; /* of ConfSource *, in order; empty only in single-cluster mode */
        char *exchange;     /* destination exchange template; "" for queue: destinations */
        char *key;          /* destination routing key (or queue name) template */
        bool to_queue;      /* `queue:` (the router declares it) or `exchange:` (it does not) */
        ConfMode mode;
        ConfPolicy on_no_cluster;
        ConfPolicy on_unknown_cluster;
        ConfPolicy on_down_cast; /* on_cluster_down, for messages nobody waits for */
        ConfPolicy on_down_call; /* on_cluster_down, for calls, which wait for a reply */
        bool replies;            /* auto: copy replies back when the cluster has its own amqp_url */
        unsigned prefetch;       /* 1-65535 */
        unsigned lanes;          /* 1-64 */
        ConfSource *affinity;    /* or NULL */
        int64_t take_back_ms;    /* of conf_route_has_host_queues(): a host is dead for that long before */
        int64_t park_ttl_s;      /* 0: none */
        unsigned max_attempts;   /* 0: none */
        char *fingerprint;       /* hash of all that matters to its lanes: same text, same lane */
} ConfRoute;

typedef struct {
        char *ca; /* file names or NULL */
        char *cert;
        char *key;
} ConfTls;

/* A named set of hosts, from a group of its own. */
typedef struct {
        char *name;
        unsigned line;
        GStrv members;       /* host names, no duplicates, may be empty */
        GStrv aliases;       /* names by which messages may call it */
        GStrv amqp_urls;     /* its own broker, tried in order; empty: the shared broker */
        char *password_file; /* of amqp_urls, or NULL */
        bool drained;        /* state = drain */
        ConfTls tls;
} ConfCluster;

typedef enum { CONF_LOG_TEXT, CONF_LOG_JSON } ConfLogFormat;
typedef enum { CONF_HEARTBEAT_REDIS, CONF_HEARTBEAT_AMQP } ConfHeartbeatVia;

typedef struct {
        gatomicrefcount refs;
        char *path;        /* the file it came from */
        char *fingerprint; /* hash of the file's bytes, for people: which version runs? */

        /* [DEFAULT] */
        char *cluster; /* this node's, NULL if none */
        char *host;    /* this node's name, NULL: to be found by the agent */
        unsigned host_line;
        ConfHeartbeatVia heartbeat_via;
        int64_t heartbeat_interval_ms; /* a third of the TTL unless set */
        char *state_dir;
        ConfLogFormat log_format;

        /* [broker] */
        GStrv broker_urls;          /* at least one, with the password of the file */
        char *broker_password_file; /* or NULL */
        unsigned broker_heartbeat_s;
        bool quorum; /* queues the router declares: quorum, else classic */
        int64_t hold_time_ms;
        int64_t retry_max_ms;
        int64_t drain_deadline_ms;
        uint64_t in_flight_bytes;
        ConfTls broker_tls;

        /* [redis]; redis_url is NULL without the group: every configured member counts as alive */
        char *redis_url;
        char *redis_password_file; /* or NULL */
        int64_t heartbeat_ttl_ms;
        int64_t redis_poll_ms;
        int64_t redis_timeout_ms;
        unsigned rise;
        unsigned fall;
        unsigned brake_percent;

        /* [mysql]; mysql_url is NULL without the group: the clusters of the file are all there are */
        char *mysql_url;
        char *mysql_password_file; /* or NULL */
        int64_t mysql_refresh_ms;
        int64_t mysql_timeout_ms;
        int64_t stats_keep_s;
        ConfTls mysql_tls;

        /* [http]; http_address is NULL for `listen = off` */
        char *http_address;
        uint16_t http_port;

        GPtrArray *clusters; /* of ConfCluster *, in file order */
        GPtrArray *routes;   /* of ConfRoute *, in file order */
        GPtrArray *warnings; /* of char *, one per line: what is legal and probably not meant */

        struct ConfText *text; /* private to conf/: groups and keys as written */
} Conf;

/*
 * Reads and checks the file. On success a new reference; on failure NULL and one or more lines of the form
 * "FILE:LINE: what is wrong" (without the line where none applies) appended to @errors, an array of char *.
 */
Conf *conf_load(const char *path, GPtrArray *errors) G_GNUC_WARN_UNUSED_RESULT;

/* The same for text already in memory; @path is only used in messages. For tests and fuzzing. */
Conf *conf_parse(const char *path, const char *text, size_t length,
                 GPtrArray *errors) G_GNUC_WARN_UNUSED_RESULT;

Conf *conf_ref(Conf *conf);
void conf_unref(Conf *conf); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Conf, conf_unref)

/* No cluster group and no [mysql]: one destination for all, the cluster field means nothing. */
bool conf_is_single_cluster(const Conf *conf);

const ConfCluster *conf_find_cluster(const Conf *conf, const char *name); /* NULL if the file has none such */
const ConfRoute *conf_find_route(const Conf *conf, const char *name);

/* Each host has a queue whose name follows from the file: destination = queue: with {host}, without {key} and
 * {exchange}. */
bool conf_route_has_host_queues(const ConfRoute *route);

/*
 * The names that the file relies on but does not define (possible only with [mysql], where the catalogue may
 * define them): an array of char *, each "FILE:LINE: KEY names cluster "X", which ..." paired by index with
 * @out_names. Both are new and the caller's.
 */
GPtrArray *conf_undefined_clusters(const Conf *conf, GPtrArray **out_names);

/*
 * Every key with its value in force, for `config show`: lines "group<TAB>key<TAB>value<TAB>default<TAB>
 * reloadable|restart<TAB>file|default". Passwords in URLs are shown as "***".
 */
GPtrArray *conf_describe(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;

/* A copy of @url with its password replaced by "***": what may be logged or shown. */
char *conf_mask_url(const char *url) G_GNUC_WARN_UNUSED_RESULT;

/* Expands {queue} {exchange} {key} {cluster} {host} in a destination template; NULL arguments expand to "".
 */
char *conf_expand(const char *text, const char *queue, const char *exchange, const char *key,
                  const char *cluster, const char *host) G_GNUC_WARN_UNUSED_RESULT;
