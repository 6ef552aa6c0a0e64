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
        Client *hosts; /* at the broker where the queues of the hosts are */
        Liveness *liveness;
        char *cluster;
} World;

/* What a test adds to the configuration. */
typedef struct {
        const char *name;
        const char *broker; /* keys of these groups, or NULL */
        const char *route;
        const char *own; /* variable of the broker that the cluster has for itself, or NULL */
} Script;

static const char CONF[] = "%s[redis]\nurl = %s\npoll = 50ms\n"
                           "[$N-c]\ncluster_member_ips = h1,h2,h3\n%s"
                           "[route:$N]\nqueue = $N\ncluster_from = header:cluster, key:{cluster}.x\n"
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

static void
open_hosts(World *world, const char *url)
{
        world->hosts = client_new(url);
        for (unsigned i = 0; i < HOSTS; i++) {
                g_autofree char *queue = queue_of(world, i);

                client_declare_queue(world->hosts, queue, NULL);
                beat(world, hosts[i]);
        }
}

/* False, the test being skipped, if a server is missing. */
static bool
world_open(World *world, const Script *script)
{
        const char *redis = live_env("REDIS_URL");
        const char *own = script->own ? live_env(script->own) : NULL;
        g_autofree char *amqp_url = own ? g_strdup_printf("amqp_url = %s\n", own) : g_strdup("");
        g_autofree char *conf = NULL;
        g_autoptr(GError) error = NULL;

        *world = (World){.stage = redis && (own || !script->own) ? stage_new(script->name) : NULL};
        if (!world->stage)
                return false;
        conf = g_strdup_printf(CONF, script->broker ? script->broker : "", redis, amqp_url,
                               script->route ? script->route : "");
        world->liveness = liveness_new(redis, 5000, &error);
        world->cluster = g_strdup_printf("%s-c", world->stage->name);
        open_hosts(world, own ? own : world->stage->url);
        stage_run(world->stage, conf);
        return true;
}

static void
world_close(World *world)
{
        for (unsigned i = 0; i < HOSTS; i++) {
                g_autofree char *queue = queue_of(world, i);

                client_delete_queue(world->hosts, queue);
        }
        client_free(world->hosts);
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

                while ((message = client_get(world->hosts, queue)) != NULL) {
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

        if (!world_open(&world, &(Script){.name = "affinity", .route = "affinity = json:/volume_id\n"}))
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

        if (!world_open(&world, &(Script){.name = "turns"}))
                return;
        wait_usable(&world, HOSTS);
        send_keys(&world, got);
        for (unsigned key = 0; key < KEYS; key++)
                counts[got[key]]++;
        for (unsigned i = 0; i < HOSTS; i++)
                g_assert_cmpuint(counts[i], ==, KEYS / HOSTS);
        world_close(&world);
}

/* ---- taken back ---- */

/* Sends messages numbered from 0, and waits until the hosts have them. */
static void
send_numbers(World *world, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                g_autofree char *body = g_strdup_printf("%u", i);

                client_publish_text(world->stage->client, world->stage->name, world->cluster, body);
        }
        client_confirm(world->stage->client);
        stage_wait_number(world->stage, world->stage->name, "delivered", count);
}

/* What was taken off a host's queue. */
typedef struct {
        unsigned copies;
        unsigned marked;
} Seen;

/* Takes all of a host's messages; those that were taken back come in the order in which they were sent. */
static unsigned
collect(World *world, unsigned host, unsigned first_taken, Seen *seen, unsigned count)
{
        g_autofree char *queue = queue_of(world, host);
        ClientMessage *message;
        unsigned number = 0;
        int64_t last = -1;

        for (; (message = client_get(world->hosts, queue)) != NULL; number++) {
                g_autofree char *body = client_message_body(message);
                uint64_t found = g_ascii_strtoull(body, NULL, 10);

                g_assert_cmpuint(found, <, count);
                seen[found].copies++;
                seen[found].marked += client_message_header(message, "x-possible-duplicate") != NULL;
                if (number >= first_taken)
                        g_assert_cmpint((int64_t)found, >, last);
                last = number >= first_taken ? (int64_t)found : -1;
                client_message_free(message);
        }
        return number;
}

static void
test_left_messages_go_to_other_hosts_in_order(gconstpointer own)
{
        enum { COUNT = 300 };
        World world;
        Seen seen[COUNT] = {0};

        if (!world_open(&world, &(Script){.name = "left", .route = "take_back = 100ms\n", .own = own}))
                return;
        wait_usable(&world, HOSTS);
        send_numbers(&world, COUNT);
        end(&world, "h2");
        stage_wait_number(world.stage, world.stage->name, "taken_back", COUNT / HOSTS);
        stage_wait_number(world.stage, world.stage->name, "in_flight", 0);
        g_assert_true(stage_balances(world.stage, world.stage->name));
        g_assert_cmpuint(collect(&world, 1, COUNT, seen, COUNT), ==, 0);
        for (unsigned host = 0; host < HOSTS; host += 2)
                g_assert_cmpuint(collect(&world, host, COUNT / HOSTS, seen, COUNT), ==, COUNT / 2);
        for (unsigned i = 0; i < COUNT; i++) {
                g_assert_cmpuint(seen[i].copies, ==, 1);
                g_assert_cmpuint(seen[i].marked, ==, 0);
        }
        world_close(&world);
}

