/* SPDX-License-Identifier: MIT */
/*
 * One table of paths; each has a function that writes its text from the counters and the view of this moment.
 * Nothing of a request is used but its method and its path: no Host header, no query, no body. libmicrohttpd
 * serves all from one thread of its own.
 *
 * The listening socket is ours, since libmicrohttpd only says "failed", and an operator must know whether the
 * port is taken or the address is not of this machine.
 */
#include "router/http.h"
#include "router/metrics.h"
#include "router/report.h"

#include <errno.h>
#include <gio/gio.h>
#include <microhttpd.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, BACKLOG = 64, IDLE_TIMEOUT_S = 10, PATH_MAX_BYTES = 256 };

static const char JSON_TYPE[] = "application/json";
static const char TEXT_TYPE[] = "text/plain; charset=utf-8";
static const char METRICS_TYPE[] = "text/plain; version=0.0.4; charset=utf-8";

struct Http {
        Stats *stats;
        Registry *registry;
        struct MHD_Daemon *daemon;
};

typedef struct {
        unsigned status;
        const char *type;
        char *body; /* the answer's owner passes it on to libmicrohttpd */
} Answer;

/* --- answers --- */

static Answer
answer_health(const ReportInput *input)
{
        return (Answer){MHD_HTTP_OK, TEXT_TYPE, g_strdup("ok\n")};
}

static Answer
answer_ready(const ReportInput *input)
{
        bool ready = false;
        char *body = report_readiness(input, &ready);

        return (Answer){ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, JSON_TYPE, body};
}

static Answer
answer_metrics(const ReportInput *input)
{
        return (Answer){MHD_HTTP_OK, METRICS_TYPE, metrics_text(input)};
}

static Answer
answer_stats(const ReportInput *input)
{
        return (Answer){MHD_HTTP_OK, JSON_TYPE, report_stats(input)};
}

static Answer
answer_status(const ReportInput *input)
{
        return (Answer){MHD_HTTP_OK, JSON_TYPE, report_status(input)};
}

static Answer
answer_routes(const ReportInput *input)
{
        return (Answer){MHD_HTTP_OK, JSON_TYPE, report_routes(input)};
}

static Answer
answer_clusters(const ReportInput *input)
{
        return (Answer){MHD_HTTP_OK, JSON_TYPE, report_clusters(input)};
}

static const struct {
        const char *path;
        Answer (*answer)(const ReportInput *input);
} pages[] = {
    {"/healthz", answer_health},           {"/readyz", answer_ready},
    {"/metrics", answer_metrics},          {"/api/v1/stats", answer_stats},
    {"/api/v1/status", answer_status},     {"/api/v1/routes", answer_routes},
    {"/api/v1/clusters", answer_clusters},
};

static Answer
answer_error(unsigned status, const char *error)
{
        return (Answer){status, JSON_TYPE, g_strdup_printf("{\"error\":\"%s\"}\n", error)};
}

static Answer
answer_page(const Http *http, const char *path)
{
        for (size_t i = 0; i < G_N_ELEMENTS(pages); i++) {
                if (strcmp(path, pages[i].path) != 0)
                        continue;

                g_autoptr(View) view = registry_get_view(http->registry);
                RegistryStatus registry;
                registry_get_status(http->registry, &registry);
                ReportInput input = {http->stats, view, &registry, g_get_monotonic_time()};
                return pages[i].answer(&input);
        }
        return answer_error(MHD_HTTP_NOT_FOUND, "no such page");
}

/* --- requests --- */

static enum MHD_Result
send_answer(struct MHD_Connection *connection, Answer answer)
{
        struct MHD_Response *response =
            MHD_create_response_from_buffer(strlen(answer.body), answer.body, MHD_RESPMEM_MUST_COPY);

        g_free(answer.body);
        if (response == NULL)
                return MHD_NO;
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(response, "X-Frame-Options", "DENY");
        MHD_add_response_header(response, "Content-Security-Policy", "default-src 'none'");
        if (answer.status == MHD_HTTP_METHOD_NOT_ALLOWED)
                MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");

        enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
        MHD_destroy_response(response);
        return result;
}

/*
 * Called when the headers are read, and again for each part of a body and at its end. An answer at the first
 * call closes the connection, which is right for what we refuse; the others are answered at the end.
 */
static enum MHD_Result
handle(void *user_data, struct MHD_Connection *connection, const char *path, const char *method,
       const char *version, const char *upload, size_t *upload_size, void **request)
{
        static const char seen;

        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
                return send_answer(connection,
                                   answer_error(MHD_HTTP_METHOD_NOT_ALLOWED, "read-only: use GET"));
        if (strlen(path) > PATH_MAX_BYTES)
                return send_answer(connection, answer_error(MHD_HTTP_URI_TOO_LONG, "path too long"));
        if (*request == NULL) {
                *request = (void *)&seen;
                return MHD_YES;
        }
        if (*upload_size > 0) {
                *upload_size = 0; /* a GET needs no body: read past it */
                return MHD_YES;
        }
        return send_answer(connection, answer_page(user_data, path));
}

/* --- life --- */

static struct addrinfo *
resolve(const Conf *conf, GError **error)
{
        struct addrinfo hints = {
            .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        struct addrinfo *found = NULL;
        char port[8];

        g_snprintf(port, sizeof(port), "%u", conf->http_port);
        int failure = getaddrinfo(conf->http_address, port, &hints, &found);
        if (failure == 0)
                return found;
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot listen on %s: %s; set listen in [http]",
                    conf->http_address, gai_strerror(failure));
        return NULL;
}

static void
set_listen_error(GError **error, const Conf *conf, int cause)
{
        const char *remedy =
            cause == EADDRINUSE
                ? "another program has that port; set another listen in [http], or listen = off"
            : cause == EADDRNOTAVAIL ? "no such address on this machine; set listen in [http]"
            : cause == EACCES        ? "ports below 1024 need privileges; set listen in [http]"
                                     : "set another listen in [http]";

        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(cause), "cannot listen on %s port %u: %s: %s",
                    conf->http_address, conf->http_port, g_strerror(cause), remedy);
}

static int
open_listener(const Conf *conf, GError **error)
{
        struct addrinfo *address = resolve(conf, error);
        const int on = 1;

        if (address == NULL)
                return -1;

        int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bool fine = listener >= 0 && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                    bind(listener, address->ai_addr, address->ai_addrlen) == 0 &&
                    listen(listener, BACKLOG) == 0;
        int cause = errno;

        freeaddrinfo(address);
        if (fine)
                return listener;
        set_listen_error(error, conf, cause);
        if (listener >= 0)
                close(listener);
        return -1;
}

Http *
http_new(const Conf *conf, Stats *stats, Registry *registry, GError **error)
{
        g_autoptr(Http) http = g_new0(Http, 1);
        int listener = open_listener(conf, error);

        if (listener < 0)
                return NULL;
        http->stats = stats;
        http->registry = registry;
        http->daemon = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, handle, http,
                                        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
                                        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                        (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_END);
        if (http->daemon)
                return g_steal_pointer(&http);
        close(listener);
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot start the HTTP thread for %s port %u",
                    conf->http_address, conf->http_port);
        return NULL;
}

void
http_free(Http *http)
{
        if (http == NULL)
                return;
        if (http->daemon)
                MHD_stop_daemon(http->daemon);
        g_free(http);
}
