/* SPDX-License-Identifier: MIT */
#include "conf/conf_url.h"

#include <string.h>

/*
 * Any text as the address of a server; the first byte chooses which kind. Either its parts or a problem, and
 * the problem never quotes the text, which may hold a password.
 */

enum { QUOTE_MIN = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_parts(const ConfUrl *url, ConfUrlKind kind)
{
        g_assert_true(url->host || url->socket);
        g_assert_true(!url->host || (*url->host && url->port > 0));
        g_assert_true(!url->tls || kind == CONF_URL_AMQP);
        g_assert_true(kind != CONF_URL_AMQP || (url->user && url->password && url->name && !url->socket));
        g_assert_true(kind != CONF_URL_MYSQL || (url->user && url->name));
        conf_url_is_secret(url);
}

/* No long part of the text stands in the problem, unless every problem of that kind has it. */
static void
check_problem(const char *problem, const char *text)
{
        const char *password = strstr(text, "hidden-word-");

        g_assert_nonnull(problem);
        if (password && strlen(password) >= QUOTE_MIN)
                g_assert_null(strstr(problem, "hidden-word-"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const ConfUrlKind kinds[] = {CONF_URL_AMQP, CONF_URL_REDIS, CONF_URL_MYSQL};

        if (size == 0)
                return 0;

        ConfUrlKind kind = kinds[data[0] % G_N_ELEMENTS(kinds)];
        g_autofree char *text = g_strndup((const char *)data + 1, size - 1);
        const char *problem = NULL;
        g_autoptr(ConfUrl) url = conf_url_parse(text, kind, &problem);

        if (url)
                check_parts(url, kind);
        else
                check_problem(problem, text);
        return 0;
}
