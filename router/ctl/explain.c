/* SPDX-License-Identifier: MIT */
/*
 * A message comes from a file, from stdin, or out of a queue, where it is only looked at.
 */
#include "router/ctl/broker.h"
#include "router/ctl/config.h"
#include "router/ctl/explanation.h"
#include "router/ctl/message_file.h"
#include "router/ctl/nouns.h"
#include "router/ctl/picture.h"
#include "router/ctl/print.h"
#include "router/topology.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const kind_words[] = {[ENVELOPE_NO_CLUSTER] = "no_cluster",
                                         [ENVELOPE_CLUSTER] = "cluster",
                                         [ENVELOPE_UNKNOWN] = "unknown_cluster",
                                         [ENVELOPE_BAD] = "bad_message"};
static const char *const answer_words[] = {[SOURCE_SAYS_NOTHING] = "nothing",
                                           [SOURCE_SAYS_KNOWN] = "known",
                                           [SOURCE_SAYS_UNKNOWN] = "unknown",
                                           [SOURCE_SAYS_BAD] = "bad"};

/* What is explained, and with what. */
typedef struct {
        const Options *options;
        const Conf *conf;
        const ConfRoute *route;
        const Picture *picture;
} Question;

/* ---- JSON ---- */

static json_t *
names_json(const GPtrArray *names)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < names->len; i++)
                json_array_append_new(list, print_string(names->pdata[i]));
        return list;
}

static json_t *
sources_json(const Explanation *explanation)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < explanation->sources->len; i++) {
                const ExplainedSource *source = &g_array_index(explanation->sources, ExplainedSource, i);
                const char *says = source->asked ? answer_words[source->says] : "not_asked";

                json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o}", "source",
                                                      print_string(source->source), "says", says, "value",
                                                      print_string(source->value), "why",
                                                      print_string(source->why)));
        }
        return list;
}

/* The cluster that the message is about: the one decided for, else the one it names. */
static const ViewCluster *
cluster_of(const Explanation *explanation)
{
        const ViewCluster *named = explanation->envelope.cluster;

        return explanation->decision.cluster ? explanation->decision.cluster : named;
}

static json_t *
cluster_state_json(const ViewCluster *cluster)
{
        json_t *hosts = NULL;

        if (cluster == NULL)
                return json_null();
        hosts = json_array();
        for (unsigned i = 0; i < cluster->usable->len; i++)
                json_array_append_new(hosts, print_string(((ViewHost *)cluster->usable->pdata[i])->name));
        return json_pack("{s:b, s:b, s:o, s:o, s:i}", "usable", view_cluster_is_usable(cluster), "drained",
                         cluster->drained, "drain_reason",
                         print_string(cluster->drained ? cluster->drain_reason : NULL), "usable_hosts", hosts,
                         "hosts_total", (int)cluster->hosts->len);
}

static json_t *
explanation_json(const Question *question, const Explanation *explanation)
{
        const ViewCluster *cluster = cluster_of(explanation);
        g_autofree char *broker = explanation->broker ? conf_mask_url(explanation->broker) : NULL;
        const char *flow =
            cluster ? picture_flow(question->picture, cluster->name, question->route->name) : NULL;
        json_t *view = json_pack("{s:s, s:b, s:f, s:b}", "origin", question->picture->origin, "from_router",
                                 question->picture->from_router, "age_s", question->picture->age_s,
                                 "single_cluster", question->picture->view->single);
        json_t *document = json_object();

        json_object_set_new(document, "route", print_string(question->route->name));
        json_object_set_new(document, "sources", sources_json(explanation));
        json_object_set_new(document, "kind", json_string(kind_words[explanation->envelope.kind]));
        json_object_set_new(document, "call", json_boolean(explanation->envelope.is_call));
        json_object_set_new(document, "cluster", print_string(cluster ? cluster->name : NULL));
        json_object_set_new(document, "cluster_state", cluster_state_json(cluster));
        json_object_set_new(document, "view", view);
        json_object_set_new(document, "flow", print_string(flow));
        json_object_set_new(document, "policy", print_string(explanation->policy));
        json_object_set_new(document, "decision", json_string(explanation->outcome));
        json_object_set_new(document, "broker", print_string(broker));
        json_object_set_new(document, "exchange", print_string(explanation->exchange));
        json_object_set_new(document, "key", print_string(explanation->key));
        json_object_set(document, "headers", explanation->headers);
        json_object_set_new(document, "headers_added", names_json(explanation->added));
        json_object_set_new(document, "headers_removed", names_json(explanation->removed));
        json_object_set_new(document, "reason", json_string(reason_code(explanation->reason)));
        return document;
}

