/* SPDX-License-Identifier: MIT */
/* What a caller is told whose call cannot be served, and where he is told it. */
#include "router/answer.h"

#include "tests/support/capture.h"

#include <amqp_framing.h>
#include <string.h>

static GPtrArray *captures;

typedef struct {
        ConfRoute route;
        EnvelopeReader *reader;
        View *view;
        Envelope envelope;
        Message *request;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer user_data)
{
        ViewInput input = {.name = "east"};

        fixture->route.sources = g_ptr_array_new();
        fixture->view = view_new(&input, 1, false, NULL);
        fixture->reader = envelope_reader_new(&fixture->route, true);
}

static void
tear_down(Fixture *fixture, gconstpointer user_data)
{
        message_free(fixture->request);
        envelope_reader_free(fixture->reader);
        view_unref(fixture->view);
        g_ptr_array_unref(fixture->route.sources);
}

/* A request with that body; @reply_to and @correlation_id may be NULL. */
static void
receive(Fixture *fixture, const char *body, const char *reply_to, const char *correlation_id)
{
        amqp_basic_properties_t properties = {0};
        char buffer[1024];
        amqp_bytes_t raw = {.len = sizeof(buffer), .bytes = buffer};

        if (reply_to) {
                properties._flags |= AMQP_BASIC_REPLY_TO_FLAG;
                properties.reply_to = amqp_cstring_bytes(reply_to);
        }
        if (correlation_id) {
                properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
                properties.correlation_id = amqp_cstring_bytes(correlation_id);
        }
        raw.len = (size_t)amqp_encode_properties(AMQP_BASIC_CLASS, &properties, raw);
        g_clear_pointer(&fixture->request, message_free);
        fixture->request = message_new(bytes_of("openstack"), bytes_of("key"), raw, strlen(body));
        g_assert_nonnull(fixture->request);
        g_assert_true(message_append(fixture->request, bytes_of(body)));

        EnvelopeInput input = {.key = fixture->request->key,
                               .reply_to = fixture->request->properties->reply_to,
                               .body = fixture->request->body};

        envelope_read(fixture->reader, fixture->view, &input, &fixture->envelope);
}

static char *
address(const Fixture *fixture)
{
        return answer_address(&fixture->envelope, fixture->request);
}

static json_t *
parse(const char *bytes, size_t length)
{
        json_error_t error;
        json_t *document = json_loadb(bytes, length, 0, &error);

        if (!document)
                g_error("%s: %.*s", error.text, (int)length, bytes);
        return document;
}

static const char *
string(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(object, key));
}

/* The JSON inside the text at @key. */
static json_t *
parse_inner(const json_t *object, const char *key)
{
        const json_t *inner = json_object_get(object, key);

        g_assert_true(json_is_string(inner));
        return parse(json_string_value(inner), json_string_length(inner));
}

/* The same keys with values of the same types; what one of them may leave empty is not compared deeper. */
static void
assert_same_shape(json_t *mine, json_t *real)
{
        const char *key;
        json_t *value;

        g_assert_cmpuint(json_object_size(mine), ==, json_object_size(real));
        json_object_foreach(real, key, value)
        {
                g_assert_nonnull(json_object_get(mine, key));
                g_assert_cmpint(json_typeof(json_object_get(mine, key)), ==, json_typeof(value));
        }
}

static void
test_oslo(Fixture *fixture, gconstpointer user_data)
{
        const Capture *call = captures_find(captures, "10-"), *real = captures_find(captures, "20-");

        receive(fixture, call->body, NULL, NULL);

        g_autofree char *to = address(fixture);
        g_autoptr(Message) answer =
            answer_new(&fixture->envelope, fixture->request, to, "east", REASON_CLUSTER_DOWN);
        json_t *request = parse(call->body, call->length),
               *request_inner = parse_inner(request, "oslo.message");
        json_t *mine = parse(answer->body.bytes, answer->body.len),
               *inner = parse_inner(mine, "oslo.message");
        json_t *failure = parse_inner(inner, "failure");
        json_t *theirs = parse(real->body, real->length), *their_inner = parse_inner(theirs, "oslo.message");
        json_t *their_failure = parse_inner(their_inner, "failure");

        g_assert_cmpstr(to, ==, string(request_inner, "_reply_q"));
        g_assert_true(bytes_equal(answer->key, to) && answer->exchange.len == 0);
        g_assert_true(message_is_complete(answer));
        assert_same_shape(mine, theirs);
        assert_same_shape(inner, their_inner);
        assert_same_shape(failure, their_failure);
        g_assert_cmpstr(string(inner, "_msg_id"), ==, string(request_inner, "_msg_id"));
        g_assert_cmpstr(string(inner, "_unique_id"), !=, string(request_inner, "_unique_id"));
        g_assert_true(json_is_true(json_object_get(inner, "ending")));
        g_assert_cmpstr(string(failure, "class"), ==, "ClusterUnavailable");
        g_assert_nonnull(strstr(string(failure, "message"), "cluster east"));
        g_assert_nonnull(strstr(string(failure, "message"), "cluster_down"));
        for (unsigned i = 0; i < 7; i++)
                json_decref(
                    ((json_t *[]){request, request_inner, mine, inner, failure, theirs, their_inner})[i]);
        json_decref(their_failure);
}

