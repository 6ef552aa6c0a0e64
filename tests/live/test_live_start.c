/* SPDX-License-Identifier: MIT */
#include "tests/support/checker.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How a router starts, with and without its broker, what it answers over HTTP, and how it ends if it cannot.
 */

#define CLUSTERS "[east]\ncluster_member_ips = e\n[west]\ncluster_member_ips = w\n"
#define ROUTE                                                                                                \
        "[route:$N]\nqueue = $N\ndestination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n"     \
        "prefetch = 100\n"

static const char CONF[] = CLUSTERS ROUTE;
static const char *const BOTH[] = {"east", "west", NULL};

enum { DEADLINE_MS = 30000, EARLY_SIGNALS = 20, EXIT_USAGE = 64, EXIT_UNAVAILABLE = 69, EXIT_CONFIG = 78 };

/* Runs a router that ends by itself: its exit status, with what it logged checked for @wanted. */
static int
run_to_end(Stage *stage, const char *option_or_null, const char *wanted)
{
        g_autofree char *log = NULL;
        int status;

        stage_start_with(stage, option_or_null);
        status = program_wait_exit(stage->router, DEADLINE_MS);
        log = program_log(stage->router);
        if (strstr(log, wanted) == NULL)
                g_error("the log does not say \"%s\":\n%s", wanted, log);
        return status;
}

/* ---- without a broker ---- */

/* A stage at a port where nobody listens. */
static Stage *
new_stage_nowhere(const char *name)
{
        Stage *stage = stage_new_at(name, "AMQP_URL");

        if (stage == NULL)
                return NULL;
        g_free(stage->url);
        stage->url = g_strdup_printf("amqp://guest:guest@127.0.0.1:%u/%%2f", live_free_port());
        return stage;
}

static void
test_fail_fast_without_broker_exits_69(void)
{
        g_autoptr(Stage) stage = new_stage_nowhere("fail-fast");

        if (stage == NULL)
                return;
        stage_configure(stage, CONF);
        g_assert_cmpint(run_to_end(stage, "--fail-fast", "--fail-fast"), ==, EXIT_UNAVAILABLE);
}

static void
test_fail_fast_with_broker_stays(void)
{
        g_autoptr(Stage) stage = stage_new("fail-fast-up");

        if (stage == NULL)
                return;
        stage_configure(stage, CONF);
        stage_start_with(stage, "--fail-fast");
        stage_wait_ready(stage);
        stage_send(stage, "$N", "east", "up");
        stage_expect(stage, "$N.east", "up");
        stage_stop(stage);
}

/* Lanes may have begun to consume by then, so both must be more than a sudden death. */
static void
test_signals_count_as_soon_as_anything_is_there(void)
{
        g_autoptr(Stage) stage = stage_new("early");

        if (stage == NULL)
                return;
        stage_configure(stage, CONF);
        for (unsigned i = 0; i < EARLY_SIGNALS; i++) {
                stage_start_with(stage, NULL);
                while (stage_get(stage, "/healthz", NULL) != 200)
                        g_assert_true(program_is_running(stage->router));
                program_signal(stage->router, SIGHUP);
                program_signal(stage->router, SIGTERM);
                g_assert_cmpint(program_wait_exit(stage->router, DEADLINE_MS), ==, 0);
        }
}

static void
test_without_broker_it_waits_and_says_so(void)
{
        g_autoptr(Stage) stage = new_stage_nowhere("waits");
        g_autofree char *missing = NULL;

        if (stage == NULL)
                return;
        stage_configure(stage, CONF);
        stage_start_with(stage, NULL);
        program_wait_line(stage->router, "127.0.0.1", DEADLINE_MS);
        g_assert_cmpint(stage_get(stage, "/healthz", NULL), ==, 200);
        g_assert_cmpint(stage_get(stage, "/readyz", &missing), ==, 503);
        g_assert_nonnull(strstr(missing, stage->name));
        stage_stop(stage);
}

/* ---- a broker that comes and goes ---- */

static void
run_ctl(const char *command)
{
        const char *const argv[] = {g_getenv("RABBITMQCTL_2"), command, NULL};
        g_autofree char *output = NULL;
        g_autofree char *errors = NULL;

        if (program_run(argv, &output, &errors) != 0)
                g_error("rabbitmqctl %s: %s%s", command, output, errors);
}

