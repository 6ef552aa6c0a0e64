/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/live.h"
#include "tests/support/trial.h"

#include <amqp_framing.h>
#include <string.h>

/* Messages whose cluster cannot take them wait in its parking queue, and go on in order when it can. */

#define EAST_DRAIN TRIAL_EAST "state = drain\n"

enum { DEADLINE_MS = 30000 };

static const char READY[] = TRIAL_EAST TRIAL_WEST TRIAL_ROUTE;
static const char DRAIN[] = EAST_DRAIN TRIAL_WEST TRIAL_ROUTE;

/* ---- the cluster is down ---- */

static void
test_drained_cluster_parks_and_unparks_in_order(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "drain", DRAIN))
                return;
        checker_send(checker, TRIAL_BOTH, 2000);
        stage_wait_count(stage, "cluster-router.$N.parked.east", 1000);
        stage_wait_count(stage, "$N.west", 1000);
        stage_wait_number(stage, "$N", "parked_now", 1000);
        g_assert_cmpint(stage_number(stage, "$N", "clusters/east/parked_now"), ==, 1000);
        g_assert_cmpint(stage_number(stage, "$N", "reasons/cluster_drained"), ==, 1000);
        g_assert_cmpuint(stage_count(stage, "$N.east"), ==, 0);
        stage_reload(stage, READY);
        checker_send(checker, TRIAL_BOTH, 1000);
        trial_expect_perfect(stage, checker);
}

static void
test_order_holds_under_load_through_drains(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "drain-load", READY))
                return;
        checker_start(checker, TRIAL_BOTH, 1500);
        for (unsigned i = 0; i < 4; i++) {
                checker_wait_confirmed(checker, 500);
                stage_reload(stage, DRAIN);
                checker_wait_confirmed(checker, 700);
                stage_reload(stage, READY);
                /* at once the first time, later with time to empty the parking queue */
                checker_wait_confirmed(checker, i == 0 ? 50 : 1500);
        }
        checker_stop(checker);
        trial_expect_perfect(stage, checker);
}

/* What is new at the end of a pass waits in the router. Once its cluster is drained just then, it is parked
 * before what comes now. The end of each pass lasts until the broker's answer to it is let through. */
static void
test_order_holds_when_drained_at_the_end_of_a_pass(void)
{
        static const char ready[] = TRIAL_EAST TRIAL_WEST TRIAL_ROUTE_OF("2000");
        static const char drain[] = EAST_DRAIN TRIAL_WEST TRIAL_ROUTE_OF("2000");
        static const FaultTrigger at_end = {FAULT_DOWN, AMQP_BASIC_CANCEL_OK_METHOD, 1, FAULT_BEFORE,
                                            FAULT_SILENCE};
        g_autoptr(FaultProxy) proxy = NULL;
        g_autoptr(Stage) stage = stage_new("drain-at-end");
        g_autoptr(Checker) checker = NULL;

        if (stage == NULL)
                return;
        checker = checker_new(stage->url, stage->name);
        proxy = fault_proxy_new(stage->url);
        g_free(stage->url);
        stage->url = g_strdup(fault_proxy_url(proxy));
        stage_run(stage, drain);
        checker_start(checker, TRIAL_BOTH, 1500);
        for (unsigned i = 0; i < 3; i++) {
                checker_wait_confirmed(checker, 200);
                fault_proxy_arm(proxy, &at_end);
                stage_reload(stage, ready);
                g_assert_true(fault_proxy_wait_fired(proxy, DEADLINE_MS));
                checker_wait_confirmed(checker, 200);
                stage_reload(stage, drain);
                stage_wait_flow(stage, "east", "parking");
                fault_proxy_heal(proxy);
        }
        checker_stop(checker);
        stage_reload(stage, ready);
        trial_expect_perfect(stage, checker);
}

static void
test_parking_queue_empties_under_steady_load(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "steady", DRAIN))
                return;
        checker_send(checker, TRIAL_BOTH, 2000);
        stage_wait_number(stage, "$N", "parked_now", 1000);
        checker_start(checker, TRIAL_BOTH, 1000);
        stage_reload(stage, READY);
        stage_wait_number(stage, "$N", "parked_now", 0); /* although the load goes on */
        checker_stop(checker);
        trial_expect_perfect(stage, checker);
}

