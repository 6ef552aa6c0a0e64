/* SPDX-License-Identifier: MIT */

/*
 * A reload keeps the lanes of a route whose fingerprint is the same. So it covers what a lane holds for its
 * life: the route's own values, the shared broker, and the brokers of clusters that have their own. It does
 * not cover members, aliases and states, which reach lanes through views, nor lines and comments.
 *
 * Values are hashed with their NUL, so that two lists never look alike by accident of where a value ends.
 */

#include "conf/conf_fingerprint.h"

#include <string.h>

static void
add_text(GChecksum *sum, const char *text)
{
        /* Text is UTF-8, so \xff stands for "none" and nothing else. */
        if (!text)
                text = "\xff";
        g_checksum_update(sum, (const guchar *)text, (gssize)strlen(text) + 1);
}

static void
add_number(GChecksum *sum, int64_t number)
{
        g_checksum_update(sum, (const guchar *)&number, sizeof(number));
}

static void
add_list(GChecksum *sum, GStrv list)
{
        add_number(sum, g_strv_length(list));
        for (char **item = list; *item; item++)
                add_text(sum, *item);
}

static void
add_tls(GChecksum *sum, const ConfTls *tls)
{
        add_text(sum, tls->ca);
        add_text(sum, tls->cert);
        add_text(sum, tls->key);
}

static void
add_policy(GChecksum *sum, const ConfPolicy *policy)
{
        add_number(sum, policy->kind);
        add_text(sum, policy->name);
}

static void
add_shared(GChecksum *sum, const Conf *conf)
{
        add_number(sum, conf_is_single_cluster(conf));
        add_list(sum, conf->broker_urls);
        add_number(sum, conf->broker_heartbeat_s);
        add_number(sum, conf->quorum);
        add_number(sum, conf->hold_time_ms);
        add_number(sum, conf->retry_max_ms);
        add_number(sum, conf->drain_deadline_ms);
        add_number(sum, (int64_t)conf->in_flight_bytes);
        add_tls(sum, &conf->broker_tls);
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];
                if (!cluster->amqp_urls[0])
                        continue;
                add_text(sum, cluster->name);
                add_list(sum, cluster->amqp_urls);
                add_tls(sum, &cluster->tls);
        }
}

static void
add_intake(GChecksum *sum, const ConfRoute *route)
{
        add_text(sum, route->name);
        add_text(sum, route->queue);
        add_number(sum, route->binds->len);
        for (unsigned i = 0; i < route->binds->len; i++) {
                const ConfBind *bind = route->binds->pdata[i];
                add_text(sum, bind->exchange);
                add_text(sum, bind->key);
        }
        add_text(sum, route->bind_exchange_type);
        add_number(sum, route->bind_exchange_durable);
        add_number(sum, route->bind_exchange_auto_delete);
        add_number(sum, route->sources->len);
        for (unsigned i = 0; i < route->sources->len; i++)
                add_text(sum, ((ConfSource *)route->sources->pdata[i])->spelling);
        add_number(sum, route->prefetch);
        add_number(sum, route->lanes);
}

static void
add_outlet(GChecksum *sum, const ConfRoute *route)
{
        add_text(sum, route->exchange);
        add_text(sum, route->key);
        add_number(sum, route->to_queue);
        add_number(sum, route->mode);
        add_policy(sum, &route->on_no_cluster);
        add_policy(sum, &route->on_unknown_cluster);
        add_policy(sum, &route->on_down_cast);
        add_policy(sum, &route->on_down_call);
        add_number(sum, route->replies);
        add_text(sum, route->affinity ? route->affinity->spelling : NULL);
        add_number(sum, route->take_back_ms);
        add_number(sum, route->park_ttl_s);
        add_number(sum, route->max_attempts);
}

void
conf_fingerprint_seal(Conf *conf, const char *bytes, size_t length)
{
        conf->fingerprint = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)bytes, length);

        g_autoptr(GChecksum) shared = g_checksum_new(G_CHECKSUM_SHA256);
        add_shared(shared, conf);
        for (unsigned i = 0; i < conf->routes->len; i++) {
                ConfRoute *route = conf->routes->pdata[i];
                g_autoptr(GChecksum) sum = g_checksum_copy(shared);
                add_intake(sum, route);
                add_outlet(sum, route);
                route->fingerprint = g_strdup(g_checksum_get_string(sum));
        }
}
