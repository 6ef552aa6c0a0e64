/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"

#include "tests/support/live.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * Recovery is seen in east's queue, from outside, so it holds for every fault. At the end the queues are
 * emptied again and again, since some of them are full, until nothing is missing or nothing comes any more,
 * and then once more for copies that come last.
 */

enum {
        DEADLINE_MS = 60000,
        WEST_DEADLINE_MS = 2000,
        QUIET_MS = 3000,
        RIVAL_QUIET_MS = 20000,
        PARKED_DEADLINE_MS = 15000
};

const char *const FAULT_LOAD[] = {"east", "west", NULL};

static void
configure(FaultRun *run, unsigned hold_ms, const char *route_keys)
{
        g_autofree char *own =
            run->east != NULL ? g_strdup_printf("amqp_url = %s\n", fault_proxy_url(run->east)) : g_strdup("");
        g_autofree char *prefetch = g_strdup_printf("prefetch = %d\n", FAULT_PREFETCH);
        g_autofree char *text = g_strdup_printf(
            "hold_time = %ums\nretry_max = 500ms\nheartbeat = 2s\ndrain_deadline = 2s\nqueue_type = %s\n"
            "[east]\ncluster_member_ips = e1, e2\n%s[west]\ncluster_member_ips = w1, w2\n"
            "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n%s%s%s",
            hold_ms, run->shared == NULL ? "quorum" : "classic", own,
            strstr(route_keys, "destination") != NULL ? "" : "destination = queue:{queue}.{cluster}\n",
            strstr(route_keys, "prefetch") != NULL ? "" : prefetch, route_keys);

        stage_configure(run->stage, text);
}

bool
fault_run_init(FaultRun *run, const char *fault, const FaultBrokers *brokers, const char *route_keys)
{
        const char *url = live_env(brokers->shared);
        const char *east_url = brokers->east != NULL ? live_env(brokers->east) : url;

        *run = (FaultRun){.fault = fault};
        if (url == NULL || east_url == NULL)
                return false;
        run->stage = stage_new_at("faults", brokers->shared);
        run->stage->client = client_new(url);
        run->checker = checker_new(url, run->stage->name);
        run->east_url = east_url;
        if (brokers->east != NULL)
                run->east = fault_proxy_new(east_url);
        if (strchr(url, ',') == NULL) {
                run->shared = fault_proxy_new(url);
                g_free(run->stage->url);
                run->stage->url = g_strdup(fault_proxy_url(run->shared));
        }
        configure(run, brokers->hold_ms != 0 ? brokers->hold_ms : FAULT_HOLD_MS, route_keys);
        return true;
}

void
fault_run_clear(FaultRun *run)
{
        checker_free(run->checker);
        stage_free(run->stage);
        fault_proxy_free(run->east);
        fault_proxy_free(run->shared);
}

unsigned
fault_run_times(unsigned few, unsigned many)
{
        const char *percent = g_getenv("FAULTS_LONG");

        return percent != NULL ? MAX(few, many * (unsigned)g_ascii_strtoull(percent, NULL, 10) / 100) : few;
}

uint32_t
fault_run_count_queue(FaultRun *run, const char *cluster)
{
        g_autofree char *queue = g_strdup_printf("%s.%s", run->stage->name, cluster);
        const char *direct = checker_url(run->checker);
        g_autoptr(Client) client = client_new(g_str_equal(cluster, "east") ? run->east_url : direct);
        uint32_t messages = 0;

        client_count(client, queue, &messages, NULL);
        return messages;
}

typedef struct {
        FaultRun *run;
        const char *cluster;
        uint32_t wanted;
} Arrival;

static bool
has_arrived(void *data)
{
        const Arrival *arrival = data;

        return fault_run_count_queue(arrival->run, arrival->cluster) >= arrival->wanted;
}

G_NORETURN static void
fail(FaultRun *run, const char *what)
{
        g_autofree char *stats = NULL;
        g_autofree char *log =
            run->stage->router != NULL ? program_log(run->stage->router) : g_strdup("(no router)");

        stage_get(run->stage, "/api/v1/stats", &stats);
        g_error("%s: %s\nStatistics: %s\nLog:\n%s", run->fault, what, stats, log);
}

