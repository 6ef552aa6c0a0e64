/* SPDX-License-Identifier: MIT */
/*
 * The dead queues on the shared broker. To look means to take messages and to give them back: they keep their
 * place, and are marked as redelivered.
 */
#include "router/ctl/dead_list.h"
#include "router/ctl/dead_show.h"

#include "conf/conf_fault.h"
#include "conf/conf_nearest.h"
#include "router/ctl/broker.h"
#include "router/ctl/config.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"
#include "router/ctl/replay.h"
#include "router/reason.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 130 };

/* Those that --route names, else all; borrowed from @conf. NULL after saying what is wrong. */
static GPtrArray *
chosen_routes(const Conf *conf, const Options *options)
{
        g_autoptr(GPtrArray) routes = g_ptr_array_new();
        const ConfRoute *route = NULL;

        if (options_get(options, "--route")) {
                route = config_route(conf, options);
                if (route == NULL)
                        return NULL;
                g_ptr_array_add(routes, (gpointer)route);
        }
        for (unsigned i = 0; route == NULL && i < conf->routes->len; i++)
                g_ptr_array_add(routes, conf->routes->pdata[i]);
        return g_steal_pointer(&routes);
}

/* Says what is wrong if the result is not EXIT_DONE. */
static int
choose(const Options *options, Conf **out_conf, GPtrArray **out_routes)
{
        g_autoptr(Conf) conf = config_load(options);

        if (conf == NULL)
                return EXIT_CONFIG;
        *out_routes = chosen_routes(conf, options);
        if (*out_routes == NULL)
                return EXIT_USAGE;
        *out_conf = g_steal_pointer(&conf);
        return EXIT_DONE;
}

/* ---- what is meant ---- */

static bool
check_reason(const char *reason)
{
        g_autoptr(GPtrArray) words = g_ptr_array_new();

        for (Reason known = 0; known < REASON_COUNT; known++)
                g_ptr_array_add(words, (gpointer)reason_code(known));
        g_ptr_array_add(words, NULL);
        if (reason == NULL || g_strv_contains((const char *const *)words->pdata, reason))
                return true;

        g_autofree char *quoted = conf_quote(reason);
        g_autofree char *suggestion = conf_suggest(reason, (const char *const *)words->pdata);

        command_warn("no reason code %s%s", quoted, suggestion);
        return false;
}

static bool
check_id(const char *id)
{
        size_t length = id ? strlen(id) : STORED_ID_LENGTH;

        if (length >= STORED_ID_MIN && length <= STORED_ID_LENGTH &&
            (id == NULL || strspn(id, "0123456789abcdef") == length))
                return true;

        g_autofree char *quoted = conf_quote(id);

        command_warn("%s is no ID; it is %d to %d of the hex digits that clusterctl dead list --each shows",
                     quoted, STORED_ID_MIN, STORED_ID_LENGTH);
        return false;
}

static bool
read_selection(const Options *options, Selection *out)
{
        *out = (Selection){.id = options_get(options, "--id"),
                           .reason = options_get(options, "--reason"),
                           .cluster = options_get(options, "--cluster"),
                           .method = options_get(options, "--method")};
        return check_id(out->id) && check_reason(out->reason) &&
               options_get_number(options, "--older", CONF_UNIT_TIME, "1ms", "36500d", &out->older_ms);
}

/* ---- list ---- */

static int
list(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = NULL;
        g_autoptr(GPtrArray) routes = NULL;
        uint64_t most = 10000;
        Selection selection;

        if (!read_selection(options, &selection) ||
            !options_get_number(options, "--limit", CONF_UNIT_NONE, "1", "1000000", &most))
                return EXIT_USAGE;

        int status = choose(options, &conf, &routes);
        if (status != EXIT_DONE)
                return status;
        g_autoptr(Broker) broker = broker_open(conf);
        if (broker == NULL)
                return EXIT_UNAVAILABLE;
        DeadListOptions wanted = {.selection = selection,
                                  .most = most,
                                  .each = options_get(options, "--each") != NULL,
                                  .json = options->json};
        return dead_list(broker, routes, &wanted);
}

