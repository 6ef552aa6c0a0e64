/* SPDX-License-Identifier: MIT */
#include "conf/conf.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

/* Passwords: where they may stand, what they become, and which files are refused. */

#define ROUTE "[route:r]\nqueue = q\ndestination = queue:d\n"

typedef struct {
        char *folder;
        char *conf;   /* the configuration's name */
        char *secret; /* the name of the other file */
} Files;

static void
set_up(Files *files, gconstpointer data)
{
        files->folder = g_dir_make_tmp("conf-XXXXXX", NULL);
        files->conf = g_build_filename(files->folder, "f.conf", NULL);
        files->secret = g_build_filename(files->folder, "secret", NULL);
        g_unsetenv("CREDENTIALS_DIRECTORY");
}

static void
tear_down(Files *files, gconstpointer data)
{
        g_remove(files->conf);
        g_remove(files->secret);
        g_assert_cmpint(g_rmdir(files->folder), ==, 0);
        g_free(files->folder);
        g_free(files->conf);
        g_free(files->secret);
}

static void
write_file(const char *path, const char *text, gssize length, int mode)
{
        g_autoptr(GError) error = NULL;

        g_file_set_contents_full(path, text, length, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error);
        g_assert_no_error(error);
        g_assert_cmpint(g_chmod(path, mode), ==, 0);
}

/* `$S` in @text stands for the name of the other file. */
static Conf *
load(const Files *files, const char *text, int mode, GPtrArray *errors)
{
        g_auto(GStrv) parts = g_strsplit(text, "$S", -1);
        g_autofree char *whole = g_strjoinv(files->secret, parts);

        write_file(files->conf, whole, -1, mode);
        return conf_load(files->conf, errors);
}

static Conf *
load_well(const Files *files, const char *text, int mode)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = load(files, text, mode, errors);

        if (!conf)
                g_error("%s", (char *)errors->pdata[0]);
        return conf;
}

/* The only error must hold @expected, and nothing of "geheim". */
static void
assert_refused(const Files *files, const char *text, int mode, const char *expected)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = load(files, text, mode, errors);

        g_assert_null(conf);
        g_assert_cmpuint(errors->len, ==, 1);
        g_assert_null(strstr(errors->pdata[0], "geheim"));
        if (!strstr(errors->pdata[0], expected))
                g_error("%s: expected %s", (char *)errors->pdata[0], expected);
}

static void
test_password_in_a_public_configuration_is_refused(Files *files, gconstpointer data)
{
        static const char *const bad[] = {
            "[broker]\nurl = amqp://u:geheim@h\n" ROUTE,
            "[broker]\nurl = amqp://h, amqp://u:geheim@h\n" ROUTE, "[redis]\nurl = redis://:geheim@h\n" ROUTE,
            "[mysql]\nurl = mysql://u:geheim@h/d\n" ROUTE "cluster_from = header:c\n"};
        static const char *const good[] = {"[broker]\nurl = amqp://guest:guest@h\n" ROUTE,
                                           "[broker]\nurl = amqp://h\n" ROUTE};

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                conf_unref(load_well(files, bad[i], 0640));
                assert_refused(files, bad[i], 0644, "can be read by everyone; chmod 640 ");
                assert_refused(files, bad[i], 0604, "can be read by everyone; chmod 640 ");
        }
        for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
                conf_unref(load_well(files, good[i], 0644));
}

static void
test_password_of_a_file_stands_in_every_url(Files *files, gconstpointer data)
{
        g_autoptr(Conf) conf = NULL;

        write_file(files->secret, "ge/h@m: 5%\n", -1, 0640);
        conf = load_well(files,
                         "[broker]\nurl = amqp://u@h, amqps://v@i:1/x\npassword_file = $S\n"
                         "[redis]\nurl = redis://h/3\npassword_file = $S\n"
                         "[mysql]\nurl = mysql://u@h/d?socket=/s\npassword_file = $S\n"
                         "[east]\ncluster_member_ips = a\namqp_url = amqp://w@j\npassword_file = $S\n" ROUTE
                         "cluster_from = header:c\n",
                         0644);
        g_assert_cmpstr(conf->broker_urls[0], ==, "amqp://u:ge%2Fh%40m%3A%205%25@h");
        g_assert_cmpstr(conf->broker_urls[1], ==, "amqps://v:ge%2Fh%40m%3A%205%25@i:1/x");
        g_assert_cmpstr(conf->redis_url, ==, "redis://:ge%2Fh%40m%3A%205%25@h/3");
        g_assert_cmpstr(conf->mysql_url, ==, "mysql://u:ge%2Fh%40m%3A%205%25@h/d?socket=/s");
        g_assert_cmpstr(conf_find_cluster(conf, "east")->amqp_urls[0], ==, "amqp://w:ge%2Fh%40m%3A%205%25@j");
}

static void
test_redis_url_may_name_a_user_or_a_socket(Files *files, gconstpointer data)
{
        g_autoptr(Conf) named = NULL;
        g_autoptr(Conf) socket = NULL;

        write_file(files->secret, "geheim", -1, 0600);
        named = load_well(files, "[redis]\nurl = redis://u@h\npassword_file = $S\n" ROUTE, 0644);
        socket = load_well(files, "[redis]\nurl = unix:///run/r.sock?db=3\npassword_file = $S\n" ROUTE, 0644);
        g_assert_cmpstr(named->redis_url, ==, "redis://u:geheim@h");
        g_assert_cmpstr(socket->redis_url, ==, "unix://:geheim@/run/r.sock?db=3");
}

