/* SPDX-License-Identifier: MIT */

/* cluster-routerd: options, exit statuses, and what a process must set before its first thread. */

#include "conf/build.h"
#include "conf/conf.h"
#include "router/daemon.h"
#include "router/log_format.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* Of what a lane has in its window and gives back at once, so much is kept for the next one, which would have
 * to ask the kernel for every page again. */
enum { KEPT_BYTES = 16 << 20 };

/* librabbitmq decodes nested header tables by recursion; a frame can hold 18,000 levels. */
enum { STACK_BYTES = 32 << 20 };

typedef struct {
        char *conf;
        gboolean check;
        gboolean fail_fast;
        gboolean version;
} Options;

static bool
parse_options(int argc, char **argv, Options *out_options, GError **error)
{
        const GOptionEntry entries[] = {
            {"config", 'c', 0, G_OPTION_ARG_FILENAME, &out_options->conf, "The configuration file", "FILE"},
            {"check", 0, 0, G_OPTION_ARG_NONE, &out_options->check, "Check the configuration and exit", NULL},
            {"fail-fast", 0, 0, G_OPTION_ARG_NONE, &out_options->fail_fast,
             "Exit with 69 if a broker cannot be reached at start, instead of waiting for it", NULL},
            {"version", 0, 0, G_OPTION_ARG_NONE, &out_options->version, "Print the version and exit", NULL},
            {NULL, 0, 0, 0, NULL, NULL, NULL}};
        g_autoptr(GOptionContext) context = g_option_context_new("-c FILE - route messages to clusters");

        g_option_context_add_main_entries(context, entries, NULL);
        g_option_context_set_description(
            context,
            "Runs in the foreground and logs to stderr. SIGHUP reloads the file; SIGTERM settles what is\n"
            "in flight and exits; a second one exits at once.\n\n"
            "Exit status: 0 clean, 64 wrong usage, 69 something needed is not available,\n"
            "78 the configuration is wrong. More: cluster-routerd(8).");
        if (!g_option_context_parse(context, &argc, &argv, error))
                return false;
        if (argc > 1) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "unexpected argument \"%s\"",
                            argv[1]);
                return false;
        }
        if (!out_options->conf && !out_options->version) {
                g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                                    "no configuration file: give one with -c FILE");
                return false;
        }
        return true;
}

static Conf *
load(const char *path)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_load(path, errors);

        for (unsigned i = 0; i < errors->len; i++)
                fprintf(stderr, "%s\n", (const char *)g_ptr_array_index(errors, i));
        return conf;
}

static void
print_check(const Conf *conf)
{
        g_autoptr(GPtrArray) names = NULL;
        g_autoptr(GPtrArray) undefined = conf_undefined_clusters(conf, &names);

        for (unsigned i = 0; i < conf->warnings->len; i++)
                fprintf(stderr, "%s\n", (const char *)g_ptr_array_index(conf->warnings, i));
        for (unsigned i = 0; i < undefined->len; i++)
                fprintf(stderr, "%s\n", (const char *)g_ptr_array_index(undefined, i));
        printf("%s: ok\n", conf->path);
}

static int
run(Conf *conf, bool fail_fast)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(Daemon) daemon = daemon_new(conf, &error);

        if (daemon && daemon_run(daemon, fail_fast, &error))
                return EX_OK;
        fprintf(stderr, "cluster-routerd: %s\n", error->message);
        return g_error_matches(error, DAEMON_ERROR, DAEMON_ERROR_CONFIG) ? EX_CONFIG : EX_UNAVAILABLE;
}

static void
prepare_process(void)
{
        pthread_attr_t attributes;

        signal(SIGPIPE, SIG_IGN); /* hiredis writes to sockets without MSG_NOSIGNAL */
        g_log_writer_default_set_use_stderr(TRUE);
        /* One heap: what the registry gives back is of use to the lanes. */
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
        pthread_setattr_default_np(&attributes);
        pthread_attr_destroy(&attributes);
}

int
main(int argc, char **argv)
{
        Options options = {0};
        g_autoptr(GError) error = NULL;
        g_autofree char *path = NULL;

        prepare_process();
        if (!parse_options(argc, argv, &options, &error)) {
                fprintf(stderr, "cluster-routerd: %s (see --help)\n", error->message);
                return EX_USAGE;
        }
        path = options.conf;
        if (options.version) {
                printf("cluster-routerd %s\n", build_name());
                return EX_OK;
        }

        g_autoptr(Conf) conf = load(path);

        if (!conf)
                return EX_CONFIG;
        log_format_use(conf->log_format);
        if (options.check) {
                print_check(conf);
                return EX_OK;
        }
        return run(conf, options.fail_fast);
}