static void
test_late_broker_is_found(void)
{
        g_autoptr(Stage) stage =
            live_env("RABBITMQCTL_2") != NULL ? stage_new_at("late", "AMQP_URL_2") : NULL;

        if (stage == NULL)
                return;
        run_ctl("stop_app");
        stage_configure(stage, "retry_max = 1s\n" CLUSTERS ROUTE);
        stage_start_with(stage, NULL);
        program_wait_line(stage->router, "127.0.0.1", DEADLINE_MS);
        g_assert_cmpint(stage_get(stage, "/readyz", NULL), ==, 503);
        run_ctl("start_app");
        stage_wait_ready(stage);
        stage->client = client_new(stage->url);
        stage_send(stage, "$N", "west", "at last");
        stage_expect(stage, "$N.west", "at last");
        stage_stop(stage);
}

static void
test_restarted_broker_loses_nothing(void)
{
        g_autoptr(Stage) stage =
            live_env("RABBITMQCTL_2") != NULL ? stage_new_at("restart", "AMQP_URL_2") : NULL;
        g_autoptr(Checker) checker = NULL;
        g_autofree char *east = NULL;
        g_autofree char *west = NULL;
        CheckerVerdict verdict;

        if (stage == NULL)
                return;
        stage_run(stage, "retry_max = 1s\n" CLUSTERS ROUTE);
        checker = checker_new(stage->url, stage->name);
        checker_start(checker, BOTH, 1000);
        for (unsigned i = 0; i < 2; i++) {
                checker_wait_confirmed(checker, 700);
                run_ctl("stop_app");
                run_ctl("start_app");
                checker_wait_confirmed(checker, 100);
                stage_wait_ready(stage);
        }
        checker_wait_confirmed(checker, 300);
        checker_stop(checker);
        stage->client = client_new(stage->url);
        stage_wait_count(stage, "$N", 0);
        stage_wait_number(stage, "$N", "in_flight", 0);
        stage_wait_number(stage, "$N", "parked_now", 0);
        east = stage_text(stage, "$N.east");
        west = stage_text(stage, "$N.west");
        checker_collect(checker, east, "east");
        checker_collect(checker, west, "west");
        /* A broker may forget that it delivered before: then a copy has no mark, and that is not our fault.
         */
        verdict = checker_verdict(checker);
        g_assert_cmpuint(verdict.lost, ==, 0);
        g_assert_cmpuint(verdict.misrouted + verdict.altered + verdict.foreign, ==, 0);
        g_assert_cmpuint(verdict.duplicated_marked + verdict.duplicated_unmarked, <=, 2 * 100);
}

/* ---- what it cannot start with ---- */

static void
test_bad_configuration_exits_78(void)
{
        g_autoptr(Stage) stage = stage_new("bad-conf");

        if (stage == NULL)
                return;
        stage_configure(stage, CLUSTERS "[route:$N]\nqueu = $N\n");
        g_assert_cmpint(run_to_end(stage, NULL, "router.conf:"), ==, EXIT_CONFIG);
        g_assert_cmpint(run_to_end(stage, "--check", "queue"), ==, EXIT_CONFIG);
        g_unlink(stage->conf_path);
        g_assert_cmpint(run_to_end(stage, NULL, stage->conf_path), ==, EXIT_CONFIG);
        g_assert_false(client_count(stage->client, stage->name, NULL, NULL)); /* nothing was started */
}

static void
test_check_says_ok_and_starts_nothing(void)
{
        g_autoptr(Stage) stage = stage_new("check");

        if (stage == NULL)
                return;
        stage_configure(stage, CONF);
        g_assert_cmpint(run_to_end(stage, "--check", "ok"), ==, 0);
        g_assert_false(client_count(stage->client, stage->name, NULL, NULL));
        g_assert_cmpint(run_to_end(stage, "--nonsense", "--help"), ==, EXIT_USAGE);
}