static void
test_credential_of_systemd_is_found(Files *files, gconstpointer data)
{
        static const char text[] =
            "[redis]\nurl = redis://h\npassword_file = ${CREDENTIALS_DIRECTORY}/secret\n" ROUTE;
        g_autoptr(Conf) conf = NULL;

        write_file(files->secret, "geheim", -1, 0400);
        assert_refused(files, text, 0644,
                       ":3: password_file: CREDENTIALS_DIRECTORY is not set: systemd sets");
        g_setenv("CREDENTIALS_DIRECTORY", files->folder, TRUE);
        conf = load_well(files, text, 0644);
        g_assert_cmpstr(conf->redis_url, ==, "redis://:geheim@h");
}

static void
test_unfit_secret_files_are_refused(Files *files, gconstpointer data)
{
        static const char text[] = "[redis]\nurl = redis://h\npassword_file = $S\n" ROUTE;
        static const struct {
                const char *secret;
                gssize length;
                int mode;
                const char *expected;
        } rows[] = {
            {"geheim", -1, 0644, "can be read by everyone; chmod 640 /"},
            {"", -1, 0600, "is empty; it must hold the password alone"},
            {"\n", -1, 0600, "is empty"},
            {"geheim\ngeheimer\n", -1, 0600, "has more than one line"},
            {"ge\0eim", 6, 0600, "is not UTF-8 text"},
            {"ge\xff", -1, 0600, "is not UTF-8 text"},
        };
        g_autofree char *longer = g_strnfill(1025, 'x');

        assert_refused(files, text, 0644, "cannot be opened: No such file");
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                write_file(files->secret, rows[i].secret, rows[i].length, rows[i].mode);
                assert_refused(files, text, 0644, rows[i].expected);
        }
        write_file(files->secret, longer, -1, 0600);
        assert_refused(files, text, 0644, "is longer than 1024 bytes");
        assert_refused(files, "[redis]\nurl = redis://h\npassword_file = secret\n" ROUTE, 0644,
                       ":3: password_file: \"secret\" is no absolute file name");
}

static void
test_password_must_belong_to_a_url(Files *files, gconstpointer data)
{
        write_file(files->secret, "geheim", -1, 0600);
        assert_refused(files, "[broker]\nurl = amqp://h\npassword_file = $S\n" ROUTE, 0644,
                       ":3: password_file: the URL names no user");
        assert_refused(files, "[broker]\nurl = amqp://u:x@h\npassword_file = $S\n" ROUTE, 0640,
                       ":3: password_file: the URL holds a password already");
        assert_refused(
            files, "[east]\ncluster_member_ips = a\npassword_file = $S\n" ROUTE "cluster_from = header:c\n",
            0644, ":3: password_file: there is no URL in this group");
}

static void
test_public_key_file_of_tls_is_refused(Files *files, gconstpointer data)
{
        static const char text[] = "[broker]\nurl = amqps://h\ntls_cert = $S\ntls_key = $S\n" ROUTE;

        conf_unref(load_well(files, text, 0644)); /* not on this machine */
        write_file(files->secret, "key", -1, 0640);
        conf_unref(load_well(files, text, 0644));
        write_file(files->secret, "key", -1, 0644);
        assert_refused(files, text, 0644, ":4: tls_key: /");
}

static void
test_password_of_a_file_is_never_shown(Files *files, gconstpointer data)
{
        g_autoptr(Conf) conf = NULL;
        g_autoptr(GPtrArray) lines = NULL;

        write_file(files->secret, "geheim", -1, 0600);
        conf = load_well(files, "[broker]\nurl = amqp://u@h\npassword_file = $S\n" ROUTE, 0644);
        lines = conf_describe(conf);
        for (unsigned i = 0; i < lines->len; i++)
                g_assert_null(strstr(lines->pdata[i], "geheim"));
}

static void
test_new_password_makes_another_lane(Files *files, gconstpointer data)
{
        static const char text[] = "[broker]\nurl = amqp://u@h\npassword_file = $S\n" ROUTE;
        g_autoptr(Conf) before = NULL;
        g_autoptr(Conf) after = NULL;

        write_file(files->secret, "geheim", -1, 0600);
        before = load_well(files, text, 0644);
        write_file(files->secret, "geheimer", -1, 0600);
        after = load_well(files, text, 0644);
        g_assert_cmpstr(conf_find_route(before, "r")->fingerprint, !=,
                        conf_find_route(after, "r")->fingerprint);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/conf_secret/" name, Files, NULL, set_up, function, tear_down)
        ADD("password-in-a-public-configuration-is-refused",
            test_password_in_a_public_configuration_is_refused);
        ADD("password-of-a-file-stands-in-every-url", test_password_of_a_file_stands_in_every_url);
        ADD("redis-url-may-name-a-user-or-a-socket", test_redis_url_may_name_a_user_or_a_socket);
        ADD("credential-of-systemd-is-found", test_credential_of_systemd_is_found);
        ADD("unfit-secret-files-are-refused", test_unfit_secret_files_are_refused);
        ADD("password-must-belong-to-a-url", test_password_must_belong_to_a_url);
        ADD("public-key-file-of-tls-is-refused", test_public_key_file_of_tls_is_refused);
        ADD("password-of-a-file-is-never-shown", test_password_of_a_file_is_never_shown);
        ADD("new-password-makes-another-lane", test_new_password_makes_another_lane);
        return g_test_run();
}