/* A host of a cluster that only this test has says that it lives, or says goodbye. */
static void
beat(Liveness *liveness, const char *cluster, bool alive)
{
        g_autoptr(GError) error = NULL;
        bool told = alive ? liveness_send_heartbeat(liveness, cluster, "h", 60000, &error)
                          : liveness_goodbye(liveness, cluster, "h", &error);

        g_assert_no_error(error);
        g_assert_true(told);
}

static void
test_heartbeats_open_and_close_a_cluster_under_load(void)
{
        const char *redis = live_env("REDIS_URL");
        g_autoptr(Stage) stage = redis != NULL ? stage_new("beats") : NULL;
        g_autoptr(Liveness) liveness = NULL;
        g_autoptr(Checker) checker = NULL;
        g_autofree char *conf = NULL;
        g_autofree char *queue = NULL;

        if (stage == NULL)
                return;
        const char *const clusters[] = {stage->name, NULL};

        liveness = liveness_new(redis, 2000, NULL);
        conf = g_strdup_printf("[redis]\nurl = %s\npoll = 50ms\n[$N]\ncluster_member_ips = h\n" TRIAL_ROUTE,
                               redis);
        stage_run(stage, conf);
        checker = checker_new(stage->url, stage->name);
        checker_start(checker, clusters, 800);
        for (unsigned i = 0; i < 3; i++) {
                checker_wait_confirmed(checker, 300);
                beat(liveness, stage->name, true);
                stage_wait_flow(stage, stage->name, "open");
                checker_wait_confirmed(checker, 300);
                beat(liveness, stage->name, false);
                stage_wait_flow(stage, stage->name, "parking");
        }
        checker_stop(checker);
        g_assert_cmpint(stage_number(stage, "$N", "reasons/cluster_down"), >, 0);
        beat(liveness, stage->name, true);
        stage_wait_number(stage, "$N", "delivered", (int64_t)checker_confirmed(checker));
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
        queue = g_strdup_printf("%s.%s", stage->name, stage->name);
        checker_collect(checker, queue, stage->name);
        checker_assert_perfect(checker);
        beat(liveness, stage->name, false);
}

/* ---- what is noted on a message ---- */

static void
send_noted(Stage *stage, const char *cluster, const char *expiration)
{
        amqp_table_entry_t entry = client_entry_text("cluster", cluster);
        amqp_basic_properties_t properties = {._flags =
                                                  AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
                                              .delivery_mode = 1,
                                              .headers = {1, &entry}};

        if (expiration != NULL)
                properties._flags |= AMQP_BASIC_EXPIRATION_FLAG;
        properties.expiration = amqp_cstring_bytes(expiration != NULL ? expiration : "");
        client_publish(stage->client, "", stage->name, &properties, amqp_cstring_bytes("noted"));
        client_confirm(stage->client);
}

static void
test_parked_message_tells_why_and_delivered_one_does_not(void)
{
        g_autoptr(Stage) stage = stage_new("notes");
        g_autofree char *parking = NULL;
        g_autoptr(ClientMessage) parked = NULL;
        g_autoptr(ClientMessage) delivered = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, DRAIN);
        send_noted(stage, "east", "60000");
        parked = stage_take(stage, "cluster-router.$N.parked.east");
        client_message_expect_text(parked, "x-router-reason", "cluster_drained");
        client_message_expect_text(parked, "x-router-cluster", "east");
        client_message_expect_text(parked, "x-router-route", stage->name);
        g_assert_cmpint(parked->message.properties.delivery_mode, ==, 2);
        g_assert_false(parked->message.properties._flags & AMQP_BASIC_EXPIRATION_FLAG);

        send_noted(stage, "east", "60000");
        stage_wait_count(stage, "cluster-router.$N.parked.east", 1);
        stage_reload(stage, READY);
        delivered = stage_take(stage, "$N.east");
        g_assert_cmpint(delivered->message.properties.headers.num_entries, ==, 2); /* cluster, x-router-seq */
        g_assert_nonnull(client_message_header(delivered, "x-router-seq"));
        g_assert_true(delivered->message.properties._flags & AMQP_BASIC_EXPIRATION_FLAG);
        parking = g_strndup(delivered->message.properties.expiration.bytes,
                            delivered->message.properties.expiration.len);
        g_assert_cmpint(g_ascii_strtoll(parking, NULL, 10), <, 60000);
        g_assert_cmpint(g_ascii_strtoll(parking, NULL, 10), >, 30000);
        g_assert_cmpint(delivered->message.properties.delivery_mode, ==, 1);
}

