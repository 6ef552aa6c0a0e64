/* SPDX-License-Identifier: MIT */

/*
 * cluster-agent: stands beside a service and says "this host is alive" while the service runs. The main
 * thread only waits for signals and for its child; heartbeats have a thread of their own.
 */
#include "cluster/beat.h"
#include "cluster/child.h"
#include "cluster/liveness.h"
#include "cluster/local_host.h"
#include "conf/build.h"
#include "conf/conf.h"
#include "router/beat_amqp.h"
#include "router/log_format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>

typedef struct {
        char *conf_path;
        gboolean version;
        char **command; /* NULL: none */
} Options;

static void
options_clear(Options *options)
{
        g_free(options->conf_path);
        g_strfreev(options->command);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static bool
parse_options(int argc, char **argv, Options *options, GError **error)
{
        const GOptionEntry entries[] = {
            {"config", 'c', 0, G_OPTION_ARG_FILENAME, &options->conf_path, "Configuration file", "FILE"},
            {"version", 'V', 0, G_OPTION_ARG_NONE, &options->version, "Show the version", NULL},
            {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->command, NULL,
             "[-- COMMAND ...]"},
            {0},
        };
        g_autoptr(GOptionContext) context = g_option_context_new(NULL);
        g_option_context_set_summary(
            context, "Registers this host in its cluster and sends heartbeats to redis, alone "
                     "or\nfor as long as COMMAND runs, whose exit status it takes.");
        g_option_context_set_description(
            context, "Exit status: that of COMMAND, 128 + N if signal N ended it, 127 if it "
                     "is not found,\n126 if it cannot be run; 0 without COMMAND; 64 for "
                     "wrong usage, 78 for a bad\nconfiguration.\n");
        g_option_context_set_strict_posix(context, TRUE);
        g_option_context_add_main_entries(context, entries, NULL);
        return g_option_context_parse(context, &argc, &argv, error);
}

static Conf *
load_conf(const char *path)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_load(path, errors);
        for (guint i = 0; i < errors->len; i++)
                fprintf(stderr, "%s\n", (const char *)errors->pdata[i]);
        return conf;
}

/* Why there is nothing to beat for, or NULL. */
static const char *
reason_not_to_beat(const Conf *conf)
{
        if (conf->cluster == NULL)
                return "no cluster is set in [DEFAULT]";
        if (conf->redis_url == NULL && conf->heartbeat_via == CONF_HEARTBEAT_REDIS)
                return "there is no [redis] group, so every configured host counts as alive anyway";
        return NULL;
}

static int
fail(int status, const GError *error)
{
        fprintf(stderr, "cluster-agent: %s\n", error ? error->message : "failed");
        return status;
}

static int
run_without_beat(const char *reason, const Conf *conf, char **command)
{
        g_autoptr(GError) error = NULL;
        if (command == NULL) {
                fprintf(stderr,
                        "%s: %s, so there is nothing to do: set cluster in [DEFAULT] and url in [redis], or "
                        "give a command to run\n",
                        conf->path, reason);
                return EX_CONFIG;
        }
        g_message("%s; running the command without heartbeats", reason);
        int status = child_replace_us(command, &error);
        return fail(status, error);
}

/* Without a child: until somebody wants us to end. */
static void
wait_for_end(const sigset_t *signals)
{
        int number;
        do {
                number = sigwaitinfo(signals, NULL);
        } while (number != SIGTERM && number != SIGINT && number != SIGQUIT);
}

static Beat *
start_beat(const Conf *conf, const char *host, GError **error)
{
        if (conf->heartbeat_via == CONF_HEARTBEAT_AMQP)
                return beat_start(conf, &beat_by_amqp, amqp_beat_new(conf), conf->cluster, host);
        Liveness *liveness = liveness_new(conf->redis_url, conf->redis_timeout_ms, error);
        return liveness != NULL ? beat_start(conf, &beat_by_redis, liveness, conf->cluster, host) : NULL;
}

static int
beat_beside(const Conf *conf, const char *host, char **command)
{
        g_autoptr(GError) error = NULL;
        sigset_t signals;
        pid_t pid = 0;
        int status = EX_OK;
        child_signals(&signals);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        if (command != NULL)
                pid = child_start(command, &status, &error);
        if (pid < 0)
                return fail(status, error);

        Beat *beat = start_beat(conf, host, &error);
        if (error != NULL)
                return fail(EX_CONFIG, error);
        sd_notifyf(0, "READY=1\nSTATUS=Beating for host %s of cluster %s", host, conf->cluster);
        if (command != NULL)
                status = child_wait(pid);
        else
                wait_for_end(&signals);
        sd_notify(0, "STOPPING=1");
        beat_stop(beat);
        return status;
}

static int
run(const Conf *conf, char **command)
{
        g_autoptr(GError) error = NULL;
        const char *reason = reason_not_to_beat(conf);
        if (reason != NULL)
                return run_without_beat(reason, conf, command);
        g_autofree char *host = local_host_find(conf, &error);
        if (host == NULL)
                return fail(EX_CONFIG, error);
        return beat_beside(conf, host, command);
}

int
main(int argc, char **argv)
{
        g_auto(Options) options = {0};
        g_autoptr(GError) error = NULL;
        g_log_writer_default_set_use_stderr(TRUE);
        if (!parse_options(argc, argv, &options, &error))
                return fail(EX_USAGE, error);
        if (options.version) {
                printf("cluster-agent %s\n", build_name());
                return EX_OK;
        }
        if (options.conf_path == NULL) {
                fprintf(stderr, "cluster-agent: -c FILE is missing; see --help\n");
                return EX_USAGE;
        }
        /* "--" itself may stay in front of the command. */
        char **command = options.command;
        if (command != NULL && strcmp(command[0], "--") == 0)
                command++;
        if (command != NULL && *command == NULL)
                command = NULL;
        signal(SIGPIPE, SIG_IGN);
        g_autoptr(Conf) conf = load_conf(options.conf_path);
        if (conf == NULL)
                return EX_CONFIG;
        log_format_use(conf->log_format);
        return run(conf, command);
}
