/* SPDX-License-Identifier: MIT */
/*
 * redis, MySQL and the running router: each is asked as the router or clusterctl asks it.
 */
#include "cluster/announcement.h"
#include "cluster/catalogue.h"
#include "cluster/migration.h"
#include "cluster/redis_link.h"
#include "router/ctl/api.h"
#include "router/ctl/doctor.h"

#include <string.h>

/* ---- redis ---- */

/* A difference of less is never noticed; of more than the second, times in headers mislead. */
#define CLOCK_WARNING_US (INT64_C(2) * G_USEC_PER_SEC)
#define CLOCK_ERROR_US (INT64_C(60) * G_USEC_PER_SEC)

void
doctor_compare_clocks(Doctor *doctor, const char *subject, int64_t ours_us, int64_t theirs_us)
{
        int64_t difference_us = ABS(ours_us - theirs_us);
        g_autofree char *found =
            g_strdup_printf("its clock is %.1f s %s this machine's", (double)difference_us / G_USEC_PER_SEC,
                            theirs_us > ours_us ? "ahead of" : "behind");

        if (difference_us < CLOCK_WARNING_US)
                doctor_ok(doctor, "clock", subject, "%s", found);
        else
                doctor_add(
                    doctor, difference_us < CLOCK_ERROR_US ? FINDING_WARNING : FINDING_ERROR, "clock",
                    subject, found,
                    "heartbeats do not depend on clocks, but park_ttl, ages and the names of reply queues "
                    "kept in redis do, where routers differ",
                    "run a time service (chrony, systemd-timesyncd) on both machines");
}

static redisReply *
ask(RedisLink *link, const char *command, GError **error)
{
        redis_link_send(link, command);
        return redis_link_receive(link, error);
}

static void
look_at_clock(Doctor *doctor, const char *subject, RedisLink *link)
{
        int64_t before_us = g_get_real_time();
        g_autoptr(redisReply) time = ask(link, "TIME", NULL);
        int64_t after_us = g_get_real_time();

        if (time == NULL || time->type != REDIS_REPLY_ARRAY || time->elements != 2) {
                doctor_add(doctor, FINDING_NOTE, "clock", subject, "does not tell the time",
                           "a difference of clocks cannot be seen", "allow this user the command TIME");
                return;
        }
        doctor_compare_clocks(doctor, subject, before_us + (after_us - before_us) / 2,
                              g_ascii_strtoll(time->element[0]->str, NULL, 10) * G_USEC_PER_SEC +
                                  g_ascii_strtoll(time->element[1]->str, NULL, 10));
}

static void
look_at_writing(Doctor *doctor, const char *subject, RedisLink *link)
{
        g_autoptr(redisReply) reply = ask(link, "SET cluster-router:doctor 1 PX 1000", NULL);

        if (reply && reply->type == REDIS_REPLY_STATUS) {
                doctor_ok(doctor, "redis", subject, "answers and takes writes");
                return;
        }
        doctor_add(doctor, FINDING_ERROR, "redis", subject,
                   reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "takes no writes",
                   "no heartbeat can be written: hosts count as dead when their time is over",
                   "point url of [redis] at the writable server, and allow this user to write");
}

static void
look_at_memory(Doctor *doctor, const char *subject, RedisLink *link)
{
        g_autoptr(redisReply) info = ask(link, "INFO memory", NULL);
        const char *text = info && info->type == REDIS_REPLY_STRING ? info->str : "";
        const char *limit = strstr(text, "\nmaxmemory:"), *policy = strstr(text, "\nmaxmemory_policy:");

        if (limit == NULL || policy == NULL || limit[strlen("\nmaxmemory:")] == '0' ||
            g_str_has_prefix(policy, "\nmaxmemory_policy:noeviction"))
                return;
        policy += strlen("\nmaxmemory_policy:");
        g_autofree char *found =
            g_strdup_printf("maxmemory-policy %.*s", (int)strcspn(policy, "\r\n"), policy);

        doctor_add(doctor, FINDING_WARNING, "redis", subject, found,
                   "when its memory is full, redis drops heartbeats, and living hosts count as dead",
                   "CONFIG SET maxmemory-policy noeviction, or a redis of its own for heartbeats");
}