static void
test_plain(Fixture *fixture, gconstpointer user_data)
{
        receive(fixture, "not JSON", "answers", "request 7");

        g_autofree char *to = address(fixture);
        g_autoptr(Message) answer =
            answer_new(&fixture->envelope, fixture->request, to, "west", REASON_CLUSTER_DRAINED);
        json_t *mine = parse(answer->body.bytes, answer->body.len);
        const json_t *error = json_object_get(mine, "error");

        g_assert_cmpstr(to, ==, "answers");
        g_assert_true(bytes_equal(answer->properties->correlation_id, "request 7"));
        g_assert_false(answer->properties->_flags & AMQP_BASIC_REPLY_TO_FLAG);
        g_assert_false(answer->properties->_flags & AMQP_BASIC_EXPIRATION_FLAG);
        g_assert_cmpstr(string(error, "cluster"), ==, "west");
        g_assert_cmpstr(string(error, "reason"), ==, "cluster_drained");
        g_assert_nonnull(string(error, "message"));
        json_decref(mine);
}

static void
test_nobody_waits(Fixture *fixture, gconstpointer user_data)
{
        receive(fixture, captures_find(captures, "01-")->body, NULL, "correlated");
        g_assert_null(address(fixture));
        receive(fixture, "{}", "", NULL);
        g_assert_null(address(fixture));
        receive(fixture, "{}", NULL, NULL);
        g_assert_null(address(fixture));
}

static void
test_hostile(Fixture *fixture, gconstpointer user_data)
{
        g_autofree char *name = g_strnfill(256, 'q');
        g_autofree char *long_name = g_strdup_printf(
            "{\"oslo.message\": \"{\\\"_msg_id\\\": \\\"m\\\", \\\"_reply_q\\\": \\\"%s\\\"}\"}", name);
        static const char odd[] =
            "{\"oslo.message\": \"{\\\"_msg_id\\\": \\\"\xff\\\\u0000\\\\ud800\\\\\\\"\\\", "
            "\\\"_reply_q\\\": \\\"r\xff\\\"}\"}";

        receive(fixture, long_name, NULL, NULL);
        g_assert_null(address(fixture));
        receive(fixture, odd, NULL, NULL);

        g_autofree char *to = address(fixture);

        g_assert_nonnull(to);

        g_autoptr(Message) answer =
            answer_new(&fixture->envelope, fixture->request, to, "east", REASON_CLUSTER_DOWN);
        json_t *mine = parse(answer->body.bytes, answer->body.len),
               *inner = parse_inner(mine, "oslo.message");

        g_assert_nonnull(string(inner, "failure"));
        json_decref(inner);
        json_decref(mine);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        captures = captures_load();
        g_test_add("/answer/an-oslo-call-gets-a-reply-of-the-captured-form", Fixture, NULL, set_up, test_oslo,
                   tear_down);
        g_test_add("/answer/any-other-call-gets-json-with-its-correlation-id", Fixture, NULL, set_up,
                   test_plain, tear_down);
        g_test_add("/answer/a-cast-gets-none", Fixture, NULL, set_up, test_nobody_waits, tear_down);
        g_test_add("/answer/hostile-names-do-no-harm", Fixture, NULL, set_up, test_hostile, tear_down);

        int status = g_test_run();

        g_ptr_array_unref(captures);
        return status;
}
