/* SPDX-License-Identifier: MIT */

/*
 * Any bytes as a config file: either a Conf or at least one error, nothing in between, and whatever was
 * accepted can be shown, expanded and looked up.
 */

#include "conf/conf.h"
#include "conf/conf_reader.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
        if (!condition)
                abort();
}

static void
use_route(const Conf *conf, const ConfRoute *route)
{
        require(conf_find_route(conf, route->name) != NULL);
        require(route->queue && route->key && route->exchange && route->fingerprint);
        require(route->sources->len > 0 || conf_is_single_cluster(conf));
        require(route->prefetch > 0 && route->lanes > 0);
        g_autofree char *key = conf_expand(route->key, "q", "x", "k", "c", "h");
        require(!strpbrk(key, "{}"));
}

static void
use(const Conf *conf)
{
        g_autoptr(GPtrArray) names = NULL;
        g_autoptr(GPtrArray) undefined = conf_undefined_clusters(conf, &names);
        require(undefined->len == names->len && (conf->mysql_url || names->len == 0));
        g_autoptr(GPtrArray) shown = conf_describe(conf);
        require(shown->len > 0);
        require(conf->broker_urls[0] && conf->state_dir &&
                conf->heartbeat_interval_ms < conf->heartbeat_ttl_ms);
        for (unsigned i = 0; i < conf->clusters->len; i++)
                require(conf_find_cluster(conf, ((ConfCluster *)conf->clusters->pdata[i])->name) != NULL);
        for (unsigned i = 0; i < conf->routes->len; i++)
                use_route(conf, conf->routes->pdata[i]);
}

/* As a file it has the same bytes. */
static void
read_as_file(const uint8_t *data, size_t size)
{
        int fd = memfd_create("conf", MFD_CLOEXEC);
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
        g_autoptr(ConfFaults) faults = conf_faults_new(path);
        size_t length = 0;
        bool is_public = false;

        require(write(fd, data, size) == (ssize_t)size);
        g_autofree char *bytes = conf_read_file(faults, &length, &is_public);
        close(fd);
        require(bytes && length == size && memcmp(bytes, size > 0 ? (const char *)data : "", size) == 0);
}

static void
refuse_file(const char *path)
{
        g_autoptr(ConfFaults) faults = conf_faults_new(path);
        size_t length = 0;
        bool is_public = false;

        require(!conf_read_file(faults, &length, &is_public) && faults->errors->len == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0) {
                refuse_file("/");
                refuse_file("/nonexistent/file");
        }
        read_as_file(data, size);

        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_parse("f", (const char *)data, size, errors);
        require((conf == NULL) == (errors->len > 0));
        for (unsigned i = 0; i < errors->len; i++)
                require(g_utf8_validate(errors->pdata[i], -1, NULL) && !strchr(errors->pdata[i], '\n'));
        if (conf)
                use(conf);
        return 0;
}
