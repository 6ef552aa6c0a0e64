/* SPDX-License-Identifier: MIT */
#include "router/host_queue.h"

#include <string.h>

/* Cluster east has the hosts a and b, west has b and c. Times in seconds; take_back is one minute. */

enum { S = 1000000 };

static ConfRoute route = {
    .queue = (char *)"in", .to_queue = true, .exchange = (char *)"", .take_back_ms = 60000};

/* @living: a letter of a cluster and one of a host for each living one, such as "ea wc". */
static View *
make_view(const char *living)
{
        static const char names[2][2][2] = {{"a", "b"}, {"b", "c"}};
        static const char *const clusters[] = {"east", "west"};
        ViewHost hosts[2][2] = {0};
        ViewInput inputs[2] = {0};

        for (unsigned i = 0; i < 2; i++) {
                for (unsigned j = 0; j < 2; j++) {
                        char word[] = {clusters[i][0], names[i][j][0], '\0'};

                        hosts[i][j].name = (char *)names[i][j];
                        hosts[i][j].alive = hosts[i][j].usable = strstr(living, word) != NULL;
                }
                inputs[i] = (ViewInput){.name = clusters[i], .hosts = hosts[i], .n_hosts = 2};
        }
        return view_new(inputs, 2, false, NULL);
}

static void
follow(HostQueues *queues, const char *living, int64_t now_s)
{
        g_autoptr(View) view = make_view(living);

        host_queues_follow(queues, view, now_s * S);
}

/* All queues of dead hosts by number, as "NAME@SECONDS" when they are due, separated by blanks. */
static void
expect(HostQueues *queues, const char *expected)
{
        g_autoptr(GString) found = g_string_new(NULL);

        for (int i = 0; i < host_queues_numbers(queues); i++) {
                const HostQueue *queue = host_queues_by_number(queues, i);

                if (queue && queue->dead)
                        g_string_append_printf(found, "%s%s@%d", found->len > 0 ? " " : "", queue->queue,
                                               (int)(queue->due_us / S));
        }
        g_assert_cmpstr(found->str, ==, expected);
}

static void
test_dead_hosts_are_due_after_a_time(void)
{
        route.key = (char *)"{queue}.{cluster}.{host}";

        g_autoptr(HostQueues) queues = host_queues_new(&route);

        follow(queues, "ea eb wb wc", 10);
        expect(queues, "");
        g_assert_null(host_queues_next(queues));
        follow(queues, "ea wc", 20);
        expect(queues, "in.east.b@80 in.west.b@80");
        follow(queues, "wc", 50); /* the time of those that were dead goes on */
        expect(queues, "in.east.b@80 in.west.b@80 in.east.a@110");
        g_assert_cmpuint(host_queues_count(queues), ==, 3);
}

static void
test_host_that_was_back_has_its_time_again(void)
{
        route.key = (char *)"{queue}.{cluster}.{host}";

        g_autoptr(HostQueues) queues = host_queues_new(&route);

        follow(queues, "eb wb wc", 10);
        follow(queues, "ea eb wb wc", 60);
        expect(queues, "");
        follow(queues, "eb wb wc", 65);
        expect(queues, "in.east.a@125");
}

/* A delivery that still says "number 0" must not be taken for another queue's. */
static void
test_number_stays_while_the_queue_is_in_use(void)
{
        route.key = (char *)"{queue}.{cluster}.{host}";

        g_autoptr(HostQueues) queues = host_queues_new(&route);
        HostQueue *queue;

        follow(queues, "eb wb wc", 10);
        queue = host_queues_by_number(queues, 0);
        host_queue_take(queues, queue, 80 * S);
        queue->in_hand = 1;
        g_assert_cmpuint(host_queues_taken(queues), ==, 1);
        follow(queues, "ea eb wb", 90);
        g_assert_true(host_queues_by_number(queues, 0) == queue);
        g_assert_false(queue->dead);
        expect(queues, "in.west.c@150");
        host_queue_leave(queues, queue, false, 91 * S);
        follow(queues, "ea eb wb wc", 92); /* not consumed, but something in hand */
        g_assert_true(host_queues_by_number(queues, 0) == queue);
        queue->in_hand = 0;
        follow(queues, "ea eb wb wc", 93);
        g_assert_null(host_queues_by_number(queues, 0));
        g_assert_cmpuint(host_queues_taken(queues), ==, 0);
        g_assert_cmpuint(host_queues_count(queues), ==, 0);
        follow(queues, "ea wb wc", 94);
        g_assert_cmpint(host_queues_numbers(queues), ==, 2);
}

/* {cluster} does not stand in the name: "in.b" is the queue of both hosts b. */
static void
test_queue_of_another_clusters_living_host_is_left_alone(void)
{
        route.key = (char *)"{queue}.{host}";

        g_autoptr(HostQueues) queues = host_queues_new(&route);

        follow(queues, "ea wb wc", 10);
        expect(queues, "");
        follow(queues, "ea wc", 20);
        expect(queues, "in.b@80 in.b@80");
        follow(queues, "ea eb wc", 30);
        expect(queues, "");
}

static void
test_empty_queue_is_looked_at_less_and_less(void)
{
        route.key = (char *)"{queue}.{cluster}.{host}";

        g_autoptr(HostQueues) queues = host_queues_new(&route);
        HostQueue *queue;
        int64_t pauses[2] = {0};

        follow(queues, "eb wb wc", 0);
        queue = host_queues_by_number(queues, 0);
        for (unsigned i = 0; i < 20; i++) {
                host_queue_leave(queues, queue, true, 0);
                pauses[i == 0 ? 0 : 1] = queue->due_us;
        }
        g_assert_cmpint(pauses[0], >=, 2 * S);
        g_assert_cmpint(pauses[0], <=, 5 * S);
        g_assert_cmpint(pauses[1], >=, 60 * S);
        g_assert_cmpint(pauses[1], <=, 120 * S);
        host_queue_leave(queues, queue, false, 0);
        g_assert_cmpint(queue->due_us, <=, 5 * S);
}

static void
test_only_queues_whose_name_is_known(void)
{
        static const struct {
                const char *key;
                bool to_queue;
                bool has;
        } rows[] = {{"{queue}.{host}", true, true},     {"{host}", true, true},
                    {"{queue}.{cluster}", true, false}, {"{key}.{host}", true, false},
                    {"{exchange}.{host}", true, false}, {"{host}", false, false}};

        for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
                ConfRoute other = route;

                other.key = (char *)rows[i].key;
                other.to_queue = rows[i].to_queue;

                g_autoptr(HostQueues) queues = host_queues_new(&other);

                g_assert_true((queues != NULL) == rows[i].has);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/host-queue/dead-hosts-are-due-after-a-time", test_dead_hosts_are_due_after_a_time);
        g_test_add_func("/host-queue/host-that-was-back-has-its-time-again",
                        test_host_that_was_back_has_its_time_again);
        g_test_add_func("/host-queue/number-stays-while-the-queue-is-in-use",
                        test_number_stays_while_the_queue_is_in_use);
        g_test_add_func("/host-queue/queue-of-another-clusters-living-host-is-left-alone",
                        test_queue_of_another_clusters_living_host_is_left_alone);
        g_test_add_func("/host-queue/empty-queue-is-looked-at-less-and-less",
                        test_empty_queue_is_looked_at_less_and_less);
        g_test_add_func("/host-queue/only-queues-whose-name-is-known", test_only_queues_whose_name_is_known);
        return g_test_run();
}
