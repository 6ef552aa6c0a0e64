/* SPDX-License-Identifier: MIT */

/* What people and programs see of a configuration: `config show`, and URLs parted and masked. */

#include "conf/conf.h"
#include "conf/conf_table.h"
#include "conf/conf_url.h"

#include <glib.h>
#include <string.h>

static GPtrArray *
describe(const char *text)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_parse("f", text, strlen(text), errors);
        if (!conf)
                g_error("%s", (char *)errors->pdata[0]);
        return conf_describe(conf);
}

static void
assert_shown(const GPtrArray *lines, const char *line)
{
        for (unsigned i = 0; i < lines->len; i++)
                if (strcmp(lines->pdata[i], line) == 0)
                        return;
        g_error("not shown: %s", line);
}

static void
test_shows_what_is_in_force(void)
{
        g_autoptr(GPtrArray) lines = describe("[broker]\n"
                                              "heartbeat = 20s\n"
                                              "[redis]\n"
                                              "heartbeat_ttl = 30s\n"
                                              "[east]\n"
                                              "cluster_member_ips = a,b\n"
                                              "[route:r]\n"
                                              "queue = q\n"
                                              "cluster_from = fields:f\n"
                                              "destination = queue:{queue}.{cluster}\n"
                                              "[fields:f]\n"
                                              "one\ttwo = header:a\tb\n");
        assert_shown(lines, "DEFAULT\tcluster\t\t\trestart\tdefault");
        assert_shown(lines, "DEFAULT\theartbeat_interval\t10000ms\t\trestart\tdefault");
        assert_shown(lines, "broker\theartbeat\t20s\t15s\treloadable\tfile");
        assert_shown(lines, "broker\thold_time\t60s\t60s\treloadable\tdefault");
        assert_shown(lines,
                     "redis\turl\tredis://127.0.0.1:6379/0\tredis://127.0.0.1:6379/0\treloadable\tdefault");
        assert_shown(lines, "mysql\turl\t\t\treloadable\tdefault");
        assert_shown(lines, "http\tlisten\t127.0.0.1:9419\t127.0.0.1:9419\treloadable\tdefault");
        assert_shown(lines, "east\tcluster_member_ips\ta,b\t\treloadable\tfile");
        assert_shown(lines, "route:r\tqueue\tq\t\treloadable\tfile");
        assert_shown(lines, "route:r\tprefetch\t500\t500\treloadable\tdefault");
        assert_shown(lines, "fields:f\tone two\theader:a b\t\treloadable\tfile");
}

static void
test_every_line_has_six_parts(void)
{
        g_autoptr(GPtrArray) lines = describe("");
        size_t rows;
        conf_table(&rows);
        g_assert_cmpuint(lines->len, >, 0);
        g_assert_cmpuint(lines->len, <, rows);
        for (unsigned i = 0; i < lines->len; i++) {
                g_auto(GStrv) parts = g_strsplit(lines->pdata[i], "\t", -1);
                g_assert_cmpuint(g_strv_length(parts), ==, 6);
        }
        assert_shown(lines, "redis\turl\t\tredis://127.0.0.1:6379/0\treloadable\tdefault");
}

static void
test_hides_passwords(void)
{
        g_autoptr(GPtrArray) lines =
            describe("[broker]\nurl = amqp://u:S3CRET@a, amqp://u:S3CRET@b\n"
                     "[redis]\nurl = redis://:S3CRET@h\n"
                     "[mysql]\nurl = mysql://u:S3CRET@h/d\n"
                     "[a]\ncluster_member_ips = b\namqp_url = amqp://u:S3CRET@c/v\n");
        for (unsigned i = 0; i < lines->len; i++)
                g_assert_null(strstr(lines->pdata[i], "S3CRET"));
        assert_shown(lines,
                     "broker\turl\tamqp://u:***@a, amqp://u:***@b\tamqp://guest:***@127.0.0.1:5672/%2f\t"
                     "reloadable\tfile");
}

