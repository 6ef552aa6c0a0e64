/* SPDX-License-Identifier: MIT */
#include "router/control_request.h"

#include "cluster/liveness.h"
#include "conf/name.h"
#include "router/answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX_BYTES = 64 * 1024, SHOWN_CHARACTERS = 80 };

typedef struct {
        Registry *registry;
        const char *only;
        const json_t *message; /* the plain document, or what an oslo envelope holds */
        const json_t *args;    /* or NULL */
        char *refusal;         /* why not, for people; NULL: done */
} Request;

/* Always NULL, so that whoever refuses has no result. */
static json_t *
refuse(Request *request, char *why)
{
        request->refusal = why;
        return NULL;
}

static char *
show(const char *text)
{
        g_autofree char *start = g_utf8_substring(text, 0, MIN(g_utf8_strlen(text, -1), SHOWN_CHARACTERS));

        return g_strescape(start, NULL);
}

/* ---- methods ---- */

static json_t *
get_usable_hosts(Request *request)
{
        const json_t *cluster = json_object_get(request->args, "cluster");
        const char *name = json_string_value(cluster);
        g_autoptr(View) view = registry_get_view(request->registry);

        if (cluster && !json_is_null(cluster) && !name)
                return refuse(request, g_strdup("args.cluster must be a name or null"));
        if (request->only && !name)
                name = request->only;

        g_autoptr(GPtrArray) hosts = liveness_get_usable_hosts(view, name);
        if (!hosts) {
                g_autofree char *shown = show(name);

                return refuse(request, g_strdup_printf("no cluster \"%s\"", shown));
        }
        json_t *result = json_array();
        for (unsigned i = 0; i < hosts->len; i++)
                json_array_append_new(result, json_string(hosts->pdata[i]));
        return result;
}

/* NULL if that host may speak for that cluster, else why not. */
static char *
check_host(const Request *request, const char *cluster, const char *host)
{
        g_autoptr(View) view = registry_get_view(request->registry);

        if (!name_is_cluster(cluster, strlen(cluster)))
                return g_strdup_printf("args.cluster is no name for a cluster: %s",
                                       name_explain_cluster(cluster, strlen(cluster)));
        if (!name_is_host(host, strlen(host)))
                return g_strdup_printf("args.host is no name for a host: %s",
                                       name_explain_host(host, strlen(host)));
        if (request->only && strcmp(request->only, cluster) != 0)
                return g_strdup_printf("this is the broker of cluster %s; cluster %s registers at its own",
                                       request->only, cluster);

        const ViewCluster *known = view_find(view, cluster, strlen(cluster));
        if (!known || strcmp(known->name, cluster) != 0)
                return g_strdup_printf("no cluster \"%s\"; create it with clusterctl cluster create",
                                       cluster);

        const ViewCluster *other = view_find_by_host(view, host, strlen(host));
        if (other && other != known)
                return g_strdup_printf("host %s is a member of cluster %s", host, other->name);
        return NULL;
}

static json_t *
note_host(Request *request, RegistryNote note)
{
        const char *cluster = json_string_value(json_object_get(request->args, "cluster"));
        const char *host = json_string_value(json_object_get(request->args, "host"));

        if (!cluster || !host)
                return refuse(request, g_strdup("args.cluster and args.host must be names"));

        char *why = check_host(request, cluster, host);
        if (why)
                return refuse(request, why);
        if (!registry_note_host(request->registry, note, cluster, host))
                return refuse(request, g_strdup("too many hosts wait to be written to redis; try again"));
        return json_true();
}

static json_t *
note_heartbeat(Request *request)
{
        return note_host(request, REGISTRY_HEARTBEAT);
}

static json_t *
note_goodbye(Request *request)
{
        return note_host(request, REGISTRY_GOODBYE);
}

/* To register is to send the first heartbeat. */
static const struct {
        const char *method;
        json_t *(*serve)(Request *request);
} methods[] = {
    {"get_usable_hosts", get_usable_hosts},
    {"register_host", note_heartbeat},
    {"send_heartbeat", note_heartbeat},
    {"remove_host", note_goodbye},
};

static json_t *
serve(Request *request)
{
        const json_t *args = json_object_get(request->message, "args");
        const char *method = json_string_value(json_object_get(request->message, "method"));

        if (!method)
                return refuse(request, g_strdup("a JSON object with a \"method\" is expected"));
        if (args && !json_is_null(args) && !json_is_object(args))
                return refuse(request, g_strdup("\"args\" must be an object"));
        request->args = args;
        for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
                if (strcmp(method, methods[i].method) == 0)
                        return methods[i].serve(request);
        }
        g_autofree char *shown = show(method);
        return refuse(request, g_strdup_printf("no method \"%s\"; there are get_usable_hosts, register_host, "
                                               "send_heartbeat and remove_host",
                                               shown));
}

/* ---- words ---- */

static json_t *
load(const char *bytes, size_t length)
{
        return length <= BODY_MAX_BYTES ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static char *
plain_body(json_t *result, const char *refusal)
{
        json_t *document = refusal ? json_pack("{s:{s:s}}", "error", "message", refusal)
                                   : json_pack("{s:o}", "result", result);
        char *body = json_dumps(document, JSON_ENSURE_ASCII);

        json_decref(document);
        return body;
}

void
control_answer_clear(ControlAnswer *answer)
{
        free(answer->body);
        g_free(answer->address);
}

ControlAnswer
control_request_serve(Registry *registry, const char *only, amqp_bytes_t body)
{
        json_t *outer = load(body.bytes, body.len);
        const char *text = json_string_value(json_object_get(outer, "oslo.message"));
        json_t *inner = text ? load(text, strlen(text)) : NULL;
        Request request = {.registry = registry, .only = only, .message = text ? inner : outer};
        json_t *result = serve(&request);
        const char *msg_id = json_string_value(json_object_get(inner, "_msg_id"));
        ControlAnswer answer = {.refused = request.refusal != NULL};

        answer.address = g_strdup(json_string_value(json_object_get(inner, "_reply_q")));
        answer.body = text ? answer_oslo_body(msg_id, result, request.refusal ? "ControlRefused" : NULL,
                                              request.refusal)
                           : plain_body(result, request.refusal);
        g_free(request.refusal);
        json_decref(outer);
        json_decref(inner);
        return answer;
}
