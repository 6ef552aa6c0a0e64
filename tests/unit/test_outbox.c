/* SPDX-License-Identifier: MIT */
#include "router/outbox.h"

#include <amqp_tcp_socket.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHANNEL = 1, FRAME_MAX = 4096 };

static const amqp_table_entry_t entry = {.key = {.len = 1, .bytes = (void *)"n"},
                                         .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 7}};

static const amqp_basic_properties_t properties = {
    ._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
    .delivery_mode = 2,
    .message_id = {.len = 2, .bytes = (void *)"id"},
    .headers = {.num_entries = 1, .entries = (amqp_table_entry_t *)&entry}};

static amqp_bytes_t
body_of(const char *bytes, size_t length)
{
        return (amqp_bytes_t){.len = length, .bytes = (void *)bytes};
}

/* A connection of the library to nobody, on one end of a pair of sockets; the other end is @out_peer. */
static amqp_connection_state_t
connect_to(int *out_peer)
{
        static const char hello[] = "AMQP\0\0\x09\x01";
        amqp_connection_state_t connection = amqp_new_connection();
        amqp_frame_t frame;
        int pair[2], size = 4096; /* so that it takes only a part at a time */

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
        g_assert_cmpint(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), ==, 0);
        amqp_tcp_socket_set_sockfd(amqp_tcp_socket_new(connection), pair[0]);
        /* The library changes its frame size only once the peer has said something. */
        g_assert_cmpint(amqp_handle_input(connection, body_of(hello, 8), &frame), ==, 8);
        g_assert_cmpint(amqp_tune_connection(connection, 0, FRAME_MAX, 0), ==, AMQP_STATUS_OK);
        *out_peer = pair[1];
        return connection;
}

/* Everything that arrived there; the other end is closed. */
static void *
read_all(void *peer)
{
        GByteArray *all = g_byte_array_new();
        uint8_t part[4096];
        ssize_t length = 0;

        while ((length = read(GPOINTER_TO_INT(peer), part, sizeof(part))) > 0)
                g_byte_array_append(all, part, (guint)length);
        g_assert_cmpint(length, ==, 0);
        close(GPOINTER_TO_INT(peer));
        return all;
}

static void
publish(Outbox *outbox, amqp_connection_state_t connection, bool gather, amqp_bytes_t body)
{
        g_assert_cmpint(outbox_publish(outbox, connection, gather, CHANNEL, amqp_cstring_bytes("exchange"),
                                       amqp_cstring_bytes("key"), &properties, body),
                        ==, AMQP_STATUS_OK);
}

/* Until the rest of a large body is written. */
static void
finish(Outbox *outbox, amqp_connection_state_t connection)
{
        struct pollfd socket = {.fd = amqp_get_sockfd(connection), .events = POLLOUT};

        while (outbox_is_writing(outbox)) {
                g_assert_cmpint(poll(&socket, 1, -1), ==, 1);
                g_assert_cmpint(outbox_flush(outbox, connection), ==, AMQP_STATUS_OK);
        }
}

/* What arrives when bodies of these lengths (the last is -1) are published. */
static GByteArray *
written(bool gather, const int *lengths)
{
        g_autoptr(Outbox) outbox = outbox_new();
        int peer = -1;
        amqp_connection_state_t connection = connect_to(&peer);
        GThread *reader = g_thread_new("reader", read_all, GINT_TO_POINTER(peer));

        for (; *lengths >= 0; lengths++) {
                g_autofree char *text = g_strnfill((gsize)*lengths, 'b');

                publish(outbox, connection, gather, body_of(text, (size_t)*lengths));
                finish(outbox, connection);
        }
        g_assert_cmpint(outbox_flush(outbox, connection), ==, AMQP_STATUS_OK);
        g_assert_true(outbox_is_empty(outbox));
        amqp_destroy_connection(connection);
        return g_thread_join(reader);
}

static void
check_same(const int *lengths)
{
        g_autoptr(GByteArray) ours = written(true, lengths);
        g_autoptr(GByteArray) theirs = written(false, lengths);

        g_assert_cmpmem(ours->data, ours->len, theirs->data, theirs->len);
}

static void
test_frames(void)
{
        static const int lengths[] = {0, 512, FRAME_MAX - 8, FRAME_MAX - 7, 10000, -1};

        check_same(lengths);
}

static void
test_too_much(void)
{
        static const int many[] = {30000, 30000, 30000, 0, 65536, 200000, 512, -1};

        check_same(many);
}

/* Without that, nothing is gained. */
static void
test_waits(void)
{
        g_autoptr(Outbox) outbox = outbox_new();
        int peer = -1;
        amqp_connection_state_t connection = connect_to(&peer);
        char byte;

        for (int i = 0; i < 50; i++)
                publish(outbox, connection, true, body_of("body", 4));
        g_assert_false(outbox_is_empty(outbox));
        g_assert_cmpint(recv(peer, &byte, 1, MSG_DONTWAIT), ==, -1);
        outbox_clear(outbox);
        g_assert_true(outbox_is_empty(outbox));
        amqp_destroy_connection(connection);
        close(peer);
}

/* Nobody reads: the caller has its thread back, and the rest is still there. */
static void
test_does_not_wait(void)
{
        enum { BYTES = 4 * 1000 * 1000 };
        g_autoptr(Outbox) outbox = outbox_new();
        g_autofree char *text = g_strnfill(BYTES, 'b');
        int peer = -1, size = 300000;
        amqp_connection_state_t connection = connect_to(&peer);
        GThread *reader;
        GByteArray *all;

        g_assert_cmpint(setsockopt(amqp_get_sockfd(connection), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)),
                        ==, 0);
        publish(outbox, connection, true, body_of(text, BYTES));
        g_assert_true(outbox_is_writing(outbox));
        g_assert_cmpint(outbox_flush(outbox, connection), ==, AMQP_STATUS_OK);
        g_assert_true(outbox_is_writing(outbox));
        memset(text, 'z', BYTES); /* it is the caller's */
        reader = g_thread_new("reader", read_all, GINT_TO_POINTER(peer));
        finish(outbox, connection);
        g_assert_true(outbox_is_empty(outbox));
        amqp_destroy_connection(connection);
        all = g_thread_join(reader);
        g_assert_cmpuint(all->len, >, BYTES);
        g_assert_null(memchr(all->data, 'z', all->len));
        g_byte_array_unref(all);
}

static void
test_lost_peer(void)
{
        g_autoptr(Outbox) outbox = outbox_new();
        int peer = -1;
        amqp_connection_state_t connection = connect_to(&peer);

        publish(outbox, connection, true, amqp_empty_bytes);
        close(peer);
        g_assert_cmpint(outbox_flush(outbox, connection), ==, AMQP_STATUS_SOCKET_ERROR);
        amqp_destroy_connection(connection);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/outbox/writes-what-the-library-would-write", test_frames);
        g_test_add_func("/outbox/does-not-wait-for-a-socket-that-takes-nothing", test_does_not_wait);
        g_test_add_func("/outbox/loses-nothing-of-what-does-not-fit", test_too_much);
        g_test_add_func("/outbox/writes-nothing-before-it-must", test_waits);
        g_test_add_func("/outbox/tells-that-the-peer-is-gone", test_lost_peer);
        return g_test_run();
}
