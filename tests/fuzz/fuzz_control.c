/* SPDX-License-Identifier: MIT */
#include "router/control_request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/*
 * Any bytes as a request to the control queue. The first byte chooses whether one cluster or any may speak.
 * Whatever comes, the answer is JSON, and what is refused changes nothing.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char file[] = "[east]\ncluster_member_ips = 10.0.0.1,10.0.0.2\naliases = zone\n"
                           "[west]\ncluster_member_ips = 10.0.1.1\n"
                           "[route:work]\nqueue = work\ncluster_from = header:cluster\n"
                           "destination = queue:{queue}.{cluster}\n";

static Registry *
make_registry(void)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;
        g_autofree char *text =
            g_strdup_printf("[DEFAULT]\nstate_dir = %s/none-of-this-name\n%s", g_get_tmp_dir(), file);
        Conf *conf = conf_parse("f", text, strlen(text), errors);

        g_assert_cmpuint(errors->len, ==, 0);

        Registry *registry = registry_new(conf, NULL, NULL, &error);

        g_assert_no_error(error);
        return registry;
}

static void
check(const ControlAnswer *answer)
{
        json_error_t error;
        json_t *body = json_loads(answer->body, 0, &error);

        if (!body)
                g_error("%s: %s", error.text, answer->body);
        json_decref(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Made once, kept until the program ends. */
        static Registry *registry;

        if (!registry)
                registry = make_registry();
        if (size == 0)
                return 0;

        amqp_bytes_t body = {.len = size - 1, .bytes = (void *)(data + 1)};
        g_auto(ControlAnswer) answer = control_request_serve(registry, data[0] == 'e' ? "east" : NULL, body);

        check(&answer);
        return 0;
}
