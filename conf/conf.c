/* SPDX-License-Identifier: MIT */

/*
 * From bytes to a Conf in four steps: read lines, build parts, check what holds between them, seal with
 * fingerprints. Each step adds what it finds wrong; only a file without any error leaves as a Conf.
 */

#include "conf/conf.h"

#include "conf/conf_build.h"
#include "conf/conf_check.h"
#include "conf/conf_fault.h"
#include "conf/conf_fingerprint.h"
#include "conf/conf_reader.h"
#include "conf/conf_secret.h"

#include <string.h>

static Conf *
conf_new(const char *path, ConfText *text)
{
        Conf *conf = g_new0(Conf, 1);
        g_atomic_ref_count_init(&conf->refs);
        conf->path = g_strdup(path);
        conf->text = text;
        conf->broker_urls = g_new0(char *, 1);
        conf->clusters = g_ptr_array_new_with_free_func((GDestroyNotify)conf_cluster_free);
        conf->routes = g_ptr_array_new_with_free_func((GDestroyNotify)conf_route_free);
        conf->warnings = g_ptr_array_new_with_free_func(g_free);
        return conf;
}

Conf *
conf_ref(Conf *conf)
{
        g_atomic_ref_count_inc(&conf->refs);
        return conf;
}

void
conf_unref(Conf *conf)
{
        if (!conf || !g_atomic_ref_count_dec(&conf->refs))
                return;
        g_free(conf->path);
        g_free(conf->fingerprint);
        g_free(conf->cluster);
        g_free(conf->host);
        g_free(conf->state_dir);
        g_strfreev(conf->broker_urls);
        conf_tls_clear(&conf->broker_tls);
        g_free(conf->broker_password_file);
        g_free(conf->redis_url);
        g_free(conf->redis_password_file);
        g_free(conf->mysql_url);
        g_free(conf->mysql_password_file);
        conf_tls_clear(&conf->mysql_tls);
        g_free(conf->http_address);
        g_ptr_array_unref(conf->clusters);
        g_ptr_array_unref(conf->routes);
        g_ptr_array_unref(conf->warnings);
        conf_text_free(conf->text);
        g_free(conf);
}

/*
 * @is_public: everyone on the machine can read the file. Other files, which hold secrets, are looked at only
 * @with_files.
 */
static Conf *
parse(ConfFaults *faults, const char *bytes, size_t length, bool is_public, bool with_files,
      GPtrArray *errors)
{
        g_autoptr(Conf) conf = conf_new(faults->path, conf_read_text(faults, bytes, length));
        conf_check(faults, conf, conf_build(faults, conf));
        if (is_public && conf_holds_secret(conf))
                conf_faults_error(faults, 0,
                                  "holds a password and can be read by everyone; chmod 640 %s, or move the "
                                  "password to a password_file",
                                  faults->path);
        if (with_files && faults->errors->len == 0)
                conf_secret_load(faults, conf);
        if (faults->errors->len > 0) {
                conf_faults_append_to(faults, faults->errors, errors);
                return NULL;
        }
        conf_faults_append_to(faults, faults->warnings, conf->warnings);
        conf_fingerprint_seal(conf, bytes, length);
        return g_steal_pointer(&conf);
}

Conf *
conf_parse(const char *path, const char *text, size_t length, GPtrArray *errors)
{
        g_autoptr(ConfFaults) faults = conf_faults_new(path);
        return parse(faults, text, length, false, false, errors);
}

Conf *
conf_load(const char *path, GPtrArray *errors)
{
        g_autoptr(ConfFaults) faults = conf_faults_new(path);
        size_t length = 0;
        bool is_public = false;
        g_autofree char *bytes = conf_read_file(faults, &length, &is_public);
        if (!bytes) {
                conf_faults_append_to(faults, faults->errors, errors);
                return NULL;
        }
        return parse(faults, bytes, length, is_public, true, errors);
}

bool
conf_is_single_cluster(const Conf *conf)
{
        return conf->clusters->len == 0 && !conf->mysql_url;
}

const ConfCluster *
conf_find_cluster(const Conf *conf, const char *name)
{
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];
                if (strcmp(cluster->name, name) == 0)
                        return cluster;
        }
        return NULL;
}

const ConfRoute *
conf_find_route(const Conf *conf, const char *name)
{
        for (unsigned i = 0; i < conf->routes->len; i++) {
                const ConfRoute *route = conf->routes->pdata[i];
                if (strcmp(route->name, name) == 0)
                        return route;
        }
        return NULL;
}
