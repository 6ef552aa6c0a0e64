/* SPDX-License-Identifier: MIT */
/*
 * How clusterctl reads its arguments and lays out its answers; no command is run.
 */
#include "router/ctl/api.h"
#include "router/ctl/command.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"

#include <string.h>

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

typedef struct {
        const char *line;   /* after "clusterctl " */
        const char *expect; /* NOUN VERB conf=FILE json=yes|no --OPTION=VALUE... ARGUMENTS..., or the error
                               behind "!" */
} Case;

static const Case cases[] = {
    {"status", "status - conf=/default json=no"},
    {"stats", "stats - conf=/default json=no"},
    {"stats volume", "stats - conf=/default json=no volume"},
    {"cluster list", "cluster list conf=/default json=no"},
    {"-c a.conf cluster list", "cluster list conf=a.conf json=no"},
    {"cluster -c a.conf list", "cluster list conf=a.conf json=no"},
    {"cluster list -c a.conf", "cluster list conf=a.conf json=no"},
    {"cluster list -ca.conf -ojson", "cluster list conf=a.conf json=yes"},
    {"cluster list --config a.conf --output json", "cluster list conf=a.conf json=yes"},
    {"--config=a.conf --output=json cluster list", "cluster list conf=a.conf json=yes"},
    {"-o json -o table cluster list", "cluster list conf=/default json=no"},
    {"host add east 10.0.0.1", "host add conf=/default json=no east 10.0.0.1"},
    {"cluster create -- -odd", "cluster create conf=/default json=no -odd"},
    {"config check - -o json", "config check conf=/default json=yes -"},

    {"", "!what is asked? See clusterctl --help"},
    {"clusters list", "!unknown noun \"clusters\"; did you mean \"cluster\"?"},
    {"cluster lits", "!unknown verb for cluster: \"lits\"; did you mean \"list\"?"},
    {"cluster", "!cluster needs a verb: list, show, create, delete, drain, resume"},
    {"cluster create", "!too few arguments; usage: clusterctl cluster create CLUSTER"},
    {"host add east", "!too few arguments; usage: clusterctl host add CLUSTER HOST"},
    {"cluster list east", "!too many arguments; usage: clusterctl cluster list"},
    {"stats a b", "!too many arguments; usage: clusterctl stats [ROUTE]"},
    {"--cofig x stats", "!unknown option \"--cofig\"; did you mean \"--config\"?"},
    {"stats -o", "!option -o needs table or json"},
    {"stats -c", "!option -c needs a file name"},
    {"stats --config=", "!option --config= needs a file name"},
    {"dead list --route a", "dead list conf=/default json=no --route=a"},
    {"--route=a dead list", "dead list conf=/default json=no --route=a"},
    {"dead replay --dry-run --rate 5/s", "dead replay conf=/default json=no --dry-run= --rate=5/s"},
    {"explain -", "explain - conf=/default json=no -"},
    {"top --once --sort in", "top - conf=/default json=no --once= --sort=in"},
    {"status --route a", "!unknown option for status: \"--route\""},
    {"dead list --older", "!option --older needs a value: TIME"},
    {"dead list --route=", "!option --route needs a value: ROUTE"},
    {"dead purge --yes=no", "!option --yes takes no value"},
    {"stats --foo",
     "!unknown option \"--foo\"; there is -c, --config, -o, --output, -h, --help, --version, --all, "
     "--since"},
    {"dead purge --yse", "!unknown option \"--yse\"; did you mean \"--yes\"?"},
    {"dead purge --rate 5", "!unknown option for dead purge: \"--rate\"; did you mean \"--route\"?"},
    {"stats -o jsn", "!unknown output format \"jsn\"; did you mean \"json\"?"},
};

static const char *const own_options[] = {"--dry-run", "--once", "--rate", "--route", "--sort"};

static char *
spell(const Request *request)
{
        GString *out = g_string_new(NULL);

        g_string_append_printf(out, "%s %s conf=%s json=%s", request->command->noun,
                               request->command->verb ? request->command->verb : "-",
                               request->options.conf_path, request->options.json ? "yes" : "no");
        for (size_t i = 0; i < G_N_ELEMENTS(own_options); i++) {
                const char *value = options_get(&request->options, own_options[i]);

                if (value)
                        g_string_append_printf(out, " %s=%s", own_options[i], value);
        }
        for (char **argument = (char **)request->arguments->pdata; *argument; argument++)
                g_string_append_printf(out, " %s", *argument);
        return g_string_free(out, FALSE);
}

static char *
parse(const char *line, RequestKind *out_kind)
{
        g_autofree char *whole = g_strconcat("clusterctl", line[0] ? " " : "", line, NULL);
        g_auto(GStrv) argv = g_strsplit(whole, " ", -1);
        g_autofree char *error = NULL;
        g_auto(Request) request = {0};

        if (!request_parse(nouns, (const char *const *)argv, &request, &error))
                return g_strconcat("!", error, NULL);
        *out_kind = request.kind;
        return request.kind == REQUEST_RUN ? spell(&request) : request_help(nouns, &request);
}

