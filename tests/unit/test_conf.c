/* SPDX-License-Identifier: MIT */

/* What a good file gives: every value, every standard value, and what is worked out from both. */

#include "conf/conf.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#define CLUSTERS "[east]\ncluster_member_ips = 10.0.0.11, 10.0.0.12\n[west]\ncluster_member_ips = w1\n"
#define ROUTE "[route:r]\nqueue = q\ncluster_from = header:cluster\ndestination = queue:{queue}.{cluster}\n"

static Conf *
parse(const char *text)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_parse("f", text, strlen(text), errors);
        if (!conf)
                g_error("%s", (char *)errors->pdata[0]);
        g_assert_cmpuint(errors->len, ==, 0);
        return conf;
}

static const ConfRoute *
only_route(const Conf *conf)
{
        g_assert_cmpuint(conf->routes->len, ==, 1);
        return conf->routes->pdata[0];
}

static void
assert_policy(const ConfPolicy *policy, ConfPolicyKind kind, const char *name, unsigned line)
{
        g_assert_cmpint(policy->kind, ==, kind);
        g_assert_cmpstr(policy->name, ==, name);
        g_assert_cmpuint(policy->line, ==, line);
}

static void
assert_source(const ConfRoute *route, unsigned index, ConfSourceKind kind, bool is_host, const char *text,
              const char *spelling, unsigned line)
{
        g_assert_cmpuint(index, <, route->sources->len);
        const ConfSource *source = route->sources->pdata[index];
        g_assert_cmpint(source->kind, ==, kind);
        g_assert_true(source->is_host == is_host);
        g_assert_cmpstr(source->text, ==, text);
        g_assert_cmpstr(source->spelling, ==, spelling);
        g_assert_cmpuint(source->line, ==, line);
}

static void
test_defaults(void)
{
        g_autoptr(Conf) conf = parse("");
        g_assert_cmpstr(conf->path, ==, "f");
        g_assert_null(conf->cluster);
        g_assert_null(conf->host);
        g_assert_cmpint(conf->heartbeat_via, ==, CONF_HEARTBEAT_REDIS);
        g_assert_cmpint(conf->heartbeat_interval_ms, ==, 5000);

        g_assert_cmpuint(g_strv_length(conf->broker_urls), ==, 1);
        g_assert_cmpstr(conf->broker_urls[0], ==, "amqp://guest:guest@127.0.0.1:5672/%2f");
        g_assert_cmpuint(conf->broker_heartbeat_s, ==, 15);
        g_assert_false(conf->quorum);
        g_assert_cmpint(conf->hold_time_ms, ==, 60000);
        g_assert_cmpint(conf->retry_max_ms, ==, 30000);
        g_assert_cmpint(conf->drain_deadline_ms, ==, 10000);
        g_assert_cmpuint(conf->in_flight_bytes, ==, 64 * 1024 * 1024);
        g_assert_null(conf->broker_tls.ca);

        g_assert_null(conf->redis_url);
        g_assert_cmpint(conf->heartbeat_ttl_ms, ==, 15000);
        g_assert_cmpint(conf->redis_poll_ms, ==, 1000);
        g_assert_cmpint(conf->redis_timeout_ms, ==, 500);
        g_assert_cmpuint(conf->rise, ==, 1);
        g_assert_cmpuint(conf->fall, ==, 1);
        g_assert_cmpuint(conf->brake_percent, ==, 30);

        g_assert_null(conf->mysql_url);
        g_assert_cmpint(conf->mysql_refresh_ms, ==, 30000);
        g_assert_cmpint(conf->mysql_timeout_ms, ==, 2000);
        g_assert_cmpint(conf->stats_keep_s, ==, 30 * 86400);

        g_assert_cmpstr(conf->http_address, ==, "127.0.0.1");
        g_assert_cmpuint(conf->http_port, ==, 9419);
        g_assert_true(conf_is_single_cluster(conf));
}

