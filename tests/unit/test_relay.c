/* SPDX-License-Identifier: MIT */
/* What a relay knows of its queues; what it does with a broker is in tests/clients. */
#include "router/relay.h"

#include <string.h>

enum { NOW_US = 1000000 };

static const char conf_text[] = "[east]\ncluster_member_ips = 10.0.0.11\n"
                                "[broker]\nurl = amqp://guest:guest@127.0.0.1:5672/%2f\n"
                                "[route:volume]\nqueue = volume\n"
                                "cluster_from = header:cluster\ndestination = queue:{queue}.{cluster}\n";

typedef struct {
        Conf *conf;
        LinkHome home;
        Relay *relay; /* its link is never dialled */
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer user_data)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);

        fixture->conf = conf_parse("router.conf", conf_text, strlen(conf_text), errors);
        g_assert_nonnull(fixture->conf);

        const ConfRoute *route = conf_find_route(fixture->conf, "volume");
        const char *const *urls = (const char *const *)fixture->conf->broker_urls;

        fixture->home.wake_fd = -1;
        fixture->relay = relay_new(intake_new(INTAKE_REPLIES, fixture->conf, route, urls,
                                              &fixture->conf->broker_tls, &fixture->home));
}

static void
tear_down(Fixture *fixture, gconstpointer user_data)
{
        relay_free(fixture->relay);
        relay_free(NULL);
        conf_unref(fixture->conf);
}

static void
test_names(Fixture *fixture, gconstpointer user_data)
{
        RelayQueue *first = relay_queue(fixture->relay, "reply_1", NOW_US);
        RelayQueue *second = relay_queue(fixture->relay, "reply_2", NOW_US);

        g_assert_true(relay_queue(fixture->relay, "reply_1", 2 * NOW_US) == first);
        g_assert_cmpint(first->used_us, ==, 2 * NOW_US);
        g_assert_cmpint(second->used_us, ==, NOW_US);
        g_assert_cmpint(first->number, !=, second->number);
        g_assert_true(relay_by_number(fixture->relay, first->number) == first);
        g_assert_true(relay_by_number(fixture->relay, second->number) == second);
        g_assert_null(relay_by_number(fixture->relay, -1));
        g_assert_null(relay_by_number(fixture->relay, 2));
        g_assert_null(relay_by_number(fixture->relay, G_MAXINT));
}

static void
test_limit(Fixture *fixture, gconstpointer user_data)
{
        for (int i = 0; i < RELAY_QUEUES_MAX; i++) {
                g_autofree char *name = g_strdup_printf("reply_%d", i);

                g_assert_nonnull(relay_queue(fixture->relay, name, NOW_US));
        }
        g_assert_null(relay_queue(fixture->relay, "one too many", NOW_US));
        g_assert_nonnull(relay_queue(fixture->relay, "reply_7", NOW_US));
}

static void
test_oldest_makes_room(Fixture *fixture, gconstpointer user_data)
{
        int64_t later_us = NOW_US + RELAY_KEEP_S * (int64_t)G_USEC_PER_SEC;

        for (int i = 0; i < RELAY_QUEUES_MAX; i++) {
                g_autofree char *name = g_strdup_printf("reply_%d", i);

                g_assert_nonnull(relay_queue(fixture->relay, name, NOW_US + i));
        }
        relay_queue(fixture->relay, "reply_0", NOW_US)->in_hand = 1; /* a reply of its is under way */
        relay_queue(fixture->relay, "reply_1", later_us);
        g_assert_null(relay_queue(fixture->relay, "new", later_us + 1));

        RelayQueue *new = relay_queue(fixture->relay, "new", later_us + 2);

        /* A reply that is still on its way to the old one is not for the new one. */
        g_assert_nonnull(new);
        g_assert_null(relay_by_number(fixture->relay, 2));
        g_assert_true(relay_by_number(fixture->relay, new->number) == new);
        g_assert_false(g_hash_table_contains(fixture->relay->names, "reply_2"));
        g_assert_true(g_hash_table_contains(fixture->relay->names, "reply_0"));
        g_assert_true(g_hash_table_contains(fixture->relay->names, "reply_1"));
        g_assert_cmpuint(g_hash_table_size(fixture->relay->names), ==, RELAY_QUEUES_MAX);
        relay_queue(fixture->relay, "reply_0", NOW_US)->in_hand = 0;
}

static void
test_let_go(Fixture *fixture, gconstpointer user_data)
{
        RelayQueue *queue = relay_queue(fixture->relay, "reply_1", NOW_US);

        queue->declared = 3;
        relay_let_go(fixture->relay, queue);
        g_assert_true(queue->idle);
        g_assert_cmpuint(queue->declared, ==, 0);
        g_assert_true(relay_queue(fixture->relay, "reply_1", NOW_US) == queue);
        g_assert_false(queue->idle);
}

static void
test_no_connection(Fixture *fixture, gconstpointer user_data)
{
        RelayQueue *queue = relay_queue(fixture->relay, "reply_1", NOW_US);

        queue->declared = 1;
        relay_consume(fixture->relay, queue, 10);
        g_assert_cmpuint(queue->consumed, ==, 0);
        g_assert_null(relay_next_waiting(fixture->relay, NOW_US));
        /* Not even an old one is dropped: what it holds cannot be seen now. */
        g_assert_null(relay_next_waiting(fixture->relay, NOW_US + (RELAY_UNUSED_S + 1ll) * G_USEC_PER_SEC));
        g_assert_true(relay_by_number(fixture->relay, queue->number) == queue);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add("/relay/a-name-has-one-queue-and-one-number", Fixture, NULL, set_up, test_names,
                   tear_down);
        g_test_add("/relay/a-flood-of-names-has-a-limit", Fixture, NULL, set_up, test_limit, tear_down);
        g_test_add("/relay/the-oldest-makes-room-for-a-new-name", Fixture, NULL, set_up,
                   test_oldest_makes_room, tear_down);
        g_test_add("/relay/let-go-until-asked-for-again", Fixture, NULL, set_up, test_let_go, tear_down);
        g_test_add("/relay/without-connection-nothing-is-consumed-or-dropped", Fixture, NULL, set_up,
                   test_no_connection, tear_down);
        return g_test_run();
}