static void
test_taken_http_port_exits_69(void)
{
        g_autoptr(Stage) stage = stage_new("taken");
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        g_autofree char *port = NULL;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (stage != NULL) {
                address.sin_port = htons(stage->http_port);
                g_assert_no_errno(bind(fd, (struct sockaddr *)&address, sizeof address));
                g_assert_no_errno(listen(fd, 1));
                stage_configure(stage, CONF);
                port = g_strdup_printf("%u", stage->http_port);
                g_assert_cmpint(run_to_end(stage, NULL, port), ==, EXIT_UNAVAILABLE);
                g_assert_false(client_count(stage->client, stage->name, NULL, NULL));
        }
        close(fd);
}

/* ---- what is there when it runs ---- */

static void
expect_answer(Stage *stage, const char *path, const char *wanted)
{
        g_autofree char *body = NULL;
        long status = stage_get(stage, path, &body);

        if (status != 200 || strstr(body, wanted) == NULL)
                g_error("%s answers %ld, without %s:\n%s", path, status, wanted, body);
}

static void
test_file_alone_is_enough(void)
{
        g_autoptr(Stage) stage = stage_new("embedded");
        g_autofree char *secret = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, CONF);
        stage_send(stage, "$N", "east", "no redis, no MySQL");
        stage_expect(stage, "$N.east", "no redis, no MySQL");
        stage_wait_number(stage, "$N", "delivered", 1);
        expect_answer(stage, "/healthz", "");
        expect_answer(stage, "/readyz", "true");
        expect_answer(stage, "/metrics", "cluster_router_");
        expect_answer(stage, "/metrics", "cluster=\"east\"");
        expect_answer(stage, "/api/v1/status", "\"off\"");
        expect_answer(stage, "/api/v1/routes", stage->name);
        expect_answer(stage, "/api/v1/clusters", "\"east\"");
        stage_get(stage, "/api/v1/routes", &secret);
        g_assert_null(strstr(secret, "guest:guest"));
        g_assert_cmpint(stage_get(stage, "/nothing", NULL), ==, 404);
        stage_stop(stage);
}

static void
test_queues_that_exist_are_used_as_they_are(void)
{
        static const char *const queues[] = {"$N", "$N.east", "cluster-router.$N.parked.west",
                                             "cluster-router.$N.dead", NULL};
        g_autoptr(Stage) stage = stage_new("as-is");

        if (stage == NULL)
                return;
        for (unsigned i = 0; queues[i] != NULL; i++)
                stage_declare_limited(stage, queues[i], 1000);
        stage_run(stage,
                  "[east]\ncluster_member_ips = e\n[west]\ncluster_member_ips = w\nstate = drain\n" ROUTE);
        stage_send(stage, "$N", "east", "to a queue with limits");
        stage_expect(stage, "$N.east", "to a queue with limits");
        stage_send(stage, "$N", "nowhere", "dead");
        stage_expect(stage, "cluster-router.$N.dead", "dead");
        stage_send(stage, "$N", "west", "parked");
        stage_wait_count(stage, "cluster-router.$N.parked.west", 1);
        stage_reload(stage, CONF);
        stage_expect(stage, "$N.west", "parked");
        stage_wait_number(stage, "$N", "in_flight", 0);
        g_assert_true(stage_balances(stage, "$N"));
        stage_stop(stage);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/start/fail-fast-without-broker-exits-69", test_fail_fast_without_broker_exits_69);
        g_test_add_func("/start/fail-fast-with-broker-stays", test_fail_fast_with_broker_stays);
        g_test_add_func("/start/signals-count-as-soon-as-anything-is-there",
                        test_signals_count_as_soon_as_anything_is_there);
        g_test_add_func("/start/without-broker-it-waits-and-says-so",
                        test_without_broker_it_waits_and_says_so);
        g_test_add_func("/start/late-broker-is-found", test_late_broker_is_found);
        g_test_add_func("/start/restarted-broker-loses-nothing", test_restarted_broker_loses_nothing);
        g_test_add_func("/start/bad-configuration-exits-78", test_bad_configuration_exits_78);
        g_test_add_func("/start/check-says-ok-and-starts-nothing", test_check_says_ok_and_starts_nothing);
        g_test_add_func("/start/taken-http-port-exits-69", test_taken_http_port_exits_69);
        g_test_add_func("/start/file-alone-is-enough", test_file_alone_is_enough);
        g_test_add_func("/start/queues-that-exist-are-used-as-they-are",
                        test_queues_that_exist_are_used_as_they_are);
        return g_test_run();
}
