/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "cluster/redis_link.h"
#include "tests/support/live.h"

#include <stdlib.h>
#include <string.h>

/* send_heartbeat, check_hosts, get_usable_hosts on a real redis; database 11 is this file's own. */

enum { TIMEOUT_MS = 1000, TTL_MS = 60000, MANY_CLUSTERS = 2500 };

static char *
own_url(const char *url)
{
        const char *database = strrchr(url, '/');
        return g_strdup_printf("%.*s/11", (int)(database - url), url);
}

typedef struct {
        Liveness *liveness;
        RedisLink *link; /* to look and meddle */
        GPtrArray *clusters;
        GPtrArray *warnings;
} Setup;

static void
setup_clear(Setup *setup)
{
        liveness_free(setup->liveness);
        redis_link_free(setup->link);
        g_clear_pointer(&setup->clusters, g_ptr_array_unref);
        g_clear_pointer(&setup->warnings, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Setup, setup_clear)

/* The reply's text or number as text; "(nil)" for none; the error text for an error. */
static char *
command(const Setup *setup, const char *text)
{
        g_autoptr(GError) error = NULL;
        redis_link_send(setup->link, text);
        g_autoptr(redisReply) reply = redis_link_receive(setup->link, &error);
        g_assert_no_error(error);
        if (reply->type == REDIS_REPLY_INTEGER)
                return g_strdup_printf("%lld", reply->integer);
        return g_strdup(reply->type == REDIS_REPLY_NIL ? "(nil)" : reply->str);
}

static void
assert_command(const Setup *setup, const char *text, const char *expected)
{
        g_autofree char *got = command(setup, text);
        g_assert_cmpstr(got, ==, expected);
}

static void
meddle(const Setup *setup, const char *text)
{
        g_free(command(setup, text));
}

static bool
setup_init(Setup *setup)
{
        const char *url = live_env("REDIS_URL");
        g_autoptr(GError) error = NULL;
        *setup = (Setup){0};
        if (url == NULL)
                return false;
        g_autofree char *own = own_url(url);
        setup->liveness = liveness_new(own, TIMEOUT_MS, &error);
        g_assert_no_error(error);
        setup->link = redis_link_new(own, TIMEOUT_MS, &error);
        g_assert_no_error(error);
        g_assert_true(redis_link_open(setup->link, &error));
        meddle(setup, "FLUSHDB");
        return true;
}

static void
beat(Setup *setup, const char *cluster, const char *host)
{
        g_autoptr(GError) error = NULL;
        bool fine = liveness_send_heartbeat(setup->liveness, cluster, host, TTL_MS, &error);
        g_assert_no_error(error);
        g_assert_true(fine);
}

/* Polls again, with what the poll before left. */
static void
check_again(Setup *setup)
{
        g_autoptr(GError) error = NULL;
        g_clear_pointer(&setup->warnings, g_ptr_array_unref);
        setup->warnings = g_ptr_array_new_with_free_func(g_free);
        bool fine = liveness_check_hosts(setup->liveness, setup->clusters, setup->warnings, &error);
        g_assert_no_error(error);
        g_assert_true(fine);
        liveness_write_counts(setup->liveness, setup->clusters, setup->warnings);
}

/* Polls east with members e1, e2 and west with none in the file. */
static void
check(Setup *setup)
{
        static const char *const members[] = {"e1", "e2", NULL};
        g_clear_pointer(&setup->clusters, g_ptr_array_unref);
        setup->clusters = g_ptr_array_new_with_free_func((GDestroyNotify)liveness_cluster_free);
        g_ptr_array_add(setup->clusters, liveness_cluster_new("east", members));
        g_ptr_array_add(setup->clusters, liveness_cluster_new("west", NULL));
        check_again(setup);
}

/* "e1:c-a e2:cr-": name, configured, registered, alive. */
static char *
describe(const Setup *setup, unsigned index)
{
        const LivenessCluster *cluster = setup->clusters->pdata[index];
        GString *text = g_string_new(cluster->known ? "" : "unknown");
        for (guint i = 0; cluster->known && i < cluster->hosts->len; i++) {
                const LivenessHost *host = cluster->hosts->pdata[i];
                g_string_append_printf(text, "%s%s:%s%s%s", i > 0 ? " " : "", host->name,
                                       host->configured ? "c" : "-", host->registered ? "r" : "-",
                                       host->alive ? "a" : "-");
        }
        return g_string_free(text, FALSE);
}

static void
assert_cluster(const Setup *setup, unsigned index, const char *expected)
{
        g_autofree char *got = describe(setup, index);
        g_assert_cmpstr(got, ==, expected);
}

static void
assert_warned(const Setup *setup, const char *text)
{
        for (guint i = 0; i < setup->warnings->len; i++) {
                if (strstr(setup->warnings->pdata[i], text) != NULL)
                        return;
        }
        g_error("no warning names \"%s\"", text);
}

static void
test_a_heartbeat_registers_and_expires(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        beat(&setup, "east", "e1");
        beat(&setup, "west", "fe80::1");
        assert_command(&setup, "SISMEMBER east_set e1", "1");
        g_autofree char *ttl = command(&setup, "PTTL east_e1");
        g_assert_cmpint((int)g_ascii_strtoll(ttl, NULL, 10), >, TTL_MS - 5000);
        g_assert_cmpint((int)g_ascii_strtoll(ttl, NULL, 10), <=, TTL_MS);
        g_autofree char *value = command(&setup, "GET west_fe80::1");
        g_assert_cmpint(llabs(g_ascii_strtoll(value, NULL, 10) - g_get_real_time() / G_USEC_PER_SEC), <=, 2);
        check(&setup);
        assert_cluster(&setup, 0, "e1:cra e2:c--");
        assert_cluster(&setup, 1, "fe80::1:-ra");
        g_assert_cmpuint(setup.warnings->len, ==, 0);
        meddle(&setup, "DEL east_e1");
        check(&setup);
        assert_cluster(&setup, 0, "e1:cr- e2:c--");
}

static void
assert_changed(Setup *setup, bool east, bool west)
{
        check_again(setup);
        g_assert_cmpint(((LivenessCluster *)setup->clusters->pdata[0])->changed, ==, east);
        g_assert_cmpint(((LivenessCluster *)setup->clusters->pdata[1])->changed, ==, west);
}

static void
test_a_poll_tells_what_is_new_since_the_one_before(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        beat(&setup, "east", "e1");
        beat(&setup, "west", "w1");
        check(&setup);
        assert_changed(&setup, true, true); /* the counts are there now */
        beat(&setup, "west", "w1");
        assert_changed(&setup, false, false);
        beat(&setup, "west", "w2");
        beat(&setup, "west", "w0");
        assert_changed(&setup, false, true);
        assert_cluster(&setup, 1, "w0:-ra w1:-ra w2:-ra");
        assert_command(&setup, "GET west_up_host_num", "3");
        meddle(&setup, "DEL east_e1");
        assert_changed(&setup, true, false);
        assert_cluster(&setup, 0, "e1:cr- e2:c--");
        assert_command(&setup, "GET east_up_host_num", "0");
        g_assert_true(liveness_goodbye(setup.liveness, "west", "w1", NULL));
        g_assert_true(liveness_goodbye(setup.liveness, "east", "e1", NULL));
        assert_changed(&setup, true, true);
        assert_cluster(&setup, 0, "e1:c-- e2:c--");
        assert_cluster(&setup, 1, "w0:-ra w2:-ra");
        meddle(&setup, "DEL west_set");
        meddle(&setup, "SET west_set oops");
        assert_changed(&setup, false, true);
        assert_cluster(&setup, 1, "unknown");
        assert_warned(&setup, "west_set");
        assert_changed(&setup, false, false);
        meddle(&setup, "DEL west_set");
        assert_changed(&setup, false, true);
        assert_cluster(&setup, 1, "");
}

static void
test_illegal_members_are_warned_of_at_every_poll(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        beat(&setup, "west", "w1");
        meddle(&setup, "SADD west_set a_b");
        meddle(&setup, "SET west_w2 1");
        meddle(&setup, "SADD west_set w2");
        check(&setup);
        check_again(&setup);
        assert_cluster(&setup, 1, "w1:-ra w2:-r-");
        g_assert_cmpuint(setup.warnings->len, ==, 2);
        assert_warned(&setup, "\"a_b\"");
        assert_warned(&setup, "west_w2");
}

static void
test_goodbye_leaves_nothing(void)
{
        g_auto(Setup) setup;
        g_autoptr(GError) error = NULL;
        if (!setup_init(&setup))
                return;
        beat(&setup, "west", "w1");
        g_assert_true(liveness_goodbye(setup.liveness, "west", "w1", &error));
        assert_command(&setup, "DBSIZE", "0");
        check(&setup);
        assert_cluster(&setup, 1, "");
}

static void
test_counts_are_kept_true(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        beat(&setup, "east", "e1");
        beat(&setup, "east", "e3");
        check(&setup);
        g_assert_true(((LivenessCluster *)setup.clusters->pdata[0])->counts_missing);
        assert_command(&setup, "GET east_host_num", "3");
        assert_command(&setup, "GET east_up_host_num", "2");
        assert_command(&setup, "GET west_host_num", "0");
        meddle(&setup, "SET east_up_host_num nonsense");
        meddle(&setup, "DEL east_host_num");
        check(&setup);
        assert_command(&setup, "GET east_host_num", "3");
        assert_command(&setup, "GET east_up_host_num", "2");
        check(&setup);
        g_assert_false(((LivenessCluster *)setup.clusters->pdata[0])->counts_missing);
}

static void
test_a_key_without_ttl_proves_nothing(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        meddle(&setup, "SET east_e1 1700000000");
        beat(&setup, "east", "e2");
        check(&setup);
        assert_cluster(&setup, 0, "e1:c-- e2:cra");
        g_assert_cmpuint(setup.warnings->len, ==, 1);
        assert_warned(&setup, "east_e1");
}

static void
test_a_set_of_another_type_is_unknown_not_empty(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        meddle(&setup, "SET east_set oops");
        beat(&setup, "west", "w1");
        check(&setup);
        assert_cluster(&setup, 0, "unknown");
        assert_cluster(&setup, 1, "w1:-ra");
        assert_warned(&setup, "east_set");
        assert_command(&setup, "GET east_host_num", "(nil)");
}

/* Only its time to live tells: the value is for people, whatever somebody wrote there. */
static void
test_a_heartbeat_that_is_no_time_counts(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        meddle(&setup, "SET east_e1 yesterday PX 60000");
        meddle(&setup, "RPUSH east_e2 oops");
        meddle(&setup, "PEXPIRE east_e2 60000");
        check(&setup);
        assert_cluster(&setup, 0, "e1:c-a e2:c-a");
        g_assert_cmpuint(setup.warnings->len, ==, 0);
        beat(&setup, "east", "e2"); /* an agent makes it right */
        assert_command(&setup, "TYPE east_e2", "string");
}

static void
test_counts_of_another_type_are_replaced(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        meddle(&setup, "RPUSH east_host_num oops");
        meddle(&setup, "HSET east_up_host_num a b");
        beat(&setup, "east", "e1");
        check(&setup);
        assert_cluster(&setup, 0, "e1:cra e2:c--");
        assert_command(&setup, "GET east_host_num", "2");
        assert_command(&setup, "GET east_up_host_num", "1");
}

static void
test_illegal_members_are_ignored_with_a_warning(void)
{
        g_auto(Setup) setup;
        if (!setup_init(&setup))
                return;
        beat(&setup, "west", "w1");
        redis_link_send(setup.link, "SADD west_set %b", "w\0\n2", (size_t)4);
        redis_reply_free(redis_link_receive(setup.link, NULL));
        meddle(&setup, "SADD west_set set a_b");
        check(&setup);
        assert_cluster(&setup, 1, "w1:-ra");
        g_assert_cmpuint(setup.warnings->len, ==, 3);
        assert_warned(&setup, "\"a_b\"");
}

static void
test_wrong_database_and_password_are_errors(void)
{
        const char *url = live_env("REDIS_URL");
        if (url == NULL)
                return;
        const char *address = strstr(url, "://") + 3;
        g_autofree char *password = g_strdup_printf("redis://:secret-word@%s", address);
        g_autofree char *database = g_strdup_printf("redis://%.*s/999", (int)strcspn(address, "/"), address);
        const char *urls[] = {password, database, "redis://127.0.0.1:1/0", "unix:///nonexistent/socket"};
        for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
                g_autoptr(GError) error = NULL;
                g_autoptr(Liveness) liveness = liveness_new(urls[i], TIMEOUT_MS, &error);
                g_assert_no_error(error);
                g_assert_false(liveness_send_heartbeat(liveness, "east", "e1", TTL_MS, &error));
                g_assert_nonnull(error);
                g_assert_null(strstr(error->message, "secret-word"));
        }
}

