/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_proxy.h"

#include "tests/support/fault_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The thread holds the lock except while it polls, so that the other functions simply write down what they
 * want and wake it. A connection that is silenced is not polled: that its ends may be gone is news that would
 * not pass either.
 */

enum { BACKLOG = 64, IDLE_MS = 1000 };

typedef struct {
        int client;
        int server;
        FaultStream up;
        FaultStream down;
        bool silent;
} Connection;

struct FaultProxy {
        char *url;
        struct sockaddr_in server;
        int listener;
        int wake_fd;
        GThread *thread;
        GRand *random;
        GMutex lock; /* guards what follows */
        GCond done;
        GPtrArray *connections; /* of Connection * */
        bool stop;
        bool refuse;
        FaultAction end; /* to be done to all; FAULT_NOTHING: done */
        unsigned silent; /* FaultDirection, or 0 */
        FaultShape shape;
        FaultArmed armed;
        bool fired;
};

/* ---- connections ---- */

static void
close_socket(int fd, FaultAction action)
{
        struct linger at_once = {.l_onoff = 1};
        char rest[4096];

        if (action == FAULT_CUT)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        else /* what is unread would turn the end into a reset */
                while (recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
                        ;
        close(fd);
}

static void
end_connection(FaultProxy *proxy, Connection *connection, FaultAction action)
{
        close_socket(connection->client, action);
        close_socket(connection->server, action);
        fault_stream_clear(&connection->up);
        fault_stream_clear(&connection->down);
        g_ptr_array_remove_fast(proxy->connections, connection);
        g_free(connection);
}

static void
end_all(FaultProxy *proxy, FaultAction action)
{
        while (proxy->connections->len > 0)
                end_connection(proxy, g_ptr_array_index(proxy->connections, 0), action);
}

static void
accept_client(FaultProxy *proxy)
{
        int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int on = 1;
        Connection *connection = NULL;

        if (client < 0 || server < 0)
                g_error("fault proxy: no more sockets: %s", g_strerror(errno));
        if (proxy->refuse || connect(server, (struct sockaddr *)&proxy->server, sizeof proxy->server) != 0) {
                close_socket(client, FAULT_CUT);
                close(server);
                return;
        }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection = g_new0(Connection, 1);
        connection->client = client;
        connection->server = server;
        fault_stream_init(&connection->up, client, server, FAULT_UP);
        fault_stream_init(&connection->down, server, client, FAULT_DOWN);
        g_ptr_array_add(proxy->connections, connection);
}

/* ---- the turn ---- */

static bool
is_silent(const FaultProxy *proxy, const Connection *connection, const FaultStream *stream)
{
        return connection->silent || (proxy->silent & stream->direction);
}

static void
step_stream(FaultProxy *proxy, Connection *connection, FaultStream *stream, int64_t now_us)
{
        if (is_silent(proxy, connection, stream))
                return;
        fault_stream_read(stream, &proxy->shape, proxy->random, now_us);
        fault_stream_write(stream, &proxy->shape, &proxy->armed, now_us);
}

static bool
has_ended(const FaultProxy *proxy, const Connection *connection, const FaultStream *stream)
{
        return !is_silent(proxy, connection, stream) &&
               (stream->broken || (stream->ended && fault_stream_is_empty(stream)));
}

/* Everything before the place of the trigger has passed: now it acts. */
static void
fire(FaultProxy *proxy, Connection *connection)
{
        FaultAction action = proxy->armed.what.action;

        proxy->armed = (FaultArmed){0};
        proxy->fired = true;
        g_cond_broadcast(&proxy->done);
        if (action == FAULT_SILENCE)
                connection->silent = true;
        else
                end_connection(proxy, connection, action);
}

static void
step(FaultProxy *proxy, Connection *connection, int64_t now_us)
{
        FaultStream *streams[] = {&connection->up, &connection->down};

        for (unsigned i = 0; i < G_N_ELEMENTS(streams); i++) {
                step_stream(proxy, connection, streams[i], now_us);
                if (!connection->silent && fault_stream_has_stopped(streams[i])) {
                        fire(proxy, connection);
                        return;
                }
        }
        for (unsigned i = 0; i < G_N_ELEMENTS(streams); i++) {
                if (has_ended(proxy, connection, streams[i])) {
                        end_connection(proxy, connection, streams[i]->broken ? FAULT_CUT : FAULT_CLOSE);
                        return;
                }
        }
}

static void
turn(FaultProxy *proxy)
{
        int64_t now_us = g_get_monotonic_time();

        if (proxy->end != FAULT_NOTHING) {
                end_all(proxy, proxy->end);
                proxy->end = FAULT_NOTHING;
                g_cond_broadcast(&proxy->done);
        }
        for (unsigned i = proxy->connections->len; i-- > 0;)
                step(proxy, g_ptr_array_index(proxy->connections, i), now_us);
}

/* ---- waiting ---- */

static void
add_poll(GArray *sockets, int fd, bool in, bool out)
{
        struct pollfd entry = {.fd = in || out ? fd : -1,
                               .events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0))};

        g_array_append_val(sockets, entry);
}

