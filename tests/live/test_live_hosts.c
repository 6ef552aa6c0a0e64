/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <string.h>

/*
 * Destinations of single hosts. Cluster $N-c has the hosts h1, h2 and h3, whose heartbeats the test sends
 * and takes away; each has a queue $N.h1, and so on.
 */

enum { DEADLINE_MS = 60000, HOSTS = 3, KEYS = 24, TTL_MS = 600000 };

typedef struct {
        Stage *stage;
        Liveness *liveness;
        char *cluster;
} World;

static const char CONF[] = "[redis]\nurl = %s\npoll = 50ms\n"
                           "[$N-c]\ncluster_member_ips = h1,h2,h3\n"
                           "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                           "destination = queue:{queue}.{host}\n%s";

static const char *const hosts[HOSTS] = {"h1", "h2", "h3"};

static char *
queue_of(const World *world, unsigned host)
{
        return g_strdup_printf("%s.%s", world->stage->name, hosts[host]);
}

static void
beat(World *world, const char *host)
{
        g_autoptr(GError) error = NULL;

        if (!liveness_send_heartbeat(world->liveness, world->cluster, host, TTL_MS, &error))
                g_error("heartbeat: %s", error->message);
}

/* It dies: its heartbeat is gone, and it stays a member. */
static void
end(World *world, const char *host)
{
        g_autoptr(GError) error = NULL;

        if (!liveness_goodbye(world->liveness, world->cluster, host, &error))
                g_error("goodbye: %s", error->message);
}

static bool
world_open(World *world, const char *name, const char *keys)
{
        const char *redis = live_env("REDIS_URL");
        g_autoptr(GError) error = NULL;

        *world = (World){.stage = redis ? stage_new(name) : NULL};
        if (!world->stage)
                return false;

        g_autofree char *conf = g_strdup_printf(CONF, redis, keys);

        world->liveness = liveness_new(redis, 5000, &error);
        world->cluster = g_strdup_printf("%s-c", world->stage->name);
        for (unsigned i = 0; i < HOSTS; i++) {
                g_autofree char *queue = queue_of(world, i);

                stage_declare(world->stage, queue);
                beat(world, hosts[i]);
        }
        stage_run(world->stage, conf);
        return true;
}

static void
world_close(World *world)
{
        liveness_free(world->liveness);
        stage_free(world->stage);
        g_free(world->cluster);
}

typedef struct {
        World *world;
        unsigned usable;
} Wanted;

static unsigned
count_usable(const json_t *cluster)
{
        unsigned usable = 0;
        size_t i;
        json_t *host;

        json_array_foreach(json_object_get(cluster, "hosts"), i, host)
        {
                usable += json_is_true(json_object_get(host, "usable"));
        }
        return usable;
}

static bool
shows_usable(void *data)
{
        const Wanted *wanted = data;
        g_autofree char *body = NULL;

        if (stage_get(wanted->world->stage, "/api/v1/clusters", &body) != 200)
                return false;

        json_t *document = json_loads(body, 0, NULL);
        unsigned usable = count_usable(json_array_get(json_object_get(document, "clusters"), 0));

        json_decref(document);
        return usable == wanted->usable;
}

static void
wait_usable(World *world, unsigned usable)
{
        Wanted wanted = {world, usable};

        if (!live_wait(DEADLINE_MS, shows_usable, &wanted))
                g_error("there are not %u usable hosts", usable);
}

/* ---- affinity ---- */

/* Sends one message of each key and says which host got it. */
static void
send_keys(World *world, unsigned out_hosts[KEYS])
{
        int64_t before = stage_number(world->stage, world->stage->name, "delivered");

        for (unsigned key = 0; key < KEYS; key++) {
                g_autofree char *body = g_strdup_printf("{\"volume_id\": \"volume-%u\"}", key);

                stage_send(world->stage, "$N", world->cluster, body);
        }
        stage_wait_number(world->stage, world->stage->name, "delivered", before + KEYS);
        for (unsigned i = 0; i < HOSTS; i++) {
                g_autofree char *queue = queue_of(world, i);
                ClientMessage *message;

                while ((message = client_get(world->stage->client, queue)) != NULL) {
                        g_autofree char *body = client_message_body(message);
                        const char *number = strrchr(body, '-');

                        g_assert_nonnull(number);
                        out_hosts[g_ascii_strtoull(number + 1, NULL, 10)] = i;
                        client_message_free(message);
                }
        }
}

static void
test_key_keeps_its_host_while_it_lives(void)
{
        World world;
        unsigned first[KEYS], again[KEYS], without[KEYS], back[KEYS], counts[HOSTS] = {0};

        if (!world_open(&world, "affinity", "affinity = json:/volume_id\n"))
                return;
        wait_usable(&world, HOSTS);
        send_keys(&world, first);
        send_keys(&world, again);
        end(&world, "h2");
        wait_usable(&world, HOSTS - 1);
        send_keys(&world, without);
        beat(&world, "h2");
        wait_usable(&world, HOSTS);
        send_keys(&world, back);
        for (unsigned key = 0; key < KEYS; key++) {
                counts[first[key]]++;
                g_assert_cmpuint(again[key], ==, first[key]);
                g_assert_cmpuint(back[key], ==, first[key]);
                g_assert_cmpuint(without[key], !=, 1);
                if (first[key] != 1)
                        g_assert_cmpuint(without[key], ==, first[key]);
        }
        for (unsigned i = 0; i < HOSTS; i++)
                g_assert_cmpuint(counts[i], >, 0);
        world_close(&world);
}

static void
test_without_affinity_hosts_take_turns(void)
{
        World world;
        unsigned got[KEYS], counts[HOSTS] = {0};

        if (!world_open(&world, "turns", ""))
                return;
        wait_usable(&world, HOSTS);
        send_keys(&world, got);
        for (unsigned key = 0; key < KEYS; key++)
                counts[got[key]]++;
        for (unsigned i = 0; i < HOSTS; i++)
                g_assert_cmpuint(counts[i], ==, KEYS / HOSTS);
        world_close(&world);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/hosts/key-keeps-its-host-while-it-lives", test_key_keeps_its_host_while_it_lives);
        g_test_add_func("/hosts/without-affinity-hosts-take-turns", test_without_affinity_hosts_take_turns);
        return g_test_run();
}
