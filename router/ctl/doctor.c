/* SPDX-License-Identifier: MIT */
/*
 * Everything is looked at even if something else is broken: an operator wants the whole list at once.
 */
#include "router/ctl/doctor.h"

#include "router/ctl/config.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"

#include "conf/conf_fault.h"
#include "conf/conf_value.h"

#include <stdio.h>
#include <string.h>

typedef struct {
        Severity severity;
        char *check;
        char *subject;
        char *found;
        char *meaning; /* or NULL */
        char *remedy;  /* or NULL */
} Finding;

static const char *const severity_names[] = {
    [FINDING_OK] = "ok", [FINDING_NOTE] = "note", [FINDING_WARNING] = "warning", [FINDING_ERROR] = "error"};

static void
finding_free(void *data)
{
        Finding *finding = data;

        g_free(finding->check);
        g_free(finding->subject);
        g_free(finding->found);
        g_free(finding->meaning);
        g_free(finding->remedy);
        g_free(finding);
}

void
doctor_add(Doctor *doctor, Severity severity, const char *check, const char *subject, const char *found,
           const char *meaning, const char *remedy)
{
        Finding *finding = g_new0(Finding, 1);

        finding->severity = severity;
        finding->check = g_strdup(check);
        finding->subject = g_strdup(subject);
        finding->found = g_strdup(found);
        finding->meaning = g_strdup(meaning);
        finding->remedy = g_strdup(remedy);
        g_ptr_array_add(doctor->findings, finding);
}

void
doctor_ok(Doctor *doctor, const char *check, const char *subject, const char *found, ...)
{
        va_list values;

        va_start(values, found);
        g_autofree char *text = g_strdup_vprintf(found, values);
        va_end(values);
        doctor_add(doctor, FINDING_OK, check, subject, text, NULL, NULL);
}

/* ---- the report ---- */

static int
compare(gconstpointer a, gconstpointer b)
{
        return (int)(*(Finding *const *)b)->severity - (int)(*(Finding *const *)a)->severity;
}

static json_t *
findings_json(const GPtrArray *findings)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < findings->len; i++) {
                const Finding *finding = g_ptr_array_index(findings, i);

                json_array_append_new(
                    list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "severity",
                                    severity_names[finding->severity], "check", print_string(finding->check),
                                    "subject", print_string(finding->subject), "found",
                                    print_string(finding->found), "meaning", print_string(finding->meaning),
                                    "remedy", print_string(finding->remedy)));
        }
        return list;
}

static void
print_findings(const GPtrArray *findings)
{
        unsigned counts[G_N_ELEMENTS(severity_names)] = {0};

        for (unsigned i = 0; i < findings->len; i++) {
                const Finding *finding = g_ptr_array_index(findings, i);
                g_autofree char *line = g_strdup_printf("%s: %s", finding->subject, finding->found);
                g_autofree char *shown = print_printable(line);

                counts[finding->severity]++;
                printf("%-8s %-12s %s\n", severity_names[finding->severity], finding->check, shown);
                if (finding->meaning)
                        printf("%21s means: %s\n", "", finding->meaning);
                if (finding->remedy)
                        printf("%21s do:    %s\n", "", finding->remedy);
        }
        printf("\nerrors: %u, warnings: %u, notes: %u, ok: %u\n", counts[FINDING_ERROR],
               counts[FINDING_WARNING], counts[FINDING_NOTE], counts[FINDING_OK]);
}

static Severity
worst_of(const GPtrArray *findings)
{
        Severity worst = FINDING_OK;

        for (unsigned i = 0; i < findings->len; i++)
                worst = MAX(worst, ((const Finding *)g_ptr_array_index(findings, i))->severity);
        return worst;
}

/* ---- the command ---- */

