/* SPDX-License-Identifier: MIT */
/*
 * The router listens on loopback unless told otherwise, so no proxy from the environment is used.
 */
#include "router/ctl/api.h"
#include "router/ctl/command.h"

#include <curl/curl.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 2000, TIMEOUT_MS = 10000, ANSWER_MAX_BYTES = 64 * 1024 * 1024 };

char *
api_address(const Conf *conf)
{
        const char *address = conf->http_address;

        if (address == NULL)
                return NULL;
        if (strcmp(address, "0.0.0.0") == 0)
                address = "127.0.0.1";
        else if (strcmp(address, "::") == 0)
                address = "::1";
        return g_strdup_printf(strchr(address, ':') ? "[%s]:%u" : "%s:%u", address, conf->http_port);
}

char *
api_url(const Conf *conf, const char *path)
{
        g_autofree char *address = api_address(conf);

        return address ? g_strdup_printf("http://%s%s", address, path) : NULL;
}

static size_t
collect(char *bytes, size_t size, size_t count, void *user_data)
{
        GString *answer = user_data;

        if (answer->len + size * count > ANSWER_MAX_BYTES)
                return 0;
        g_string_append_len(answer, bytes, (gssize)(size * count));
        return size * count;
}

/* NULL if all went well, else what went wrong. */
static const char *
fetch(const char *url, GString *answer, long *out_code)
{
        CURL *curl = curl_easy_init();

        if (curl == NULL)
                return "no memory";
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);

        CURLcode result = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, out_code);
        curl_easy_cleanup(curl);
        return result == CURLE_OK ? NULL : curl_easy_strerror(result);
}

/* @hint: what may help if nobody answers. */
static json_t *
ask(const char *url, const char *hint, int *out_status, char **out_error)
{
        g_autoptr(GString) answer = g_string_new(NULL);
        long code = 0;
        const char *failure = fetch(url, answer, &code);

        *out_status = EXIT_UNAVAILABLE;
        if (failure) {
                *out_error = g_strdup_printf("no router answers at %s: %s%s", url, failure, hint);
                return NULL;
        }
        if (code != 200) {
                *out_error =
                    g_strdup_printf("%s answers with HTTP status %ld: is that a cluster router?", url, code);
                return NULL;
        }
        json_t *document = json_loadb(answer->str, answer->len, 0, NULL);
        if (!json_is_object(document)) {
                json_decref(document);
                *out_error = g_strdup_printf("%s does not answer with JSON: is that a cluster router?", url);
                return NULL;
        }
        *out_status = EXIT_DONE;
        return document;
}

json_t *
api_ask(const Conf *conf, const char *path, int *out_status, char **out_error)
{
        g_autofree char *url = api_url(conf, path);
        g_autofree char *hint = g_strdup_printf("; is cluster-routerd running with %s?", conf->path);

        if (url)
                return ask(url, hint, out_status, out_error);
        *out_status = EXIT_CONFIG;
        *out_error = g_strdup_printf("%s: the router is not asked over HTTP (listen = off); set listen = "
                                     "127.0.0.1:9419 in [http]",
                                     conf->path);
        return NULL;
}

json_t *
api_ask_at(const char *address, const char *path, int *out_status, char **out_error)
{
        g_autofree char *url = g_strdup_printf("http://%s%s", address, path);

        return ask(url, "", out_status, out_error);
}

json_t *
api_get(const Conf *conf, const char *path, int *out_status)
{
        g_autofree char *error = NULL;
        json_t *document = api_ask(conf, path, out_status, &error);

        if (document == NULL)
                command_warn("%s", error);
        return document;
}
