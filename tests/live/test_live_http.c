/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bad company over HTTP: it is refused or shown out, health checks are answered, messages go on. */

enum { CROWD = 3000, SLOW = 400, ANSWER_S = 8, KILOBYTES_64 = 64 * 1024 };

static const char CONF[] = "[east]\ncluster_member_ips = east-node\n"
                           "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                           "destination = queue:{queue}.{cluster}\n";

static Stage *
open_stage(const char *name)
{
        Stage *stage = stage_new(name);

        if (stage)
                stage_run(stage, CONF);
        return stage;
}

/* A connected socket, which gives up reading after ANSWER_S. */
static int
open_socket(const Stage *stage)
{
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(stage->http_port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        const struct timeval patience = {.tv_sec = ANSWER_S};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        g_assert_cmpint(fd, >=, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
                g_error("cannot connect: %s", g_strerror(errno));
        return fd;
}

/* The answer up to its end; aborts the test if the router neither answers nor closes. */
static char *
ask(const Stage *stage, const char *request, size_t length)
{
        GString *answer = g_string_new(NULL);
        int fd = open_socket(stage);
        char bytes[4096];
        ssize_t n = 0;

        for (size_t sent = 0; sent < length && n >= 0; sent += (size_t)MAX(n, 0))
                n = send(fd, request + sent, length - sent, MSG_NOSIGNAL);
        while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
                g_string_append_len(answer, bytes, n);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                g_error("no answer within %d s to: %.80s", ANSWER_S, request);
        close(fd);
        return g_string_free(answer, FALSE);
}

static void
assert_refused(const Stage *stage, const char *request, size_t length)
{
        g_autofree char *answer = ask(stage, request, length);

        g_test_message("%.60s -> %.60s", request, answer);
        bool refused = answer[0] == '\0' || g_str_has_prefix(answer, "HTTP/1.1 4") ||
                       g_str_has_prefix(answer, "HTTP/1.0 4") || g_str_has_prefix(answer, "HTTP/1.1 505");
        if (!refused)
                g_error("not refused: %.80s\nbut: %.200s", request, answer);
}

static void
assert_healthy(Stage *stage)
{
        g_autofree char *body = NULL;

        g_assert_cmpint(stage_get(stage, "/healthz", &body), ==, 200);
        g_assert_cmpstr(body, ==, "ok\n");
        stage_send(stage, "$N", "east", "on we go");
        stage_expect(stage, "$N.east", "on we go");
}

static void
test_odd_requests_are_refused(void)
{
        static const char *const requests[] = {
            "GET /healthz HTTP/1.1\r\n\r\n", /* no Host */
            "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET //healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /app.js/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET http://elsewhere.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
            "PUT /api/v1/stats HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            "get /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n",
        };
        g_autoptr(Stage) stage = open_stage("http-odd");

        if (stage == NULL)
                return;
        for (size_t i = 0; i < G_N_ELEMENTS(requests); i++)
                assert_refused(stage, requests[i], strlen(requests[i]));
        assert_healthy(stage);
}

static void
test_long_requests_are_refused(void)
{
        g_autofree char *fill = g_strnfill(KILOBYTES_64, 'a');
        g_autoptr(Stage) stage = open_stage("http-long");

        if (stage == NULL)
                return;

        g_autofree char *path = g_strdup_printf("GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", fill);
        g_autofree char *method = g_strdup_printf("%s / HTTP/1.1\r\nHost: x\r\n\r\n", fill);
        g_autofree char *header = g_strdup_printf("GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", fill);
        g_autofree char *host = g_strdup_printf("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", fill);

        assert_refused(stage, path, strlen(path));
        assert_refused(stage, method, strlen(method));
        assert_refused(stage, header, strlen(header));
        assert_refused(stage, host, strlen(host));
        assert_refused(stage, fill, KILOBYTES_64);
        assert_healthy(stage);
}

/* What is no request, or none yet, is not waited for. */
static void
test_half_requests_are_closed(void)
{
        static const char *const words[] = {"",
                                            "AMQP",
                                            "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
                                            "GET /",
                                            "GET / HTTP/1.1\r\nHost: x\r\n",
                                            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"};
        int sockets[G_N_ELEMENTS(words)];
        g_autoptr(Stage) stage = open_stage("http-half");
        char byte;

        if (stage == NULL)
                return;
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
                sockets[i] = open_socket(stage);
                g_assert_cmpint(send(sockets[i], words[i], strlen(words[i]), MSG_NOSIGNAL), >=, 0);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
                ssize_t n = recv(sockets[i], &byte, 1, 0);

                if (n < 0 && errno != ECONNRESET)
                        g_error("still open after %d s: %s", ANSWER_S, words[i]);
                close(sockets[i]);
        }
        assert_healthy(stage);
}

/* Room for that many sockets in this process; what it may have at most. */
static unsigned
room_for(unsigned sockets)
{
        struct rlimit limit;

        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = MIN(limit.rlim_max, (rlim_t)sockets + 100);
        setrlimit(RLIMIT_NOFILE, &limit);
        return MIN(sockets, (unsigned)limit.rlim_cur - 100);
}

/* @count connections that say @words and then nothing, and after each hundred a health check. */
static int *
crowd_in(Stage *stage, unsigned count, const char *words)
{
        int *sockets = g_new(int, count);

        for (unsigned i = 0; i < count; i++) {
                sockets[i] = open_socket(stage);
                if (send(sockets[i], words, strlen(words), MSG_NOSIGNAL) < 0)
                        g_test_message("connection %u is closed already", i);
                if (i % 100 == 99)
                        g_assert_cmpint(stage_get(stage, "/healthz", NULL), ==, 200);
        }
        return sockets;
}

static void
crowd_out(int *sockets, unsigned count)
{
        for (unsigned i = 0; i < count; i++)
                close(sockets[i]);
        g_free(sockets);
}

/* Each asks on a connection of its own, and is answered within ANSWER_S. */
static void
assert_told(Stage *stage)
{
        static const char *const paths[] = {"/metrics", "/api/v1/stats", "/api/v1/status", "/"};

        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                g_autofree char *request =
                    g_strdup_printf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", paths[i]);
                g_autofree char *answer = ask(stage, request, strlen(request));

                if (!g_str_has_prefix(answer, "HTTP/1.1 200 "))
                        g_error("%s: %.200s", paths[i], answer);
        }
}

static void
try_crowd(const char *name, unsigned count, const char *words)
{
        g_autoptr(Stage) stage = open_stage(name);

        if (stage == NULL)
                return;

        unsigned sockets = room_for(count);
        int *crowd = crowd_in(stage, sockets, words);

        assert_healthy(stage);
        assert_told(stage);
        g_assert_true(program_is_running(stage->router));
        crowd_out(crowd, sockets);
        assert_healthy(stage);
}

static void
test_thousands_who_say_nothing_keep_nobody_out(void)
{
        try_crowd("http-crowd", CROWD, "");
}

static void
test_slow_requests_keep_nobody_out(void)
{
        try_crowd("http-slow", SLOW, "GET /healthz HTTP/1.1\r\nHost:");
}

/* They ask for the largest file again and again and never read. */
static void
test_slow_readers_keep_nobody_out(void)
{
        g_autoptr(GString) words = g_string_new(NULL);

        for (unsigned i = 0; i < 20; i++)
                g_string_append(words, "GET /dygraph.js HTTP/1.1\r\nHost: x\r\n\r\n");
        try_crowd("http-readers", SLOW, words->str);
}

/* The niceness of the router's thread of that name, 99 if there is none. */
static int
niceness_of(const Stage *stage, const char *name)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/task", program_pid(stage->router));
        g_autoptr(GDir) threads = g_dir_open(path, 0, NULL);
        const char *number;

        while ((number = g_dir_read_name(threads))) {
                g_autofree char *file = g_build_filename(path, number, "stat", NULL);
                g_autofree char *text = NULL;

                if (!g_file_get_contents(file, &text, NULL, NULL))
                        continue;
                g_auto(GStrv) fields = g_strsplit(strrchr(text, ')') + 2, " ", -1);
                *strrchr(text, ')') = '\0';
                if (strcmp(strchr(text, '(') + 1, name) == 0)
                        return atoi(fields[16]); /* the 19th of proc(5), counted behind the name */
        }
        return 99;
}

static void
test_lanes_go_before_whoever_asks(void)
{
        g_autoptr(Stage) stage = open_stage("http-nice");

        if (stage == NULL)
                return;
        assert_healthy(stage);
        g_assert_cmpint(niceness_of(stage, "MHD-single"), ==, MIN(niceness_of(stage, "lane") + 10, 19));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/http/odd_requests_are_refused", test_odd_requests_are_refused);
        g_test_add_func("/http/long_requests_are_refused", test_long_requests_are_refused);
        g_test_add_func("/http/half_requests_are_closed", test_half_requests_are_closed);
        g_test_add_func("/http/thousands_who_say_nothing_keep_nobody_out",
                        test_thousands_who_say_nothing_keep_nobody_out);
        g_test_add_func("/http/slow_requests_keep_nobody_out", test_slow_requests_keep_nobody_out);
        g_test_add_func("/http/slow_readers_keep_nobody_out", test_slow_readers_keep_nobody_out);
        g_test_add_func("/http/lanes_go_before_whoever_asks", test_lanes_go_before_whoever_asks);
        return g_test_run();
}