/* ---- for people ---- */

static void
print_sources(const Explanation *explanation)
{
        g_autoptr(Table) table = table_new("SOURCE", "SAYS", "VALUE", NULL);

        for (unsigned i = 0; i < explanation->sources->len; i++) {
                const ExplainedSource *source = &g_array_index(explanation->sources, ExplainedSource, i);
                const char *value = source->why ? source->why : source->value ? source->value : "-";

                table_add(table, source->source, source->asked ? answer_words[source->says] : "not asked",
                          value, NULL);
        }
        table_print(table);
        puts("");
}

static void
add_cluster(Table *table, const Question *question, const Explanation *explanation)
{
        const ViewCluster *cluster = cluster_of(explanation);
        const char *flow = NULL;

        if (cluster == NULL) {
                table_add(table, "cluster", question->picture->view->single ? "single-cluster mode" : "none",
                          NULL);
                return;
        }
        g_autofree char *line = g_strdup_printf(
            "%s: %s%s%s, %u of %u hosts usable%s%s", cluster->name,
            cluster->drained                  ? "drained"
            : view_cluster_is_usable(cluster) ? "up"
                                              : "down",
            cluster->drained && cluster->drain_reason ? " because: " : "",
            cluster->drained && cluster->drain_reason ? cluster->drain_reason : "", cluster->usable->len,
            cluster->hosts->len, cluster->usable->len ? ": " : "", cluster->usable_text);

        table_add(table, "cluster", line, NULL);
        flow = picture_flow(question->picture, cluster->name, question->route->name);
        if (flow && strcmp(flow, "open") != 0 && strcmp(explanation->outcome, "deliver") == 0) {
                g_autofree char *queue = topology_parking_queue(question->route, cluster->name);
                g_autofree char *note =
                    g_strdup_printf("%s: first to the back of %s, to keep the order", flow, queue);

                table_add(table, "just now", note, NULL);
        }
}

static void
add_headers(Table *table, const Explanation *explanation)
{
        for (unsigned i = 0; i < explanation->added->len; i++) {
                const char *name = explanation->added->pdata[i];
                g_autofree char *value =
                    json_dumps(json_object_get(explanation->headers, name), JSON_ENCODE_ANY);
                g_autofree char *line = g_strdup_printf("%s = %s", name, value);

                table_add(table, "header added", line, NULL);
        }
        for (unsigned i = 0; i < explanation->removed->len; i++)
                table_add(table, "header removed", (const char *)explanation->removed->pdata[i], NULL);
        if (explanation->is_bare)
                table_add(table, "headers", "too large for any of ours; published alone", NULL);
}

static void
print_explanation(const Question *question, const Explanation *explanation)
{
        const Picture *picture = question->picture;
        g_autoptr(Table) table = table_new("route", question->route->name, NULL);
        g_autofree char *clusters = g_strdup_printf("%s, %.1f s ago", picture->origin, picture->age_s);
        g_autofree char *kind = g_strdup_printf("%s, %s", kind_words[explanation->envelope.kind],
                                                explanation->envelope.is_call ? "call" : "cast");
        g_autofree char *broker = explanation->broker ? conf_mask_url(explanation->broker) : NULL;
        g_autofree char *where =
            g_strdup_printf("exchange \"%s\", key \"%s\"%s%s", explanation->exchange, explanation->key,
                            broker ? " at " : "", broker ? broker : "");
        g_autofree char *reason =
            g_strdup_printf("%s: %s", reason_code(explanation->reason), reason_meaning(explanation->reason));
        const char *but = explanation->spread    ? " (any: the next may get another)"
                          : explanation->in_turn ? " (hosts take turns: the next may get another)"
                                                 : NULL;
        g_autofree char *decision = g_strconcat(explanation->outcome, but, NULL);

        print_sources(explanation);
        table_add(table, "message", kind, NULL);
        table_add(table, "clusters", picture->from_router ? clusters : picture->origin, NULL);
        add_cluster(table, question, explanation);
        table_add(table, "policy", explanation->policy ? explanation->policy : "none needed", NULL);
        table_add(table, "decision", decision, NULL);
        table_add(table, "to", where, NULL);
        add_headers(table, explanation);
        table_add(table, "reason", reason, NULL);
        table_print(table);
}