void
doctor_look_at_redis(Doctor *doctor)
{
        const Conf *conf = doctor->conf;
        g_autoptr(GError) error = NULL;

        if (conf->redis_url == NULL)
                return;
        g_autofree char *url = conf_mask_url(conf->redis_url);
        g_autoptr(RedisLink) link = redis_link_new(conf->redis_url, conf->redis_timeout_ms, &error);

        if (link == NULL || !redis_link_open(link, &error)) {
                doctor_add(doctor, FINDING_ERROR, "redis", url, error->message,
                           "which hosts live is unknown: routers go on with what they knew last",
                           "start redis, or correct url in [redis]");
                return;
        }
        look_at_writing(doctor, url, link);
        if (redis_link_open(link, NULL))
                look_at_clock(doctor, url, link);
        if (redis_link_open(link, NULL))
                look_at_memory(doctor, url, link);
}

/* ---- MySQL ---- */

static void
judge_version(Doctor *doctor, const char *url, unsigned version)
{
        unsigned newest = (unsigned)n_migrations;
        g_autofree char *found = g_strdup_printf("schema version %u, this program knows %u", version, newest);

        if (version == newest)
                doctor_ok(doctor, "schema", url, "%s", found);
        else if (version < newest)
                doctor_add(doctor, FINDING_ERROR, "schema", url, found,
                           "routers cannot read the catalogue, or keep no statistics", "clusterctl db sync");
        else
                doctor_add(doctor, FINDING_WARNING, "schema", url, found,
                           "another program of a newer version has changed the tables",
                           "install the newer version here too");
}

static void
learn_clusters(Doctor *doctor, Catalogue *catalogue)
{
        g_autoptr(GPtrArray) rows = catalogue_list(catalogue, false, NULL);

        for (unsigned i = 0; rows && i < rows->len; i++) {
                const char *name = ((const CatalogueCluster *)rows->pdata[i])->name;

                if (!g_ptr_array_find_with_equal_func(doctor->clusters, name, g_str_equal, NULL))
                        g_ptr_array_add(doctor->clusters, g_strdup(name));
        }
}

void
doctor_look_at_mysql(Doctor *doctor)
{
        const Conf *conf = doctor->conf;
        g_autoptr(GError) error = NULL;
        unsigned version = 0;

        if (conf->mysql_url == NULL)
                return;
        g_autofree char *url = conf_mask_url(conf->mysql_url);
        g_autoptr(Catalogue) catalogue =
            catalogue_new(conf->mysql_url, conf->mysql_timeout_ms, &conf->mysql_tls, &error);

        if (catalogue == NULL || !catalogue_version(catalogue, &version, &error)) {
                doctor_add(doctor, FINDING_ERROR, "mysql", url, error->message,
                           "the catalogue is unknown: routers go on with what they knew last",
                           "start MySQL, or correct url in [mysql]");
                return;
        }
        doctor_ok(doctor, "mysql", url, "answers");
        judge_version(doctor, url, version);
        learn_clusters(doctor, catalogue);
}

/* ---- the router ---- */

void
doctor_look_at_router(Doctor *doctor)
{
        g_autofree char *url = api_url(doctor->conf, "");
        g_autofree char *error = NULL;
        int status;
        json_t *document = url ? api_ask(doctor->conf, "/api/v1/stats", &status, &error) : NULL;
        const char *print = json_string_value(json_object_get(document, "config_fingerprint"));

        if (url == NULL)
                doctor_add(doctor, FINDING_NOTE, "router", "[http]", "listen = off",
                           "status, stats, top and the dashboard have nobody to ask",
                           "listen = 127.0.0.1:9419 in [http]");
        else if (document == NULL)
                doctor_add(doctor, FINDING_WARNING, "router", url, error,
                           "no router with this file runs on this machine",
                           "start cluster-routerd, or run doctor where it runs");
        else if (g_strcmp0(print, doctor->conf->fingerprint) != 0)
                doctor_add(
                    doctor, FINDING_WARNING, "router", url,
                    "has another configuration in force than this file",
                    "the file was changed since it was read",
                    "clusterctl config check --against-running shows the difference; SIGHUP reloads it");
        else
                doctor_ok(doctor, "router", url, "runs with this file");
        json_decref(document);
}