static void
test_route_defaults(void)
{
        g_autoptr(Conf) conf = parse(CLUSTERS ROUTE);
        const ConfRoute *route = only_route(conf);
        g_assert_cmpstr(route->name, ==, "r");
        g_assert_cmpuint(route->line, ==, 5);
        g_assert_cmpstr(route->queue, ==, "q");
        g_assert_cmpuint(route->binds->len, ==, 0);
        g_assert_cmpstr(route->bind_exchange_type, ==, "topic");
        g_assert_true(route->bind_exchange_durable);
        g_assert_false(route->bind_exchange_auto_delete);
        g_assert_cmpstr(route->exchange, ==, "");
        g_assert_cmpstr(route->key, ==, "{queue}.{cluster}");
        g_assert_true(route->to_queue);
        g_assert_cmpint(route->mode, ==, CONF_MODE_REROUTE);
        assert_policy(&route->on_no_cluster, CONF_POLICY_ANY, NULL, 5);
        assert_policy(&route->on_unknown_cluster, CONF_POLICY_DEAD, NULL, 5);
        assert_policy(&route->on_down_cast, CONF_POLICY_PARK, NULL, 5);
        assert_policy(&route->on_down_call, CONF_POLICY_PARK, NULL, 5);
        g_assert_true(route->replies);
        g_assert_cmpuint(route->prefetch, ==, 500);
        g_assert_cmpuint(route->lanes, ==, 1);
        g_assert_null(route->affinity);
        g_assert_cmpint(route->park_ttl_s, ==, 0);
        g_assert_cmpuint(route->max_attempts, ==, 0);
}

static const char all[] = "[DEFAULT]\n"
                          "cluster = east\n"
                          "  # indented comment\n"
                          "host = fe80::1\n"
                          "heartbeat_via = amqp\r\n"
                          "heartbeat_interval = 250ms\n"
                          "state_dir = /tmp/state dir\n"
                          "[east]\n"
                          "cluster_member_ips =10.0.0.11,  10.0.0.12 ,host-1.example\n"
                          "aliases = nova, Zone 1\n"
                          "amqp_url = amqps://router:secret@rabbit.east:5671/east, amqp://[::1]/east\n"
                          "state = drain\n"
                          "tls_ca = /ca\n"
                          "tls_cert = /cert\n"
                          "tls_key = /key\n"
                          "[west]\n"
                          "cluster_member_ips =\n"
                          "[broker]\n"
                          "url = amqp://a, amqp://b:1/v\n"
                          "heartbeat = 1m\n"
                          "queue_type = quorum\n"
                          "hold_time = 2s\n"
                          "retry_max = 1h\n"
                          "drain_deadline = 100ms\n"
                          "in_flight_bytes = 65536\n"
                          "[redis]\n"
                          "url = unix:///run/redis.sock?db=3\n"
                          "heartbeat_ttl = 1s\n"
                          "poll = 50ms\n"
                          "timeout = 20ms\n"
                          "rise = 2\n"
                          "fall = 3\n"
                          "brake = 100%\n"
                          "[mysql]\n"
                          "url = mysql://u:p@h/db?socket=/run/mysql.sock\n"
                          "refresh = 1d\n"
                          "timeout = 5s\n"
                          "stats_keep = 1h\n"
                          "[http]\n"
                          "listen = [::1]:80\n";

