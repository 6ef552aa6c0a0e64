/* SPDX-License-Identifier: MIT */
/*
 * clusterctl, the operator's program: reads what is asked and hands it to the noun that knows.
 */
#include "conf/build.h"
#include "router/ctl/command.h"
#include "router/ctl/nouns.h"

#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>

static const Command *const nouns[] = {status_commands,
                                       stats_commands,
                                       top_commands,
                                       route_commands,
                                       explain_commands,
                                       dead_commands,
                                       parked_commands,
                                       cluster_commands,
                                       host_commands,
                                       db_commands,
                                       config_commands,
                                       doctor_commands,
                                       NULL};

static int
serve(const Request *request)
{
        g_autofree char *help = NULL;

        switch (request->kind) {
        case REQUEST_RUN:
                return request->command->run(&request->options, (char **)request->arguments->pdata);
        case REQUEST_HELP:
                help = request_help(nouns, request);
                fputs(help, stdout);
                break;
        case REQUEST_VERSION:
                printf("clusterctl %s\n", build_name());
                break;
        }
        return EXIT_DONE;
}

/* A reader that went away (`| head`) is no failure; a full disk is. */
static int
finish_output(int status)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        if (errno == EPIPE)
                return status;
        return command_fail(EXIT_OUTPUT, "cannot write the answer: %s", g_strerror(errno));
}

int
main(int argc, char **argv)
{
        g_auto(Request) request = {0};
        g_autofree char *error = NULL;

        setlocale(LC_CTYPE, "");
        signal(SIGPIPE, SIG_IGN);
        if (argc < 1 || !request_parse(nouns, (const char *const *)argv, &request, &error))
                return command_fail(EXIT_USAGE, "%s", error ? error : "no arguments");

        curl_global_init(CURL_GLOBAL_DEFAULT);
        int status = finish_output(serve(&request));
        curl_global_cleanup();
        return status;
}
