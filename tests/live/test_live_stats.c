/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"
#include "cluster/minutes.h"
#include "router/chronicle.h"
#include "tests/live/operator.h"
#include "tests/support/fault_proxy.h"

/* The minutes in MySQL: written, summed, deleted when they are old, and lost without harm. */

enum { DEADLINE_MS = 30000, STEP_S = 1 };

static const char ROUTE[] = "[east]\ncluster_member_ips = e\n[west]\ncluster_member_ips = w\nstate = drain\n"
                            "[mysql]\nurl = %s\n"
                            "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                            "destination = queue:{queue}.{cluster}\n";

static void
send_some(Stage *stage)
{
        stage_send(stage, "$N", "east", "12345");
        stage_send(stage, "$N", "west", "parked");
        stage_send(stage, "$N", "north", "dead");
        stage_expect(stage, "$N.east", "12345");
        stage_wait_number(stage, stage->name, "in_flight", 0);
}

static int64_t
number_at(const json_t *object, const char *key)
{
        return json_integer_value(json_object_get(object, key));
}

static void
test_since_sums_runs_of_routers(void)
{
        g_autofree char *url = fresh_database("live_stats_since");
        g_autoptr(Stage) stage = url ? stage_new("since") : NULL;

        if (stage == NULL)
                return;
        g_autofree char *conf = g_strdup_printf(ROUTE, url);

        stage_configure(stage, conf);
        g_free(RUN_CTL(stage, 0, "db", "sync"));
        for (unsigned run = 0; run < 2; run++) {
                stage_start(stage);
                stage_wait_number(stage, stage->name, "received", 0);
                send_some(stage);
                stage_stop(stage);
        }

        json_t *document = parse_said(RUN_CTL(stage, 0, "stats", "--since", "1h", "-ojson", stage->name));
        const json_t *route = json_array_get(json_object_get(document, "routes"), 0);
        const json_t *reasons = json_object_get(route, "reasons");
        const json_t *east = json_array_get(json_object_get(route, "clusters"), 0);
        g_autofree char *table = RUN_CTL(stage, 0, "stats", "--since", "1h");

        g_assert_cmpint(number_at(document, "routers"), ==, 1);
        g_assert_cmpint(number_at(route, "in"), ==, 6);
        g_assert_cmpint(number_at(route, "dead"), ==, 2);
        g_assert_cmpint(number_at(route, "parked"), ==, 2);
        g_assert_cmpint(number_at(reasons, "live"), ==, 2);
        g_assert_cmpint(number_at(reasons, "cluster_drained"), ==, 2);
        g_assert_cmpint(number_at(reasons, "unknown_cluster"), ==, 2);
        g_assert_cmpstr(json_string_value(json_object_get(east, "cluster")), ==, "east");
        g_assert_cmpint(number_at(east, "delivered"), ==, 2);
        g_assert_cmpint(number_at(east, "delivered_bytes"), ==, 10);
        g_assert_nonnull(strstr(table, "cluster_drained"));
        json_decref(document);
}

static void
test_since_without_database_tells_why(void)
{
        g_autoptr(Stage) stage = stage_new("sinceless");

        if (stage == NULL)
                return;
        g_autofree char *away = g_strdup_printf("mysql://root:hidden@127.0.0.1:%u/test", live_free_port());
        g_autofree char *conf = g_strdup_printf(ROUTE, away);

        stage_configure(stage, conf);
        g_autofree char *unreachable = RUN_CTL(stage, 69, "stats", "--since", "1h");
        g_assert_nonnull(strstr(unreachable, "mysql://root:***@127.0.0.1:"));
        stage_configure(stage, "[route:$N]\nqueue = $N\ndestination = queue:$N.all\n");
        g_autofree char *none = RUN_CTL(stage, 78, "stats", "--since", "1h");
        g_assert_nonnull(strstr(none, "[mysql]"));
}

/* ---- the thread alone, with short minutes ---- */

typedef struct {
        Stats *stats;
        Minutes *minutes;
        uint64_t wanted;
} World;

static Conf *
conf_of(const char *url)
{
        g_autofree char *text = g_strdup_printf(
            "[mysql]\nurl = %s\ntimeout = 1s\n[route:volume]\nqueue = volume\ncluster_from = header:cluster\n"
            "destination = queue:{queue}.{cluster}\n",
            url);
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_parse("test.conf", text, strlen(text), errors);

        g_assert_cmpstr(conf ? NULL : errors->pdata[0], ==, NULL);
        return conf;
}

static void
run_sql(const char *url, const char *sql, MysqlResult *out_result)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(MysqlLink) link = mysql_link_new(url, 5000, NULL, &error);
        unsigned code = mysql_link_run(link, sql, NULL, out_result, &error);

        g_assert_no_error(error);
        g_assert_cmpuint(code, ==, 0);
}