static void
test_lines(void)
{
        RequestKind kind;

        g_setenv("CLUSTER_ROUTER_CONF", "/default", TRUE);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *got = parse(cases[i].line, &kind);

                g_test_message("clusterctl %s", cases[i].line);
                g_assert_cmpstr(got, ==, cases[i].expect);
        }
}

static void
test_default_conf(void)
{
        RequestKind kind;

        g_unsetenv("CLUSTER_ROUTER_CONF");
        g_autofree char *got = parse("status", &kind);
        g_assert_cmpstr(got, ==, "status - conf=/etc/cluster-router/cluster-router.conf json=no");
}

static void
test_help(void)
{
        RequestKind kind = REQUEST_RUN;

        g_autofree char *program = parse("--help", &kind);
        g_assert_cmpint(kind, ==, REQUEST_HELP);
        for (size_t i = 0; nouns[i]; i++) {
                for (const Command *command = nouns[i]; command->noun; command++) {
                        g_autofree char *line = g_strdup_printf("%s %s --help", command->noun,
                                                                command->verb ? command->verb : "-h");
                        g_autofree char *usage =
                            g_strdup_printf("clusterctl %s%s%s", command->noun, command->verb ? " " : "",
                                            command->verb ? command->verb : "");
                        g_autofree char *help = parse(line, &kind);

                        g_assert_cmpint(kind, ==, REQUEST_HELP);
                        g_assert_nonnull(strstr(program, usage));
                        g_assert_nonnull(strstr(help, usage));
                        g_assert_nonnull(strstr(help, "Example: "));
                }
        }
        g_autofree char *noun = parse("cluster -h", &kind);
        g_assert_nonnull(strstr(noun, "clusterctl cluster delete CLUSTER"));
        g_assert_null(strstr(noun, "clusterctl host"));
}

/* What stands behind the last "clusterctl " of each line of the help's example, up to a "|". */
static void
try_example(const char *text)
{
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (char **line = lines; *line && (*line)[0]; line++) {
                const char *start = g_strrstr(*line, "clusterctl ");

                if (start == NULL || strchr(start, '"'))
                        continue; /* quoted words are the shell's business */
                start += strlen("clusterctl ");
                g_autofree char *words = g_strndup(start, strcspn(start, "|>&"));
                RequestKind kind;
                g_autofree char *got = parse(g_strchomp(words), &kind);

                g_test_message("%s", words);
                if (got[0] == '!')
                        g_error("example \"%s\": %s", words, got);
        }
}

static void
test_examples(void)
{
        for (size_t i = 0; nouns[i]; i++)
                for (const Command *command = nouns[i]; command->noun; command++)
                        try_example(strstr(command->help, "Example: "));
}

static void
test_table(void)
{
        g_autoptr(Table) table = table_new("NAME", "N", "IP", "TIME", NULL);

        table_add(table, "east", "5", "10.0.0.1", "1.5 ms", NULL);
        table_add(table, "w\x1b[31m\n", "12345", "10.0.0.12", "-", NULL);
        table_add(table, "", "-", "", "20 s", NULL);
        g_autofree char *text = table_text(table);
        g_assert_cmpstr(text, ==,
                        "NAME         N  IP           TIME\n"
                        "east         5  10.0.0.1   1.5 ms\n"
                        "w?[31m?  12345  10.0.0.12       -\n"
                        "-            -  -            20 s\n");
}

static void
test_durations(void)
{
        static const struct {
                double us;
                const char *text;
        } rows[] = {{0, "-"}, {1, "1 us"}, {999, "999 us"}, {1500, "1.5 ms"}, {2500000, "2.5 s"}};

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *text = print_duration_us(rows[i].us);

                g_assert_cmpstr(text, ==, rows[i].text);
        }
}

static void
test_url(void)
{
        static const struct {
                const char *address;
                const char *url;
        } rows[] = {{"127.0.0.1", "http://127.0.0.1:9419/x"},
                    {"0.0.0.0", "http://127.0.0.1:9419/x"},
                    {"::", "http://[::1]:9419/x"},
                    {"fd00::7", "http://[fd00::7]:9419/x"},
                    {"localhost", "http://localhost:9419/x"},
                    {NULL, NULL}};

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                Conf conf = {.http_address = (char *)rows[i].address, .http_port = 9419};
                g_autofree char *url = api_url(&conf, "/x");

                g_assert_cmpstr(url, ==, rows[i].url);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/command/lines_are_read_or_refused_with_the_nearest_word", test_lines);
        g_test_add_func("/command/default_configuration", test_default_conf);
        g_test_add_func("/command/every_verb_has_help_with_an_example", test_help);
        g_test_add_func("/command/examples_of_the_help_are_accepted", test_examples);
        g_test_add_func("/print/table_aligns_and_shows_no_control_characters", test_table);
        g_test_add_func("/print/durations_have_units", test_durations);
        g_test_add_func("/api/wildcard_address_becomes_loopback", test_url);
        return g_test_run();
}
