/* SPDX-License-Identifier: MIT */

/*
 * To add a key, add a field to conf.h and a row here; a new kind of value also needs a parser in conf_fill.c.
 * Rows of one group stand together, in the order in which the sample file shows them.
 */

#include "conf/conf_table.h"

#include "conf/conf.h"

#include <string.h>

#define COMMON(kind, name, value_type, owner, field)                                                         \
        .group = CONF_GROUP_##kind, .key = name, .type = CONF_TYPE_##value_type,                             \
        .offset = offsetof(owner, field)

/* The three file names of TLS, wherever there is a server to talk to. */
#define TLS_ROWS(kind, owner, field)                                                                         \
        {COMMON(kind, "tls_ca", FILE, owner, field.ca), .standard = "",                                      \
         .example = "/etc/cluster-router/ca.pem",                                                            \
         .sentence =                                                                                         \
             "File of the authorities whose certificates are trusted with TLS; default: the system's."},     \
            {COMMON(kind, "tls_cert", FILE, owner, field.cert), .standard = "",                              \
             .example = "/etc/cluster-router/client.pem",                                                    \
             .sentence = "File of the certificate to show the server, if it asks for one."},                 \
        {                                                                                                    \
                COMMON(kind, "tls_key", FILE, owner, field.key),                                             \
                    .standard = "", .example = "/etc/cluster-router/client.key",                             \
                    .sentence = "File of the key that belongs to tls_cert."                                  \
        }

#define PASSWORD_ROW(kind, owner, field, which)                                                              \
        {                                                                                                    \
                COMMON(kind, "password_file", SECRET_FILE, owner, field),                                    \
                    .standard = "", .example = "/etc/cluster-router/" which ".password",                     \
                    .sentence = "File of the password for the URLs above, which then name only a user; "     \
                                "${CREDENTIALS_DIRECTORY}/NAME for a credential of systemd."                 \
        }

