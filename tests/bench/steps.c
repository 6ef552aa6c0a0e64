/* SPDX-License-Identifier: MIT */
#include "tests/bench/steps.h"
#include "router/decide.h"

#include <jansson.h>
#include <string.h>

/* All names have one length, so that one can stand in the place of another. */
#define FIRST "cluster-00000"
#define CAPTURED "east"

enum { HOSTS = 2, FLAT_BYTES = 512, NAME_BYTES = sizeof(FIRST) };

static char *
read_capture(const char *path)
{
        json_error_t error;
        json_t *message = json_load_file(path, 0, &error);
        char *body = g_strdup(json_string_value(json_object_get(message, "body")));

        if (!body)
                g_error("%s: no message with a body", path);
        json_decref(message);
        return body;
}

/* As long as the small messages of the other benchmarks, the name in the middle. */
static char *
make_flat(void)
{
        g_autoptr(GString) body = g_string_new("{\"method\": \"resize\", \"before\": \"");

        while (body->len < FLAT_BYTES / 2)
                g_string_append_c(body, 'b');
        g_string_append(body, "\", \"cluster\": \"" FIRST "\", \"args\": \"");
        while (body->len < FLAT_BYTES - 2)
                g_string_append_c(body, 'a');
        g_string_append(body, "\"}");
        return g_string_free(g_steal_pointer(&body), FALSE);
}

static View *
make_view(const Steps *steps)
{
        unsigned clusters = steps->clusters;
        g_autofree ViewInput *inputs = g_new0(ViewInput, clusters);
        g_autofree ViewHost *hosts = g_new0(ViewHost, HOSTS * (size_t)clusters);
        g_autoptr(GStringChunk) names = g_string_chunk_new(4096);

        for (unsigned i = 0; i < clusters; i++) {
                for (unsigned h = 0; h < HOSTS; h++) {
                        g_autofree char *host = g_strdup_printf("10.%u.%u.%u", h, i / 250, i % 250);

                        hosts[HOSTS * i + h] =
                            (ViewHost){.name = g_string_chunk_insert(names, host), .usable = true};
                }
                inputs[i] = (ViewInput){
                    .name = steps->names + NAME_BYTES * i, .hosts = &hosts[HOSTS * i], .n_hosts = HOSTS};
        }
        return view_new(inputs, clusters, false, NULL);
}

static void
add_source(GPtrArray *sources, ConfSourceKind kind, const char *text)
{
        ConfSource *source = g_new0(ConfSource, 1);

        source->kind = kind;
        source->text = g_strdup(text);
        g_ptr_array_add(sources, source);
}

static void
source_free(void *data)
{
        ConfSource *source = data;

        g_free(source->text);
        g_free(source);
}

static void
name_clusters(Steps *steps, bool captured)
{
        steps->names = g_malloc(NAME_BYTES * (size_t)steps->clusters);
        for (unsigned i = 0; i < steps->clusters; i++)
                g_snprintf(steps->names + NAME_BYTES * i, NAME_BYTES, "cluster-%05u", i);
        if (captured)
                g_strlcpy(steps->names, CAPTURED, NAME_BYTES);
}

void
steps_init(Steps *steps, const char *capture_or_null, unsigned clusters, unsigned named)
{
        *steps = (Steps){.clusters = clusters, .named = named};
        name_clusters(steps, capture_or_null);
        steps->view = make_view(steps);
        steps->route.sources = g_ptr_array_new_with_free_func(source_free);
        if (capture_or_null) {
                steps->body = read_capture(capture_or_null);
                add_source(steps->route.sources, CONF_SOURCE_OSLO,
                           "/args/filter_properties/scheduler_hints/cluster");
        } else {
                steps->body = make_flat();
                steps->place = strstr(steps->body, FIRST);
                add_source(steps->route.sources, CONF_SOURCE_JSON, "/cluster");
        }
        steps->body_bytes = strlen(steps->body);
        steps->reader = envelope_reader_new(&steps->route, false);
}

void
steps_clear(Steps *steps)
{
        envelope_reader_free(steps->reader);
        g_ptr_array_unref(steps->route.sources);
        view_unref(steps->view);
        g_free(steps->body);
        g_free(steps->names);
}

void
steps_take(const Steps *steps, unsigned number)
{
        EnvelopeInput input = {.body = {.bytes = steps->body, .len = steps->body_bytes}};
        Envelope envelope;

        if (steps->place)
                memcpy(steps->place, steps->names + NAME_BYTES * (number % steps->named), NAME_BYTES - 1);

        envelope_read(steps->reader, steps->view, &input, &envelope);

        Decision decision = decide(&envelope, &steps->route, steps->view, number);

        if (decision.kind != DECIDE_DELIVER || decision.reason != REASON_LIVE)
                g_error("the message does not find its cluster");
}