static void
test_every_value_is_read(void)
{
        g_autoptr(Conf) conf = parse(all);
        g_assert_cmpstr(conf->cluster, ==, "east");
        g_assert_cmpstr(conf->host, ==, "fe80::1");
        g_assert_cmpuint(conf->host_line, ==, 4);
        g_assert_cmpint(conf->heartbeat_via, ==, CONF_HEARTBEAT_AMQP);
        g_assert_cmpint(conf->heartbeat_interval_ms, ==, 250);
        g_assert_cmpstr(conf->state_dir, ==, "/tmp/state dir");
        g_assert_cmpuint(g_strv_length(conf->broker_urls), ==, 2);
        g_assert_cmpstr(conf->broker_urls[1], ==, "amqp://b:1/v");
        g_assert_cmpuint(conf->broker_heartbeat_s, ==, 60);
        g_assert_true(conf->quorum);
        g_assert_cmpint(conf->hold_time_ms, ==, 2000);
        g_assert_cmpint(conf->retry_max_ms, ==, 3600000);
        g_assert_cmpint(conf->drain_deadline_ms, ==, 100);
        g_assert_cmpuint(conf->in_flight_bytes, ==, 65536);
        g_assert_cmpstr(conf->redis_url, ==, "unix:///run/redis.sock?db=3");
        g_assert_cmpint(conf->heartbeat_ttl_ms, ==, 1000);
        g_assert_cmpint(conf->redis_poll_ms, ==, 50);
        g_assert_cmpint(conf->redis_timeout_ms, ==, 20);
        g_assert_cmpuint(conf->rise, ==, 2);
        g_assert_cmpuint(conf->fall, ==, 3);
        g_assert_cmpuint(conf->brake_percent, ==, 100);
        g_assert_cmpstr(conf->mysql_url, ==, "mysql://u:p@h/db?socket=/run/mysql.sock");
        g_assert_cmpint(conf->mysql_refresh_ms, ==, 86400000);
        g_assert_cmpint(conf->mysql_timeout_ms, ==, 5000);
        g_assert_cmpint(conf->stats_keep_s, ==, 3600);
        g_assert_cmpstr(conf->http_address, ==, "::1");
        g_assert_cmpuint(conf->http_port, ==, 80);
        g_assert_false(conf_is_single_cluster(conf));
}

static void
test_clusters(void)
{
        g_autoptr(Conf) conf = parse(all);
        const ConfCluster *east = conf_find_cluster(conf, "east");
        g_assert_true(east == conf->clusters->pdata[0]);
        g_assert_cmpuint(east->line, ==, 8);
        g_assert_cmpuint(g_strv_length(east->members), ==, 3);
        g_assert_cmpstr(east->members[1], ==, "10.0.0.12");
        g_assert_cmpstr(east->members[2], ==, "host-1.example");
        g_assert_cmpuint(g_strv_length(east->aliases), ==, 2);
        g_assert_cmpstr(east->aliases[1], ==, "Zone 1");
        g_assert_cmpuint(g_strv_length(east->amqp_urls), ==, 2);
        g_assert_cmpstr(east->amqp_urls[0], ==, "amqps://router:secret@rabbit.east:5671/east");
        g_assert_true(east->drained);
        g_assert_cmpstr(east->tls.ca, ==, "/ca");
        g_assert_cmpstr(east->tls.cert, ==, "/cert");
        g_assert_cmpstr(east->tls.key, ==, "/key");

        const ConfCluster *west = conf_find_cluster(conf, "west");
        g_assert_cmpuint(g_strv_length(west->members), ==, 0);
        g_assert_cmpuint(g_strv_length(west->aliases), ==, 0);
        g_assert_cmpuint(g_strv_length(west->amqp_urls), ==, 0);
        g_assert_false(west->drained);
        g_assert_null(conf_find_cluster(conf, "nova"));
        g_assert_null(conf_find_cluster(conf, "broker"));
}

