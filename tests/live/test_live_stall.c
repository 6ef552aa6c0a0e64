/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_proxy.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <amqp_framing.h>
#include <stdlib.h>
#include <string.h>

/*
 * A lane never stands still for one cluster's broker: while east's owes it an answer, or takes nothing more,
 * a message for west is on its way as ever.
 */

/* A lane that waited for an answer would do so for a second; for a socket, 25 s: two heartbeats and a few
 * seconds. */
enum { DEADLINE_MS = 30000, TRIALS = 5, ANSWER_MS = 500, SOCKET_MS = 10000, LARGE_BYTES = 4 << 20 };
enum { SITE = 12, HEAVY = 40, HEAVY_BYTES = 1 << 20, HEAVY_MS = 5000 };
enum { LARGE_HEADERS = 60, LARGE_HEADER_BYTES = 100000 };

typedef struct {
        Stage *stage;
        FaultProxy *east;
        Client *west; /* consumes */
} Scene;

static bool
scene_init(Scene *scene)
{
        const char *east_url = live_env("AMQP_URL_2");
        g_autofree char *text = NULL;
        g_autofree char *queue = NULL;

        *scene = (Scene){.stage = east_url != NULL ? stage_new("stall") : NULL};
        if (scene->stage == NULL)
                return false;
        scene->east = fault_proxy_new(east_url);
        text = g_strdup_printf("hold_time = 10s\nretry_max = 500ms\nheartbeat = 10s\ndrain_deadline = 1s\n"
                               "in_flight_bytes = 16MiB\n"
                               "[east]\ncluster_member_ips = e\namqp_url = %s\n"
                               "[west]\ncluster_member_ips = w\n[route:$N]\nqueue = $N\n"
                               "cluster_from = header:cluster\ndestination = queue:{queue}.{cluster}\n",
                               fault_proxy_url(scene->east));
        stage_run(scene->stage, text);
        stage_send(scene->stage, "$N", "east", "first");
        stage_wait_number(scene->stage, "$N", "clusters/east/delivered", 1);
        stage_declare(scene->stage, "$N.west");
        queue = stage_text(scene->stage, "$N.west");
        scene->west = client_new(scene->stage->url);
        client_consume(scene->west, queue, 0);
        return true;
}

static void
scene_clear(Scene *scene)
{
        client_free(scene->west);
        stage_free(scene->stage);
        fault_proxy_free(scene->east);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scene, scene_clear)

/* How long a message for west is on its way. */
static int64_t
travel_ms(Scene *scene)
{
        int64_t began_us = g_get_monotonic_time();
        g_autoptr(ClientMessage) message = NULL;

        stage_send(scene->stage, "$N", "west", "ping");
        message = client_next(scene->west, DEADLINE_MS);
        g_assert_nonnull(message);
        client_ack(scene->west, message);
        return (g_get_monotonic_time() - began_us) / 1000;
}

static int
by_time(const void *first, const void *second)
{
        int64_t a = *(const int64_t *)first, b = *(const int64_t *)second;

        return (a > b) - (a < b);
}

static void
expect_prompt(int64_t *took_ms)
{
        qsort(took_ms, TRIALS, sizeof(took_ms[0]), by_time);
        g_test_message("a message for west took %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT " ms", took_ms[0],
                       took_ms[TRIALS - 1]);
        g_assert_cmpint(took_ms[TRIALS / 2], <, ANSWER_MS);
}

/*
 * East's connection falls silent as soon as it is made, so that its queues are declared without an answer.
 * The middle of some trials counts, since a machine may be slow now and then.
 */
static void
test_declare_without_answer(void)
{
        static const FaultTrigger trigger = {FAULT_DOWN, AMQP_CONFIRM_SELECT_OK_METHOD, 1, FAULT_AFTER,
                                             FAULT_SILENCE};
        g_auto(Scene) scene = {0};
        int64_t took_ms[TRIALS];

        if (!scene_init(&scene))
                return;
        for (unsigned i = 0; i < TRIALS; i++) {
                fault_proxy_arm(scene.east, &trigger);
                fault_proxy_end(scene.east, FAULT_CUT);
                g_assert_true(fault_proxy_wait_fired(scene.east, DEADLINE_MS));
                took_ms[i] = travel_ms(&scene);
        }
        expect_prompt(took_ms);
}

static bool
is_in_hand(void *data)
{
        return stage_number(data, "$N", "in_flight") > 0;
}

static void
test_large_message_that_nobody_reads(void)
{
        g_auto(Scene) scene = {0};
        g_autofree char *body = g_strnfill(LARGE_BYTES, 'x');

        if (!scene_init(&scene))
                return;
        fault_proxy_silence(scene.east, FAULT_UP);
        stage_send(scene.stage, "$N", "east", body);
        g_assert_true(live_wait(DEADLINE_MS, is_in_hand, scene.stage));
        g_assert_cmpint(travel_ms(&scene), <, SOCKET_MS);
        fault_proxy_heal(scene.east);
        stage_wait_number(scene.stage, "$N", "clusters/east/delivered", 2);
}

/* Far fewer than a window, but more bytes than a lane may have in hand. */
static void
test_many_bytes_for_a_silent_broker(void)
{
        g_auto(Scene) scene = {0};
        g_autofree char *body = g_strnfill(HEAVY_BYTES, 'x');
        int64_t took_ms;

        if (!scene_init(&scene))
                return;
        fault_proxy_silence(scene.east, FAULT_BOTH);
        for (unsigned i = 0; i < HEAVY; i++)
                client_publish_text(scene.stage->client, scene.stage->name, "east", body);
        client_confirm(scene.stage->client);
        took_ms = travel_ms(&scene);
        g_test_message("a message for west took %" G_GINT64_FORMAT " ms", took_ms);
        g_assert_cmpint(took_ms, <, HEAVY_MS);
        fault_proxy_heal(scene.east);
        stage_wait_number(scene.stage, "$N", "clusters/east/delivered", 1 + HEAVY);
}

