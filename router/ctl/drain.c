/* SPDX-License-Identifier: MIT */
#include "router/ctl/drain.h"

#include "conf/name.h"
#include "router/ctl/config.h"
#include "router/ctl/inventory.h"
#include "router/ctl/print.h"
#include "router/ctl/receipt.h"

#include <stdio.h>
#include <string.h>

enum { REASON_CHARACTERS_MAX = 255, TIMEOUT_STANDARD_MS = 10 * 60 * 1000 };

const CommandOption drain_options[] = {
    {"--reason", "TEXT", "why, for whoever looks at it later; must be given"},
    {"--to", "OTHER", "the cluster that gets what is new meanwhile"},
    {"--wait", NULL, "until what was delivered is consumed; then print a receipt"},
    {"--timeout", "TIME", "wait no longer than this (30s, 5m, ...); 10m unless said"},
    {0},
};

const CommandOption drain_host_options[] = {
    {"--reason", "TEXT", "why, for whoever looks at it later; must be given"},
    {0},
};

/* Who does it: behind sudo, the person in front of it. */
static char *
find_operator(void)
{
        const char *user = g_getenv("SUDO_USER");
        g_autofree char *raw =
            g_strdup_printf("%s@%s", user && *user ? user : g_get_user_name(), g_get_host_name());
        g_autofree char *valid = g_utf8_make_valid(raw, -1);

        return g_utf8_substring(valid, 0, MIN(g_utf8_strlen(valid, -1), REASON_CHARACTERS_MAX));
}

static int
check_reason(const char *reason)
{
        if (reason == NULL)
                return command_fail(EXIT_USAGE, "say why: --reason TEXT");
        if (!g_utf8_validate(reason, -1, NULL) || g_utf8_strlen(reason, -1) > REASON_CHARACTERS_MAX)
                return command_fail(EXIT_USAGE, "--reason: at most %d characters of UTF-8",
                                    REASON_CHARACTERS_MAX);
        for (const char *at = reason; *at; at++)
                if (g_ascii_iscntrl(*at))
                        return command_fail(EXIT_USAGE, "--reason: one line, without control characters");
        return EXIT_DONE;
}

static int
fail_without_catalogue(const Conf *conf, const char *cluster, bool drain)
{
        if (drain)
                return command_fail(EXIT_CONFIG,
                                    "%s: there is no catalogue to keep that in; write \"state = drain\" into "
                                    "the group [%s] of that file and reload the routers, or add a [mysql] "
                                    "group",
                                    conf->path, cluster);
        return command_fail(EXIT_CONFIG,
                            "%s: there is no catalogue; remove \"state = drain\" from the group [%s] of that "
                            "file and reload the routers",
                            conf->path, cluster);
}

static int
check_target(const Conf *conf, const char *cluster, const char *target_or_null)
{
        if (target_or_null == NULL)
                return EXIT_DONE;
        if (strcmp(cluster, target_or_null) == 0)
                return command_fail(EXIT_DATA, "--to: a drained cluster cannot take its own messages");
        return inventory_check_cluster(conf, target_or_null);
}

static int
set_state(const Conf *conf, const char *cluster, bool drain, const char *reason, const char *target)
{
        g_autoptr(Catalogue) catalogue = inventory_open_catalogue(conf);
        g_autofree char *by = find_operator();
        g_autoptr(GError) error = NULL;

        if (catalogue == NULL)
                return EXIT_CONFIG;
        if (!catalogue_set_state(catalogue, cluster, drain, reason, by, target, &error))
                return inventory_fail(conf->mysql_url, error);
        return EXIT_DONE;
}

/* --- drain --- */

static int
report_drain(const Options *options, const char *cluster, const Receipt *receipt_or_null, int status)
{
        if (options->json) {
                print_json(json_pack("{s:o, s:b, s:o}", "cluster", print_string(cluster), "drained", 1,
                                     "receipt",
                                     receipt_or_null ? receipt_json(receipt_or_null) : json_null()));
        } else {
                printf("cluster %s drained\n", cluster);
                if (receipt_or_null)
                        receipt_print(receipt_or_null);
        }
        if (status == EXIT_TRY_AGAIN)
                return command_fail(status, "not all is consumed yet; the cluster stays drained");
        return status;
}

