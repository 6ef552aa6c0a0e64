/* SPDX-License-Identifier: MIT */

/*
 * Does a destination lead back to an intake? The template is expanded for each cluster of the shared broker
 * and for each way a message can have come in: by the queue's own name through the default exchange, or by a
 * binding. The result is an intake if it is the name of a consumed queue, or an exchange and key that some
 * route's queue is bound to; for that the key is matched as the exchange would match it.
 *
 * A cluster with a broker or vhost of its own is another world and cannot lead back. Clusters of the
 * catalogue are not known here.
 */

#include "conf/conf_loop.h"

#include "conf/conf_destination.h"
#include "conf/conf_url.h"

#include <string.h>

enum { STEPS_MAX = 1000000, SHORT_STRING_MAX_BYTES = 255, WORDS_MAX = 256 };

typedef struct {
        ConfFaults *faults;
        const Conf *conf;
        GHashTable *intakes; /* queue -> ConfRoute * */
        unsigned steps;      /* so that a monstrous file is checked in part rather than for hours */
} Loop;

static bool
is_same_broker(const char *a, const char *b)
{
        g_autoptr(ConfUrl) left = conf_url_parse(a, CONF_URL_AMQP, NULL);
        g_autoptr(ConfUrl) right = conf_url_parse(b, CONF_URL_AMQP, NULL);
        return left && right && left->port == right->port && strcmp(left->name, right->name) == 0 &&
               g_ascii_strcasecmp(left->host, right->host) == 0;
}

static bool
is_shared(const Conf *conf, const ConfCluster *cluster)
{
        if (!cluster->amqp_urls[0])
                return true;
        for (char **own = cluster->amqp_urls; *own; own++)
                for (char **shared = conf->broker_urls; *shared; shared++)
                        if (is_same_broker(*own, *shared))
                                return true;
        return false;
}

/* Topic rules: words between dots, * is one word, # any number. Row by row, so that many # cost no more. */
static bool
topic_matches(const char *pattern, const char *key)
{
        g_auto(GStrv) wanted = g_strsplit(pattern, ".", -1);
        g_auto(GStrv) words = g_strsplit(key, ".", -1);
        unsigned count = g_strv_length(words);
        bool reached[WORDS_MAX + 1] = {true};
        if (count > WORDS_MAX)
                return false;
        for (char **want = wanted; *want; want++) {
                bool many = strcmp(*want, "#") == 0, one = strcmp(*want, "*") == 0;
                bool before = reached[0];
                reached[0] = before && many;
                for (unsigned i = 1; i <= count; i++) {
                        bool above = reached[i];
                        reached[i] = many ? above || reached[i - 1]
                                          : before && (one || strcmp(*want, words[i - 1]) == 0);
                        before = above;
                }
        }
        return reached[count];
}

static bool
bind_catches(const ConfRoute *route, const ConfBind *bind, const char *exchange, const char *key)
{
        if (strcmp(bind->exchange, exchange) != 0)
                return false;
        if (strcmp(route->bind_exchange_type, "topic") == 0)
                return topic_matches(bind->key, key);
        if (strcmp(route->bind_exchange_type, "direct") == 0)
                return strcmp(bind->key, key) == 0;
        return strcmp(route->bind_exchange_type, "fanout") == 0;
}

/* The route that consumes what is published to that exchange with that key, or NULL. */
static const ConfRoute *
find_intake(Loop *loop, const char *exchange, const char *key)
{
        if (!*exchange)
                return g_hash_table_lookup(loop->intakes, key);
        for (unsigned i = 0; i < loop->conf->routes->len; i++) {
                const ConfRoute *route = loop->conf->routes->pdata[i];
                for (unsigned j = 0; j < route->binds->len; j++, loop->steps++)
                        if (bind_catches(route, route->binds->pdata[j], exchange, key))
                                return route;
        }
        return NULL;
}

/* One of the router's own queues: parked and dead messages would run in a circle. */
static bool
is_own_queue(const Conf *conf, const char *queue)
{
        if (!g_str_has_prefix(queue, "cluster-router."))
                return false;
        const char *rest = queue + strlen("cluster-router.");
        for (unsigned i = 0; i < conf->routes->len; i++) {
                const ConfRoute *route = conf->routes->pdata[i];
                size_t length = strlen(route->name);
                if (strncmp(rest, route->name, length) != 0)
                        continue;
                if (strcmp(rest + length, ".dead") == 0 || strcmp(rest + length, ".parked") == 0 ||
                    g_str_has_prefix(rest + length, ".parked."))
                        return true;
        }
        return strcmp(rest, "control") == 0;
}