/* A header is written in one go: only what is known to find room may be begun. */
static void
test_large_headers_that_nobody_reads(void)
{
        g_auto(Scene) scene = {0};
        g_autofree char *filler = g_strnfill(LARGE_HEADER_BYTES, 'h');
        amqp_table_entry_t entries[] = {client_entry_text("cluster", "east"),
                                        client_entry_text("filler", filler)};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                              .headers = {G_N_ELEMENTS(entries), entries}};

        if (!scene_init(&scene))
                return;
        fault_proxy_silence(scene.east, FAULT_UP);
        for (unsigned i = 0; i < LARGE_HEADERS; i++)
                client_publish(scene.stage->client, "", scene.stage->name, &properties, amqp_empty_bytes);
        client_confirm(scene.stage->client);
        g_assert_true(live_wait(DEADLINE_MS, is_in_hand, scene.stage));
        g_assert_cmpint(travel_ms(&scene), <, SOCKET_MS);
        fault_proxy_heal(scene.east);
        stage_wait_number(scene.stage, "$N", "clusters/east/delivered", 1 + LARGE_HEADERS);
}

/* More than the window: before west's message is read, east's must have made room. */
static void
test_window_full_of_messages_for_a_silent_broker(void)
{
        enum { BURST = 600 };
        g_auto(Scene) scene = {0};
        int64_t took_ms[TRIALS];

        if (!scene_init(&scene))
                return;
        for (unsigned i = 0; i < TRIALS; i++) {
                fault_proxy_silence(scene.east, FAULT_BOTH);
                for (unsigned n = 0; n < BURST; n++)
                        client_publish_text(scene.stage->client, scene.stage->name, "east", "burst");
                took_ms[i] = travel_ms(&scene);
                client_confirm(scene.stage->client);
                fault_proxy_heal(scene.east);
                stage_wait_number(scene.stage, "$N", "clusters/east/delivered", 1 + (i + 1) * BURST);
                stage_wait_flow(scene.stage, "east", "open");
        }
        expect_prompt(took_ms);
}

typedef struct {
        Stage *stage;
        FaultProxy *proxies[SITE];
} Site;

static void
site_clear(Site *site)
{
        stage_free(site->stage);
        for (unsigned i = 0; i < SITE; i++)
                fault_proxy_free(site->proxies[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Site, site_clear)

static bool
site_init(Site *site)
{
        const char *url = live_env("AMQP_URL_2");
        g_autoptr(GString) text = g_string_new("hold_time = 60s\nretry_max = 500ms\nheartbeat = 15s\n"
                                               "[west]\ncluster_member_ips = w\n[route:$N]\nqueue = $N\n"
                                               "cluster_from = header:cluster\n"
                                               "destination = queue:{queue}.{cluster}\n");

        site->stage = url != NULL ? stage_new("site") : NULL;
        if (site->stage == NULL)
                return false;
        for (unsigned i = 0; i < SITE; i++) {
                site->proxies[i] = fault_proxy_new(url);
                g_string_append_printf(text, "[s%u]\ncluster_member_ips = h%u\namqp_url = %s\n", i, i,
                                       fault_proxy_url(site->proxies[i]));
        }
        stage_run(site->stage, text->str);
        return true;
}

static void
send_to_all(Site *site, unsigned count)
{
        for (unsigned i = 0; i < count * SITE; i++) {
                g_autofree char *cluster = g_strdup_printf("s%u", i % SITE);

                client_publish_text(site->stage->client, site->stage->name, cluster, "all");
        }
        client_confirm(site->stage->client);
}

/* Each may have an eighth of the window, but not all at once: a site may hold many clusters, and lose its
 * power. */
static void
test_many_silent_brokers(void)
{
        g_auto(Site) site = {0};
        int64_t began_us;

        if (!site_init(&site))
                return;
        send_to_all(&site, 1);
        stage_wait_number(site.stage, "$N", "delivered", SITE);
        for (unsigned i = 0; i < SITE; i++)
                fault_proxy_silence(site.proxies[i], FAULT_BOTH);
        send_to_all(&site, 100);
        began_us = g_get_monotonic_time();
        stage_send(site.stage, "$N", "west", "ping");
        stage_expect(site.stage, "$N.west", "ping");
        g_test_message("a message for west took %" G_GINT64_FORMAT " ms",
                       (g_get_monotonic_time() - began_us) / 1000);
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, HEAVY_MS * 1000);
        for (unsigned i = 0; i < SITE; i++)
                fault_proxy_heal(site.proxies[i]);
        stage_wait_number(site.stage, "$N", "delivered", 1 + SITE + 100 * SITE);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stall/declare-without-answer-holds-nobody-up", test_declare_without_answer);
        g_test_add_func("/stall/window-full-of-messages-for-a-silent-broker-makes-room",
                        test_window_full_of_messages_for_a_silent_broker);
        g_test_add_func("/stall/large-message-that-nobody-reads-holds-nobody-up",
                        test_large_message_that_nobody_reads);
        g_test_add_func("/stall/many-bytes-for-a-silent-broker-hold-nobody-up",
                        test_many_bytes_for_a_silent_broker);
        g_test_add_func("/stall/many-silent-brokers-leave-room-for-others", test_many_silent_brokers);
        g_test_add_func("/stall/large-headers-that-nobody-reads-hold-nobody-up",
                        test_large_headers_that_nobody_reads);
        return g_test_run();
}