/* What is overdue waits for a socket, not for time. */
static int64_t
earlier(int64_t due_us, int64_t other_us, int64_t now_us)
{
        return other_us > now_us ? MIN(due_us, other_us) : due_us;
}

/* Fills in what to wait for; returns until when. */
static int64_t
watch(const FaultProxy *proxy, GArray *sockets, int64_t now_us)
{
        int64_t due_us = now_us + IDLE_MS * 1000;

        g_array_set_size(sockets, 0);
        add_poll(sockets, proxy->wake_fd, true, false);
        add_poll(sockets, proxy->listener, true, false);
        for (unsigned i = 0; i < proxy->connections->len; i++) {
                const Connection *connection = g_ptr_array_index(proxy->connections, i);
                const FaultStream *up = &connection->up, *down = &connection->down;
                bool up_on = !is_silent(proxy, connection, up), down_on = !is_silent(proxy, connection, down);

                add_poll(sockets, connection->client, up_on && fault_stream_wants_input(up),
                         down_on && fault_stream_wants_output(down, now_us));
                add_poll(sockets, connection->server, down_on && fault_stream_wants_input(down),
                         up_on && fault_stream_wants_output(up, now_us));
                if (up_on)
                        due_us = earlier(due_us, fault_stream_due_us(up, now_us), now_us);
                if (down_on)
                        due_us = earlier(due_us, fault_stream_due_us(down, now_us), now_us);
        }
        return due_us;
}

static void *
run(void *data)
{
        FaultProxy *proxy = data;
        g_autoptr(GArray) sockets = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
        uint64_t woken;

        g_mutex_lock(&proxy->lock);
        while (!proxy->stop) {
                int64_t now_us = g_get_monotonic_time();
                int64_t due_us = watch(proxy, sockets, now_us);
                const struct pollfd *entries = (const struct pollfd *)sockets->data;

                g_mutex_unlock(&proxy->lock);
                poll((struct pollfd *)sockets->data, sockets->len, (int)((due_us - now_us + 999) / 1000));
                if ((entries[0].revents & POLLIN) &&
                    read(proxy->wake_fd, &woken, sizeof woken) != sizeof woken)
                        g_error("fault proxy: %s", g_strerror(errno));
                g_mutex_lock(&proxy->lock);
                if (entries[1].revents & POLLIN)
                        accept_client(proxy);
                turn(proxy);
        }
        end_all(proxy, FAULT_CUT);
        g_mutex_unlock(&proxy->lock);
        return NULL;
}

/* ---- for the test ---- */