/* ---- show ---- */

static int
show(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = NULL;
        g_autoptr(GPtrArray) routes = NULL;

        if (!check_id(arguments[0]))
                return EXIT_USAGE;
        int status = choose(options, &conf, &routes);
        if (status != EXIT_DONE)
                return status;
        g_autoptr(Broker) broker = broker_open(conf);
        if (broker == NULL)
                return EXIT_UNAVAILABLE;
        return dead_show(broker, routes, arguments[0], options_get(options, "--raw") != NULL, options->json);
}

/* ---- replay and purge ---- */

static json_t *
counts_json(const ReplayOptions *wanted, const ReplayCounts *counts)
{
        static const char *const places[] = {
            [REPLAY_TO_ORIGINAL] = "original", [REPLAY_TO_ROUTER] = "router"};
        bool purge = wanted->action == REPLAY_PURGE;
        json_t *document = json_object();

#define SET(key, value) json_object_set_new(document, key, json_integer((json_int_t)(value)))
        if (!purge)
                json_object_set_new(document, "to", json_string(places[wanted->action]));
        json_object_set_new(document, "dry_run", json_boolean(wanted->dry_run));
        SET("messages", counts->messages);
        SET(purge ? "deleted" : "replayed", counts->done);
        SET("not_selected", counts->not_selected);
        SET("expired", counts->expired);
        SET("unroutable", counts->unroutable);
        SET("refused", counts->refused);
        SET("nacked", counts->nacked);
        SET("left", counts->messages - (wanted->dry_run ? 0 : counts->done));
        json_object_set_new(document, "interrupted", json_boolean(counts->interrupted));
#undef SET
        return document;
}

static void
print_counts(const ReplayOptions *wanted, const ReplayCounts *counts)
{
        json_t *document = counts_json(wanted, counts);
        g_autoptr(Table) table = table_new("RESULT", "MESSAGES", NULL);
        const char *key;
        json_t *value;

        json_object_foreach(document, key, value)
        {
                if (!json_is_integer(value) || strcmp(key, "messages") == 0)
                        continue;
                g_autofree char *number = print_member(document, key);
                bool would = wanted->dry_run && (strcmp(key, "replayed") == 0 || strcmp(key, "deleted") == 0);
                g_autofree char *name = g_strconcat(would ? "would be " : "", key, NULL);

                table_add(table, name, number, NULL);
        }
        table_print(table);
        json_decref(document);
}

static int
run_job(const Options *options, ReplayOptions *wanted, const GPtrArray *routes)
{
        ReplayCounts counts = {0};

        wanted->progress = isatty(STDERR_FILENO) && !options->json;
        for (unsigned i = 0; i < routes->len && !counts.failed && !counts.interrupted; i++)
                replay_queue(wanted, routes->pdata[i], &counts);
        if (counts.failed && counts.messages == 0)
                return EXIT_UNAVAILABLE;
        if (options->json)
                print_json(counts_json(wanted, &counts));
        else
                print_counts(wanted, &counts);
        if (counts.interrupted)
                return EXIT_INTERRUPTED;
        if (counts.failed)
                return EXIT_UNAVAILABLE;
        return counts.unroutable + counts.refused + counts.nacked > 0 ? EXIT_NO : EXIT_DONE;
}

static bool
read_rate(const Options *options, uint64_t *out_rate_s)
{
        const char *text = options_get(options, "--rate");
        g_autofree char *number = text ? g_strdup(text) : NULL;
        Options plain = *options;

        if (text == NULL)
                return true;
        if (g_str_has_suffix(number, "/s"))
                number[strlen(number) - 2] = '\0';
        plain.given = g_hash_table_new(g_str_hash, g_str_equal);
        g_hash_table_insert(plain.given, (gpointer) "--rate", number);

        bool fine = options_get_number(&plain, "--rate", CONF_UNIT_NONE, "1", "1000000", out_rate_s);

        g_hash_table_unref(plain.given);
        return fine;
}

