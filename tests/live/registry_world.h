/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/liveness.h"
#include "cluster/registry.h"
#include "tests/support/live.h"
#include "tests/support/program.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

/*
 * What the tests of the registry share: a redis of their own, which they may kill, stop and start again, a
 * state directory, and a short text for a view.
 */
enum { DEADLINE_MS = 10000, TTL_MS = 3000, TIMEOUT_MS = 500 };

typedef struct {
        char *directory;
        uint16_t port;
        Program *redis;
        char *redis_url;
        char *mysql_url;
        Liveness *agents; /* beats for all */
        Registry *registry;
        gint notified; /* atomic */
} World;

/* Waits until it logs @ready; @key_delay_us: how long it takes for each key when it loads what it saved. */
static inline void
start_redis_slowly(World *world, const char *key_delay_us, const char *ready)
{
        g_autofree char *port = g_strdup_printf("%u", world->port);
        const char *argv[] = {"redis-server",
                              "--port",
                              port,
                              "--bind",
                              "127.0.0.1",
                              "--save",
                              "",
                              "--dir",
                              world->directory,
                              "--enable-debug-command",
                              "yes",
                              "--key-load-delay",
                              key_delay_us,
                              "--loading-process-events-interval-bytes",
                              "1024",
                              NULL};
        world->redis = program_start(argv);
        program_wait_line(world->redis, ready, DEADLINE_MS);
}

static inline void
start_redis(World *world)
{
        start_redis_slowly(world, "0", "Ready to accept connections");
}

static inline void
stop_redis(World *world)
{
        g_clear_pointer(&world->redis, program_free);
}

static inline bool
world_init(World *world)
{
        *world = (World){0};
        if (live_env("REDIS_URL") == NULL)
                return false;
        world->directory = g_dir_make_tmp("registry-XXXXXX", NULL);
        world->port = live_free_port();
        world->redis_url = g_strdup_printf("redis://127.0.0.1:%u/0", world->port);
        world->agents = liveness_new(world->redis_url, TIMEOUT_MS, NULL);
        start_redis(world);
        return true;
}

static inline void
world_clear(World *world)
{
        registry_free(world->registry);
        liveness_free(world->agents);
        program_free(world->redis);
        if (world->directory != NULL) {
                g_autofree char *saved = g_build_filename(world->directory, "last-view", NULL);
                g_unlink(saved);
                g_rmdir(world->directory);
        }
        g_free(world->directory);
        g_free(world->redis_url);
        g_free(world->mysql_url);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* A configuration of these cluster groups. */
static inline Conf *
make_conf(const World *world, const char *clusters)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GString) text = g_string_new("[DEFAULT]\n");
        g_string_append_printf(text, "state_dir = %s\n%s\n", world->directory, clusters);
        g_string_append(text, "[broker]\nurl = amqp://guest:guest@127.0.0.1:5672/%2f\n");
        if (world->redis_url != NULL)
                g_string_append_printf(
                    text, "[redis]\nurl = %s\nheartbeat_ttl = %dms\npoll = 100ms\ntimeout = %dms\n",
                    world->redis_url, TTL_MS, TIMEOUT_MS);
        if (world->mysql_url != NULL)
                g_string_append_printf(text, "[mysql]\nurl = %s\nrefresh = 1s\ntimeout = 1s\n",
                                       world->mysql_url);
        Conf *conf = conf_parse("test.conf", text->str, text->len, errors);
        if (conf == NULL)
                g_error("%s in:\n%s", (const char *)errors->pdata[0], text->str);
        return conf;
}

static inline void
notified(void *user_data)
{
        g_atomic_int_inc(&((World *)user_data)->notified);
}

static inline void
start(World *world, const char *clusters)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(Conf) conf = make_conf(world, clusters);
        world->registry = registry_new(conf, notified, world, &error);
        g_assert_no_error(error);
        g_assert_nonnull(world->registry);
}

static inline void
beat(const World *world, const char *cluster, const char *host)
{
        g_autoptr(GError) error = NULL;
        if (!liveness_send_heartbeat(world->agents, cluster, host, TTL_MS, &error))
                g_error("no heartbeat: %s", error->message);
}

/* "east(2/3) west(0/1,drained)": usable and known hosts. */
static inline char *
describe(Registry *registry)
{
        g_autoptr(View) view = registry_get_view(registry);
        GString *text = g_string_new(view->single ? "single" : "");
        for (guint i = 0; i < view->clusters->len; i++) {
                const ViewCluster *cluster = view->clusters->pdata[i];
                g_string_append_printf(text, "%s%s(%u/%u%s)", i > 0 ? " " : "", cluster->name,
                                       cluster->usable->len, cluster->hosts->len,
                                       cluster->drained ? ",drained" : "");
        }
        return g_string_free(text, FALSE);
}

typedef struct {
        Registry *registry;
        const char *text;
} Expectation;

static inline bool
is_as_expected(void *data)
{
        const Expectation *expectation = data;
        g_autofree char *text = describe(expectation->registry);
        return strcmp(text, expectation->text) == 0;
}

static inline void
expect(const World *world, const char *text)
{
        Expectation expectation = {world->registry, text};
        if (live_wait(DEADLINE_MS, is_as_expected, &expectation))
                return;
        g_autofree char *got = describe(world->registry);
        g_error("expected %s, got %s", text, got);
}

static inline void
expect_now(const World *world, const char *text)
{
        g_autofree char *got = describe(world->registry);
        g_assert_cmpstr(got, ==, text);
}

static inline bool
redis_is_lost(void *data)
{
        RegistryStatus status;
        registry_get_status(data, &status);
        return status.redis == SOURCE_LOST;
}

static inline bool
redis_is_fine(void *data)
{
        RegistryStatus status;
        registry_get_status(data, &status);
        return status.redis == SOURCE_OK;
}

#define EAST "[east]\ncluster_member_ips = e1, e2\n"
#define WEST "[west]\ncluster_member_ips = w1\n"
