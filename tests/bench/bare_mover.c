/* SPDX-License-Identifier: MIT */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <glib.h>
#include <stdbool.h>

/*
 * What moving bytes costs at least: consumes a queue and publishes to two others in turn, without looking at
 * a message, on one connection and one channel, with the library's own amqp_consume_message(). Still correct:
 * a message is acknowledged once the broker has confirmed its publish and those of all before it, and a
 * returned or refused one ends the program. Runs until a signal ends it.
 *
 * Everything that is delivered is published at once, so the number of a publish is the tag of its delivery.
 */

enum { CHANNEL = 1, PREFETCH = 500, ACK_EVERY = 64 };

typedef struct Mover {
        amqp_connection_state_t connection;
        amqp_bytes_t to[2];
        uint64_t published;
        uint64_t confirmed; /* this one and all before it */
        uint64_t acked;
        bool done[2 * PREFETCH]; /* confirmed beyond a gap; by number modulo size */
} Mover;

static void
check(bool well, const char *what)
{
        if (!well)
                g_error("bare_mover: %s failed", what);
}

static void
check_rpc(const Mover *mover, const char *what)
{
        check(amqp_get_rpc_reply(mover->connection).reply_type == AMQP_RESPONSE_NORMAL, what);
}

static void
open_mover(Mover *mover, char *url, const char *from)
{
        struct amqp_connection_info info;
        check(amqp_parse_url(url, &info) == AMQP_STATUS_OK, "reading the URL");
        mover->connection = amqp_new_connection();
        amqp_socket_t *socket = amqp_tcp_socket_new(mover->connection);
        check(amqp_socket_open(socket, info.host, info.port) == AMQP_STATUS_OK, "connecting");
        amqp_rpc_reply_t reply = amqp_login(mover->connection, info.vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                            AMQP_SASL_METHOD_PLAIN, info.user, info.password);
        check(reply.reply_type == AMQP_RESPONSE_NORMAL, "login");
        amqp_channel_open(mover->connection, CHANNEL);
        check_rpc(mover, "channel.open");
        amqp_confirm_select(mover->connection, CHANNEL);
        check_rpc(mover, "confirm.select");
        amqp_basic_qos(mover->connection, CHANNEL, 0, PREFETCH, false);
        check_rpc(mover, "basic.qos");
        amqp_basic_consume(mover->connection, CHANNEL, amqp_cstring_bytes(from), amqp_empty_bytes, false,
                           false, false, amqp_empty_table);
        check_rpc(mover, "basic.consume");
}

static void
publish(Mover *mover, const amqp_envelope_t *envelope)
{
        mover->published++;
        check(envelope->delivery_tag == mover->published, "counting deliveries");
        int status =
            amqp_basic_publish(mover->connection, CHANNEL, amqp_empty_bytes, mover->to[mover->published % 2],
                               true, false, &envelope->message.properties, envelope->message.body);
        check(status == AMQP_STATUS_OK, "basic.publish");
}

static void
confirm(Mover *mover, const amqp_basic_ack_t *ack)
{
        if (ack->multiple)
                for (uint64_t number = mover->confirmed + 1; number < ack->delivery_tag; number++)
                        mover->done[number % G_N_ELEMENTS(mover->done)] = true;
        mover->done[ack->delivery_tag % G_N_ELEMENTS(mover->done)] = true;
        while (mover->done[(mover->confirmed + 1) % G_N_ELEMENTS(mover->done)]) {
                mover->confirmed++;
                mover->done[mover->confirmed % G_N_ELEMENTS(mover->done)] = false;
        }
}

static void
acknowledge(Mover *mover)
{
        bool idle = !amqp_frames_enqueued(mover->connection) && !amqp_data_in_buffer(mover->connection);
        uint64_t due = mover->confirmed - mover->acked;
        if (due == 0 || (due < ACK_EVERY && !idle))
                return;
        int status = amqp_basic_ack(mover->connection, CHANNEL, mover->confirmed, true);
        check(status == AMQP_STATUS_OK, "basic.ack");
        mover->acked = mover->confirmed;
}

/* Something else than a delivery: in order only if it is a confirm. */
static void
take_frame(Mover *mover)
{
        amqp_frame_t frame;
        check(amqp_simple_wait_frame(mover->connection, &frame) == AMQP_STATUS_OK, "reading");
        check(frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD,
              "a publish");
        confirm(mover, frame.payload.method.decoded);
}

static void
turn(Mover *mover)
{
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(mover->connection);
        amqp_rpc_reply_t reply = amqp_consume_message(mover->connection, &envelope, NULL, 0);
        if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
                publish(mover, &envelope);
                amqp_destroy_envelope(&envelope);
        } else {
                check(reply.library_error == AMQP_STATUS_UNEXPECTED_STATE, "consuming");
                take_frame(mover);
        }
        acknowledge(mover);
}

int
main(int argc, char **argv)
{
        Mover mover = {0};
        if (argc != 5) {
                g_printerr("Usage: bare_mover URL FROM TO TO\n");
                return 64;
        }
        mover.to[0] = amqp_cstring_bytes(argv[3]);
        mover.to[1] = amqp_cstring_bytes(argv[4]);
        open_mover(&mover, argv[1], argv[2]);
        while (true)
                turn(&mover);
}
