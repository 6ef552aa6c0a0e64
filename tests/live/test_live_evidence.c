/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <string.h>

/* Heartbeats against consumers. A difference counts when it was seen twice, 10 s apart. */

enum { DEADLINE_MS = 40000, TTL_MS = 60000 };

static const char CONF[] = "[redis]\nurl = %s\npoll = 100ms\n"
                           "[$N-east]\ncluster_member_ips = e1\n[$N-west]\ncluster_member_ips = w1\n"
                           "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                           "destination = queue:{queue}.{cluster}\n";

typedef struct {
        Stage *stage;
        const char *cluster;
        const char *warning; /* NULL: none */
        int64_t consumers;
} Wanted;

static bool
shows(void *data)
{
        const Wanted *wanted = data;
        g_autofree char *body = NULL;
        g_autofree char *name = stage_text(wanted->stage, wanted->cluster);
        bool found = false;
        size_t i;
        json_t *row;
        if (stage_get(wanted->stage, "/api/v1/clusters", &body) != 200)
                return false;
        json_t *document = json_loads(body, 0, NULL);
        json_array_foreach(json_object_get(document, "clusters"), i, row)
        {
                const json_t *route = json_array_get(json_object_get(row, "routes"), 0);
                if (strcmp(json_string_value(json_object_get(row, "cluster")), name) != 0)
                        continue;
                found =
                    g_strcmp0(json_string_value(json_object_get(route, "warning")), wanted->warning) == 0 &&
                    json_integer_value(json_object_get(route, "consumers")) == wanted->consumers;
        }
        json_decref(document);
        return found;
}

static void
expect(Stage *stage, const char *cluster, const char *warning, int64_t consumers)
{
        Wanted wanted = {stage, cluster, warning, consumers};
        if (!live_wait(DEADLINE_MS, shows, &wanted))
                g_error("cluster %s: not as expected: %s", cluster, warning != NULL ? warning : "no warning");
}

static void
test_heartbeats_are_compared_with_consumers(void)
{
        const char *redis = live_env("REDIS_URL");
        g_autoptr(Stage) stage = redis != NULL ? stage_new("evidence") : NULL;
        g_autoptr(GError) error = NULL;
        if (stage == NULL)
                return;
        g_autofree char *conf = g_strdup_printf(CONF, redis);
        g_autofree char *east = stage_text(stage, "$N-east");
        g_autofree char *queue = stage_text(stage, "$N.$N-west");
        g_autoptr(Liveness) liveness = liveness_new(redis, 5000, &error);
        g_autoptr(Client) consumer = client_new(stage->url);
        g_assert_true(liveness_send_heartbeat(liveness, east, "e1", TTL_MS, &error));
        client_declare_queue(consumer, queue, NULL);
        client_consume(consumer, queue, 1);
        stage_run(stage, conf);

        expect(stage, "$N-east", "alive but nobody consumes", 0);
        expect(stage, "$N-west", "dead but consuming", 1);
        program_wait_line(stage->router, "is alive but nobody consumes", DEADLINE_MS);
        g_assert_true(liveness_goodbye(liveness, east, "e1", &error));
        expect(stage, "$N-east", NULL, 0);
        program_wait_line(stage->router, "agree again", DEADLINE_MS);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/evidence/heartbeats-are-compared-with-consumers",
                        test_heartbeats_are_compared_with_consumers);
        return g_test_run();
}