static const ConfRow rows[] = {
    {COMMON(DEFAULT, "cluster", CLUSTER, Conf, cluster), .standard = "", .restart = true, .example = "east",
     .sentence =
         "The cluster of this node, used by cluster-agent; a router that serves all clusters leaves it out."},
    {COMMON(DEFAULT, "host", HOST, Conf, host), .standard = "", .restart = true, .example = "10.0.0.11",
     .sentence =
         "This node's name among the members; default: the member address that belongs to this machine, "
         "else the host name."},
    {COMMON(DEFAULT, "heartbeat_via", CHOICE, Conf, heartbeat_via), .standard = "redis",
     .choices = "redis|amqp", .restart = true,
     .sentence =
         "How the agent says that its host is alive: redis, or amqp through the router where redis cannot "
         "be reached."},
    {COMMON(DEFAULT, "heartbeat_interval", TIME_MS, Conf, heartbeat_interval_ms), .standard = "",
     .example = "5s", .least = "10ms", .most = "1d", .restart = true,
     .sentence = "Time between two heartbeats; default: a third of heartbeat_ttl."},
    {COMMON(DEFAULT, "state_dir", FILE, Conf, state_dir), .standard = "",
     .example = "/var/lib/cluster-router", .restart = true,
     .sentence =
         "Where the router keeps what it must know after a restart; default: /var/lib/cluster-router, for "
         "an ordinary user $XDG_STATE_HOME/cluster-router."},
    {COMMON(DEFAULT, "log_format", CHOICE, Conf, log_format), .standard = "text", .choices = "text|json",
     .restart = true,
     .sentence = "Log as text, with fields where stderr is the journal of systemd, or as one JSON object per "
                 "line on stderr."},

    {COMMON(CLUSTER, "cluster_member_ips", HOSTS, ConfCluster, members), .standard = "", .required = true,
     .example = "10.0.0.11,10.0.0.12",
     .sentence = "Its hosts, separated by commas; may be empty if hosts register themselves in redis."},
    {COMMON(CLUSTER, "aliases", ALIASES, ConfCluster, aliases), .standard = "", .example = "zone-1, zone-2",
     .sentence = "Other names by which messages may call it, such as availability zones."},
    {COMMON(CLUSTER, "amqp_url", AMQP_URLS, ConfCluster, amqp_urls), .standard = "",
     .example = "amqps://router:secret@rabbit.east:5671/east",
     .sentence = "Its own vhost or broker, one URL or several, tried in order; default: the shared broker."},
    PASSWORD_ROW(CLUSTER, ConfCluster, password_file, "CLUSTER"),
    {COMMON(CLUSTER, "state", FLAG, ConfCluster, drained), .standard = "ready", .choices = "ready|drain",
     .sentence = "ready, or drain to give the cluster nothing new."},
    TLS_ROWS(CLUSTER, ConfCluster, tls),

    {COMMON(BROKER, "url", AMQP_URLS, Conf, broker_urls), .standard = "amqp://guest:guest@127.0.0.1:5672/%2f",
     .sentence = "The shared broker, one URL or several, tried in order; %2f is the vhost \"/\"."},
    PASSWORD_ROW(BROKER, Conf, broker_password_file, "broker"),
    {COMMON(BROKER, "heartbeat", SECONDS, Conf, broker_heartbeat_s), .standard = "15s", .least = "1s",
     .most = "1h",
     .sentence = "Heartbeat of AMQP connections: a silent broker is given up after about twice this time."},
    {COMMON(BROKER, "queue_type", FLAG, Conf, quorum), .standard = "classic", .choices = "classic|quorum",
     .sentence = "Type of the queues that the router declares."},
    {COMMON(BROKER, "hold_time", TIME_MS, Conf, hold_time_ms), .standard = "60s", .least = "10ms",
     .most = "25m",
     .sentence = "How long a destination may leave messages unconfirmed before they are parked."},
    {COMMON(BROKER, "retry_max", TIME_MS, Conf, retry_max_ms), .standard = "30s", .least = "10ms",
     .most = "1h", .sentence = "Longest pause between two attempts to reconnect or to deliver again."},
    {COMMON(BROKER, "drain_deadline", TIME_MS, Conf, drain_deadline_ms), .standard = "10s", .least = "10ms",
     .most = "10m", .sentence = "How long a stopping router waits for what is in flight."},
    {COMMON(BROKER, "in_flight_bytes", SIZE, Conf, in_flight_bytes), .standard = "64MiB", .least = "4KiB",
     .most = "64GiB",
     .sentence = "Most bytes of messages in hand per lane. A destination that takes nothing may hold up a "
                 "quarter of them, then what is for it is parked."},
    TLS_ROWS(BROKER, Conf, broker_tls),

    {COMMON(REDIS, "url", REDIS_URL, Conf, redis_url), .standard = "redis://127.0.0.1:6379/0",
     .sentence = "The redis that holds the heartbeats; leave the group out: every configured member counts "
                 "as alive."},
    PASSWORD_ROW(REDIS, Conf, redis_password_file, "redis"),
    {COMMON(REDIS, "heartbeat_ttl", TIME_MS, Conf, heartbeat_ttl_ms), .standard = "15s", .least = "100ms",
     .most = "1d", .sentence = "A host without a heartbeat for this long is not usable."},
    {COMMON(REDIS, "poll", TIME_MS, Conf, redis_poll_ms), .standard = "1s", .least = "10ms", .most = "10m",
     .sentence = "How often the router looks at the heartbeats."},
    {COMMON(REDIS, "timeout", TIME_MS, Conf, redis_timeout_ms), .standard = "500ms", .least = "10ms",
     .most = "1m", .sentence = "How long redis may take for an answer before it counts as lost."},
    {COMMON(REDIS, "rise", COUNT, Conf, rise), .standard = "1", .least = "1", .most = "1000",
     .sentence = "Polls in a row that must find a host alive before it is usable again."},
    {COMMON(REDIS, "fall", COUNT, Conf, fall), .standard = "1", .least = "1", .most = "1000",
     .sentence = "Polls in a row that must miss a host before it is not usable."},
    {COMMON(REDIS, "brake", PERCENT, Conf, brake_percent), .standard = "30%", .least = "1%", .most = "100%",
     .sentence =
         "If more than this share of all hosts falls silent in one poll, that is not believed at once."},

    {COMMON(MYSQL, "url", MYSQL_URL, Conf, mysql_url), .standard = "", .required = true,
     .example = "mysql://router:secret@127.0.0.1:3306/cluster_router",
     .sentence =
         "The catalogue of clusters; leave the group out: the clusters of this file are all there are."},
    PASSWORD_ROW(MYSQL, Conf, mysql_password_file, "mysql"),
    {COMMON(MYSQL, "refresh", TIME_MS, Conf, mysql_refresh_ms), .standard = "30s", .least = "100ms",
     .most = "1d", .sentence = "How often the router reads the catalogue."},
    {COMMON(MYSQL, "timeout", TIME_MS, Conf, mysql_timeout_ms), .standard = "2s", .least = "100ms",
     .most = "1m", .sentence = "How long MySQL may take for an answer before it counts as lost."},
    {COMMON(MYSQL, "stats_keep", TIME_S, Conf, stats_keep_s), .standard = "30d", .least = "1m",
     .most = "3650d", .sentence = "How long statistics of each minute are kept."},
    TLS_ROWS(MYSQL, Conf, mysql_tls),

    {COMMON(HTTP, "listen", LISTEN, Conf, http_address), .standard = "127.0.0.1:9419",
     .sentence = "Address and port of metrics, health and dashboard, or off; [::1]:9419 for IPv6."},

    {COMMON(ROUTE, "queue", QUEUE, ConfRoute, queue), .standard = "", .required = true,
     .example = "cinder-volume",
     .sentence = "The shared queue to consume; declared durable if absent, used as it is if present."},
    {COMMON(ROUTE, "bind", BINDS, ConfRoute, binds), .standard = "",
     .example = "openstack/cinder-scheduler.#, openstack/cinder-volume.#",
     .sentence =
         "Bindings of that queue, EXCHANGE/KEY separated by commas, so that it also catches whole families "
         "of keys."},
    {COMMON(ROUTE, "bind_exchange", BIND_EXCHANGE, ConfRoute, bind_exchange_type),
     .standard = "topic, durable", .example = "topic, transient",
     .sentence =
         "What that exchange is if it must be declared: topic, direct, fanout or headers, then durable or "
         "transient, auto_delete; one that exists is used as it is."},
    {COMMON(ROUTE, "cluster_from", SOURCES, ConfRoute, sources), .standard = "",
     .example = "header:cluster, json:/cluster, oslo:/args/cluster",
     .sentence =
         "Where the cluster stands in a message, tried in order; the first known name wins. header:NAME, "
         "json:/POINTER, oslo:/POINTER, key:TEMPLATE with {cluster} or {host}, host: in front if it names a "
         "host, fields:NAME for a list in a group of its own."},
    {COMMON(ROUTE, "destination", DESTINATION, ConfRoute, key), .standard = "", .required = true,
     .example = "queue:{queue}.{cluster}",
     .sentence =
         "queue:NAME or exchange:NAME/KEY, with {queue} {exchange} {key} as received and {cluster} {host}."},
    {COMMON(ROUTE, "mode", CHOICE, ConfRoute, mode), .standard = "reroute", .choices = "reroute|tag",
     .sentence =
         "reroute to each cluster's own destination, or tag: one destination for all, cluster and usable "
         "hosts in headers."},
    {COMMON(ROUTE, "on_no_cluster", POLICY, ConfRoute, on_no_cluster), .standard = "any",
     .sentence = "For messages that name no cluster: any (cluster with usable hosts, as before clusters), "
                 "cluster:NAME, queue:NAME, park or dead."},
    {COMMON(ROUTE, "on_unknown_cluster", POLICY, ConfRoute, on_unknown_cluster), .standard = "dead",
     .sentence = "For messages that name a cluster nobody knows: the same choices."},
    {COMMON(ROUTE, "on_cluster_down", POLICY_DOWN, ConfRoute, on_down_cast), .standard = "park",
     .example = "cast:park, call:fail",
     .sentence =
         "While no host of the cluster is usable: park, dead, any, cluster:NAME or fail (answer the caller "
         "at once); calls, which wait for a reply, may differ from casts: cast:POLICY, call:POLICY."},
    {COMMON(ROUTE, "replies", FLAG, ConfRoute, replies), .standard = "auto", .choices = "off|auto",
     .sentence = "auto copies replies back when the cluster has its own amqp_url; off does not."},
    {COMMON(ROUTE, "prefetch", COUNT, ConfRoute, prefetch), .standard = "500", .least = "1", .most = "65535",
     .sentence = "Most messages in hand per lane. A broker of a cluster's own has at most an eighth of them "
                 "unconfirmed, all of these half, so that the others go on when they fall silent: raise this "
                 "if they are far away."},
    {COMMON(ROUTE, "lanes", COUNT, ConfRoute, lanes), .standard = "1", .least = "1", .most = "64",
     .sentence = "Threads that carry this route; with more than one, order holds only within a lane."},
    {COMMON(ROUTE, "affinity", SOURCE, ConfRoute, affinity), .standard = "", .example = "json:/volume_id",
     .sentence =
         "With {host} in the destination: messages of which this source holds the same text go to the "
         "same host while it is usable; without, or without a text, hosts take turns."},
    {COMMON(ROUTE, "take_back", TIME_MS, ConfRoute, take_back_ms), .standard = "1m", .least = "100ms",
     .most = "3650d",
     .sentence =
         "With {host} in a queue: destination: when a host has been down for this long, what is left in "
         "its queue is taken back and routed again."},
    {COMMON(ROUTE, "park_ttl", TIME_S, ConfRoute, park_ttl_s), .standard = "none", .least = "1s",
     .most = "3650d", .sentence = "A message parked for this long goes to the dead queue."},
    {COMMON(ROUTE, "max_attempts", COUNT, ConfRoute, max_attempts), .standard = "none", .least = "1",
     .most = "1000000", .sentence = "A message that failed this often goes to the dead queue."},
};

