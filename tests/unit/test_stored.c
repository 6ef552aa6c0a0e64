/* SPDX-License-Identifier: MIT */
/*
 * What a dead message tells of itself, and which messages a filter means. Messages come from files, so the
 * reading of those is tried, too.
 */
#include "router/ctl/message_file.h"
#include "router/ctl/stored.h"

#include <string.h>

static const int64_t NOW_UNIX_MS = INT64_C(1700000000000);

#define TIME "2023-11-14T22:12:20.000Z" /* a minute before */

static Message *
parse(const char *text)
{
        g_autoptr(GError) error = NULL;
        Message *message = message_file_parse(text, strlen(text), "queue", &error);

        g_assert_no_error(error);
        return message;
}

static Message *
make_dead(const char *seq, const char *more, const char *body)
{
        g_autofree char *text =
            g_strdup_printf("{\"properties\": {\"headers\": {\"x-router-seq\": %s, \"x-router-time\": \"" TIME
                            "\", \"x-router-reason\": \"no_cluster\", \"x-router-cluster\": \"east\", "
                            "\"x-router-exchange\": \"ex\", \"x-router-key\": \"a.b\"%s}}, \"body\": \"%s\"}",
                            seq, more, body);

        return parse(text);
}

static void
test_id(void)
{
        g_autoptr(Message) message = make_dead("7", "", "one");
        g_autoptr(Message) same = make_dead("7", ", \"x-other\": 1", "one");
        g_autoptr(Message) seq = make_dead("8", "", "one");
        g_autoptr(Message) body = make_dead("7", "", "two");
        g_autoptr(Stored) a = stored_read(message, NOW_UNIX_MS);
        g_autoptr(Stored) b = stored_read(same, NOW_UNIX_MS + 1000);
        g_autoptr(Stored) c = stored_read(seq, NOW_UNIX_MS);
        g_autoptr(Stored) d = stored_read(body, NOW_UNIX_MS);

        g_assert_cmpuint(strlen(a->id), ==, STORED_ID_LENGTH);
        g_assert_cmpstr(a->id, ==, b->id);
        g_assert_cmpstr(a->id, !=, c->id);
        g_assert_cmpstr(a->id, !=, d->id);
}

static void
test_fields(void)
{
        g_autoptr(Message) message = make_dead(
            "1", ", \"x-router-expiration\": \"1000\"",
            "{\\\"oslo.version\\\": \\\"2.0\\\", \\\"oslo.message\\\": \\\"{\\\\\\\"method\\\\\\\": "
            "\\\\\\\"boot\\\\\\\", \\\\\\\"_msg_id\\\\\\\": \\\\\\\"1\\\\\\\", \\\\\\\"_reply_q\\\\\\\": "
            "\\\\\\\"r\\\\\\\"}\\\"}");
        g_autoptr(Stored) stored = stored_read(message, NOW_UNIX_MS);
        g_autofree char *age = stored_age_text(stored->time_unix_ms, NOW_UNIX_MS);

        g_assert_true(stored->is_own);
        g_assert_true(stored->is_call);
        g_assert_true(stored->is_expired);
        g_assert_cmpstr(stored->method, ==, "boot");
        g_assert_cmpstr(stored->reason, ==, "no_cluster");
        g_assert_cmpstr(stored->exchange, ==, "ex");
        g_assert_cmpstr(stored->key, ==, "a.b");
        g_assert_cmpstr(age, ==, "60 s");
}

static void
test_stranger(void)
{
        g_autoptr(Message) message = parse("{\"body\": \"x\"}");
        g_autoptr(Stored) stored = stored_read(message, NOW_UNIX_MS);
        const Selection old = {.older_ms = 1};
        const Selection all = {0};

        g_assert_false(stored->is_own);
        g_assert_false(stored->is_expired);
        g_assert_cmpstr(stored->reason, ==, "");
        g_assert_cmpstr(stored->key, ==, "queue");
        g_assert_true(selection_has(&all, stored, NOW_UNIX_MS));
        g_assert_false(selection_has(&old, stored, NOW_UNIX_MS));
}

static void
test_selection(void)
{
        g_autoptr(Message) message = make_dead("7", "", "one");
        g_autoptr(Stored) stored = stored_read(message, NOW_UNIX_MS);
        g_autofree char *prefix = g_strndup(stored->id, STORED_ID_MIN);
        const struct {
                Selection selection;
                bool expect;
        } rows[] = {
            {{0}, true},
            {{.id = stored->id}, true},
            {{.id = prefix}, true},
            {{.id = "zzzz"}, false},
            {{.reason = "no_cluster"}, true},
            {{.reason = "expired"}, false},
            {{.cluster = "east"}, true},
            {{.cluster = "eas"}, false},
            {{.method = "boot"}, false},
            {{.older_ms = 60 * 1000}, true},
            {{.older_ms = 61 * 1000}, false},
            {{.reason = "no_cluster", .cluster = "west"}, false},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_test_message("row %zu", i);
                g_assert_cmpint(selection_has(&rows[i].selection, stored, NOW_UNIX_MS), ==, rows[i].expect);
                g_assert_cmpint(selection_is_all(&rows[i].selection), ==, i == 0);
        }
}

static void
test_bad_files(void)
{
        static const char *const files[] = {"",
                                            "[]",
                                            "{",
                                            "{\"body\": 1}",
                                            "{\"exchange\": []}",
                                            "{\"properties\": 1}",
                                            "{\"properties\": {\"headers\": []}}",
                                            "{\"properties\": {\"priority\": 256}}",
                                            "{\"properties\": {\"delivery_mode\": \"2\"}}",
                                            "{\"properties\": {\"reply_to\": {}}}"};

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autoptr(GError) error = NULL;

                g_test_message("%s", files[i]);
                g_assert_null(message_file_parse(files[i], strlen(files[i]), "queue", &error));
                g_assert_nonnull(error);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/stored/id_is_of_this_message_alone_and_lasts", test_id);
        g_test_add_func("/stored/headers_and_oslo_fields_are_read", test_fields);
        g_test_add_func("/stored/message_of_another_program_tells_nothing", test_stranger);
        g_test_add_func("/selection/every_filter_must_agree", test_selection);
        g_test_add_func("/message_file/what_amqp_cannot_carry_is_refused", test_bad_files);
        return g_test_run();
}