static bool
read_place(const Options *options, ReplayAction *out_action)
{
        static const char *const places[] = {"original", "router", NULL};
        const char *place = options_get(options, "--to");

        if (place && !g_strv_contains(places, place)) {
                g_autofree char *quoted = conf_quote(place);
                g_autofree char *suggestion = conf_suggest(place, places);

                command_warn("--to %s is no place%s", quoted, suggestion);
                return false;
        }
        *out_action = place && strcmp(place, "router") == 0 ? REPLAY_TO_ROUTER : REPLAY_TO_ORIGINAL;
        return true;
}

static int
replay(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = NULL;
        g_autoptr(GPtrArray) routes = NULL;
        ReplayOptions wanted = {.dry_run = options_get(options, "--dry-run") != NULL};

        if (!read_selection(options, &wanted.selection) || !read_rate(options, &wanted.rate_s) ||
            !read_place(options, &wanted.action))
                return EXIT_USAGE;
        int status = choose(options, &conf, &routes);
        if (status != EXIT_DONE)
                return status;
        wanted.conf = conf;
        return run_job(options, &wanted, routes);
}

/* True if a person says so. */
static bool
is_confirmed(const ReplayOptions *wanted, const GPtrArray *routes)
{
        char answer[16] = "";

        fprintf(stderr, "Delete for good %s in the dead queue%s of",
                selection_is_all(&wanted->selection) ? "all messages" : "the messages selected",
                routes->len > 1 ? "s" : "");
        for (unsigned i = 0; i < routes->len; i++)
                fprintf(stderr, " %s", ((const ConfRoute *)routes->pdata[i])->name);
        fputs("? [y/N] ", stderr);
        return fgets(answer, sizeof(answer), stdin) && g_ascii_tolower(answer[0]) == 'y';
}

static int
purge(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = NULL;
        g_autoptr(GPtrArray) routes = NULL;
        ReplayOptions wanted = {.action = REPLAY_PURGE, .dry_run = options_get(options, "--dry-run") != NULL};
        bool sure = options_get(options, "--yes") || wanted.dry_run;

        if (!read_selection(options, &wanted.selection))
                return EXIT_USAGE;
        if (!sure && !isatty(STDIN_FILENO))
                return command_fail(EXIT_USAGE,
                                    "nobody can be asked here; to delete dead messages say --yes");
        int status = choose(options, &conf, &routes);
        if (status != EXIT_DONE)
                return status;
        wanted.conf = conf;
        if (!sure && !is_confirmed(&wanted, routes))
                return command_fail(EXIT_NO, "nothing was deleted");
        return run_job(options, &wanted, routes);
}

/* ---- the commands ---- */

#define ROUTE_OPTION                                                                                         \
        {                                                                                                    \
                "--route", "ROUTE", "only this route's dead queue"                                           \
        }
#define SELECTION_OPTIONS                                                                                    \
        {"--reason", "CODE", "only messages with that reason code"},                                         \
            {"--cluster", "NAME", "only messages of that cluster"},                                          \
            {"--method", "NAME", "only oslo.messaging calls and casts of that method"},                      \
            {"--older", "TIME", "only messages that lie there at least so long: 90s, 15m, 2h, 7d"},          \
        {                                                                                                    \
                "--id", "ID", "only the message of that ID, or those whose IDs begin so"                     \
        }

