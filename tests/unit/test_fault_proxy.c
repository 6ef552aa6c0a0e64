/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_proxy.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The broken network breaks where it is told to, and only there. */

enum { DEADLINE_MS = 5000, QUIET_MS = 60 };

typedef struct {
        FaultProxy *proxy;
        int listener;
        int client;
        int server;
} Line;

static struct sockaddr_in
loopback(uint16_t port)
{
        return (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
connect_to(const char *url)
{
        struct sockaddr_in address = loopback((uint16_t)g_ascii_strtoull(strrchr(url, ':') + 1, NULL, 10));
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        g_assert_no_errno(connect(fd, (struct sockaddr *)&address, sizeof address));
        return fd;
}

static void
line_init(Line *line)
{
        struct sockaddr_in address = loopback(0);
        socklen_t length = sizeof address;
        g_autofree char *url = NULL;

        line->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_no_errno(bind(line->listener, (struct sockaddr *)&address, sizeof address));
        g_assert_no_errno(listen(line->listener, 8));
        g_assert_no_errno(getsockname(line->listener, (struct sockaddr *)&address, &length));
        url = g_strdup_printf("redis://127.0.0.1:%u", ntohs(address.sin_port));
        line->proxy = fault_proxy_new(url);
        line->client = connect_to(fault_proxy_url(line->proxy));
        line->server = accept(line->listener, NULL, NULL);
}

static void
line_clear(Line *line)
{
        fault_proxy_free(line->proxy);
        close(line->client);
        close(line->server);
        close(line->listener);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Line, line_clear)

static void
give(int fd, const void *bytes, size_t count)
{
        g_assert_cmpint(send(fd, bytes, count, MSG_NOSIGNAL), ==, (ssize_t)count);
}

static bool
has_news(int fd, int timeout_ms)
{
        struct pollfd entry = {.fd = fd, .events = POLLIN};

        return poll(&entry, 1, timeout_ms) == 1;
}

/* All that arrives until nothing does, the end comes, or @wanted bytes are there. */
static size_t
take(int fd, void *out_bytes, size_t wanted)
{
        size_t got = 0;

        while (got < wanted && has_news(fd, DEADLINE_MS)) {
                ssize_t count = recv(fd, (char *)out_bytes + got, wanted - got, 0);

                if (count <= 0)
                        break;
                got += (size_t)count;
        }
        return got;
}

static void
expect(int fd, const char *text)
{
        char got[256] = "";

        g_assert_cmpuint(take(fd, got, strlen(text)), ==, strlen(text));
        g_assert_cmpstr(got, ==, text);
}

/* 0 for FIN, an errno for a reset. */
static int
ending(int fd)
{
        char byte;

        g_assert_true(has_news(fd, DEADLINE_MS));
        return recv(fd, &byte, 1, 0) == 0 ? 0 : errno;
}

/* ---- bytes ---- */

static void
test_passes_both_ways(void)
{
        g_auto(Line) line;

        line_init(&line);
        give(line.client, "PING", 4);
        expect(line.server, "PING");
        give(line.server, "+PONG", 5);
        expect(line.client, "+PONG");
        g_assert_cmpuint(fault_proxy_connections(line.proxy), ==, 1);
        shutdown(line.client, SHUT_WR);
        g_assert_cmpint(ending(line.server), ==, 0);
}

static void
test_cut_is_a_reset_and_close_is_not(void)
{
        g_auto(Line) line;
        int second;

        line_init(&line);
        fault_proxy_end(line.proxy, FAULT_CUT);
        g_assert_cmpuint(fault_proxy_connections(line.proxy), ==, 0);
        g_assert_cmpint(ending(line.client), ==, ECONNRESET);
        g_assert_cmpint(ending(line.server), ==, ECONNRESET);
        second = connect_to(fault_proxy_url(line.proxy));
        close(accept(line.listener, NULL, NULL));
        g_assert_cmpint(ending(second), ==, 0);
        close(second);
        second = connect_to(fault_proxy_url(line.proxy));
        close(line.server);
        line.server = accept(line.listener, NULL, NULL);
        fault_proxy_end(line.proxy, FAULT_CLOSE);
        g_assert_cmpint(ending(second), ==, 0);
        g_assert_cmpint(ending(line.server), ==, 0);
        close(second);
}

static void
test_refuses_new_connections_only(void)
{
        g_auto(Line) line;
        int second;

        line_init(&line);
        fault_proxy_refuse(line.proxy);
        second = connect_to(fault_proxy_url(line.proxy));
        g_assert_cmpint(ending(second), ==, ECONNRESET);
        close(second);
        give(line.client, "still here", 10);
        expect(line.server, "still here");
}

static void
test_silence_holds_one_way_until_healed(void)
{
        g_auto(Line) line;

        line_init(&line);
        fault_proxy_silence(line.proxy, FAULT_UP);
        give(line.client, "held", 4);
        give(line.server, "+passes", 7);
        expect(line.client, "+passes");
        g_assert_false(has_news(line.server, QUIET_MS));
        fault_proxy_silence(line.proxy, FAULT_BOTH);
        give(line.server, "+too", 4);
        g_assert_false(has_news(line.client, QUIET_MS));
        shutdown(line.client, SHUT_WR);
        fault_proxy_heal(line.proxy);
        expect(line.client, "+too");
        expect(line.server, "held");
        g_assert_cmpint(ending(line.server), ==, 0);
}

static void
test_delays_slices_and_limits(void)
{
        static const FaultShape late = {.delay_ms = 50, .jitter_ms = 30, .slice_bytes = 1};
        static const FaultShape narrow = {.bytes_per_s = 1000};
        g_auto(Line) line;
        int64_t began_us;

        line_init(&line);
        fault_proxy_shape(line.proxy, &late);
        began_us = g_get_monotonic_time();
        give(line.client, "one by one, and in order", 24);
        give(line.client, " all of them", 12);
        expect(line.server, "one by one, and in order all of them");
        g_assert_cmpint(g_get_monotonic_time() - began_us, >=, 50 * 1000);
        fault_proxy_shape(line.proxy, &narrow);
        began_us = g_get_monotonic_time();
        give(line.server,
             "+two hundred bytes take a fifth of a second if a thousand fit in one. "
             "+two hundred bytes take a fifth of a second if a thousand fit in one. "
             "+two hundred bytes take a fifth of a second if a thousand fit.",
             200);
        g_assert_cmpuint(take(line.client, (char[200]){0}, 200), ==, 200);
        g_assert_cmpint(g_get_monotonic_time() - began_us, >=, 150 * 1000);
}

static void
test_stops_after_so_many_bytes(void)
{
        static const FaultTrigger trigger = {FAULT_UP, FAULT_BYTES, 7, FAULT_AFTER, FAULT_SILENCE};
        g_auto(Line) line;

        line_init(&line);
        fault_proxy_arm(line.proxy, &trigger);
        give(line.client, "12345", 5);
        expect(line.server, "12345");
        g_assert_false(fault_proxy_wait_fired(line.proxy, 20));
        give(line.client, "6789", 4);
        expect(line.server, "67");
        g_assert_true(fault_proxy_wait_fired(line.proxy, DEADLINE_MS));
        g_assert_false(has_news(line.server, QUIET_MS));
        fault_proxy_heal(line.proxy);
        expect(line.server, "89");
}

/* ---- frames ---- */

static size_t
append_frame(guint8 *at, guint8 type, uint32_t method, guint8 fill, size_t payload)
{
        guint32 size = GUINT32_TO_BE((guint32)payload), number = GUINT32_TO_BE(method);

        at[0] = type;
        at[1] = 0;
        at[2] = 1;
        memcpy(at + 3, &size, sizeof size);
        memset(at + 7, fill, payload);
        if (type == 1)
                memcpy(at + 7, &number, sizeof number);
        at[7 + payload] = 0xce;
        return payload + 8;
}

/* The preamble, and @count messages of method (20), header (30) and body (40): 114 bytes each. */
static size_t
make_publishes(guint8 *out, unsigned count)
{
        static const guint8 preamble[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
        size_t length = sizeof(preamble);

        memcpy(out, preamble, sizeof(preamble));
        for (unsigned i = 0; i < count; i++) {
                length += append_frame(out + length, 1, AMQP_BASIC_PUBLISH_METHOD, 0, 20);
                length += append_frame(out + length, 2, 0, 'h', 30);
                length += append_frame(out + length, 3, 0, 'b', 40);
        }
        return length;
}

static void
test_stops_at_the_frame(const void *data)
{
        static const struct {
                FaultTrigger trigger;
                size_t expected;
        } cases[] = {
            {{FAULT_UP, AMQP_BASIC_PUBLISH_METHOD, 2, FAULT_BEFORE, FAULT_CUT}, 8 + 114},
            {{FAULT_UP, AMQP_BASIC_PUBLISH_METHOD, 2, FAULT_AFTER, FAULT_CUT}, 8 + 114 + 28},
            {{FAULT_UP, FAULT_HEADER, 1, FAULT_MIDDLE, FAULT_CUT}, 8 + 28 + 19},
            {{FAULT_BOTH, FAULT_BODY, 3, FAULT_MIDDLE, FAULT_CLOSE}, 8 + 2 * 114 + 66 + 24},
            {{FAULT_UP, FAULT_BODY, 3, FAULT_AFTER, FAULT_CUT}, 8 + 3 * 114},
            {{FAULT_DOWN, FAULT_BODY, 1, FAULT_AFTER, FAULT_CUT}, 8 + 3 * 114}, /* not in that direction */
        };

        for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
                const FaultTrigger *trigger = &cases[i].trigger;
                guint8 sent[1024], got[1024];
                size_t length = make_publishes(sent, 3);
                bool fires = trigger->direction != FAULT_DOWN;
                g_auto(Line) line;

                line_init(&line);
                fault_proxy_shape(line.proxy, data);
                fault_proxy_arm(line.proxy, trigger);
                give(line.client, sent, length);
                g_assert_cmpuint(take(line.server, got, cases[i].expected), ==, cases[i].expected);
                g_assert_cmpmem(got, cases[i].expected, sent, cases[i].expected);
                g_assert_true(fault_proxy_wait_fired(line.proxy, fires ? DEADLINE_MS : QUIET_MS) == fires);
                if (fires)
                        g_assert_cmpint(ending(line.server), ==,
                                        trigger->action == FAULT_CUT ? ECONNRESET : 0);
        }
}

int
main(int argc, char **argv)
{
        static const FaultShape whole = {0}, sliced = {.slice_bytes = 1};

        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/fault-proxy/passes-both-ways", test_passes_both_ways);
        g_test_add_func("/fault-proxy/cut-is-a-reset-and-close-is-not", test_cut_is_a_reset_and_close_is_not);
        g_test_add_func("/fault-proxy/refuses-new-connections-only", test_refuses_new_connections_only);
        g_test_add_func("/fault-proxy/silence-holds-one-way-until-healed",
                        test_silence_holds_one_way_until_healed);
        g_test_add_func("/fault-proxy/delays-slices-and-limits", test_delays_slices_and_limits);
        g_test_add_func("/fault-proxy/stops-after-so-many-bytes", test_stops_after_so_many_bytes);
        g_test_add_data_func("/fault-proxy/stops-at-the-frame", &whole, test_stops_at_the_frame);
        g_test_add_data_func("/fault-proxy/stops-at-the-frame-in-slices", &sliced, test_stops_at_the_frame);
        return g_test_run();
}