static char *
listen_for(FaultProxy *proxy, const char *url)
{
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof own;
        g_autoptr(GRegex) address = g_regex_new("([0-9.]+):([0-9]+)(?=/|$)", 0, 0, NULL);
        g_autoptr(GMatchInfo) match = NULL;
        g_autofree char *host = NULL, *port = NULL, *replacement = NULL;

        if (!g_regex_match(address, url, 0, &match))
                g_error("fault proxy: no address in %s", url);
        host = g_match_info_fetch(match, 1);
        port = g_match_info_fetch(match, 2);
        proxy->server = (struct sockaddr_in){.sin_family = AF_INET,
                                             .sin_port = htons((uint16_t)g_ascii_strtoull(port, NULL, 10)),
                                             .sin_addr.s_addr = inet_addr(host)};
        proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (proxy->listener < 0 || bind(proxy->listener, (struct sockaddr *)&own, sizeof own) != 0 ||
            listen(proxy->listener, BACKLOG) != 0 ||
            getsockname(proxy->listener, (struct sockaddr *)&own, &length) != 0)
                g_error("fault proxy: cannot listen: %s", g_strerror(errno));
        replacement = g_strdup_printf("127.0.0.1:%u", ntohs(own.sin_port));
        return g_regex_replace_literal(address, url, -1, 0, replacement, 0, NULL);
}

FaultProxy *
fault_proxy_new(const char *url)
{
        FaultProxy *proxy = g_new0(FaultProxy, 1);

        proxy->url = listen_for(proxy, url);
        proxy->wake_fd = eventfd(0, EFD_CLOEXEC);
        proxy->random = g_rand_new();
        proxy->connections = g_ptr_array_new();
        g_mutex_init(&proxy->lock);
        g_cond_init(&proxy->done);
        proxy->thread = g_thread_new("fault-proxy", run, proxy);
        return proxy;
}

static void
wake(FaultProxy *proxy)
{
        static const uint64_t one = 1;

        if (write(proxy->wake_fd, &one, sizeof one) != sizeof one)
                g_error("fault proxy: %s", g_strerror(errno));
}

void
fault_proxy_free(FaultProxy *proxy)
{
        if (proxy == NULL)
                return;
        g_mutex_lock(&proxy->lock);
        proxy->stop = true;
        g_mutex_unlock(&proxy->lock);
        wake(proxy);
        g_thread_join(proxy->thread);
        close(proxy->listener);
        close(proxy->wake_fd);
        g_ptr_array_unref(proxy->connections);
        g_rand_free(proxy->random);
        g_cond_clear(&proxy->done);
        g_mutex_clear(&proxy->lock);
        g_free(proxy->url);
        g_free(proxy);
}

const char *
fault_proxy_url(const FaultProxy *proxy)
{
        return proxy->url;
}

void
fault_proxy_end(FaultProxy *proxy, FaultAction action)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);

        proxy->end = action;
        wake(proxy);
        while (proxy->end != FAULT_NOTHING)
                g_cond_wait(&proxy->done, &proxy->lock);
}

void
fault_proxy_refuse(FaultProxy *proxy)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);

        proxy->refuse = true;
}

void
fault_proxy_silence(FaultProxy *proxy, FaultDirection direction)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);

        proxy->silent = direction;
        wake(proxy);
}

void
fault_proxy_shape(FaultProxy *proxy, const FaultShape *shape)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);

        proxy->shape = *shape;
        wake(proxy);
}

void
fault_proxy_arm(FaultProxy *proxy, const FaultTrigger *trigger)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);

        proxy->armed = (FaultArmed){.what = *trigger};
        proxy->fired = false;
}

bool
fault_proxy_wait_fired(FaultProxy *proxy, int64_t deadline_ms)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);
        int64_t end_us = g_get_monotonic_time() + deadline_ms * 1000;

        while (!proxy->fired) {
                if (!g_cond_wait_until(&proxy->done, &proxy->lock, end_us))
                        break;
        }
        return proxy->fired;
}

static void
resume(Connection *connection)
{
        connection->silent = connection->up.stopped = connection->down.stopped = false;
        connection->up.stop_in = connection->down.stop_in = UINT64_MAX;
}

void
fault_proxy_heal(FaultProxy *proxy)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);

        proxy->refuse = false;
        proxy->silent = 0;
        proxy->shape = (FaultShape){0};
        proxy->armed = (FaultArmed){0};
        for (unsigned i = 0; i < proxy->connections->len; i++)
                resume(g_ptr_array_index(proxy->connections, i));
        wake(proxy);
}

unsigned
fault_proxy_connections(FaultProxy *proxy)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&proxy->lock);

        return proxy->connections->len;
}
