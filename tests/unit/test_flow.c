/* SPDX-License-Identifier: MIT */
/* The diagram in router/flow.h, arrow by arrow. */
#include "router/flow.h"
#include "router/topology.h"

#include <string.h>

enum { NOW_US = 1000000, NOW_UNIX_MS = 50000, MILLISECOND_US = 1000 };

typedef struct {
        Conf conf;
        ConfRoute route;
        Stats *stats;
        View *up; /* "east" has a usable host */
        View *down;
        Flow *flow;   /* of "east" */
        Flow *common; /* of none */
} Fixture;

static View *
make_view(bool usable, const View *previous)
{
        ViewHost host = {.name = (char *)"e1", .usable = usable, .alive = usable};
        ViewInput input = {.name = "east", .hosts = &host, .n_hosts = 1};

        return view_new(&input, 1, false, previous);
}

static void
set_up(Fixture *fixture, gconstpointer user_data)
{
        fixture->conf.retry_max_ms = 4000;
        fixture->route = (ConfRoute){.name = (char *)"volume",
                                     .queue = (char *)"shared",
                                     .exchange = (char *)"",
                                     .key = (char *)"{queue}.{cluster}",
                                     .to_queue = true};
        fixture->stats = stats_new();
        fixture->up = make_view(true, NULL);
        fixture->down = make_view(false, fixture->up);

        RouteStats *route = stats_route(fixture->stats, "volume");

        fixture->flow =
            flow_new(&fixture->conf, &fixture->route, "east", 0, NULL, route_stats_cluster(route, "east"));
        flow_set_destination(fixture->flow, &fixture->conf, &fixture->route, NULL);
        fixture->flow->cluster = view_find(fixture->up, "east", 4);
        fixture->common =
            flow_new(&fixture->conf, &fixture->route, "", 1, NULL, route_stats_cluster(route, ""));
}

static void
tear_down(Fixture *fixture, gconstpointer user_data)
{
        flow_free(fixture->flow);
        flow_free(fixture->common);
        flow_free(NULL);
        view_unref(fixture->up);
        view_unref(fixture->down);
        stats_free(fixture->stats);
}

static void
assert_state(const Flow *flow, ClusterFlow state)
{
        g_assert_cmpint(flow->state, ==, state);
        g_assert_cmpint(atomic_load(&flow->stats->state), ==, state);
}

static void
begin(Fixture *fixture, int64_t now_us)
{
        flow_begin_pass(fixture->flow, fixture->up, now_us, NOW_UNIX_MS);
}

static void
park_and_begin(Fixture *fixture)
{
        flow_park(fixture->flow, REASON_CLUSTER_DOWN);
        begin(fixture, NOW_US);
}

/* ---- arrows ---- */

static void
test_begins(Fixture *fixture, gconstpointer user_data)
{
        assert_state(fixture->flow, FLOW_OPEN);
        g_assert_false(flow_is_due(fixture->flow, fixture->up, NOW_US));
}

static void
test_park(Fixture *fixture, gconstpointer user_data)
{
        flow_park(fixture->flow, REASON_CLUSTER_DRAINED);
        assert_state(fixture->flow, FLOW_PARKING);
        g_assert_cmpint(fixture->flow->reason, ==, REASON_CLUSTER_DRAINED);
        g_assert_true(fixture->flow->wants_pass);
        flow_park(fixture->flow, REASON_NACKED);
        assert_state(fixture->flow, FLOW_PARKING);
        g_assert_cmpint(fixture->flow->reason, ==, REASON_CLUSTER_DRAINED);
}

static void
test_unpark(Fixture *fixture, gconstpointer user_data)
{
        park_and_begin(fixture);
        assert_state(fixture->flow, FLOW_UNPARKING);
        g_assert_true(fixture->flow->passing);
        g_assert_false(fixture->flow->wants_pass);
}

