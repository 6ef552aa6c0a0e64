/* SPDX-License-Identifier: MIT */
/*
 * One table of paths; each has a function that writes its text from the counters and the view of this moment.
 * What is not there may be a file of the dashboard. Nothing of a request is used but its method and its path:
 * no Host header, no query, no body. libmicrohttpd serves all from one thread of its own.
 *
 * At its limit of connections libmicrohttpd accepts no more. The crowd keeps their number well below, so
 * that those who connect and say nothing cannot keep a health check out. Where cores are short the thread
 * gives way to the lanes, so that whoever asks, however often, takes little from routing.
 *
 * The listening socket is ours, since libmicrohttpd only says "failed", and an operator must know whether the
 * port is taken or the address is not of this machine.
 */
#include "router/http.h"
#include "conf/trouble.h"
#include "router/crowd.h"
#include "router/metrics.h"
#include "router/report.h"
#include "router/web.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CONNECTIONS_MAX = 256, /* CROWD_MAX and those that are just leaving */
        CONNECTION_BYTES = 16 << 10,
        BACKLOG = 1024,
        IDLE_TIMEOUT_S = 5,
        PATH_MAX_BYTES = 256,
        NICENESS = 10 /* a tenth of what a lane gets on a core they both want: enough for health checks */
};
G_STATIC_ASSERT((int)CONNECTIONS_MAX > (int)CROWD_MAX);

/* No inline script or style, nothing from elsewhere, in nobody's frame. */
static const char PAGE_POLICY[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
static const char DATA_POLICY[] = "default-src 'none'; frame-ancestors 'none'";

static const char JSON_TYPE[] = "application/json";
static const char TEXT_TYPE[] = "text/plain; charset=utf-8";
static const char METRICS_TYPE[] = "text/plain; version=0.0.4; charset=utf-8";

struct Http {
        Stats *stats;
        Registry *registry;
        Recorder *recorder;
        Crowd *crowd;
        bool nice; /* its thread gives way to others; of that thread only */
        struct MHD_Daemon *daemon;
};

typedef struct {
        unsigned status;
        const char *type;
        char *body; /* the answer's owner passes it on to libmicrohttpd; NULL: it is a file */
        const WebFile *file;
} Answer;

/* --- answers --- */

static Answer
of_text(unsigned status, const char *type, char *body)
{
        return (Answer){.status = status, .type = type, .body = body};
}

static Answer
answer_health(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, TEXT_TYPE, g_strdup("ok\n"));
}

static Answer
answer_ready(const Http *http, const ReportInput *input)
{
        bool ready = false;
        char *body = report_readiness(input, &ready);

        return of_text(ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, JSON_TYPE, body);
}

static Answer
answer_metrics(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, METRICS_TYPE, metrics_text(input));
}

static Answer
answer_stats(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, JSON_TYPE, report_stats(input));
}

static Answer
answer_status(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, JSON_TYPE, report_status(input));
}

static Answer
answer_routes(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, JSON_TYPE, report_routes(input));
}

static Answer
answer_clusters(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, JSON_TYPE, report_clusters(input));
}

static Answer
answer_config(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, JSON_TYPE, report_config(input));
}

static Answer
answer_history(const Http *http, const ReportInput *input)
{
        return of_text(MHD_HTTP_OK, JSON_TYPE, recorder_report(http->recorder));
}

static const struct {
        const char *path;
        Answer (*answer)(const Http *http, const ReportInput *input);
} pages[] = {
    {"/healthz", answer_health},           {"/readyz", answer_ready},
    {"/metrics", answer_metrics},          {"/api/v1/stats", answer_stats},
    {"/api/v1/status", answer_status},     {"/api/v1/routes", answer_routes},
    {"/api/v1/clusters", answer_clusters}, {"/api/v1/history", answer_history},
    {"/api/v1/config", answer_config},
};

static Answer
answer_error(unsigned status, const char *error)
{
        return of_text(status, JSON_TYPE, g_strdup_printf("{\"error\":\"%s\"}\n", error));
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
                return pages[i].answer(http, &input);
        }

        const WebFile *file = web_find(path);
        if (file)
                return (Answer){.status = MHD_HTTP_OK, .type = file->type, .file = file};
        return answer_error(MHD_HTTP_NOT_FOUND, "no such page");
}

/* --- requests --- */

static enum MHD_Result
send_answer(struct MHD_Connection *connection, Answer answer)
{
        struct MHD_Response *response =
            answer.file
                ? MHD_create_response_from_buffer(answer.file->size, (void *)answer.file->bytes,
                                                  MHD_RESPMEM_PERSISTENT)
                : MHD_create_response_from_buffer(strlen(answer.body), answer.body, MHD_RESPMEM_MUST_COPY);

        g_free(answer.body);
        if (response == NULL)
                return MHD_NO;
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(response, "X-Frame-Options", "DENY");
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
        MHD_add_response_header(response, "Content-Security-Policy", answer.file ? PAGE_POLICY : DATA_POLICY);
        if (answer.status >= 400 && answer.status < 500) /* who asks nonsense need not stay */
                MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
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

static void
notice_request(void *user_data, struct MHD_Connection *connection, void **request,
               enum MHD_RequestTerminationCode how)
{
        Http *http = user_data;
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        if (info && info->socket_context && how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
                crowd_speak(http->crowd, info->socket_context);
}

/* The thread is made by libmicrohttpd, so it can be told only once it calls us. */
static void
give_way(Http *http)
{
        if (http->nice)
                return;
        errno = 0;
        if (nice(NICENESS) == -1 && errno != 0)
                g_info("http: keeps its priority: %s", g_strerror(errno));
        http->nice = true;
}

static void
notice_connection(void *user_data, struct MHD_Connection *connection, void **guest,
                  enum MHD_ConnectionNotificationCode what)
{
        Http *http = user_data;

        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
                const union MHD_ConnectionInfo *info =
                    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

                give_way(http);
                *guest = crowd_enter(http->crowd, info->connect_fd);
        } else if (*guest) {
                crowd_leave(http->crowd, *guest);
                *guest = NULL;
        }
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
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "cannot listen on %s: %s; set listen in [http]",
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

        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "cannot listen on %s port %u: %s: %s",
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

static struct MHD_Daemon *
start_daemon(Http *http, int listener)
{
        return MHD_start_daemon(
            MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, listener,
            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
            (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, notice_request, http,
            MHD_OPTION_NOTIFY_CONNECTION, notice_connection, http, MHD_OPTION_END);
}

Http *
http_new(const Conf *conf, Stats *stats, Registry *registry, Recorder *recorder, GError **error)
{
        g_autoptr(Http) http = g_new0(Http, 1);
        int listener = open_listener(conf, error);

        if (listener < 0)
                return NULL;
        http->stats = stats;
        http->registry = registry;
        http->recorder = recorder;
        http->crowd = crowd_new();
        http->daemon = start_daemon(http, listener);
        if (http->daemon)
                return g_steal_pointer(&http);
        close(listener);
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "cannot start the HTTP thread for %s port %u",
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
        crowd_free(http->crowd);
        g_free(http);
}