const ConfRow *
conf_table(size_t *out_count)
{
        *out_count = G_N_ELEMENTS(rows);
        return rows;
}

const ConfRow *
conf_table_find(ConfGroupKind kind, const char *key)
{
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
                if (rows[i].group == kind && strcmp(rows[i].key, key) == 0)
                        return &rows[i];
        return NULL;
}

const char **
conf_table_keys(ConfGroupKind kind)
{
        const char **keys = g_new0(const char *, G_N_ELEMENTS(rows) + 1);
        for (size_t i = 0, n = 0; i < G_N_ELEMENTS(rows); i++)
                if (rows[i].group == kind)
                        keys[n++] = rows[i].key;
        return keys;
}

const char *
conf_table_group_name(ConfGroupKind kind)
{
        static const char *const names[] = {
            [CONF_GROUP_DEFAULT] = "DEFAULT", [CONF_GROUP_CLUSTER] = "CLUSTER",
            [CONF_GROUP_BROKER] = "broker",   [CONF_GROUP_REDIS] = "redis",
            [CONF_GROUP_MYSQL] = "mysql",     [CONF_GROUP_HTTP] = "http",
            [CONF_GROUP_ROUTE] = "route:NAME"};
        return names[kind];
}

const char *
conf_table_unit(const ConfRow *row)
{
        switch (row->type) {
        case CONF_TYPE_TIME_MS:
                return "ms s m h d";
        case CONF_TYPE_TIME_S:
        case CONF_TYPE_SECONDS:
                return "s m h d";
        case CONF_TYPE_SIZE:
                return "bytes KiB MiB GiB";
        case CONF_TYPE_PERCENT:
                return "%";
        default:
                return "";
        }
}
