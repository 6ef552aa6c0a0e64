/* SPDX-License-Identifier: MIT */
#include "router/inquiry.h"
#include "router/topology.h"

#include <glib.h>
#include <string.h>

enum { MINUTE_US = 60 * 1000 * 1000 };

static InquiryResult
ask(Inquiries *inquiries, InquiryKind kind, const char *queue)
{
        InquiryAnswer answer;

        return inquiries_ask(inquiries, kind, queue, 1, &answer);
}

/* The next one to be sent is of that queue. */
static amqp_queue_declare_t
expect_next(Inquiries *inquiries, const char *queue)
{
        amqp_queue_declare_t method = {0};

        g_assert_true(inquiries_next(inquiries, &method));
        g_assert_cmpmem(method.queue.bytes, method.queue.len, queue, strlen(queue));
        return method;
}

static void
expect_nothing(Inquiries *inquiries)
{
        amqp_queue_declare_t method;

        g_assert_false(inquiries_next(inquiries, &method));
}

static void
test_answer_goes_to_who_asked(void)
{
        g_autoptr(Inquiries) inquiries = inquiries_new(false);
        InquiryAnswer answer;

        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "a"), ==, INQUIRY_PENDING);
        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "b"), ==, INQUIRY_PENDING);
        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "a"), ==, INQUIRY_PENDING);
        g_assert_true(expect_next(inquiries, "a").passive);
        expect_next(inquiries, "b");
        expect_nothing(inquiries);
        inquiries_answer(inquiries, 3, 4);
        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "b"), ==, INQUIRY_PENDING);
        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_LOOK, "a", 1, &answer), ==, INQUIRY_OK);
        g_assert_cmpuint(answer.messages, ==, 3);
        g_assert_cmpuint(answer.consumers, ==, 4);
        inquiries_answer(inquiries, 5, 6);
        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_LOOK, "b", 1, &answer), ==, INQUIRY_OK);
        g_assert_cmpuint(answer.messages, ==, 5);
        /* Handed out once: who asks again gets a new answer. */
        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "a"), ==, INQUIRY_PENDING);
        expect_next(inquiries, "a");
}

static void
test_refusal_sends_the_rest_again(void)
{
        g_autoptr(Inquiries) inquiries = inquiries_new(false);
        InquiryAnswer answer;

        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "absent"), ==, INQUIRY_PENDING);
        g_assert_cmpint(ask(inquiries, INQUIRY_REPLY, "foreign"), ==, INQUIRY_PENDING);
        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "there"), ==, INQUIRY_PENDING);
        expect_next(inquiries, "absent");
        expect_next(inquiries, "foreign");
        expect_next(inquiries, "there");
        inquiries_refuse(inquiries, AMQP_NOT_FOUND, "404 NOT_FOUND");
        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "absent"), ==, INQUIRY_ABSENT);
        expect_next(inquiries, "foreign");
        expect_next(inquiries, "there");
        inquiries_refuse(inquiries, AMQP_PRECONDITION_FAILED, "406 PRECONDITION_FAILED");
        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_REPLY, "foreign", 1, &answer), ==, INQUIRY_REFUSED);
        g_assert_cmpstr(answer.text, ==, "queue \"foreign\": 406 PRECONDITION_FAILED");
        expect_next(inquiries, "there");
        inquiries_answer(inquiries, 1, 0);
        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "there"), ==, INQUIRY_OK);
        g_assert_cmpint(inquiries_waiting_since_us(inquiries), ==, 0);
}

static void
test_queue_that_is_other_than_ours_is_used(void)
{
        g_autoptr(Inquiries) inquiries = inquiries_new(true);
        InquiryAnswer answer;
        amqp_queue_declare_t method;

        g_assert_cmpint(ask(inquiries, INQUIRY_ENSURE, "q"), ==, INQUIRY_PENDING);
        method = expect_next(inquiries, "q");
        g_assert_true(method.durable && !method.passive && method.arguments.num_entries == 1);
        inquiries_refuse(inquiries, AMQP_PRECONDITION_FAILED, "406");
        g_assert_cmpint(ask(inquiries, INQUIRY_ENSURE, "q"), ==, INQUIRY_PENDING);
        g_assert_true(expect_next(inquiries, "q").passive);
        inquiries_answer(inquiries, 7, 0);
        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_ENSURE, "q", 1, &answer), ==, INQUIRY_OK);
        g_assert_cmpuint(answer.messages, ==, 7);
}

