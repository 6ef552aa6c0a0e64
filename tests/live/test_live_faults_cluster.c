/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/*
 * One RabbitMQ of three nodes with quorum queues: the router knows all three. It loses the node it is
 * connected to, then those that lead the queues it works with. The launcher of the servers starts a killed
 * node again; the next one dies when every queue has all its members.
 */

enum { DEADLINE_MS = 60000, NODES = 3, FIRST = 0, SECOND = 1, THIRD = 2 };

static const FaultBrokers CLUSTER = {.shared = "AMQP_CLUSTER_URL"};
static const char *const URLS[NODES] = {"AMQP_URL", "AMQP_URL_2", "AMQP_URL_3"};
static const char *const CTLS[NODES] = {"RABBITMQCTL", "RABBITMQCTL_2", "RABBITMQCTL_3"};

/* A quorum queue is led by the node on which it is made. */
static void
declare_at(FaultRun *run, unsigned node, const char *queue)
{
        amqp_table_entry_t entry = client_entry_text("x-queue-type", "quorum");
        amqp_table_t arguments = {1, &entry};
        g_autoptr(Client) client = client_new(live_env(URLS[node]));
        g_autofree char *name = stage_text(run->stage, queue);

        client_declare_queue(client, name, &arguments);
}

static unsigned
leader_of(FaultRun *run, const char *queue)
{
        g_autofree char *name = stage_text(run->stage, queue);
        g_autofree char *expression =
            g_strdup_printf("{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"%s\">>)), "
                            "atom_to_list(element(2, amqqueue:get_pid(Q))).",
                            name);
        g_autofree char *node = fault_ctl(CTLS[FIRST], "eval", expression, NULL);
        const char *at = strchr(node, '@');

        /* The name of a node ends with its number. */
        g_assert_true(at != NULL && at > node && at[-1] >= '1' && at[-1] < '1' + NODES);
        return (unsigned)(at[-1] - '1');
}

static bool
has_gone(void *data)
{
        return kill(*(int *)data, 0) != 0 && errno == ESRCH;
}

/* Of every queue the process of its member runs on all nodes. */
static bool
is_complete(void *data)
{
        static const char EXPRESSION[] =
            "case length(rabbit_nodes:all_running()) of 3 -> lists:all(fun(Q) -> {Name, _} = "
            "amqqueue:get_pid(Q), "
            "lists:all(fun(N) -> is_pid(rpc:call(N, erlang, whereis, [Name])) end, "
            "rabbit_nodes:all_running()) end, "
            "rabbit_amqqueue:list_by_type(rabbit_quorum_queue)); _ -> false end.";
        g_autofree char *answer = fault_ctl(data, "eval", EXPRESSION, NULL);

        return g_str_has_prefix(answer, "true");
}

typedef struct {
        FaultRun *run;
        int64_t east;
        int64_t west;
} Progress;

/* More than was in flight when the node died, so the router receives, publishes and hears of it again. */
static bool
has_taken_over(void *data)
{
        const Progress *progress = data;
        Stage *stage = progress->run->stage;

        return stage_number(stage, "$N", "clusters/east/delivered") > progress->east + FAULT_PREFETCH &&
               stage_number(stage, "$N", "clusters/west/delivered") > progress->west + FAULT_PREFETCH;
}

static void
kill_node(FaultRun *run, unsigned node)
{
        int pid = fault_broker_pid(CTLS[node]);
        Progress progress = {.run = run};

        checker_wait_confirmed(run->checker, FAULT_LOAD_PER_S);
        g_clear_pointer(&run->stage->client, client_free);
        g_assert_no_errno(kill(pid, SIGKILL));
        fault_run_count(run, FAULT_PREFETCH);
        g_assert_true(live_wait(DEADLINE_MS, has_gone, &pid));
        progress.east = stage_number(run->stage, "$N", "clusters/east/delivered");
        progress.west = stage_number(run->stage, "$N", "clusters/west/delivered");
        fault_run_expect(run, live_wait(DEADLINE_MS, has_taken_over, &progress),
                         "the router does not go on with the nodes that are left");
        run->worst_us = MAX(run->worst_us, g_get_monotonic_time() - run->began_us);
        run->stage->client = client_new(checker_url(run->checker));
}

static void
wait_complete(unsigned killed)
{
        /* Asked at a node that was not killed: the other may not answer yet. */
        const char *ctl = CTLS[(killed + 1) % NODES];

        g_assert_true(live_wait(DEADLINE_MS, is_complete, (void *)ctl));
}

static void
test_nodes_and_leaders_die(void)
{
        static const char *const leads[] = {"$N", "$N.east", "$N.west"};
        unsigned times = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};
        unsigned killed = FIRST;

        if (!fault_run_init(&run, "F4 broker cluster: a node kill -9, then leaders", &CLUSTER, ""))
                return;
        declare_at(&run, SECOND, "$N");
        declare_at(&run, THIRD, "$N.east");
        declare_at(&run, FIRST, "$N.west");
        fault_run_start(&run);
        kill_node(&run, killed); /* the router was connected to it */
        for (unsigned i = 0; i < times; i++) {
                wait_complete(killed);
                killed = leader_of(&run, leads[i % G_N_ELEMENTS(leads)]);
                kill_node(&run, killed);
        }
        fault_run_finish(&run);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults-cluster/nodes-and-leaders-die", test_nodes_and_leaders_die);
        return g_test_run();
}
