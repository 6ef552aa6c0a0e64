/* SPDX-License-Identifier: MIT */
#include "tests/live/operator.h"
#include "tests/support/fault_run.h"

#include <signal.h>

/* How the broker of a cluster is, in all places where operators look. */

enum { DEADLINE_MS = 60000 };

static const char CONF[] = "retry_max = 300ms\n"
                           "[$N-east]\ncluster_member_ips = e\namqp_url = %s\n"
                           "[$N-west]\ncluster_member_ips = w\n"
                           "[route:$N]\nqueue = $N\nlanes = 2\ncluster_from = header:cluster\n"
                           "destination = queue:{queue}.{cluster}\n";

typedef struct {
        Stage *stage;
        const char *state;
        bool sending; /* to east, while we wait */
} Wanted;

static json_t *
get_document(Stage *stage, const char *path)
{
        g_autofree char *body = NULL;

        g_assert_cmpint(stage_get(stage, path, &body), ==, 200);
        return json_loads(body, 0, NULL);
}

static bool
says(Stage *stage, const char *path, const char *text)
{
        g_autofree char *body = NULL;

        return stage_get(stage, path, &body) == 200 && strstr(body, text) != NULL;
}

/* All at one moment: the broker may be there again at the next. */
static bool
is_shown(void *data)
{
        const Wanted *wanted = data;
        Stage *stage = wanted->stage;
        g_autofree char *cluster = stage_text(stage, "$N-east");
        g_autofree char *member = g_strdup_printf("\"broker_state\":\"%s\"", wanted->state);
        g_autofree char *sample = g_strdup_printf(
            "\ncluster_router_cluster_broker_lanes{route=\"%s\",cluster=\"%s-east\",state=\"%s\"}"
            " 2\n",
            stage->name, stage->name, wanted->state);

        if (wanted->sending)
                stage_send(stage, "$N", cluster, "to be parked");
        return says(stage, "/metrics", sample) && says(stage, "/api/v1/stats", member) &&
               says(stage, "/api/v1/clusters", member) && says(stage, "/api/v1/status", member);
}

static void
wait_shown(Stage *stage, const char *state, bool sending)
{
        Wanted wanted = {.stage = stage, .state = state, .sending = sending};

        g_test_message("%s", state);
        if (!live_wait(DEADLINE_MS, is_shown, &wanted)) {
                g_autofree char *status = NULL;

                stage_get(stage, "/api/v1/status", &status);
                g_error("never shown as %s: %s", state, status);
        }
}

static Stage *
open_stage(const char *name)
{
        const char *own = live_env("AMQP_URL_2");
        Stage *stage = own && live_env("RABBITMQCTL_2") ? stage_new(name) : NULL;

        if (stage) {
                g_autofree char *conf = g_strdup_printf(CONF, own);

                stage_run(stage, conf);
                wait_shown(stage, "connected", false);
        }
        return stage;
}

static void
test_others_share_the_one_broker(void)
{
        g_autoptr(Stage) stage = open_stage("shared");

        if (stage == NULL)
                return;

        g_autofree char *west = stage_text(stage, "cluster_broker_lanes{route=\"$N\",cluster=\"$N-west\"");
        json_t *status = get_document(stage, "/api/v1/status");
        json_t *broker = json_array_get(json_object_get(status, "brokers"), 0);

        g_assert_cmpuint(json_array_size(json_object_get(status, "brokers")), ==, 1);
        g_assert_cmpfloat(json_number_value(json_object_get(broker, "broker_state_age_s")), >=, 0);
        g_assert_false(says(stage, "/metrics", west));
        json_decref(status);
}

static void
test_killed_broker_is_down_until_it_is_back(void)
{
        g_autoptr(Stage) stage = open_stage("killed");

        if (stage == NULL)
                return;
        g_assert_no_errno(
            kill(fault_broker_pid("RABBITMQCTL_2"), SIGKILL)); /* its launcher starts it again */
        wait_shown(stage, "down", false);
        wait_shown(stage, "connected", false);
}

/* A broker tells only those who publish that it is blocked. */
static void
test_broker_without_memory_is_blocked(void)
{
        g_autoptr(Stage) stage = open_stage("blocked");

        if (stage == NULL)
                return;
        fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.000001", NULL);
        wait_shown(stage, "blocked", true);
        g_autofree char *said = RUN_CTL(stage, 0, "status");
        fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.6", NULL);
        g_assert_nonnull(strstr(said, "OWN BROKER"));
        g_assert_nonnull(strstr(said, "blocked"));
        wait_shown(stage, "connected", false);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/own_broker/others-share-the-one-broker", test_others_share_the_one_broker);
        g_test_add_func("/own_broker/killed-broker-is-down-until-it-is-back",
                        test_killed_broker_is_down_until_it_is_back);
        g_test_add_func("/own_broker/broker-without-memory-is-blocked",
                        test_broker_without_memory_is_blocked);
        return g_test_run();
}