/* The only host left is dead: what it had waits for its cluster, and goes to the first that comes. */
static void
test_left_messages_wait_where_their_cluster_waits(void)
{
        World world;
        Seen seen[4] = {0};
        g_autofree char *parked = NULL;

        if (!world_open(&world, &(Script){.name = "dark", .route = "take_back = 100ms\n"}))
                return;
        end(&world, "h2");
        end(&world, "h3");
        wait_usable(&world, 1);
        send_numbers(&world, 4);
        end(&world, "h1");
        parked = g_strdup_printf("cluster-router.$N.parked.%s", world.cluster);
        stage_wait_count(world.stage, parked, 4);
        beat(&world, "h3");
        stage_wait_number(world.stage, world.stage->name, "delivered", 8);
        stage_wait_count(world.stage, parked, 0);
        stage_wait_number(world.stage, world.stage->name, "parked_now", 0);
        g_assert_true(stage_balances(world.stage, world.stage->name));
        g_assert_cmpuint(collect(&world, 2, 0, seen, 4), ==, 4);
        world_close(&world);
}

/* Only the key tells the cluster, and it is that of the host's queue by then. */
static void
test_taken_back_is_decided_by_its_first_key(void)
{
        World world;
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
        g_autofree char *key = NULL;
        g_autofree char *queue = NULL;
        g_autoptr(ClientMessage) message = NULL;

        if (!world_open(&world,
                        &(Script){.name = "key",
                                  .route = "take_back = 100ms\nbind = $N.in/#\non_no_cluster = dead\n"}))
                return;
        end(&world, "h2");
        end(&world, "h3");
        wait_usable(&world, 1);
        key = g_strdup_printf("%s.x", world.cluster);
        queue = stage_text(world.stage, "$N.in");
        client_publish(world.stage->client, queue, key, &properties, amqp_cstring_bytes("by key"));
        client_confirm(world.stage->client);
        stage_wait_number(world.stage, world.stage->name, "delivered", 1);
        beat(&world, "h2");
        end(&world, "h1");
        stage_wait_number(world.stage, world.stage->name, "taken_back", 1);
        stage_wait_number(world.stage, world.stage->name, "delivered", 2);
        g_assert_cmpint(stage_number(world.stage, world.stage->name, "dead"), ==, 0);
        world_close(&world);
}

static bool
took_some(void *data)
{
        World *world = data;

        return stage_number(world->stage, world->stage->name, "taken_back") > 0;
}

/* Its messages are taken back one by one, so that it returns in the midst of them. */
static void
test_host_that_returns_keeps_what_is_left(void)
{
        enum { COUNT = 3000 };
        World world;

        if (!world_open(&world, &(Script){.name = "back", .route = "take_back = 100ms\nprefetch = 1\n"}))
                return;
        end(&world, "h1");
        end(&world, "h3");
        wait_usable(&world, 1);
        send_numbers(&world, COUNT);
        beat(&world, "h1");
        wait_usable(&world, 2);
        end(&world, "h2");
        g_assert_true(live_wait(DEADLINE_MS, took_some, &world));
        beat(&world, "h2");
        program_wait_line(world.stage->router, "host h2 of cluster", DEADLINE_MS);
        stage_wait_number(world.stage, world.stage->name, "in_flight", 0);

        int64_t taken = stage_number(world.stage, world.stage->name, "taken_back");

        g_assert_cmpint(taken, <, COUNT);
        stage_wait_count(world.stage, "$N.h2", (uint32_t)(COUNT - taken));
        stage_wait_count(world.stage, "$N.h1", (uint32_t)taken);
        g_assert_true(stage_balances(world.stage, world.stage->name));
        world_close(&world);
}

static void
test_nothing_is_lost_when_killed_while_taking_back(void)
{
        enum { COUNT = 3000, PREFETCH = 50 };
        World world;
        g_autofree Seen *seen = g_new0(Seen, COUNT);
        unsigned twice = 0;
        g_autofree char *left = NULL;

        if (!world_open(&world, &(Script){.name = "killed", .route = "take_back = 100ms\nprefetch = 50\n"}))
                return;
        wait_usable(&world, HOSTS);
        send_numbers(&world, COUNT);
        left = g_strdup_printf("%s.h2", world.stage->name);
        end(&world, "h2");
        g_assert_true(live_wait(DEADLINE_MS, took_some, &world));
        stage_kill(world.stage);
        stage_start(world.stage);
        stage_wait_count(world.stage, left, 0);
        stage_stop(world.stage);
        for (unsigned host = 0; host < HOSTS; host++)
                collect(&world, host, COUNT, seen, COUNT);
        for (unsigned i = 0; i < COUNT; i++) {
                g_assert_cmpuint(seen[i].copies, >=, 1);
                g_assert_cmpuint(seen[i].marked, >=, seen[i].copies - 1);
                twice += seen[i].copies - 1;
        }
        g_assert_cmpuint(twice, <=, PREFETCH);
        world_close(&world);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/hosts/key-keeps-its-host-while-it-lives", test_key_keeps_its_host_while_it_lives);
        g_test_add_func("/hosts/without-affinity-hosts-take-turns", test_without_affinity_hosts_take_turns);
        g_test_add_data_func("/hosts/left-messages-go-to-other-hosts-in-order", NULL,
                             test_left_messages_go_to_other_hosts_in_order);
        g_test_add_data_func("/hosts/left-messages-on-a-clusters-own-broker", "AMQP_URL_2",
                             test_left_messages_go_to_other_hosts_in_order);
        g_test_add_func("/hosts/left-messages-wait-where-their-cluster-waits",
                        test_left_messages_wait_where_their_cluster_waits);
        g_test_add_func("/hosts/taken-back-is-decided-by-its-first-key",
                        test_taken_back_is_decided_by_its_first_key);
        g_test_add_func("/hosts/host-that-returns-keeps-what-is-left",
                        test_host_that_returns_keeps_what_is_left);
        g_test_add_func("/hosts/nothing-is-lost-when-killed-while-taking-back",
                        test_nothing_is_lost_when_killed_while_taking_back);
        return g_test_run();
}