void
fault_run_expect(FaultRun *run, bool right, const char *what)
{
        if (!right && run->complaint == NULL)
                run->complaint = what;
}

void
fault_run_load(FaultRun *run)
{
        checker_start(run->checker, FAULT_LOAD, FAULT_LOAD_PER_S);
        run->loaded = true;
}

void
fault_run_start(FaultRun *run)
{
        Arrival arrival = {run, "east", 20};

        stage_start(run->stage);
        fault_run_load(run);
        if (!live_wait(DEADLINE_MS, has_arrived, &arrival))
                fail(run, "nothing arrives although nothing is broken");
}

void
fault_run_count(FaultRun *run, uint64_t bound)
{
        run->runs++;
        run->bound += bound;
        run->began_us = g_get_monotonic_time();
}

void
fault_run_recover(FaultRun *run)
{
        Arrival arrival = {run, "east", fault_run_count_queue(run, "east") + 1};

        if (!live_wait(DEADLINE_MS, has_arrived, &arrival))
                fail(run, "no message reaches east after the fault");
        run->worst_us = MAX(run->worst_us, g_get_monotonic_time() - run->began_us);
}

void
fault_run_watch_west(FaultRun *run)
{
        run->west_before = fault_run_count_queue(run, "west");
        run->sent_before = checker_confirmed(run->checker);
}

void
fault_run_expect_west(FaultRun *run, uint64_t messages)
{
        Arrival arrival = {run, "west", 0};

        checker_wait_confirmed(run->checker, messages);
        arrival.wanted =
            run->west_before + (uint32_t)((checker_confirmed(run->checker) - run->sent_before) / 2 * 9 / 10);
        fault_run_expect(run, live_wait(WEST_DEADLINE_MS, has_arrived, &arrival),
                         "what is broken at east slows west down");
}

static bool
east_is_parked(void *data)
{
        return stage_number(data, "$N", "clusters/east/parked_now") > 0;
}

void
fault_run_expect_parked(FaultRun *run)
{
        fault_run_expect(run, live_wait(PARKED_DEADLINE_MS, east_is_parked, run->stage), "nothing is parked");
}

/* ---- the end ---- */

unsigned
fault_run_collect(FaultRun *run)
{
        g_autofree char *east = stage_text(run->stage, "$N.east");
        g_autofree char *west = stage_text(run->stage, "$N.west");
        g_autofree char *dead = stage_text(run->stage, "cluster-router.$N.dead");

        return checker_collect_at(run->checker, run->east_url, east, "east") +
               checker_collect(run->checker, west, "west") + checker_collect(run->checker, dead, "none") +
               (run->stopped ? checker_collect(run->checker, run->stage->name, NULL) : 0);
}

static bool
is_calm(FaultRun *run)
{
        return stage_count(run->stage, "$N") == 0 && stage_number(run->stage, "$N", "in_flight") == 0 &&
               stage_number(run->stage, "$N", "parked_now") == 0;
}

typedef struct {
        FaultRun *run;
        bool at_rest;
} Rest;

/* All is there, or nothing comes any more; or nothing comes although something should. */
static bool
is_over(void *data)
{
        Rest *rest = data;
        FaultRun *run = rest->run;
        int64_t now_us = g_get_monotonic_time();

        if (fault_run_collect(run) > 0 || run->collected_us == 0)
                run->collected_us = now_us;
        if (run->rival)
                rest->at_rest = checker_verdict(run->checker).lost == 0 ||
                                now_us - run->collected_us > RIVAL_QUIET_MS * 1000;
        else
                rest->at_rest = is_calm(run) && (checker_verdict(run->checker).lost == 0 ||
                                                 now_us - run->collected_us > QUIET_MS * 1000);
        return rest->at_rest || now_us - run->collected_us > DEADLINE_MS * 1000;
}

