/* SPDX-License-Identifier: MIT */

/*
 * A password from a file is written into the URL, where all who connect look for it: no other part of the
 * program knows that there are such files. The text as written stays what `config show` shows.
 *
 * A key of TLS that is not there is not a matter of this file: the file may be the one of another node.
 */

#include "conf/conf_secret.h"

#include "conf/conf_reader.h"
#include "conf/conf_url.h"

#include <string.h>
#include <sys/stat.h>

enum { PASSWORD_MAX_BYTES = 1024 };

/* ---- in the file ---- */

static bool
is_secret(const char *text, ConfUrlKind kind)
{
        g_autoptr(ConfUrl) url = text ? conf_url_parse(text, kind, NULL) : NULL;
        return url && conf_url_is_secret(url);
}

static bool
any_is_secret(GStrv urls)
{
        for (char **url = urls; *url; url++)
                if (is_secret(*url, CONF_URL_AMQP))
                        return true;
        return false;
}

bool
conf_holds_secret(const Conf *conf)
{
        for (unsigned i = 0; i < conf->clusters->len; i++)
                if (any_is_secret(((ConfCluster *)conf->clusters->pdata[i])->amqp_urls))
                        return true;
        return any_is_secret(conf->broker_urls) || is_secret(conf->redis_url, CONF_URL_REDIS) ||
               is_secret(conf->mysql_url, CONF_URL_MYSQL);
}

/* ---- in files of their own ---- */

/* What is wrong with it, or NULL. */
static const char *
explain_password(const char *text, size_t length)
{
        if (length == 0)
                return "is empty; it must hold the password alone";
        if (length > PASSWORD_MAX_BYTES)
                return "is longer than 1024 bytes: surely not a password";
        if (!g_utf8_validate_len(text, length, NULL))
                return "is not UTF-8 text";
        for (size_t i = 0; i < length; i++)
                if (g_ascii_iscntrl(text[i]))
                        return "has more than one line, or a control character; it must hold the password "
                               "alone";
        return NULL;
}

/* New, without the end of its line; NULL after an error. */
static char *
read_password(const ConfPlace *place, const char *path)
{
        g_autoptr(ConfFaults) faults = conf_faults_new(path);
        size_t length = 0;
        bool is_public = false;
        g_autofree char *bytes = conf_read_file(faults, &length, &is_public);
        if (!bytes) {
                g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
                conf_faults_append_to(faults, faults->errors, lines);
                conf_place_error(place, "%s", (const char *)lines->pdata[0]);
                return NULL;
        }
        if (length > 0 && bytes[length - 1] == '\n')
                length--;
        if (length > 0 && bytes[length - 1] == '\r')
                length--;
        const char *problem = explain_password(bytes, length);
        if (is_public)
                conf_place_error(place, "%s can be read by everyone; chmod 640 %s", path, path);
        if (problem)
                conf_place_error(place, "%s %s", path, problem);
        return is_public || problem ? NULL : g_strndup(bytes, length);
}

/* Replaces *url by one with that password. */
static void
put_password(const ConfPlace *place, const char *password, ConfUrlKind kind, char **url)
{
        const char *rest = strstr(*url, "://") + strlen("://");
        const char *at = strchr(rest, '@');
        const char *login_end = at ? at : rest;
        g_autofree char *encoded = g_uri_escape_string(password, NULL, FALSE);
        if (!at && kind != CONF_URL_REDIS) {
                conf_place_error(place, "the URL names no user that the password could belong to");
                return;
        }
        if (at && memchr(rest, ':', (size_t)(at - rest))) {
                conf_place_error(place, "the URL holds a password already; take one of the two away");
                return;
        }
        char *whole =
            g_strdup_printf("%.*s:%s@%s", (int)(login_end - *url), *url, encoded, at ? at + 1 : rest);
        g_free(*url);
        *url = whole;
}

static void
load_password(ConfFaults *faults, const Conf *conf, const char *group, const char *path, ConfUrlKind kind,
              char **urls)
{
        ConfPlace place = {faults, conf->text, "password_file",
                           conf_text_line(conf->text, group, "password_file")};
        if (!path)
                return;
        g_autofree char *password = read_password(&place, path);
        for (char **url = urls; password && *url; url++)
                put_password(&place, password, kind, url);
        if (!*urls)
                conf_place_error(&place, "there is no URL in this group that it could belong to");
}

static void
check_key(ConfFaults *faults, const Conf *conf, const char *group, const ConfTls *tls)
{
        struct stat status;
        if (tls->key && stat(tls->key, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & S_IROTH))
                conf_faults_error(faults, conf_text_line(conf->text, group, "tls_key"),
                                  "tls_key: %s can be read by everyone; chmod 640 %s", tls->key, tls->key);
}

void
conf_secret_load(ConfFaults *faults, Conf *conf)
{
        char *redis[] = {conf->redis_url, NULL};
        char *mysql[] = {conf->mysql_url, NULL};
        load_password(faults, conf, "broker", conf->broker_password_file, CONF_URL_AMQP, conf->broker_urls);
        load_password(faults, conf, "redis", conf->redis_password_file, CONF_URL_REDIS, redis);
        load_password(faults, conf, "mysql", conf->mysql_password_file, CONF_URL_MYSQL, mysql);
        conf->redis_url = redis[0];
        conf->mysql_url = mysql[0];
        check_key(faults, conf, "broker", &conf->broker_tls);
        check_key(faults, conf, "mysql", &conf->mysql_tls);
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                ConfCluster *cluster = conf->clusters->pdata[i];
                load_password(faults, conf, cluster->name, cluster->password_file, CONF_URL_AMQP,
                              cluster->amqp_urls);
                check_key(faults, conf, cluster->name, &cluster->tls);
        }
}
