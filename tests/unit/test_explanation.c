/* SPDX-License-Identifier: MIT */
/*
 * The words of an explanation; that it is right is shown against a running router (tests/live).
 */
#include "router/ctl/explanation.h"

#include "router/ctl/message_file.h"

#include <string.h>

static const char CONF[] = "[broker]\nurl = amqp://127.0.0.1/\n"
                           "[east]\ncluster_member_ips = e\n[west]\ncluster_member_ips = w\n"
                           "[south]\ncluster_member_ips = s\n"
                           "[route:r]\nqueue = q\ncluster_from = header:cluster, json:/cluster\n"
                           "destination = queue:{queue}.{cluster}\non_no_cluster = cluster:south\n"
                           "on_unknown_cluster = any\non_cluster_down = cast:dead, call:park\n";

/* East is drained to west, south is down. */
static View *
make_view(void)
{
        const ViewHost up = {.name = (char *)"w", .usable = true, .alive = true};
        const ViewHost east_up = {.name = (char *)"e", .usable = true, .alive = true};
        const ViewHost down = {.name = (char *)"s"};
        const ViewInput inputs[] = {
            {.name = "east", .drained = true, .drain_to = "west", .hosts = &east_up, .n_hosts = 1},
            {.name = "west", .hosts = &up, .n_hosts = 1},
            {.name = "south", .hosts = &down, .n_hosts = 1}};

        return view_new(inputs, G_N_ELEMENTS(inputs), false, NULL);
}

static const struct {
        const char *message;
        const char *says; /* of each source: n, k, u, b, - for not asked */
        const char *outcome;
        const char *key;
        const char *policy; /* NULL: none */
        const char *reason;
} rows[] = {
    {"{\"properties\": {\"headers\": {\"cluster\": \"west\"}}}", "k-", "deliver", "q.west", NULL, "live"},
    {"{\"properties\": {\"headers\": {\"cluster\": \"east\"}}}", "k-", "deliver", "q.west", "drained to west",
     "cluster_drained"},
    {"{\"properties\": {\"headers\": {\"cluster\": 5}}, \"body\": \"{\\\"cluster\\\": \\\"west\\\"}\"}", "bk",
     "deliver", "q.west", NULL, "live"},
    {"{\"body\": \"{\\\"cluster\\\": \\\"x\\\"}\"}", "nu", "deliver", "q.west", "on_unknown_cluster = any",
     "unknown_cluster"},
    {"{\"body\": \"{\"}", "nb", "dead", "cluster-router.r.dead", NULL, "bad_message"},
    {"{\"properties\": {\"reply_to\": \"me\"}}", "nn", "park", "cluster-router.r.parked.south",
     "on_no_cluster = cluster:south, then on_cluster_down = call:park", "cluster_down"},
};

static unsigned char
letter(const ExplainedSource *source)
{
        return (unsigned char)(source->asked ? "nkub"[source->says] : '-');
}

static void
test_rows(void)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(View) view = make_view();

        g_autoptr(Conf) conf = conf_parse("test.conf", CONF, strlen(CONF), errors);

        g_assert_nonnull(conf);
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autoptr(GError) error = NULL;
                Message *message = message_file_parse(rows[i].message, strlen(rows[i].message), "q", &error);

                g_assert_no_error(error);
                g_autoptr(Explanation) out =
                    explanation_new(conf, conf->routes->pdata[0], view, message, false, 0);

                g_test_message("%s", rows[i].message);
                for (unsigned n = 0; n < 2; n++)
                        g_assert_cmpint(letter(&g_array_index(out->sources, ExplainedSource, n)), ==,
                                        (unsigned char)rows[i].says[n]);
                g_assert_cmpstr(out->outcome, ==, rows[i].outcome);
                g_assert_cmpstr(out->key, ==, rows[i].key);
                g_assert_cmpstr(out->policy, ==, rows[i].policy);
                g_assert_cmpstr(reason_code(out->reason), ==, rows[i].reason);
        }
}

static void
test_headers(void)
{
        static const char file[] = "{\"properties\": {\"headers\": {\"cluster\": \"west\", \"CC\": [\"x\"], "
                                   "\"keep\": {\"a\": [1, true, null]}, \"x-router-reason\": \"forged\"}}}";
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_parse("test.conf", CONF, strlen(CONF), errors);
        g_autoptr(View) view = make_view();
        Message *message = message_file_parse(file, strlen(file), "q", NULL);

        g_assert_nonnull(message);
        g_autoptr(Explanation) out = explanation_new(conf, conf->routes->pdata[0], view, message, false, 0);
        json_t *kept = json_pack("{s:[i, b, n]}", "a", 1, 1);

        g_assert_cmpuint(out->removed->len, ==, 2);
        g_assert_cmpstr(out->removed->pdata[0], ==, "CC");
        g_assert_cmpstr(out->removed->pdata[1], ==, "x-router-reason");
        g_assert_cmpuint(out->added->len, ==, 1);
        g_assert_cmpstr(out->added->pdata[0], ==, "x-router-seq");
        g_assert_true(json_equal(json_object_get(out->headers, "keep"), kept));
        json_decref(kept);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/explanation/names_sources_policy_place_and_reason", test_rows);
        g_test_add_func("/explanation/tells_which_headers_come_and_go", test_headers);
        return g_test_run();
}