static void
test_route_values(void)
{
        g_autoptr(Conf) conf = parse(CLUSTERS "[route:r]\n"
                                              "queue = q\n"
                                              "bind = openstack/cinder-volume.#, x/a/b, y/\n"
                                              "bind_exchange = direct, transient, auto_delete\n"
                                              "cluster_from = header:a b, host:json:/h, fields:f, json:\n"
                                              "destination = exchange:{exchange}.{cluster}/{key}/{host}\n"
                                              "mode = reroute\n"
                                              "on_no_cluster = cluster:west\n"
                                              "on_unknown_cluster = queue:spare\n"
                                              "on_cluster_down = cast: dead, call:fail\n"
                                              "replies = off\n"
                                              "prefetch = 65535\n"
                                              "lanes = 64\n"
                                              "affinity = json:/id\n"
                                              "park_ttl = 1d\n"
                                              "max_attempts = 3\n"
                                              "[fields:f]\n"
                                              "one = oslo:/a,b/~0~1\n"
                                              "two = host:key:volume.{host}@*\n"
                                              "three = key:{cluster}\n");
        const ConfRoute *route = only_route(conf);
        g_assert_cmpuint(route->binds->len, ==, 3);
        g_assert_cmpstr(((ConfBind *)route->binds->pdata[0])->exchange, ==, "openstack");
        g_assert_cmpstr(((ConfBind *)route->binds->pdata[0])->key, ==, "cinder-volume.#");
        g_assert_cmpstr(((ConfBind *)route->binds->pdata[1])->key, ==, "a/b");
        g_assert_cmpstr(((ConfBind *)route->binds->pdata[2])->key, ==, "");
        g_assert_cmpstr(route->bind_exchange_type, ==, "direct");
        g_assert_false(route->bind_exchange_durable);
        g_assert_true(route->bind_exchange_auto_delete);
        g_assert_cmpuint(route->sources->len, ==, 6);
        assert_source(route, 0, CONF_SOURCE_HEADER, false, "a b", "header:a b", 9);
        assert_source(route, 1, CONF_SOURCE_JSON, true, "/h", "host:json:/h", 9);
        assert_source(route, 2, CONF_SOURCE_OSLO, false, "/a,b/~0~1", "oslo:/a,b/~0~1", 22);
        assert_source(route, 3, CONF_SOURCE_KEY, true, "volume.{host}@*", "host:key:volume.{host}@*", 23);
        assert_source(route, 4, CONF_SOURCE_KEY, false, "{cluster}", "key:{cluster}", 24);
        assert_source(route, 5, CONF_SOURCE_JSON, false, "", "json:", 9);
        g_assert_cmpstr(route->exchange, ==, "{exchange}.{cluster}");
        g_assert_cmpstr(route->key, ==, "{key}/{host}");
        g_assert_false(route->to_queue);
        assert_policy(&route->on_no_cluster, CONF_POLICY_CLUSTER, "west", 12);
        assert_policy(&route->on_unknown_cluster, CONF_POLICY_QUEUE, "spare", 13);
        assert_policy(&route->on_down_cast, CONF_POLICY_DEAD, NULL, 14);
        assert_policy(&route->on_down_call, CONF_POLICY_FAIL, NULL, 14);
        g_assert_false(route->replies);
        g_assert_cmpuint(route->prefetch, ==, 65535);
        g_assert_cmpuint(route->lanes, ==, 64);
        g_assert_cmpint(route->affinity->kind, ==, CONF_SOURCE_JSON);
        g_assert_cmpint(route->park_ttl_s, ==, 86400);
        g_assert_cmpuint(route->max_attempts, ==, 3);
        g_assert_cmpuint(conf->warnings->len, ==, 0);
}

static void
test_plain_policy_holds_for_both(void)
{
        g_autoptr(Conf) both = parse(CLUSTERS ROUTE "on_cluster_down = cluster:west\n");
        assert_policy(&only_route(both)->on_down_cast, CONF_POLICY_CLUSTER, "west", 9);
        assert_policy(&only_route(both)->on_down_call, CONF_POLICY_CLUSTER, "west", 9);

        g_autoptr(Conf) one = parse(CLUSTERS ROUTE "on_cluster_down = call:any\n");
        assert_policy(&only_route(one)->on_down_cast, CONF_POLICY_PARK, NULL, 9);
        assert_policy(&only_route(one)->on_down_call, CONF_POLICY_ANY, NULL, 9);
}

