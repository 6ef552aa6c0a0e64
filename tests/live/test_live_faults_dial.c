/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <signal.h>
#include <string.h>

/*
 * East's broker has an address that leads nowhere good, F28 of the matrix: no such name, a certificate that
 * is expired or of another host, a password that is refused. It comes by a reload under load and goes by
 * another; the log says what is wrong, east is parked, west flows.
 */

enum { DEADLINE_MS = 30000 };

static const FaultBrokers OWN = {.shared = "AMQP_URL", .east = "AMQP_URL_2"};

/* @days: of validity; @name: for which the certificate is. NULL: no TLS. */
typedef struct {
        const char *fault;
        const char *path; /* of the test */
        const char *login;
        const char *host; /* NULL: that of east's broker */
        const char *name;
        const char *days;
        const char *complaint; /* in the log */
} Case;

static const Case CASES[] = {
    {"F28 broker's name is not known", "/faults-dial/unknown-name", "amqp://guest:guest",
     "no-such-host.invalid", NULL, NULL, "hostname lookup failed"},
    {"F28 broker's certificate is expired", "/faults-dial/expired-certificate", "amqps://guest:guest",
     "localhost", "localhost", "-1", "its certificate is not valid now"},
    {"F28 broker's certificate is of another host", "/faults-dial/certificate-of-another-host",
     "amqps://guest:guest", "localhost", "elsewhere", "2", "its certificate is not for the name localhost"},
    {"F28 broker refuses the password", "/faults-dial/refused-password", "amqp://guest:wrong", NULL, NULL,
     NULL, "ACCESS_REFUSED"},
};

/* A TLS server under a certificate of its own, which is also the authority. */
typedef struct {
        char *directory;
        char *certificate;
        char *port;
        Program *program;
} Impostor;

static void
shell(const char *directory, const char *script, const char *first, const char *second)
{
        const char *const argv[] = {"sh", "-ec", script, directory, first, second, NULL};
        g_autofree char *output = NULL;
        g_autofree char *errors = NULL;

        if (program_run(argv, &output, &errors) != 0)
                g_error("%s: %s%s", script, output, errors);
}

static void
impostor_start(Impostor *impostor, const Case *what)
{
        g_autofree char *key = NULL;
        g_autofree char *address = NULL;

        impostor->directory = g_dir_make_tmp("faults-dial-XXXXXX", NULL);
        impostor->certificate = g_build_filename(impostor->directory, "certificate", NULL);
        impostor->port = g_strdup_printf("%u", live_free_port());
        key = g_build_filename(impostor->directory, "key", NULL);
        address = g_strdup_printf("127.0.0.1:%s", impostor->port);
        shell(impostor->directory,
              "cd $0; openssl genrsa -out key 2048; openssl req -new -key key -subj /CN=$1 -out request; "
              "echo subjectAltName = DNS:$1 >names; "
              "openssl x509 -req -in request -signkey key -days $2 -extfile names -out certificate",
              what->name, what->days);

        const char *const argv[] = {
            "openssl", "s_server", "-www", "-accept", address, "-cert", impostor->certificate,
            "-key",    key,        NULL};

        impostor->program = program_start(argv);
        program_wait_line(impostor->program, "ACCEPT", DEADLINE_MS);
}

static void
impostor_clear(Impostor *impostor)
{
        program_free(impostor->program);
        if (impostor->directory != NULL)
                shell(impostor->directory, "rm -r $0", "", "");
        g_free(impostor->directory);
        g_free(impostor->certificate);
        g_free(impostor->port);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Impostor, impostor_clear)

/* Another address of east's broker, by a reload. */
static void
reload_with(FaultRun *run, const char *good, const char *east)
{
        g_autofree char *old = g_strdup_printf("amqp_url = %s\n", fault_proxy_url(run->east));
        g_auto(GStrv) parts = g_strsplit(good, old, -1);
        g_autofree char *text = g_strjoinv(east, parts);

        g_assert_cmpuint(g_strv_length(parts), ==, 2);
        g_assert_true(g_file_set_contents_full(run->stage->conf_path, text, -1,
                                               G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
        program_signal(run->stage->router, SIGHUP);
        program_wait_line(run->stage->router, "reloaded ", DEADLINE_MS);
}

static void
mislead(FaultRun *run, const Case *what, const char *good, const char *bad)
{
        g_autofree char *right = g_strdup_printf("amqp_url = %s\n", fault_proxy_url(run->east));

        fault_run_watch_west(run);
        reload_with(run, good, bad);
        program_wait_line(run->stage->router, what->complaint, DEADLINE_MS);
        stage_wait_flow(run->stage, "east", "parking");
        fault_run_expect_west(run, FAULT_LOAD_PER_S);
        fault_run_count(run, FAULT_PREFETCH);
        reload_with(run, good, right);
        fault_run_recover(run);
}

static char *
bad_address(const FaultRun *run, const Case *what, const Impostor *impostor)
{
        if (what->host == NULL)
                return g_strdup_printf("amqp_url = %s@%s\n", what->login, strchr(run->east_url, '@') + 1);
        if (what->name == NULL)
                return g_strdup_printf("amqp_url = %s@%s/%%2f\n", what->login, what->host);
        return g_strdup_printf("amqp_url = %s@%s:%s/%%2f\ntls_ca = %s\n", what->login, what->host,
                               impostor->port, impostor->certificate);
}

static void
test_misled(const void *data)
{
        const Case *what = data;
        unsigned times = fault_run_times(1, 10);
        g_auto(FaultRun) run = {0};
        g_auto(Impostor) impostor = {0};
        g_autofree char *good = NULL;
        g_autofree char *bad = NULL;

        if (!fault_run_init(&run, what->fault, &OWN, ""))
                return;
        if (what->name != NULL)
                impostor_start(&impostor, what);
        bad = bad_address(&run, what, &impostor);
        g_assert_true(g_file_get_contents(run.stage->conf_path, &good, NULL, NULL));
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++)
                mislead(&run, what, good, bad);
        fault_run_finish(&run);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        for (unsigned i = 0; i < G_N_ELEMENTS(CASES); i++)
                g_test_add_data_func(CASES[i].path, &CASES[i], test_misled);
        return g_test_run();
}