/* ---- from a file ---- */

static bool
read_all(const char *path, char **out_text, size_t *out_length)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(GString) text = g_string_new(NULL);
        char part[65536];
        ssize_t count;

        if (strcmp(path, "-") != 0) {
                if (g_file_get_contents(path, out_text, out_length, &error))
                        return true;
                command_warn("cannot read the message: %s", error->message);
                return false;
        }
        while ((count = read(STDIN_FILENO, part, sizeof(part))) > 0 || (count < 0 && errno == EINTR))
                g_string_append_len(text, part, MAX(count, 0));
        if (count < 0) {
                command_warn("cannot read the message from stdin: %s", g_strerror(errno));
                return false;
        }
        *out_length = text->len;
        *out_text = g_string_free(g_steal_pointer(&text), FALSE);
        return true;
}

static int
explain_file(const Question *question, const char *path)
{
        g_autofree char *text = NULL;
        g_autoptr(GError) error = NULL;
        size_t length = 0;
        const char *queue = question->route->queue;

        if (!read_all(path, &text, &length))
                return EXIT_DATA;

        Message *message = options_get(question->options, "--body")
                               ? message_file_make(amqp_empty_bytes, bytes_of(queue), NULL,
                                                   (amqp_bytes_t){.len = length, .bytes = text}, &error)
                               : message_file_parse(text, length, queue, &error);

        if (message == NULL)
                return command_fail(EXIT_DATA, "%s: %s; is it a bare body? Then say --body", path,
                                    error->message);

        g_autoptr(Explanation) explanation =
            explanation_new(question->conf, question->route, question->picture->view, message, false, 0);

        if (question->options->json)
                print_json(explanation_json(question, explanation));
        else
                print_explanation(question, explanation);
        return EXIT_DONE;
}

/* ---- out of a queue ---- */

/* Messages of the router's own queues carry where they first came from. */
static bool
is_own_queue(const ConfRoute *route, const char *queue)
{
        g_autofree char *dead = topology_dead_queue(route);
        g_autofree char *parked = topology_parking_queue(route, NULL);

        return strcmp(queue, dead) == 0 || g_str_has_prefix(queue, parked);
}

/* False after saying what failed. */
static bool
peek(Broker *broker, const char *queue, uint64_t count, GPtrArray *messages)
{
        BrokerResult result = BROKER_DONE;

        while (result == BROKER_DONE && messages->len < count) {
                Message *message = NULL;

                result = broker_take(broker, queue, &message);
                if (result == BROKER_DONE)
                        g_ptr_array_add(messages, message);
        }
        if (result != BROKER_FAILED)
                result = broker_give_back(broker);
        if (result == BROKER_FAILED)
                broker_fail(broker);
        return result != BROKER_FAILED;
}

static int
peek_all(const Question *question, const char *queue, uint64_t count, GPtrArray *messages)
{
        g_autoptr(Broker) broker = broker_open(question->conf);

        if (broker == NULL)
                return EXIT_UNAVAILABLE;
        switch (broker_look(broker, queue, NULL, NULL)) {
        case BROKER_DONE:
                break;
        case BROKER_NOTHING:
                return command_fail(EXIT_DATA, "there is no queue \"%s\"", queue);
        case BROKER_FAILED:
                return broker_fail(broker);
        }
        if (!peek(broker, queue, count, messages))
                return EXIT_UNAVAILABLE;
        command_warn(
            "%u messages of \"%s\" were looked at; they are in their place again, marked as redelivered",
            messages->len, queue);
        return EXIT_DONE;
}