/* Spelled as in the documentation, byte-order mark and carriage returns included. */
static void
test_file_of_another_system(void)
{
        g_autoptr(Conf) conf = parse("\xef\xbb\xbf[http]\r\nlisten = off\r\n\r\n# end");
        g_assert_null(conf->http_address);
        g_assert_cmpuint(conf->http_port, ==, 0);
}

static void
test_single_cluster_mode(void)
{
        g_autoptr(Conf) plain = parse("[route:r]\nqueue = q\ndestination = queue:out\n");
        g_assert_true(conf_is_single_cluster(plain));
        g_assert_cmpuint(only_route(plain)->sources->len, ==, 0);
        g_assert_cmpuint(plain->warnings->len, ==, 0);

        g_autoptr(Conf) catalogue = parse(ROUTE "[mysql]\nurl = mysql://u@h/d\n");
        g_assert_false(conf_is_single_cluster(catalogue));
}

/* The same queue name is no circle in a vhost or broker of the cluster's own. */
static void
test_own_broker_is_no_circle(void)
{
        g_autoptr(Conf) conf =
            parse("[east]\ncluster_member_ips = a\namqp_url = amqp://127.0.0.1/east\n"
                  "[west]\ncluster_member_ips = b\namqp_url = amqp://elsewhere\n"
                  "[route:r]\nqueue = q\ncluster_from = header:c\ndestination = queue:{queue}\n");
        g_assert_cmpuint(conf->warnings->len, ==, 0);
}

static void
test_neighbours_are_no_circle(void)
{
        g_autoptr(Conf) conf = parse(CLUSTERS "[route:r]\nqueue = q\ncluster_from = header:c\n"
                                              "bind = x/q, x/q.*.z, y/#\nbind_exchange = topic\n"
                                              "destination = exchange:x/{key}.{cluster}\n");
        g_assert_cmpuint(conf->warnings->len, ==, 0);
}

static void
test_state_dir(void)
{
        g_autoptr(Conf) conf = parse("");
        g_autofree char *own = g_build_filename(g_get_user_state_dir(), "cluster-router", NULL);
        g_assert_cmpstr(conf->state_dir, ==, geteuid() == 0 ? "/var/lib/cluster-router" : own);
}

static void
test_undefined_clusters(void)
{
        g_autoptr(GPtrArray) names = NULL;
        g_autoptr(Conf) conf =
            parse("[DEFAULT]\ncluster = north\n[mysql]\nurl = mysql://u@h/d\n" CLUSTERS ROUTE
                  "on_no_cluster = cluster:south\non_unknown_cluster = cluster:east\n");
        g_autoptr(GPtrArray) lines = conf_undefined_clusters(conf, &names);
        g_assert_cmpuint(lines->len, ==, 2);
        g_assert_cmpuint(names->len, ==, 2);
        g_assert_cmpstr(names->pdata[0], ==, "north");
        g_assert_true(
            g_str_has_prefix(lines->pdata[0], "f:2: cluster names cluster \"north\", which is not"));
        g_assert_cmpstr(names->pdata[1], ==, "south");
        g_assert_true(
            g_str_has_prefix(lines->pdata[1], "f:13: on_no_cluster names cluster \"south\", which"));
}

typedef struct {
        const char *text;
        bool same;
} Change;