/* False, with an error, if messages of @route that go to this exchange and key come back. */
static bool
check_target(Loop *loop, const ConfRoute *route, const char *exchange, const char *key)
{
        unsigned line = conf_text_route_line(loop->conf->text, route->name, "destination");
        g_autofree char *quoted = conf_quote(key);
        loop->steps++;
        if (strlen(exchange) > SHORT_STRING_MAX_BYTES || strlen(key) > SHORT_STRING_MAX_BYTES) {
                conf_faults_error(loop->faults, line, "destination: %s is longer than 255 bytes", quoted);
                return false;
        }
        const ConfRoute *back = find_intake(loop, exchange, key);
        if (back) {
                g_autofree char *where = conf_quote(exchange);
                conf_faults_error(
                    loop->faults, line,
                    "destination: leads back to the queue of route \"%s\" (line %u) with %s%s%s %s",
                    back->name, conf_text_route_line(loop->conf->text, back->name, "queue"),
                    *exchange ? "exchange " : "", *exchange ? where : "",
                    *exchange ? " and key" : "queue name", quoted);
                return false;
        }
        if (!*exchange && is_own_queue(loop->conf, key)) {
                conf_faults_error(loop->faults, line, "destination: %s is a queue of the router's own",
                                  quoted);
                return false;
        }
        return true;
}

static bool
check_expanded(Loop *loop, const ConfRoute *route, const ConfBind *came, const char *cluster,
               const char *host)
{
        g_autofree char *exchange =
            conf_expand(route->exchange, route->queue, came->exchange, came->key, cluster, host);
        g_autofree char *key =
            conf_expand(route->key, route->queue, came->exchange, came->key, cluster, host);
        return check_target(loop, route, exchange, key);
}

/* All destinations of messages that came in as @came says. */
static bool
check_arrival(Loop *loop, const ConfRoute *route, const ConfBind *came)
{
        bool by_host = conf_destination_has(route, "{host}");
        bool by_cluster = by_host || conf_destination_has(route, "{cluster}");
        const GPtrArray *clusters = loop->conf->clusters;
        bool good = true;
        if (!by_cluster && clusters->len == 0)
                return check_expanded(loop, route, came, NULL, NULL);
        for (unsigned i = 0; i < clusters->len && good && loop->steps < STEPS_MAX; i++) {
                const ConfCluster *cluster = clusters->pdata[i];
                loop->steps++;
                if (!is_shared(loop->conf, cluster))
                        continue;
                if (!by_host)
                        good = check_expanded(loop, route, came, cluster->name, NULL);
                for (char **host = cluster->members; by_host && *host && good; host++)
                        good = check_expanded(loop, route, came, cluster->name, *host);
                if (!by_cluster)
                        break;
        }
        return good;
}

static void
check_destination(Loop *loop, const ConfRoute *route)
{
        ConfBind by_name = {"", route->queue};
        bool good = check_arrival(loop, route, &by_name);
        if (!conf_destination_has(route, "{exchange}") && !conf_destination_has(route, "{key}"))
                return;
        for (unsigned i = 0; i < route->binds->len && good; i++)
                good = check_arrival(loop, route, route->binds->pdata[i]);
}

static void
check_policy(Loop *loop, const char *key, const ConfPolicy *policy)
{
        if (policy->kind != CONF_POLICY_QUEUE)
                return;
        const ConfRoute *back = g_hash_table_lookup(loop->intakes, policy->name);
        if (back)
                conf_faults_error(loop->faults, policy->line, "%s: leads back to the queue of route \"%s\"",
                                  key, back->name);
        else if (is_own_queue(loop->conf, policy->name))
                conf_faults_error(loop->faults, policy->line,
                                  "%s: that is a queue of the router's own; did you mean park or dead?", key);
}

/* Every queue has one route; the first that names it keeps it. */
static void
add_intake(Loop *loop, ConfRoute *route)
{
        unsigned line = conf_text_route_line(loop->conf->text, route->name, "queue");
        const ConfRoute *other = g_hash_table_lookup(loop->intakes, route->queue);
        g_autofree char *quoted = conf_quote(route->queue);
        if (other)
                conf_faults_error(
                    loop->faults, line,
                    "queue: %s is already consumed by route \"%s\" (line %u); one route per queue", quoted,
                    other->name, conf_text_route_line(loop->conf->text, other->name, "queue"));
        else
                g_hash_table_insert(loop->intakes, route->queue, route);
        if (is_own_queue(loop->conf, route->queue))
                conf_faults_error(loop->faults, line, "queue: %s is a queue of the router's own", quoted);
}

void
conf_loop_check(ConfFaults *faults, const Conf *conf)
{
        g_autoptr(GHashTable) intakes = g_hash_table_new(g_str_hash, g_str_equal);
        Loop loop = {faults, conf, intakes, 0};
        for (unsigned i = 0; i < conf->routes->len; i++) {
                ConfRoute *route = conf->routes->pdata[i];
                if (route->queue)
                        add_intake(&loop, route);
        }
        for (unsigned i = 0; i < conf->routes->len; i++) {
                const ConfRoute *route = conf->routes->pdata[i];
                if (route->queue && route->key)
                        check_destination(&loop, route);
                check_policy(&loop, "on_no_cluster", &route->on_no_cluster);
                check_policy(&loop, "on_unknown_cluster", &route->on_unknown_cluster);
        }
        if (loop.steps >= STEPS_MAX)
                conf_faults_warn(faults, 0, "too large to find every destination that leads back to a queue");
}