static void
test_first_refusal_tells_why(void)
{
        g_autoptr(Inquiries) inquiries = inquiries_new(false);
        InquiryAnswer answer;

        g_assert_cmpint(ask(inquiries, INQUIRY_ENSURE, "q"), ==, INQUIRY_PENDING);
        expect_next(inquiries, "q");
        inquiries_refuse(inquiries, AMQP_ACCESS_REFUSED, "403");
        expect_next(inquiries, "q");
        inquiries_refuse(inquiries, AMQP_NOT_FOUND, "404");
        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_ENSURE, "q", 1, &answer), ==, INQUIRY_REFUSED);
        g_assert_cmpstr(answer.text, ==, "queue \"q\": 403");
}

static void
test_reply_queue_expires(void)
{
        g_autoptr(Inquiries) inquiries = inquiries_new(true);
        amqp_queue_declare_t method;

        g_assert_cmpint(ask(inquiries, INQUIRY_REPLY, "reply"), ==, INQUIRY_PENDING);
        method = expect_next(inquiries, "reply");
        g_assert_true(!method.durable && !method.passive && method.arguments.num_entries == 1);
        g_assert_cmpint(method.arguments.entries[0].value.value.i32, ==, TOPOLOGY_REPLY_EXPIRES_MS);
}

static void
test_waits_since_the_oldest_open_question(void)
{
        g_autoptr(Inquiries) inquiries = inquiries_new(false);
        InquiryAnswer answer;

        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_LOOK, "a", 10, &answer), ==, INQUIRY_PENDING);
        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_LOOK, "b", 20, &answer), ==, INQUIRY_PENDING);
        g_assert_cmpint(inquiries_waiting_since_us(inquiries), ==, 10);
        expect_next(inquiries, "a");
        inquiries_answer(inquiries, 0, 0);
        g_assert_cmpint(inquiries_waiting_since_us(inquiries), ==, 20);
        inquiries_clear(inquiries);
        g_assert_cmpint(inquiries_waiting_since_us(inquiries), ==, 0);
        /* What the broker says of nothing is of no effect. */
        inquiries_answer(inquiries, 0, 0);
        inquiries_refuse(inquiries, 404, "404");
}

static void
test_answer_that_nobody_wants_is_dropped(void)
{
        g_autoptr(Inquiries) inquiries = inquiries_new(false);
        InquiryAnswer answer;

        g_assert_cmpint(ask(inquiries, INQUIRY_LOOK, "a"), ==, INQUIRY_PENDING);
        expect_next(inquiries, "a");
        inquiries_answer(inquiries, 0, 0);
        g_assert_cmpint(inquiries_ask(inquiries, INQUIRY_LOOK, "a", 2 + MINUTE_US, &answer), ==,
                        INQUIRY_PENDING);
        expect_next(inquiries, "a");
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/inquiry/answer-goes-to-who-asked", test_answer_goes_to_who_asked);
        g_test_add_func("/inquiry/refusal-sends-the-rest-again", test_refusal_sends_the_rest_again);
        g_test_add_func("/inquiry/queue-that-is-other-than-ours-is-used",
                        test_queue_that_is_other_than_ours_is_used);
        g_test_add_func("/inquiry/first-refusal-tells-why", test_first_refusal_tells_why);
        g_test_add_func("/inquiry/reply-queue-expires", test_reply_queue_expires);
        g_test_add_func("/inquiry/waits-since-the-oldest-open-question",
                        test_waits_since_the_oldest_open_question);
        g_test_add_func("/inquiry/answer-that-nobody-wants-is-dropped",
                        test_answer_that_nobody_wants_is_dropped);
        return g_test_run();
}