/* Fault, runs, messages, lost, duplicated, its bound, misrouted, altered, unmarked, worst recovery. */
static void
write_row(const FaultRun *run, const CheckerVerdict *verdict)
{
        const char *path = g_getenv("FAULTS_TABLE");
        g_autofree char *recovery = run->worst_us == INT64_MAX
                                        ? g_strdup("never")
                                        : g_strdup_printf("%.2f s", (double)run->worst_us / G_USEC_PER_SEC);
        g_autofree char *row = g_strdup_printf(
            "%s\t%u\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT
            "\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%" G_GUINT64_FORMAT "\t%s",
            run->fault, run->runs, verdict->confirmed, verdict->lost,
            verdict->duplicated_marked + verdict->duplicated_unmarked, run->bound, verdict->misrouted,
            verdict->altered, verdict->duplicated_unmarked, recovery);
        FILE *table = path != NULL ? fopen(path, "ae") : NULL;

        g_test_message("%s", row);
        if (table == NULL)
                return;
        fprintf(table, "%s\n", row);
        fclose(table);
}

static bool
settle(FaultRun *run)
{
        Rest rest = {run, false};

        if (run->loaded)
                checker_stop(run->checker);
        run->loaded = false;
        run->collected_us = 0;
        if (!live_wait(INT32_MAX, is_over, &rest) || !rest.at_rest)
                return false;
        fault_run_collect(run);
        return true;
}

void
fault_run_pause(FaultRun *run)
{
        if (!settle(run))
                fail(run, "the router does not come to rest");
}

/* Is it lost, or does it lie somewhere? */
static void
tell_where(FaultRun *run)
{
        static const char *const queues[] = {"$N", "cluster-router.$N.parked.east",
                                             "cluster-router.$N.parked.west", "cluster-router.$N.parked"};
        g_autofree char *stats = NULL;
        g_autofree char *log =
            run->stage->router != NULL ? program_log(run->stage->router) : g_strdup("(no router)");

        for (unsigned i = 0; i < G_N_ELEMENTS(queues); i++)
                g_test_message("%s: %u messages", queues[i], stage_count(run->stage, queues[i]));
        stage_get(run->stage, "/api/v1/stats", &stats);
        g_test_message("Statistics: %s\nLog:\n%s", stats, log);
}

void
fault_run_finish(FaultRun *run)
{
        bool all = settle(run);
        CheckerVerdict verdict = checker_verdict(run->checker);

        write_row(run, &verdict);
        if (!all)
                fail(run, "the router does not come to rest");
        if (run->rival)
                return;
        if (verdict.lost > 0)
                tell_where(run);
        if (!run->forgetful)
                checker_assert_safe(run->checker);
        g_assert_cmpuint(verdict.lost + verdict.misrouted + verdict.altered + verdict.foreign, ==, 0);
        if (verdict.duplicated_marked + verdict.duplicated_unmarked > run->bound)
                fail(run, "more duplicates than these faults may make");
        if (run->complaint != NULL)
                fail(run, run->complaint);
}

/* ---- the brokers ---- */

char *
fault_ctl(const char *ctl, ...)
{
        g_autoptr(GPtrArray) argv = g_ptr_array_new();
        g_autofree char *output = NULL;
        g_autofree char *errors = NULL;
        const char *argument;
        va_list arguments;

        g_ptr_array_add(argv, (char *)g_getenv(ctl));
        g_ptr_array_add(argv, (char *)"-q");
        va_start(arguments, ctl);
        while ((argument = va_arg(arguments, const char *)) != NULL)
                g_ptr_array_add(argv, (char *)argument);
        va_end(arguments);
        g_ptr_array_add(argv, NULL);
        if (program_run((const char *const *)argv->pdata, &output, &errors) != 0)
                g_error("rabbitmqctl %s: %s%s", (const char *)argv->pdata[2], output, errors);
        return g_steal_pointer(&output);
}

int
fault_broker_pid(const char *ctl)
{
        g_autofree char *output = fault_ctl(ctl, "eval", "list_to_integer(os:getpid()).", NULL);

        return (int)g_ascii_strtoll(output, NULL, 10);
}