static void
test_fingerprint_changes_with_what_a_lane_holds(void)
{
        static const char base[] = CLUSTERS ROUTE;
        static const Change changes[] = {
            {"# comment\n\n" CLUSTERS ROUTE, true},
            {ROUTE CLUSTERS "[redis]\nheartbeat_ttl = 9s\n", true},
            {CLUSTERS "state = drain\naliases = z\n" ROUTE, true},
            {CLUSTERS "[north]\ncluster_member_ips = n\n" ROUTE, true},
            {CLUSTERS ROUTE "prefetch = 500\n", true},
            {CLUSTERS ROUTE
             "[route:s]\nqueue = s\ncluster_from = key:{cluster}\ndestination = queue:x.{cluster}\n",
             true},
            {CLUSTERS ROUTE "prefetch = 501\n", false},
            {CLUSTERS ROUTE "bind = x/y\n", false},
            {CLUSTERS ROUTE "on_no_cluster = queue:x\n", false},
            {CLUSTERS ROUTE "affinity = json:/a\n", false},
            {CLUSTERS "amqp_url = amqp://w\n" ROUTE, false},
            {CLUSTERS ROUTE "[broker]\nhold_time = 1s\n", false},
            {CLUSTERS ROUTE "[broker]\nurl = amqp://other\n", false},
            {ROUTE "[mysql]\nurl = mysql://u@h/d\n", true},
        };
        g_autoptr(Conf) before = parse(base);
        for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
                g_autoptr(Conf) after = parse(changes[i].text);
                const char *fingerprint = conf_find_route(after, "r")->fingerprint;
                g_assert_cmpstr(before->fingerprint, !=, after->fingerprint);
                if (changes[i].same != (strcmp(only_route(before)->fingerprint, fingerprint) == 0))
                        g_error("fingerprint %s after:\n%s", changes[i].same ? "differs" : "is the same",
                                changes[i].text);
        }
        g_autoptr(Conf) again = parse(base);
        g_assert_cmpstr(before->fingerprint, ==, again->fingerprint);
}

static void
test_references(void)
{
        Conf *conf = parse(CLUSTERS ROUTE);
        g_assert_true(conf_ref(conf) == conf);
        conf_unref(conf);
        g_assert_nonnull(conf_find_route(conf, "r"));
        g_assert_null(conf_find_route(conf, "s"));
        conf_unref(conf);
        conf_unref(NULL);
}

static void
test_expand(void)
{
        static const struct {
                const char *text, *expected;
        } rows[] = {
            {"", ""},
            {"plain", "plain"},
            {"{queue}.{cluster}", "q.c"},
            {"{queue}{exchange}{key}{cluster}{host}{queue}", "qxkchq"},
            {"{cluster", "{cluster"},
            {"{nope}", "{nope}"},
            {"a}b{", "a}b{"},
        };
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *found = conf_expand(rows[i].text, "q", "x", "k", "c", "h");
                g_assert_cmpstr(found, ==, rows[i].expected);
        }
        g_autofree char *empty =
            conf_expand("<{queue}{exchange}{key}{cluster}{host}>", NULL, NULL, NULL, NULL, NULL);
        g_assert_cmpstr(empty, ==, "<>");
        /* What is put in is not expanded again. */
        g_autofree char *once = conf_expand("{key}", "q", "x", "{queue}", "c", "h");
        g_assert_cmpstr(once, ==, "{queue}");
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/conf/defaults", test_defaults);
        g_test_add_func("/conf/route_defaults", test_route_defaults);
        g_test_add_func("/conf/every_value_is_read", test_every_value_is_read);
        g_test_add_func("/conf/clusters", test_clusters);
        g_test_add_func("/conf/route_values", test_route_values);
        g_test_add_func("/conf/plain_policy_holds_for_both", test_plain_policy_holds_for_both);
        g_test_add_func("/conf/file_of_another_system", test_file_of_another_system);
        g_test_add_func("/conf/single_cluster_mode", test_single_cluster_mode);
        g_test_add_func("/conf/own_broker_is_no_circle", test_own_broker_is_no_circle);
        g_test_add_func("/conf/neighbours_are_no_circle", test_neighbours_are_no_circle);
        g_test_add_func("/conf/state_dir", test_state_dir);
        g_test_add_func("/conf/undefined_clusters", test_undefined_clusters);
        g_test_add_func("/conf/fingerprint", test_fingerprint_changes_with_what_a_lane_holds);
        g_test_add_func("/conf/references", test_references);
        g_test_add_func("/conf/expand", test_expand);
        return g_test_run();
}