static void
test_reopen(Fixture *fixture, gconstpointer user_data)
{
        park_and_begin(fixture);
        fixture->flow->closing = true;
        flow_end_pass(fixture->flow, true, NOW_US);
        assert_state(fixture->flow, FLOW_OPEN);
        g_assert_false(fixture->flow->passing);
        g_assert_false(fixture->flow->closing);
        g_assert_false(flow_is_due(fixture->flow, fixture->up, INT64_MAX));
}

static void
test_break(Fixture *fixture, gconstpointer user_data)
{
        park_and_begin(fixture);
        flow_end_pass(fixture->flow, false, NOW_US);
        assert_state(fixture->flow, FLOW_PARKING);
        g_assert_false(fixture->flow->passing);
        g_assert_false(flow_is_due(fixture->flow, fixture->up, NOW_US));
        g_assert_true(flow_is_due(fixture->flow, fixture->up, NOW_US + 500 * MILLISECOND_US));
}

/* What comes in meanwhile is parked for the sake of order; the pass goes on, or the queue would never be
 * emptied under load. */
static void
test_park_while_unparking(Fixture *fixture, gconstpointer user_data)
{
        park_and_begin(fixture);
        flow_park(fixture->flow, REASON_NACKED);
        assert_state(fixture->flow, FLOW_UNPARKING);
        g_assert_cmpint(fixture->flow->reason, ==, REASON_CLUSTER_DOWN);
        g_assert_false(fixture->flow->wants_pass);
        flow_end_pass(fixture->flow, true, NOW_US);
        assert_state(fixture->flow, FLOW_OPEN);
}

/* Parked during a pass that began while open: that pass has to empty the queue, too. */
static void
test_park_in_open_pass(Fixture *fixture, gconstpointer user_data)
{
        begin(fixture, NOW_US);
        flow_park(fixture->flow, REASON_NACKED);
        assert_state(fixture->flow, FLOW_UNPARKING);
        flow_end_pass(fixture->flow, false, NOW_US);
        assert_state(fixture->flow, FLOW_PARKING);
}

/* A pass for single returned messages does not stop the others. */
static void
test_pass_while_open(Fixture *fixture, gconstpointer user_data)
{
        flow_want_pass(fixture->flow, 0, NOW_US);
        g_assert_true(flow_is_due(fixture->flow, fixture->up, NOW_US));
        begin(fixture, NOW_US);
        assert_state(fixture->flow, FLOW_OPEN);
        fixture->flow->failing = true;
        flow_end_pass(fixture->flow, true, NOW_US);
        assert_state(fixture->flow, FLOW_OPEN);
        g_assert_true(fixture->flow->wants_pass);
        begin(fixture, NOW_US);
        flow_end_pass(fixture->flow, false, NOW_US);
        assert_state(fixture->flow, FLOW_OPEN);
}

/* ---- when ---- */

static void
test_due(Fixture *fixture, gconstpointer user_data)
{
        Flow *flow = fixture->flow;

        flow_park(flow, REASON_CLUSTER_DOWN);
        flow_want_pass(flow, 300, NOW_US);
        flow_want_pass(flow, 100, NOW_US);
        g_assert_false(flow_is_due(flow, fixture->up, NOW_US + 300 * MILLISECOND_US - 1));
        g_assert_true(flow_is_due(flow, fixture->up, NOW_US + 300 * MILLISECOND_US));
        flow->cluster = view_find(fixture->down, "east", 4);
        g_assert_false(flow_is_due(flow, fixture->down, INT64_MAX));
        flow->cluster = NULL;
        g_assert_false(flow_is_due(flow, fixture->up, INT64_MAX));
        flow->cluster = view_find(fixture->up, "east", 4);
        begin(fixture, NOW_US);
        flow_want_pass(flow, 0, NOW_US);
        g_assert_false(flow_is_due(flow, fixture->up, INT64_MAX));
}