static const CommandOption list_options[] = {
    ROUTE_OPTION,
    SELECTION_OPTIONS,
    {"--each", NULL, "every message on a line of its own, with its ID"},
    {"--limit", "N", "look at so many messages of a queue at most; 10000 unless said"},
    {0},
};
static const CommandOption show_options[] = {
    ROUTE_OPTION,
    {"--raw", NULL, "hide nothing"},
    {0},
};
static const CommandOption replay_options[] = {
    ROUTE_OPTION,
    SELECTION_OPTIONS,
    {"--dry-run", NULL, "only count what would be replayed"},
    {"--rate", "N/s", "at most so many messages a second"},
    {"--to", "original|router", "see above; original unless said"},
    {0},
};
static const CommandOption purge_options[] = {
    ROUTE_OPTION,
    SELECTION_OPTIONS,
    {"--dry-run", NULL, "only count what would be deleted"},
    {"--yes", NULL, "do not ask"},
    {0},
};

const Command dead_commands[] = {
    {"dead", "list", "", 0, 0, "Show what lies in the dead queues, and why",
     "Looks into the queues at the broker of [broker] url; no router is needed. Messages are grouped by "
     "route,\n"
     "reason, cluster, age and oslo.messaging method; ID is that of the oldest. What was looked at is in "
     "its\n"
     "place again afterwards, marked by the broker as redelivered.\n\n"
     "JSON: {\"queues\": [{\"route\", \"queue\", \"messages\", \"looked_at\"}], \"groups\": [{\"route\", "
     "\"reason\",\n"
     "\"cluster\", \"age\", \"method\", \"messages\", \"bytes\", \"oldest_s\", \"newest_s\", \"id\"}],\n"
     "\"messages\": [{\"id\", \"route\", \"reason\", \"cluster\", \"method\", \"call\", \"expired\", "
     "\"age_s\", \"exchange\",\n"
     "\"key\", \"bytes\"}]}; messages only with --each\n\n"
     "Example: clusterctl dead list --reason unroutable\n",
     list, list_options},
    {"dead", "show", "ID", 1, 1, "Show one dead message, headers and body",
     "Tokens, service catalogues and passwords are shown as \"***\" unless --raw is said. A body or a field\n"
     "that holds JSON is shown as that JSON.\n\n"
     "JSON: {\"id\", \"queue\", \"reason\", \"cluster\", \"method\", \"call\", \"expired\", \"age_s\", "
     "\"attempt\",\n"
     "\"exchange\", \"key\", \"bytes\", \"headers\", \"body\"}; with --raw also \"body_base64\"\n\n"
     "Example: clusterctl dead show 3fa0c1d2e4\n",
     show, show_options},
    {"dead", "replay", "", 0, 0, "Publish dead messages again",
     "Every message that lies there when the job begins is taken once. Those selected go to the exchange "
     "and\n"
     "key that they were first published with (--to original), or straight into the route's shared queue\n"
     "(--to router; then their key is that queue's name), without the router's headers. A message leaves "
     "the\n"
     "dead queue only when the broker has confirmed its copy. Messages whose own time is over are skipped. "
     "What\n"
     "was skipped or refused is in its place again at the end, or when the job is broken off: Ctrl-C loses\n"
     "nothing, and the same command goes on with what is left.\n\n"
     "Exit: 1 if some could not be published, 130 after Ctrl-C.\n\n"
     "JSON: {\"to\", \"dry_run\", \"messages\", \"replayed\", \"not_selected\", \"expired\", "
     "\"unroutable\",\n"
     "\"refused\", \"nacked\", \"left\", \"interrupted\"}\n\n"
     "Example: clusterctl dead replay --route volume --reason unroutable --rate 100/s\n",
     replay, replay_options},
    {"dead", "purge", "", 0, 0, "Delete dead messages for good",
     "Asks before, unless --yes is said. Only messages that lie there when it begins are deleted.\n\n"
     "JSON: {\"dry_run\", \"messages\", \"deleted\", \"not_selected\", ..., \"left\", "
     "\"interrupted\"}\n\n"
     "Example: clusterctl dead purge --older 30d\n",
     purge, purge_options},
    {0},
};