/* Something to write in every minute. */
static bool
count_one_more(World *world)
{
        stats_add(&stats_route(world->stats, "volume")->received, 1);
        return true;
}

static bool
has_lost(void *data)
{
        World *world = data;
        StatsProcess process;

        count_one_more(world);
        stats_get_process(world->stats, &process);
        g_free(process.reload_error);
        return process.stats_lost >= world->wanted;
}

static bool
has_rows(void *data)
{
        World *world = data;
        g_auto(MinutesSum) sum = {0};

        count_one_more(world);
        g_assert_true(minutes_sum(world->minutes, 0, &sum, NULL));
        return sum.rows->len > 0;
}

static gint warnings_seen; /* atomic: the chronicle's thread logs */

static GLogWriterOutput
count_warnings(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
        for (gsize i = 0; i < n_fields; i++)
                if (strcmp(fields[i].key, "MESSAGE") == 0 && (level & G_LOG_LEVEL_WARNING) &&
                    strstr(fields[i].value, "statistics of each minute are not kept"))
                        g_atomic_int_inc(&warnings_seen);
        return G_LOG_WRITER_HANDLED;
}

static void
try_away(FaultProxy *proxy, World *world)
{
        g_autoptr(Chronicle) chronicle = chronicle_new(world->stats, STEP_S);

        g_assert_true(live_wait(DEADLINE_MS, has_lost, world));
        g_assert_cmpint(g_atomic_int_get(&warnings_seen), ==, 1);
        fault_proxy_heal(proxy);
        g_assert_true(live_wait(DEADLINE_MS, has_rows, world));
}

static void
test_database_that_is_away_or_silent_costs_rows_only(void)
{
        g_autofree char *url = fresh_database("live_stats_away");

        if (url == NULL)
                return;
        g_autoptr(FaultProxy) proxy = fault_proxy_new(url);
        g_autofree char *database = g_strconcat(fault_proxy_url(proxy), NULL);
        g_autoptr(Conf) direct = conf_of(url);
        g_autoptr(Conf) conf = conf_of(database);
        g_autoptr(Catalogue) catalogue = catalogue_new(url, 5000, NULL, NULL);
        g_autoptr(Minutes) minutes = minutes_new(direct, NULL);
        g_autoptr(Stats) stats = stats_new();
        World world = {.stats = stats, .minutes = minutes, .wanted = 2};
        unsigned applied;

        g_assert_true(catalogue_migrate(catalogue, &applied, NULL));
        stats_set_conf(stats, conf);
        fault_proxy_silence(proxy, FAULT_BOTH);
        try_away(proxy, &world);
}

static void
test_old_minutes_are_deleted(void)
{
        g_autofree char *url = fresh_database("live_stats_old");

        if (url == NULL)
                return;
        g_autoptr(Conf) conf = conf_of(url);
        g_autoptr(Catalogue) catalogue = catalogue_new(url, 5000, NULL, NULL);
        g_autoptr(Stats) stats = stats_new();
        g_auto(MysqlResult) inserted = {0};
        g_auto(MysqlResult) left = {0};
        unsigned applied;

        g_assert_true(catalogue_migrate(catalogue, &applied, NULL));
        run_sql(url,
                "INSERT INTO route_stats VALUES"
                " (UTC_TIMESTAMP() - INTERVAL 31 DAY, 'old', 'volume', '', 'received', 1),"
                " (UTC_TIMESTAMP() - INTERVAL 29 DAY, 'young', 'volume', '', 'received', 1)",
                &inserted);
        stats_set_conf(stats, conf);

        Chronicle *chronicle = chronicle_new(stats, STEP_S);

        stats_add(&stats_route(stats, "volume")->received, 1);
        chronicle_free(chronicle); /* writes and tidies up before it ends */
        run_sql(url, "SELECT router FROM route_stats WHERE router IN ('old', 'young')", &left);
        g_assert_cmpuint(left.rows->len, ==, 1);
        g_assert_cmpstr(((char **)left.rows->pdata[0])[0], ==, "young");
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR);
        g_log_set_writer_func(count_warnings, NULL, NULL);
        g_test_add_func("/stats/since-sums-runs-of-routers", test_since_sums_runs_of_routers);
        g_test_add_func("/stats/since-without-database-tells-why", test_since_without_database_tells_why);
        g_test_add_func("/stats/database-that-is-away-or-silent-costs-rows-only",
                        test_database_that_is_away_or_silent_costs_rows_only);
        g_test_add_func("/stats/old-minutes-are-deleted", test_old_minutes_are_deleted);
        return g_test_run();
}