static void
test_single(Fixture *fixture, gconstpointer user_data)
{
        g_autoptr(View) single = view_new(NULL, 0, true, NULL);

        flow_set_destination(fixture->common, &fixture->conf, &fixture->route, NULL);
        flow_want_pass(fixture->common, 0, NOW_US);
        g_assert_false(flow_is_common(fixture->common));
        g_assert_true(flow_is_due(fixture->common, single, NOW_US));
        flow_begin_pass(fixture->common, single, NOW_US, NOW_UNIX_MS);
        flow_end_pass(fixture->common, false, NOW_US);
        g_assert_true(flow_is_due(fixture->common, single, NOW_US + 500 * MILLISECOND_US));
}

/* A wait is 50 to 100 % of a step that doubles from 500 ms up to retry_max. */
static void
assert_wait(Fixture *fixture, bool whole, int64_t step_ms)
{
        int64_t from_us = fixture->flow->retry_us;

        begin(fixture, from_us);
        fixture->flow->failing = whole;
        flow_end_pass(fixture->flow, whole, from_us);
        g_assert_cmpint(fixture->flow->retry_us - from_us, >=, step_ms / 2 * MILLISECOND_US);
        g_assert_cmpint(fixture->flow->retry_us - from_us, <=, step_ms * MILLISECOND_US);
}

static void
test_backoff(Fixture *fixture, gconstpointer user_data)
{
        flow_park(fixture->flow, REASON_CLUSTER_DOWN);
        assert_wait(fixture, false, 500);
        assert_wait(fixture, true, 1000);
        assert_wait(fixture, false, 2000);
        assert_wait(fixture, false, 4000);
        assert_wait(fixture, false, 4000);
        begin(fixture, fixture->flow->retry_us);
        flow_end_pass(fixture->flow, true, fixture->flow->retry_us);
        assert_wait(fixture, false, 500);
}

static void
test_common(Fixture *fixture, gconstpointer user_data)
{
        Flow *common = fixture->common;

        g_assert_true(flow_is_common(common));
        flow_want_pass(common, 0, NOW_US);
        g_assert_true(flow_is_due(common, fixture->up, NOW_US));
        flow_begin_pass(common, fixture->up, NOW_US, NOW_UNIX_MS);
        flow_end_pass(common, true, NOW_US);
        flow_want_pass(common, 0, NOW_US);
        g_assert_false(flow_is_due(common, fixture->up, INT64_MAX));
        g_assert_true(flow_is_due(common, fixture->down, INT64_MAX));
        /* What came back is tried again although the view stays the same, but not at once. */
        flow_begin_pass(common, fixture->down, NOW_US, NOW_UNIX_MS);
        common->failing = true;
        flow_end_pass(common, true, NOW_US);
        g_assert_false(flow_is_due(common, fixture->down, NOW_US));
        g_assert_true(flow_is_due(common, fixture->down, INT64_MAX));
}

static void
test_idle(Fixture *fixture, gconstpointer user_data)
{
        Flow *flow = fixture->flow;

        g_assert_false(flow_is_idle(flow, INT64_MAX));
        park_and_begin(fixture);
        g_assert_false(flow_is_idle(flow, NOW_US + 199 * MILLISECOND_US));
        g_assert_true(flow_is_idle(flow, NOW_US + 200 * MILLISECOND_US));
        flow->in_hand = 1;
        g_assert_false(flow_is_idle(flow, INT64_MAX));
        flow->aside.length = 1;
        g_assert_true(flow_is_idle(flow, INT64_MAX));
        flow->aside.length = 0;
}

/* Tags of two consumers of one queue are alike: the broker's answers would be, too. */
static void
test_answer_first(Fixture *fixture, gconstpointer user_data)
{
        flow_want_pass(fixture->flow, 0, NOW_US);
        fixture->flow->consumer = FLOW_CONSUMER_ENDING;
        g_assert_false(flow_is_due(fixture->flow, fixture->up, NOW_US));
        fixture->flow->consumer = FLOW_CONSUMER_NONE;
        g_assert_true(flow_is_due(fixture->flow, fixture->up, NOW_US));
}