static int
explain_queue(const Question *question, const char *queue, uint64_t count)
{
        g_autoptr(GPtrArray) messages = g_ptr_array_new();
        int status = peek_all(question, queue, count, messages);
        bool stored = is_own_queue(question->route, queue);
        json_t *list = json_array();

        for (unsigned i = 0; i < messages->len; i++) {
                g_autoptr(Explanation) explanation = explanation_new(
                    question->conf, question->route, question->picture->view, messages->pdata[i], stored, i);

                if (status == EXIT_DONE && question->options->json)
                        json_array_append_new(list, explanation_json(question, explanation));
                else if (status == EXIT_DONE)
                        printf("%s-- message %u of %s --\n", i ? "\n" : "", i + 1, queue);
                if (status == EXIT_DONE && !question->options->json)
                        print_explanation(question, explanation);
        }
        if (status == EXIT_DONE && question->options->json)
                print_json(json_pack("{s:s, s:O}", "queue", queue, "messages", list));
        json_decref(list);
        return status;
}

/* ---- the command ---- */

static int
explain(const Options *options, char **arguments)
{
        const char *queue = options_get(options, "--queue");
        uint64_t count = 1;

        if ((queue != NULL) == (arguments[0] != NULL))
                return command_fail(EXIT_USAGE, "explain needs either a FILE (or -) or --queue QUEUE");
        if (options_get(options, queue ? "--body" : "--peek"))
                return command_fail(EXIT_USAGE, queue ? "--body goes with a FILE, not with --queue"
                                                      : "--peek goes with --queue, not with a FILE");
        if (!options_get_number(options, "--peek", CONF_UNIT_NONE, "1", "1000", &count))
                return EXIT_USAGE;

        g_autoptr(Conf) conf = config_load(options);
        if (conf == NULL)
                return EXIT_CONFIG;
        const ConfRoute *route = config_route(conf, options);
        if (route == NULL)
                return EXIT_USAGE;
        g_autoptr(Picture) picture = picture_new(conf);
        Question question = {.options = options, .conf = conf, .route = route, .picture = picture};

        int status = queue ? explain_queue(&question, queue, count) : explain_file(&question, arguments[0]);
        return status == EXIT_DONE && !picture->complete ? EXIT_UNAVAILABLE : status;
}

static const CommandOption explain_options[] = {
    {"--route", "ROUTE", "the route that would get the message; may be left out if there is only one"},
    {"--body", NULL, "FILE holds a bare body, sent straight to the route's queue without headers"},
    {"--queue", "QUEUE", "look at messages of that queue on the shared broker"},
    {"--peek", "N", "how many of them; 1 unless said"},
    {0},
};

const Command explain_commands[] = {
    {"explain", NULL, "[FILE]", 0, 1, "Show where a message would go, and why",
     "FILE (\"-\": standard input) holds a message as JSON: {\"exchange\", \"routing_key\", \"properties\":\n"
     "{\"headers\": {...}, \"reply_to\", ...}, \"body\": \"TEXT\"}; any of them may be missing. The answer "
     "comes\n"
     "from the code that routes, with the clusters as the running router knows them; if no router answers,\n"
     "or it runs with another file, clusters are looked up in the file, the catalogue and redis. So\n"
     "--config NEWFILE shows what a new configuration would do. If catalogue or redis cannot be asked, the\n"
     "answer is that of what is known, and the exit status is 69.\n\n"
     "With --queue, messages are taken out and put back at once: they stay in their place, but the broker\n"
     "marks them as redelivered.\n\n"
     "JSON: {\"route\", \"sources\": [{\"source\", \"says\": nothing|known|unknown|bad|not_asked, "
     "\"value\",\n"
     "\"why\"}], \"kind\": cluster|no_cluster|unknown_cluster|bad_message, \"call\", \"cluster\", "
     "\"cluster_state\":\n"
     "{\"usable\", \"drained\", \"drain_reason\", \"usable_hosts\", \"hosts_total\"}, \"view\": "
     "{\"origin\",\n"
     "\"from_router\", \"age_s\", \"single_cluster\"}, \"flow\", \"policy\", \"decision\": "
     "deliver|queue|park|dead|fail,\n"
     "\"broker\", \"exchange\", \"key\", \"headers\", \"headers_added\", \"headers_removed\", \"reason\"}\n"
     "With --queue: {\"queue\", \"messages\": [...]}\n\n"
     "Example: clusterctl explain --route volume message.json\n",
     explain, explain_options},
    {0},
};