static int
drain_and_wait(const Options *options, const Conf *conf, const char *cluster, int64_t timeout_ms)
{
        g_autoptr(Receipt) receipt = receipt_begin(conf, cluster);

        if (receipt == NULL)
                return EXIT_UNAVAILABLE;
        int status =
            set_state(conf, cluster, true, options_get(options, "--reason"), options_get(options, "--to"));
        if (status != EXIT_DONE)
                return status;
        status = receipt_wait(receipt, timeout_ms);
        return status == EXIT_UNAVAILABLE ? status : report_drain(options, cluster, receipt, status);
}

int
drain_cluster(const Options *options, char **arguments)
{
        const char *cluster = arguments[0], *target = options_get(options, "--to");
        uint64_t timeout_ms = TIMEOUT_STANDARD_MS;
        int status = check_reason(options_get(options, "--reason"));

        if (status != EXIT_DONE)
                return status;
        if (!options_get_number(options, "--timeout", CONF_UNIT_TIME, "1ms", "30d", &timeout_ms))
                return EXIT_USAGE;

        g_autoptr(Conf) conf = config_load(options);
        if (conf == NULL)
                return EXIT_CONFIG;
        if (conf->mysql_url == NULL)
                return fail_without_catalogue(conf, cluster, true);
        status = inventory_check_cluster(conf, cluster);
        if (status == EXIT_DONE)
                status = check_target(conf, cluster, target);
        if (status != EXIT_DONE)
                return status;
        if (options_get(options, "--wait"))
                return drain_and_wait(options, conf, cluster, (int64_t)timeout_ms);
        status = set_state(conf, cluster, true, options_get(options, "--reason"), target);
        return status == EXIT_DONE ? report_drain(options, cluster, NULL, status) : status;
}

int
resume_cluster(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        const char *cluster = arguments[0];

        if (conf == NULL)
                return EXIT_CONFIG;
        if (conf->mysql_url == NULL)
                return fail_without_catalogue(conf, cluster, false);
        int status = inventory_check_cluster(conf, cluster);
        if (status == EXIT_DONE)
                status = set_state(conf, cluster, false, "", NULL);
        if (status != EXIT_DONE)
                return status;

        const ConfCluster *in_file = conf_find_cluster(conf, cluster);
        if (in_file && in_file->drained)
                command_warn("the group [%s] of %s still says state = drain", cluster, conf->path);
        if (options->json)
                print_json(json_pack("{s:o, s:b}", "cluster", print_string(cluster), "resumed", 1));
        else
                printf("cluster %s resumed\n", cluster);
        return EXIT_DONE;
}

/* --- hosts --- */

static int
check_host(const Conf *conf, const char *cluster, const char *host)
{
        if (!name_is_host(host, strlen(host)))
                return command_fail(EXIT_DATA, "that is no name for a host: %s",
                                    name_explain_host(host, strlen(host)));
        if (conf->mysql_url == NULL)
                return command_fail(EXIT_CONFIG,
                                    "%s: there is no catalogue to keep that in; take the host out of "
                                    "cluster_member_ips of [%s] and stop its agent, or add a [mysql] group",
                                    conf->path, cluster);
        return inventory_check_cluster(conf, cluster);
}

static int
set_host(const Options *options, char **arguments, bool drain)
{
        g_autoptr(Conf) conf = config_load(options);
        int status = conf ? check_host(conf, arguments[0], arguments[1]) : EXIT_CONFIG;

        if (status != EXIT_DONE)
                return status;
        g_autoptr(Catalogue) catalogue = inventory_open_catalogue(conf);
        g_autofree char *by = find_operator();
        g_autoptr(GError) error = NULL;
        if (catalogue == NULL)
                return EXIT_CONFIG;
        if (!catalogue_set_host_state(catalogue, arguments[0], arguments[1], drain,
                                      drain ? options_get(options, "--reason") : NULL, by, &error))
                return inventory_fail(conf->mysql_url, error);
        const char *done = drain ? "drained" : "resumed";
        if (options->json)
                print_json(json_pack("{s:o, s:o, s:b}", "host", print_string(arguments[1]), "cluster",
                                     print_string(arguments[0]), done, 1));
        else
                printf("host %s of cluster %s %s\n", arguments[1], arguments[0], done);
        return EXIT_DONE;
}

int
drain_host(const Options *options, char **arguments)
{
        int status = check_reason(options_get(options, "--reason"));

        return status == EXIT_DONE ? set_host(options, arguments, true) : status;
}

int
resume_host(const Options *options, char **arguments)
{
        return set_host(options, arguments, false);
}