static void
test_time_that_ends_while_parked_counts_as_expired(void)
{
        g_autoptr(Stage) stage = stage_new("expiry");

        if (stage == NULL)
                return;
        stage_run(stage, DRAIN);
        send_noted(stage, "east", "300");
        stage_send(stage, "$N", "east", "stays");
        stage_wait_number(stage, "$N", "parked_now", 2);
        g_usleep(400 * 1000); /* until its time is over */
        stage_reload(stage, READY);
        stage_expect(stage, "$N.east", "stays");
        stage_wait_number(stage, "$N", "expired", 1);
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_cmpuint(stage_count(stage, "$N.east"), ==, 0);
        g_assert_true(stage_balances(stage, "$N"));
}

static void
test_park_ttl_ends_in_the_dead_queue(void)
{
        g_autoptr(Stage) stage = stage_new("park-ttl");
        g_autoptr(ClientMessage) dead = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, EAST_DRAIN TRIAL_WEST TRIAL_ROUTE "park_ttl = 1s\n");
        stage_send(stage, "$N", "east", "too old");
        stage_wait_number(stage, "$N", "parked_now", 1);
        g_usleep(1100 * 1000); /* until it is */
        stage_send(stage, "$N", "east", "young");
        stage_wait_number(stage, "$N", "parked_now", 2);
        stage_reload(stage, TRIAL_EAST TRIAL_WEST TRIAL_ROUTE "park_ttl = 1s\n");
        dead = stage_take(stage, "cluster-router.$N.dead");
        client_message_expect_text(dead, "x-router-reason", "expired");
        stage_expect(stage, "$N.east", "young");
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
}

/* ---- nothing usable at all ---- */

static void
test_any_waits_in_the_common_queue_until_something_is_usable(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;
        static const char *const none[] = {"", NULL};
        g_autofree char *east = NULL;

        if (!trial_set_up(&stage, &checker, "any", EAST_DRAIN TRIAL_ROUTE "on_no_cluster = any\n"))
                return;
        checker_send(checker, none, 500);
        stage_wait_count(stage, "cluster-router.$N.parked", 500);
        stage_reload(stage, TRIAL_EAST TRIAL_ROUTE "on_no_cluster = any\n");
        stage_wait_number(stage, "$N", "delivered", 500);
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
        east = stage_text(stage, "$N.east");
        g_assert_cmpuint(checker_collect(checker, east, NULL), ==, 500);
        checker_assert_safe(checker); /* those that belong to no cluster have no order */
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, ==, 0);
}

static void
test_parked_unknown_name_is_delivered_once_known(void)
{
        g_autoptr(Stage) stage = stage_new("unknown");

        if (stage == NULL)
                return;
        stage_run(stage, TRIAL_WEST TRIAL_ROUTE "on_unknown_cluster = park\n");
        stage_send(stage, "$N", "east", "early");
        stage_send(stage, "$N", "nowhere", "lost");
        stage_wait_count(stage, "cluster-router.$N.parked", 2);
        stage_reload(stage, TRIAL_EAST TRIAL_WEST TRIAL_ROUTE "on_unknown_cluster = park\n");
        stage_expect(stage, "$N.east", "early");
        stage_wait_number(stage, "$N", "parked_now", 1);
        stage_wait_count(stage, "cluster-router.$N.parked", 1);
        g_assert_true(stage_balances(stage, "$N"));
}

/* ---- other routers ---- */

