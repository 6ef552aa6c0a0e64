/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"
#include "tests/live/operator.h"

/* Taking clusters and hosts out with clusterctl, and back in, while a router runs. Each test has a database
 * of its own. */

enum { DEADLINE_MS = 10000 };

static const char CLUSTERS[] = "[east]\ncluster_member_ips = e1, e2\n[west]\ncluster_member_ips = w1\n";
static const char ROUTE[] = "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                            "destination = queue:{queue}.{cluster}\n";

typedef struct {
        Stage *stage;
        char *conf;
} World;

static void
world_clear(World *world)
{
        stage_free(world->stage);
        g_free(world->conf);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

#define CTL(world, status, ...) g_free(RUN_CTL((world)->stage, status, __VA_ARGS__))

static json_t *
ctl_json(const World *world, int expect_status, const char *const *words)
{
        return parse_said(run_ctl(world->stage, expect_status, words));
}

/* A router with an empty catalogue of the schema in force; false if there are no servers. */
static bool
set_up(World *world, const char *name)
{
        g_autofree char *database = g_strdup_printf("live_drain_%s", name);
        g_autofree char *url = fresh_database(database);
        *world = (World){0};
        if (url == NULL || (world->stage = stage_new(name)) == NULL)
                return false;
        world->conf = g_strdup_printf("%s[mysql]\nurl = %s\n%s", CLUSTERS, url, ROUTE);
        stage_configure(world->stage, world->conf);
        CTL(world, 0, "db", "sync");
        CTL(world, 0, "cluster", "create", "spare");
        stage_start(world->stage);
        return true;
}

typedef struct {
        Stage *stage;
        const char *cluster;
        const char *key;
        const char *value;
} Wanted;

static bool
shows(void *data)
{
        const Wanted *wanted = data;
        g_autofree char *body = NULL;
        bool found = false;
        size_t i;
        json_t *row;
        if (stage_get(wanted->stage, "/api/v1/clusters", &body) != 200)
                return false;
        json_t *document = json_loads(body, 0, NULL);
        json_array_foreach(json_object_get(document, "clusters"), i, row)
        {
                json_t *value = json_object_get(row, wanted->key);
                g_autofree char *number = g_strdup_printf("%lld", (long long)json_integer_value(value));
                const char *text = json_is_string(value) ? json_string_value(value) : number;
                if (strcmp(json_string_value(json_object_get(row, "cluster")), wanted->cluster) == 0)
                        found = strcmp(text, wanted->value) == 0;
        }
        json_decref(document);
        return found;
}

/* Well before the next refresh, which is 30 s away. */
static void
wait_shown(World *world, const char *cluster, const char *key, const char *value)
{
        Wanted wanted = {world->stage, cluster, key, value};
        if (!live_wait(DEADLINE_MS, shows, &wanted))
                g_error("%s of cluster %s did not become %s", key, cluster, value);
}

static void
test_a_drained_cluster_parks_and_a_resumed_one_gets_it_back(void)
{
        g_auto(World) world;
        if (!set_up(&world, "parks"))
                return;
        CTL(&world, 0, "cluster", "drain", "east", "--reason", "new disks");
        wait_shown(&world, "east", "state", "drained");
        wait_shown(&world, "east", "reason", "new disks");
        stage_send(world.stage, "$N", "east", "later");
        stage_wait_count(world.stage, "cluster-router.$N.parked.east", 1);
        g_assert_cmpuint(stage_count(world.stage, "$N.east"), ==, 0);

        stage_kill(world.stage);
        stage_start(world.stage);
        wait_shown(&world, "east", "state", "drained");
        CTL(&world, 0, "cluster", "resume", "east");
        stage_expect(world.stage, "$N.east", "later");
        wait_shown(&world, "east", "state", "up");
}

static void
test_the_substitute_gets_what_is_new(void)
{
        g_auto(World) world;
        if (!set_up(&world, "substitute"))
                return;
        CTL(&world, 0, "cluster", "drain", "east", "--reason", "x", "--to", "west");
        wait_shown(&world, "east", "drain_to", "west");
        stage_send(world.stage, "$N", "east", "elsewhere");
        stage_expect(world.stage, "$N.west", "elsewhere");
        stage_wait_number(world.stage, "$N", "reasons/cluster_drained", 1);

        CTL(&world, 0, "cluster", "drain", "west", "--reason", "y");
        wait_shown(&world, "west", "state", "drained");
        stage_send(world.stage, "$N", "east", "nowhere");
        stage_wait_count(world.stage, "cluster-router.$N.parked.east", 1);
}

/* Sends to the route, or takes from the cluster's queue, until told to stop. */
typedef struct {
        char *url;
        char *queue;
        gint stop; /* atomic */
        gint done; /* atomic: messages sent and confirmed, or taken */
        GThread *thread;
} Worker;

static gpointer
produce(gpointer data)
{
        Worker *worker = data;
        g_autoptr(Client) client = client_new(worker->url);
        while (!g_atomic_int_get(&worker->stop)) {
                client_publish_text(client, worker->queue, "east", "load");
                client_confirm(client);
                g_atomic_int_inc(&worker->done);
        }
        return NULL;
}

static gpointer
consume(gpointer data)
{
        Worker *worker = data;
        g_autoptr(Client) client = client_new(worker->url);
        while (!client_count(client, worker->queue, NULL, NULL)) /* the router makes it */
                g_usleep(1000);
        client_consume(client, worker->queue, 10);
        while (!g_atomic_int_get(&worker->stop)) {
                g_autoptr(ClientMessage) message = client_next(client, 50);
                if (message == NULL)
                        continue;
                client_ack(client, message);
                g_atomic_int_inc(&worker->done);
        }
        return NULL;
}

static void
worker_start(Stage *stage, const char *queue, GThreadFunc function, Worker *worker)
{
        *worker = (Worker){.url = stage->url, .queue = stage_text(stage, queue)};
        worker->thread = g_thread_new("worker", function, worker);
}

static int
worker_stop(Worker *worker)
{
        g_atomic_int_set(&worker->stop, 1);
        g_thread_join(worker->thread);
        g_free(worker->queue);
        return worker->done;
}

typedef struct {
        Worker *worker;
        int least;
} Goal;

static bool
has_done(void *data)
{
        const Goal *goal = data;
        return g_atomic_int_get(&goal->worker->done) >= goal->least;
}

static void
wait_done(Worker *worker, int least)
{
        Goal goal = {worker, least};
        g_assert_true(live_wait(DEADLINE_MS, has_done, &goal));
}

static int64_t
number(const json_t *document, const char *key)
{
        return json_integer_value(json_object_get(json_object_get(document, "receipt"), key));
}

static void
test_the_receipt_of_a_drain_under_load_is_exact(void)
{
        static const char *const drain[] = {"-ojson",   "cluster", "drain",  "east",
                                            "--reason", "x",       "--wait", NULL};
        g_auto(World) world;
        Worker producer, consumer;
        if (!set_up(&world, "receipt"))
                return;
        worker_start(world.stage, "$N.east", consume, &consumer);
        worker_start(world.stage, "$N", produce, &producer);
        wait_done(&consumer, 500);
        int64_t before = stage_number(world.stage, "$N", "clusters/east/delivered");
        json_t *document = ctl_json(&world, 0, drain);
        int sent = worker_stop(&producer);
        stage_wait_number(world.stage, "$N", "in", sent);
        stage_wait_number(world.stage, "$N", "in_flight", 0);
        int64_t delivered = stage_number(world.stage, "$N", "clusters/east/delivered");
        int64_t parked = stage_number(world.stage, "$N", "clusters/east/parked");

        g_assert_true(json_is_true(json_object_get(json_object_get(document, "receipt"), "complete")));
        g_assert_cmpint(number(document, "in"), ==,
                        number(document, "delivered") + number(document, "parked"));
        g_assert_cmpint(number(document, "delivered"), >, 0);
        g_assert_cmpint(number(document, "delivered"), <=, delivered - before);
        g_assert_cmpint(number(document, "parked"), >, 0);
        g_assert_cmpint(number(document, "parked"), <=, parked);
        g_assert_cmpint(number(document, "remaining"), ==, 0);
        g_assert_cmpint(number(document, "consumers"), ==, 1);
        g_assert_cmpint(delivered + parked, ==, sent);
        wait_done(&consumer, (int)delivered);
        g_assert_cmpint(g_atomic_int_get(&consumer.done), ==, delivered);
        json_decref(document);

        CTL(&world, 0, "cluster", "resume", "east");
        wait_done(&consumer, sent);
        g_assert_cmpint(worker_stop(&consumer), ==, sent);
}

static void
test_a_wait_that_ends_too_early_says_what_remains(void)
{
        static const char *const drain[] = {"-ojson", "cluster", "drain",     "east",  "--reason",
                                            "x",      "--wait",  "--timeout", "300ms", NULL};
        g_auto(World) world;
        if (!set_up(&world, "remains"))
                return;
        stage_send(world.stage, "$N", "east", "nobody comes for it");
        stage_wait_count(world.stage, "$N.east", 1);
        json_t *document = ctl_json(&world, 75, drain);
        g_assert_true(json_is_false(json_object_get(json_object_get(document, "receipt"), "complete")));
        g_assert_cmpint(number(document, "remaining"), ==, 1);
        json_decref(document);
        wait_shown(&world, "east", "state", "drained");
}

static void
test_a_drained_host_is_not_usable(void)
{
        g_auto(World) world;
        if (!set_up(&world, "host"))
                return;
        wait_shown(&world, "east", "usable", "2");
        CTL(&world, 0, "host", "drain", "east", "e1", "--reason", "memory");
        wait_shown(&world, "east", "usable", "1");
        g_autofree char *list = run_ctl(world.stage, 0, (const char *const[]){"host", "list", "east", NULL});
        g_assert_nonnull(strstr(list, "drained"));
        json_t *document = ctl_json(&world, 0, (const char *const[]){"-ojson", "host", "list", "east", NULL});
        const json_t *e1 = json_array_get(json_object_get(document, "hosts"), 0);
        const json_t *drained = json_object_get(e1, "drained");
        g_assert_cmpstr(json_string_value(json_object_get(drained, "reason")), ==, "memory");
        g_assert_cmpstr(json_string_value(json_object_get(e1, "evidence")), ==, "file");
        g_assert_true(json_is_integer(json_object_get(e1, "flaps_last_hour")));
        json_decref(document);
        CTL(&world, 0, "host", "drain", "east", "e2", "--reason", "memory");
        wait_shown(&world, "east", "state", "down");
        CTL(&world, 0, "host", "resume", "east", "e1");
        wait_shown(&world, "east", "usable", "1");
}

static void
test_what_cannot_be_is_refused(void)
{
        g_auto(World) world;
        if (!set_up(&world, "refused"))
                return;
        CTL(&world, 64, "cluster", "drain", "east");
        CTL(&world, 64, "cluster", "drain", "east", "--reason", "two\nlines");
        CTL(&world, 65, "cluster", "drain", "nowhere", "--reason", "x");
        CTL(&world, 65, "cluster", "drain", "east", "--reason", "x", "--to", "nowhere");
        CTL(&world, 65, "cluster", "drain", "east", "--reason", "x", "--to", "east");
        CTL(&world, 65, "cluster", "resume", "nowhere");
        CTL(&world, 65, "host", "drain", "east", "no host", "--reason", "x");
        wait_shown(&world, "east", "state", "up");
}

static void
test_without_a_catalogue_the_file_is_named(void)
{
        g_auto(World) world = {.stage = stage_new("no-catalogue")};
        if (world.stage == NULL)
                return;
        world.conf = g_strconcat(CLUSTERS, ROUTE, NULL);
        stage_configure(world.stage, world.conf);
        g_autofree char *text = run_ctl(
            world.stage, 78, (const char *const[]){"cluster", "drain", "east", "--reason", "x", NULL});
        g_assert_nonnull(strstr(text, "state = drain"));
        CTL(&world, 78, "host", "drain", "east", "e1", "--reason", "x");
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/drain/" name, test_##function)
        TEST("a-drained-cluster-parks-and-a-resumed-one-gets-it-back",
             a_drained_cluster_parks_and_a_resumed_one_gets_it_back);
        TEST("the-substitute-gets-what-is-new", the_substitute_gets_what_is_new);
        TEST("the-receipt-of-a-drain-under-load-is-exact", the_receipt_of_a_drain_under_load_is_exact);
        TEST("a-wait-that-ends-too-early-says-what-remains", a_wait_that_ends_too_early_says_what_remains);
        TEST("a-drained-host-is-not-usable", a_drained_host_is_not_usable);
        TEST("what-cannot-be-is-refused", what_cannot_be_is_refused);
        TEST("without-a-catalogue-the-file-is-named", without_a_catalogue_the_file_is_named);
        return g_test_run();
}
