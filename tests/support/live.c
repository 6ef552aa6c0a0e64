/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Live tests wait for states, never for time: live_wait() polls often enough that a test ends soon after the
 * state is there, and its deadline is only reached by a test that fails.
 */

enum { POLL_US = 20 * 1000, HTTP_TIMEOUT_S = 5 };

const char *
live_env(const char *name)
{
        const char *value = g_getenv(name);

        if (value == NULL || *value == '\0') {
                g_autofree char *why =
                    g_strdup_printf("%s is not set: run this test by scripts/test --live", name);

                g_test_skip(why);
                return NULL;
        }
        return value;
}

/* How many times as long to wait as on a machine of its own, with nothing between it and the programs. */
static int64_t
patience(void)
{
        const char *times = g_getenv("LIVE_PATIENCE");

        return times != NULL ? MAX(g_ascii_strtoll(times, NULL, 10), 1) : 1;
}

bool
live_wait(int64_t deadline_ms, bool (*predicate)(void *data), void *data)
{
        int64_t end_us = g_get_monotonic_time() + deadline_ms * patience() * 1000;

        while (!predicate(data)) {
                if (g_get_monotonic_time() > end_us)
                        return false;
                g_usleep(POLL_US);
        }
        return true;
}

uint16_t
live_free_port(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
            getsockname(fd, (struct sockaddr *)&address, &length) != 0)
                g_error("no free port: %s", g_strerror(errno));
        close(fd);
        return ntohs(address.sin_port);
}

char *
live_write_file(const char *name, const char *text)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *directory = g_dir_make_tmp("cluster-router-test-XXXXXX", &error);
        char *path = NULL;

        g_assert_no_error(error);
        path = g_build_filename(directory, name, NULL);
        g_file_set_contents(path, text, -1, &error);
        g_assert_no_error(error);
        return path;
}

void
live_remove_file(char *path)
{
        if (path == NULL)
                return;

        g_autofree char *directory = g_path_get_dirname(path);

        g_unlink(path);
        g_rmdir(directory);
        g_free(path);
}

static size_t
append_body(char *data, size_t size, size_t count, void *user_data)
{
        g_string_append_len(user_data, data, (gssize)(size * count));
        return size * count;
}

long
live_http_get(const char *url, char **out_body)
{
        g_autoptr(GString) body = g_string_new(NULL);
        CURL *curl = curl_easy_init();
        CURLcode result;
        long status = 0;

        g_assert_nonnull(curl);
        curl_easy_setopt(curl, CURLOPT_URL, url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)HTTP_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append_body);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
        result = curl_easy_perform(curl);
        if (result == CURLE_OK)
                curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(curl);
        if (status != 0 && out_body != NULL)
                *out_body = g_string_free(g_steal_pointer(&body), FALSE);
        return status;
}

json_t *
live_http_json(const char *url)
{
        g_autofree char *body = NULL;
        json_error_t error;
        json_t *json = NULL;

        if (live_http_get(url, &body) != 200)
                return NULL;
        json = json_loads(body, 0, &error);
        if (json == NULL)
                g_error("%s answers no JSON: %s at byte %d of: %s", url, error.text, error.position, body);
        return json;
}