static void
test_next_router_delivers_what_the_last_one_parked(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;
        g_autofree char *east = NULL;
        g_autofree char *west = NULL;

        if (!trial_set_up(&stage, &checker, "next", DRAIN))
                return;
        checker_send(checker, TRIAL_BOTH, 600);
        stage_wait_number(stage, "$N", "parked_now", 300);
        stage_stop(stage);
        stage_run(stage, READY);
        checker_send(checker, TRIAL_BOTH, 600);
        stage_wait_count(stage, "$N.east", 600);
        stage_wait_count(stage, "$N.west", 600);
        g_assert_true(stage_balances(stage, "$N"));
        east = stage_text(stage, "$N.east");
        west = stage_text(stage, "$N.west");
        g_assert_cmpuint(stage_count(stage, "cluster-router.$N.parked.east"), ==, 0);
        checker_collect(checker, east, "east");
        checker_collect(checker, west, "west");
        checker_assert_perfect(checker);
}

/*
 * Somebody makes the parking queue his own while the pass asks whether it is empty: nobody can tell any more,
 * and what is new does not wait for that.
 */
static void
test_pass_whose_queue_is_refused_is_broken_off(void)
{
        static const FaultTrigger at_end = {FAULT_DOWN, AMQP_BASIC_CANCEL_OK_METHOD, 1, FAULT_BEFORE,
                                            FAULT_SILENCE};
        g_autoptr(FaultProxy) proxy = NULL;
        g_autoptr(Stage) stage = stage_new("refused-look");
        g_autoptr(Client) owner = NULL;
        g_autofree char *parked = NULL;

        if (stage == NULL)
                return;
        owner = client_new(stage->url);
        proxy = fault_proxy_new(stage->url);
        g_free(stage->url);
        stage->url = g_strdup(fault_proxy_url(proxy));
        parked = stage_text(stage, "cluster-router.$N.parked.east");
        stage_run(stage, DRAIN);
        stage_send(stage, "$N", "east", "old");
        stage_wait_number(stage, "$N", "parked_now", 1);
        fault_proxy_arm(proxy, &at_end);
        stage_reload(stage, READY);
        g_assert_true(fault_proxy_wait_fired(proxy, DEADLINE_MS));
        stage_expect(stage, "$N.east", "old");
        client_delete_queue(owner, parked);
        client_declare_exclusive(owner, parked);
        fault_proxy_heal(proxy);
        program_wait_line(stage->router, "RESOURCE_LOCKED", DEADLINE_MS);
        stage_send(stage, "$N", "east", "new");
        stage_wait_number(stage, "$N", "in", 2);
        stage_wait_number(stage, "$N", "in_flight", 0);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/parking/drained-cluster-parks-and-unparks-in-order",
                        test_drained_cluster_parks_and_unparks_in_order);
        g_test_add_func("/parking/order-holds-under-load-through-drains",
                        test_order_holds_under_load_through_drains);
        g_test_add_func("/parking/order-holds-when-drained-at-the-end-of-a-pass",
                        test_order_holds_when_drained_at_the_end_of_a_pass);
        g_test_add_func("/parking/parking-queue-empties-under-steady-load",
                        test_parking_queue_empties_under_steady_load);
        g_test_add_func("/parking/heartbeats-open-and-close-a-cluster-under-load",
                        test_heartbeats_open_and_close_a_cluster_under_load);
        g_test_add_func("/parking/parked-message-tells-why-and-delivered-one-does-not",
                        test_parked_message_tells_why_and_delivered_one_does_not);
        g_test_add_func("/parking/time-that-ends-while-parked-counts-as-expired",
                        test_time_that_ends_while_parked_counts_as_expired);
        g_test_add_func("/parking/park-ttl-ends-in-the-dead-queue", test_park_ttl_ends_in_the_dead_queue);
        g_test_add_func("/parking/any-waits-in-the-common-queue-until-something-is-usable",
                        test_any_waits_in_the_common_queue_until_something_is_usable);
        g_test_add_func("/parking/parked-unknown-name-is-delivered-once-known",
                        test_parked_unknown_name_is_delivered_once_known);
        g_test_add_func("/parking/pass-whose-queue-is-refused-is-broken-off",
                        test_pass_whose_queue_is_refused_is_broken_off);
        g_test_add_func("/parking/next-router-delivers-what-the-last-one-parked",
                        test_next_router_delivers_what_the_last_one_parked);
        return g_test_run();
}