static void
test_mask(void)
{
        static const struct {
                const char *url, *masked;
        } rows[] = {
            {"amqp://h:5672/v", "amqp://h:5672/v"},
            {"amqp://u:p@h:5672/v", "amqp://u:***@h:5672/v"},
            {"amqp://u@h:5672/v", "amqp://u@h:5672/v"},
            {"redis://:p@h", "redis://:***@h"},
            {"amqp://u:p:q@h", "amqp://u:***@h"},
            {"amqp://u:p@q@h", "amqp://u:***@h"},
            {"amqp://u:p/q@h", "amqp://u:***@h"},
            {"u:p@h", "u:***@h"},
            {"", ""},
            {"nonsense", "nonsense"},
        };
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *masked = conf_mask_url(rows[i].url);
                g_assert_cmpstr(masked, ==, rows[i].masked);
        }
}

typedef struct {
        const char *text;
        ConfUrlKind kind;
        ConfUrl url;
} UrlRow;

static const UrlRow urls[] = {
    {"amqp://h", CONF_URL_AMQP, {false, "guest", "guest", "h", 5672, "/", 0, NULL}},
    {"amqp://h/", CONF_URL_AMQP, {false, "guest", "guest", "h", 5672, "/", 0, NULL}},
    {"amqps://u@h", CONF_URL_AMQP, {true, "u", "", "h", 5671, "/", 0, NULL}},
    {"AMQP://u%40x:p%2f%3a@h-1.x:1/%2f", CONF_URL_AMQP, {false, "u@x", "p/:", "h-1.x", 1, "/", 0, NULL}},
    {"amqp://[::1]:65535/a%20b", CONF_URL_AMQP, {false, "guest", "guest", "::1", 65535, "a b", 0, NULL}},
    {"redis://h", CONF_URL_REDIS, {false, NULL, NULL, "h", 6379, NULL, 0, NULL}},
    {"redis://:p@h:1/7", CONF_URL_REDIS, {false, NULL, "p", "h", 1, NULL, 7, NULL}},
    {"redis://u:p@h/", CONF_URL_REDIS, {false, "u", "p", "h", 6379, NULL, 0, NULL}},
    {"unix:///run/r.sock", CONF_URL_REDIS, {false, NULL, NULL, NULL, 0, NULL, 0, "/run/r.sock"}},
    {"redis+unix://:p@/run/r.sock?db=2", CONF_URL_REDIS, {false, NULL, "p", NULL, 0, NULL, 2, "/run/r.sock"}},
    {"mysql://u:p@h/d", CONF_URL_MYSQL, {false, "u", "p", "h", 3306, "d", 0, NULL}},
    {"mysql://u@/d?socket=/s", CONF_URL_MYSQL, {false, "u", NULL, NULL, 3306, "d", 0, "/s"}},
};

static void
test_urls_are_parted(void)
{
        for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
                const char *problem = NULL;
                const ConfUrl *expected = &urls[i].url;
                g_autoptr(ConfUrl) url = conf_url_parse(urls[i].text, urls[i].kind, &problem);
                if (!url)
                        g_error("%s: %s", urls[i].text, problem);
                g_assert_true(url->tls == expected->tls);
                g_assert_cmpstr(url->user, ==, expected->user);
                g_assert_cmpstr(url->password, ==, expected->password);
                g_assert_cmpstr(url->host, ==, expected->host);
                g_assert_cmpuint(url->port, ==, expected->port);
                g_assert_cmpstr(url->name, ==, expected->name);
                g_assert_cmpuint(url->db, ==, expected->db);
                g_assert_cmpstr(url->socket, ==, expected->socket);
        }
        g_assert_null(conf_url_parse("amqp://h:x", CONF_URL_AMQP, NULL));
        conf_url_free(NULL);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/conf_show/what_is_in_force", test_shows_what_is_in_force);
        g_test_add_func("/conf_show/every_line_has_six_parts", test_every_line_has_six_parts);
        g_test_add_func("/conf_show/hides_passwords", test_hides_passwords);
        g_test_add_func("/conf_show/mask", test_mask);
        g_test_add_func("/conf_show/urls_are_parted", test_urls_are_parted);
        return g_test_run();
}