/* A server that pauses all clients answers late: the call must give up in time and work again afterwards. */
static void
test_a_slow_redis_costs_no_more_than_the_timeout(void)
{
        g_auto(Setup) setup;
        g_autoptr(GError) error = NULL;
        if (!setup_init(&setup))
                return;
        beat(&setup, "east", "e1");
        meddle(&setup, "CLIENT PAUSE 2500 ALL");
        int64_t began_us = g_get_monotonic_time();
        g_assert_false(liveness_send_heartbeat(setup.liveness, "east", "e1", TTL_MS, &error));
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, 2 * TIMEOUT_MS * 1000);
        g_assert_nonnull(strstr(error->message, "timeout"));
        redis_link_close(setup.link);
        while (!redis_link_open(setup.link, NULL))
                continue;
        check(&setup);
        assert_cluster(&setup, 0, "e1:cra e2:c--");
}

static void
test_many_clusters_are_polled_in_one_go(void)
{
        g_auto(Setup) setup;
        g_autoptr(GError) error = NULL;
        if (!setup_init(&setup))
                return;
        g_autoptr(GPtrArray) clusters = g_ptr_array_new_with_free_func((GDestroyNotify)liveness_cluster_free);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        for (unsigned i = 0; i < MANY_CLUSTERS; i++) {
                g_autofree char *name = g_strdup_printf("c%u", i);
                beat(&setup, name, i % 2 == 0 ? "even" : "odd");
                g_ptr_array_add(clusters, liveness_cluster_new(name, NULL));
        }
        int64_t began_us = g_get_monotonic_time();
        g_assert_true(liveness_check_hosts(setup.liveness, clusters, warnings, &error));
        liveness_write_counts(setup.liveness, clusters, warnings);
        g_test_message("poll took %" G_GINT64_FORMAT " us", g_get_monotonic_time() - began_us);
        for (unsigned i = 0; i < MANY_CLUSTERS; i++) {
                const LivenessCluster *cluster = clusters->pdata[i];
                g_assert_cmpuint(cluster->hosts->len, ==, 1);
                const LivenessHost *host = cluster->hosts->pdata[0];
                g_assert_cmpstr(host->name, ==, i % 2 == 0 ? "even" : "odd");
                g_assert_true(host->alive);
        }
        assert_command(&setup, "GET c2499_up_host_num", "1");
}