/* ---- once per pass ---- */

static bool
has_tried(const Flow *flow, int64_t parked_unix_ms, Reason reason)
{
        Delivery delivery = {
            .provenance = {.time_unix_ms = parked_unix_ms, .reason = bytes_of(reason_code(reason))}};

        return flow_has_tried(flow, &delivery);
}

static void
test_tried(Fixture *fixture, gconstpointer user_data)
{
        park_and_begin(fixture);
        flow_begin_pass(fixture->common, fixture->up, NOW_US, NOW_UNIX_MS);
        g_assert_false(has_tried(fixture->flow, NOW_UNIX_MS - 1, REASON_UNROUTABLE));
        g_assert_true(has_tried(fixture->flow, NOW_UNIX_MS, REASON_UNROUTABLE));
        g_assert_false(has_tried(fixture->flow, NOW_UNIX_MS, REASON_CLUSTER_DOWN));
        g_assert_false(has_tried(fixture->common, NOW_UNIX_MS - 1, REASON_NO_CLUSTER));
        g_assert_true(has_tried(fixture->common, NOW_UNIX_MS, REASON_NO_CLUSTER));
}

/* ---- names ---- */

static void
test_names(Fixture *fixture, gconstpointer user_data)
{
        g_autofree char *dead = topology_dead_queue(&fixture->route);

        g_assert_cmpstr(fixture->flow->parking.key, ==, "cluster-router.volume.parked.east");
        g_assert_cmpstr(fixture->common->parking.key, ==, "cluster-router.volume.parked");
        g_assert_cmpstr(dead, ==, "cluster-router.volume.dead");
        g_assert_cmpstr(fixture->flow->parking.exchange, ==, "");
}

/* A queue whose name stands in the message is never made (S2). */
static void
test_declares(Fixture *fixture, gconstpointer user_data)
{
        static const struct {
                const char *key;
                bool to_queue, declare;
        } rows[] = {
            {"{queue}.{cluster}", true, true}, {"fixed", true, true},     {"fixed", false, false},
            {"{key}.{cluster}", true, false},  {"a.{host}", true, false}, {"{exchange}", true, false},
        };

        for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
                fixture->route.key = (char *)rows[i].key;
                fixture->route.to_queue = rows[i].to_queue;
                target_clear(&fixture->flow->destination);
                flow_set_destination(fixture->flow, &fixture->conf, &fixture->route, NULL);
                g_assert_cmpint(fixture->flow->destination.declare, ==, rows[i].declare);
                g_assert_cmpint(fixture->flow->destination.declared, ==, !rows[i].declare);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/flow/" name, Fixture, NULL, set_up, function, tear_down)
        ADD("begins-open", test_begins);
        ADD("parks-and-keeps-the-first-reason", test_park);
        ADD("unparks-by-a-pass", test_unpark);
        ADD("opens-when-the-parking-queue-is-empty", test_reopen);
        ADD("parks-again-when-a-pass-fails", test_break);
        ADD("goes-on-unparking-while-new-messages-are-parked", test_park_while_unparking);
        ADD("unparks-at-once-if-parked-during-a-pass", test_park_in_open_pass);
        ADD("stays-open-while-single-messages-are-tried-again", test_pass_while_open);
        ADD("is-due-when-wanted-usable-and-over-its-wait", test_due);
        ADD("is-always-usable-in-single-cluster-mode", test_single);
        ADD("waits-longer-after-each-failure-until-a-success", test_backoff);
        ADD("common-flow-is-due-once-per-view", test_common);
        ADD("is-idle-with-nothing-in-hand-but-what-was-put-aside", test_idle);
        ADD("is-not-due-before-its-last-consumer-is-gone", test_answer_first);
        ADD("takes-a-message-once-per-pass", test_tried);
        ADD("names-its-queues-after-route-and-cluster", test_names);
        ADD("declares-only-queues-with-fixed-names", test_declares);
#undef ADD
        return g_test_run();
}