/* False after saying what is wrong with the file. */
static bool
read_policies(const Options *options, json_t **out_policies)
{
        const char *path = options_get(options, "--policies");
        json_error_t error;
        json_t *policies;

        if (path == NULL)
                return true;
        policies = strcmp(path, "-") == 0 ? json_loadf(stdin, 0, &error) : json_load_file(path, 0, &error);
        if (json_is_array(policies)) {
                *out_policies = policies;
                return true;
        }
        json_decref(policies);
        g_autofree char *quoted = conf_quote(path);

        command_warn("--policies %s: no list of policies; make it with rabbitmqctl list_policies -p VHOST "
                     "--formatter json%s%s",
                     quoted, policies ? "" : ": ", policies ? "" : error.text);
        return false;
}

static void
look_at_file(Doctor *doctor)
{
        const Conf *conf = doctor->conf;

        for (unsigned i = 0; i < conf->warnings->len; i++)
                doctor_add(doctor, FINDING_WARNING, "config", conf->path,
                           g_ptr_array_index(conf->warnings, i), "legal, and probably not meant",
                           "correct the file, then reload");
        if (conf->warnings->len == 0)
                doctor_ok(doctor, "config", conf->path, "nothing wrong");
        for (unsigned i = 0; i < conf->clusters->len; i++)
                g_ptr_array_add(doctor->clusters,
                                g_strdup(((const ConfCluster *)g_ptr_array_index(conf->clusters, i))->name));
}

static void
look_at_all(Doctor *doctor)
{
        look_at_file(doctor);
        doctor_look_at_router(doctor);
        doctor_look_at_mysql(doctor); /* it tells clusters whose queues are looked at */
        doctor_look_at_redis(doctor);
        doctor_look_at_certificates(doctor);
        doctor_look_at_brokers(doctor);
        doctor_judge_unseen(doctor);
        g_ptr_array_sort(doctor->findings, compare);
}

static int
doctor(const Options *options, char **arguments)
{
        Doctor state = {0};

        if (!options_get_number(options, "--consumer-timeout", CONF_UNIT_TIME, "1s", "365d",
                                &state.consumer_timeout_ms))
                return EXIT_USAGE;
        if (!read_policies(options, &state.policies))
                return EXIT_DATA;
        g_autoptr(Conf) conf = config_load(options);
        g_autoptr(GPtrArray) findings = g_ptr_array_new_with_free_func(finding_free);
        g_autoptr(GPtrArray) clusters = g_ptr_array_new_with_free_func(g_free);

        state.conf = conf;
        state.findings = findings;
        state.clusters = clusters;
        if (conf)
                look_at_all(&state);
        json_decref(state.policies);
        if (conf == NULL)
                return EXIT_CONFIG;

        Severity worst = worst_of(findings);

        if (options->json)
                print_json(json_pack("{s:s, s:o}", "worst", severity_names[worst], "findings",
                                     findings_json(findings)));
        else
                print_findings(findings);
        return worst == FINDING_ERROR ? EXIT_UNHEALTHY : worst == FINDING_WARNING ? EXIT_NO : EXIT_DONE;
}

static const CommandOption doctor_options[] = {
    {"--policies", "FILE", "what rabbitmqctl list_policies --formatter json prints, - for stdin"},
    {"--consumer-timeout", "TIME", "of the broker, which AMQP does not tell: 30m"},
    {0},
};

const Command doctor_commands[] = {
    {"doctor", NULL, "", 0, 0, "Look for what is wrong or will be",
     "Looks at the file, the running router, redis (writes, memory policy, clock), MySQL (schema version),\n"
     "certificates that expire, and at each broker: permissions, queues and their arguments, and a test "
     "publish\n"
     "to a queue of its own. It changes nothing that stays, and takes no message. Policies and "
     "consumer_timeout\n"
     "cannot be seen over AMQP: give them with the options, or the answer says that they were not looked "
     "at.\n\n"
     "Each finding says what it means and what to do. Exit status: 0 nothing but notes, 1 warnings, 2 "
     "errors.\n\n"
     "JSON: {\"worst\": ok|note|warning|error, \"findings\": [{\"severity\", \"check\", \"subject\", "
     "\"found\",\n"
     "\"meaning\", \"remedy\"}]}\n\n"
     "Example: clusterctl doctor\n"
     "         rabbitmqctl list_policies --formatter json | clusterctl doctor --policies -\n",
     doctor, doctor_options},
    {0},
};