static void
test_usable_hosts_of_one_and_of_all(void)
{
        static const ViewHost hosts[] = {{.name = (char *)"h1", .usable = true, .alive = true},
                                         {.name = (char *)"h2"}};
        static const ViewInput inputs[] = {{.name = "east", .hosts = hosts, .n_hosts = 2},
                                           {.name = "west", .hosts = hosts, .n_hosts = 1},
                                           {.name = "out", .hosts = hosts, .n_hosts = 1, .drained = true}};
        g_autoptr(View) view = view_new(inputs, 3, false, NULL);
        g_autoptr(GPtrArray) east = liveness_get_usable_hosts(view, "east");
        g_autoptr(GPtrArray) out = liveness_get_usable_hosts(view, "out");
        g_autoptr(GPtrArray) all = liveness_get_usable_hosts(view, NULL);
        g_assert_cmpuint(east->len, ==, 1);
        g_assert_cmpstr(east->pdata[0], ==, "h1");
        g_assert_cmpuint(out->len, ==, 0);
        g_assert_cmpuint(all->len, ==, 2);
        g_assert_null(liveness_get_usable_hosts(view, "nowhere"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/liveness/" name, test_##function)
        TEST("a-heartbeat-registers-and-expires", a_heartbeat_registers_and_expires);
        TEST("a-poll-tells-what-is-new-since-the-one-before", a_poll_tells_what_is_new_since_the_one_before);
        TEST("illegal-members-are-warned-of-at-every-poll", illegal_members_are_warned_of_at_every_poll);
        TEST("goodbye-leaves-nothing", goodbye_leaves_nothing);
        TEST("counts-are-kept-true", counts_are_kept_true);
        TEST("a-key-without-ttl-proves-nothing", a_key_without_ttl_proves_nothing);
        TEST("a-set-of-another-type-is-unknown-not-empty", a_set_of_another_type_is_unknown_not_empty);
        TEST("a-heartbeat-that-is-no-time-counts", a_heartbeat_that_is_no_time_counts);
        TEST("counts-of-another-type-are-replaced", counts_of_another_type_are_replaced);
        TEST("illegal-members-are-ignored-with-a-warning", illegal_members_are_ignored_with_a_warning);
        TEST("wrong-database-and-password-are-errors", wrong_database_and_password_are_errors);
        TEST("a-slow-redis-costs-no-more-than-the-timeout", a_slow_redis_costs_no_more_than_the_timeout);
        TEST("many-clusters-are-polled-in-one-go", many_clusters_are_polled_in_one_go);
        TEST("usable-hosts-of-one-and-of-all", usable_hosts_of_one_and_of_all);
        return g_test_run();
}
