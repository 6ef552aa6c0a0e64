/* SPDX-License-Identifier: MIT */
/*
 * The decision table, every row: what the message says x the policy x what its cluster is like.
 * Clusters: "up" and "big" have usable hosts, "down" has none, "drain" is drained with hosts alive,
 * "empty" has no hosts. "gone" is in no view.
 */
#include "router/decide.h"

#include <string.h>

typedef struct {
        const char *says; /* "-" no cluster, "?" unknown, "!" bad, else the cluster it names */
        bool is_call;
        const char *none; /* policies, as spelled in the config file */
        const char *unknown;
        const char *cast;
        const char *call;
        const char *expect; /* KIND CLUSTER-OR-QUEUE REASON; cluster "any": one of the usable */
} Row;

static const Row rows[] = {
    /* bad: no policy asked */
    {"!", false, "any", "any", "park", "park", "dead - bad_message"},
    {"!", true, "cluster:up", "cluster:up", "any", "fail", "dead - bad_message"},

    /* it names a cluster that takes messages: no policy asked */
    {"up", false, "dead", "dead", "dead", "fail", "deliver up live"},
    {"up", true, "dead", "dead", "dead", "fail", "deliver up live"},
    {"big", false, "dead", "dead", "dead", "dead", "deliver big live"},

    /* it names one that is down */
    {"down", false, "dead", "dead", "park", "dead", "park down cluster_down"},
    {"down", true, "dead", "dead", "dead", "park", "park down cluster_down"},
    {"down", false, "park", "park", "dead", "park", "dead - cluster_down"},
    {"down", true, "park", "park", "park", "dead", "dead - cluster_down"},
    {"down", false, "dead", "dead", "any", "dead", "deliver any cluster_down"},
    {"down", true, "dead", "dead", "dead", "any", "deliver any cluster_down"},
    {"down", false, "dead", "dead", "cluster:up", "dead", "deliver up cluster_down"},
    {"down", true, "dead", "dead", "dead", "cluster:big", "deliver big cluster_down"},
    {"down", false, "dead", "dead", "cluster:empty", "dead", "park down cluster_down"},
    {"down", false, "dead", "dead", "cluster:drain", "dead", "park down cluster_down"},
    {"down", false, "dead", "dead", "cluster:down", "dead", "park down cluster_down"},
    {"down", false, "dead", "dead", "cluster:gone", "dead", "park down cluster_down"},
    {"down", false, "dead", "dead", "queue:spare", "dead", "queue spare cluster_down"},
    {"down", true, "dead", "dead", "dead", "fail", "fail down cluster_down"},
    {"down", false, "dead", "dead", "fail", "dead", "park down cluster_down"},
    {"empty", false, "dead", "dead", "park", "dead", "park empty cluster_down"},

    /* it names one that is drained: what kills parks instead */
    {"drain", false, "dead", "dead", "park", "dead", "park drain cluster_drained"},
    {"drain", true, "dead", "dead", "dead", "park", "park drain cluster_drained"},
    {"drain", false, "dead", "dead", "dead", "dead", "park drain cluster_drained"},
    {"drain", true, "dead", "dead", "dead", "dead", "park drain cluster_drained"},
    {"drain", true, "dead", "dead", "dead", "fail", "fail drain cluster_drained"},
    {"drain", false, "dead", "dead", "any", "dead", "deliver any cluster_drained"},
    {"drain", true, "dead", "dead", "dead", "any", "deliver any cluster_drained"},
    {"drain", false, "dead", "dead", "cluster:up", "dead", "deliver up cluster_drained"},
    {"drain", false, "dead", "dead", "cluster:down", "dead", "park drain cluster_drained"},
    {"drain", false, "dead", "dead", "cluster:gone", "dead", "park drain cluster_drained"},

    /* ... and has a substitute, which may be down */
    {"swap", false, "dead", "dead", "dead", "dead", "deliver up cluster_drained"},
    {"swap", true, "dead", "dead", "dead", "fail", "deliver up cluster_drained"},
    {"swap", false, "dead", "dead", "cluster:big", "dead", "deliver up cluster_drained"},
    {"chain", false, "dead", "dead", "dead", "dead", "park chain cluster_drained"},
    {"chain", false, "dead", "dead", "cluster:big", "dead", "deliver big cluster_drained"},
    {"-", false, "cluster:swap", "dead", "dead", "dead", "deliver up cluster_drained"},

    /* it names none */
    {"-", false, "any", "dead", "dead", "dead", "deliver any no_cluster"},
    {"-", true, "any", "dead", "dead", "dead", "deliver any no_cluster"},
    {"-", false, "cluster:up", "dead", "dead", "dead", "deliver up no_cluster"},
    {"-", false, "cluster:down", "dead", "park", "dead", "park down cluster_down"},
    {"-", false, "cluster:down", "dead", "dead", "park", "dead - cluster_down"},
    {"-", true, "cluster:down", "dead", "dead", "fail", "fail down cluster_down"},
    {"-", false, "cluster:down", "dead", "any", "dead", "deliver any cluster_down"},
    {"-", false, "cluster:down", "dead", "cluster:big", "dead", "deliver big cluster_down"},
    {"-", false, "cluster:down", "dead", "cluster:empty", "dead", "park down cluster_down"},
    {"-", false, "cluster:drain", "dead", "dead", "dead", "park drain cluster_drained"},
    {"-", false, "cluster:gone", "dead", "dead", "dead", "park - no_cluster"},
    {"-", false, "queue:lost", "dead", "dead", "dead", "queue lost no_cluster"},
    {"-", false, "park", "dead", "dead", "dead", "park - no_cluster"},
    {"-", true, "park", "dead", "dead", "dead", "park - no_cluster"},
    {"-", false, "dead", "park", "park", "park", "dead - no_cluster"},

    /* it names one that nobody knows */
    {"?", false, "dead", "any", "dead", "dead", "deliver any unknown_cluster"},
    {"?", true, "dead", "any", "dead", "dead", "deliver any unknown_cluster"},
    {"?", false, "dead", "cluster:big", "dead", "dead", "deliver big unknown_cluster"},
    {"?", false, "dead", "cluster:down", "park", "dead", "park down cluster_down"},
    {"?", true, "dead", "cluster:down", "dead", "fail", "fail down cluster_down"},
    {"?", false, "dead", "cluster:drain", "dead", "dead", "park drain cluster_drained"},
    {"?", false, "dead", "cluster:gone", "dead", "dead", "park - unknown_cluster"},
    {"?", false, "dead", "queue:lost", "dead", "dead", "queue lost unknown_cluster"},
    {"?", false, "dead", "park", "dead", "dead", "park - unknown_cluster"},
    {"?", false, "park", "dead", "park", "park", "dead - unknown_cluster"},
};

/* The same when no cluster has a usable host. */
static const Row dark_rows[] = {
    {"!", false, "any", "any", "any", "any", "dead - bad_message"},
    {"-", false, "any", "dead", "dead", "dead", "park - cluster_down"},
    {"-", true, "any", "dead", "dead", "fail", "park - cluster_down"},
    {"?", false, "dead", "any", "dead", "dead", "park - cluster_down"},
    {"up", false, "dead", "dead", "any", "dead", "park up cluster_down"},
    {"up", true, "dead", "dead", "dead", "any", "park up cluster_down"},
    {"up", false, "dead", "dead", "cluster:big", "dead", "park up cluster_down"},
    {"drain", false, "dead", "dead", "any", "dead", "park drain cluster_drained"},
    {"-", false, "cluster:up", "dead", "any", "dead", "park up cluster_down"},
    {"-", false, "cluster:up", "dead", "cluster:big", "dead", "park up cluster_down"},
    {"?", false, "dead", "cluster:up", "cluster:up", "dead", "park up cluster_down"},
    {"-", false, "cluster:drain", "dead", "any", "dead", "park drain cluster_drained"},
};

/* Single-cluster mode: the field means nothing, everything goes to the one destination. */
static const Row single_rows[] = {
    {"-", false, "dead", "dead", "dead", "dead", "deliver - live"},
    {"-", true, "park", "dead", "dead", "fail", "deliver - live"},
    {"?", false, "dead", "dead", "dead", "dead", "deliver - live"},
    {"?", true, "dead", "queue:lost", "dead", "dead", "deliver - live"},
};

static View *
make_view(bool lit)
{
        ViewHost good[] = {{.name = (char *)"h1", .usable = lit, .alive = lit, .configured = true},
                           {.name = (char *)"h2", .usable = lit, .alive = lit, .configured = true}};
        ViewHost more[] = {{.name = (char *)"h3", .usable = lit, .alive = lit},
                           {.name = (char *)"h4", .usable = lit, .alive = lit}};
        ViewHost bad[] = {{.name = (char *)"h5"}};
        ViewHost fine[] = {{.name = (char *)"h6", .usable = true, .alive = true}};
        ViewHost spare[] = {{.name = (char *)"h7", .usable = true, .alive = true}};
        ViewInput inputs[] = {
            {.name = "drain", .drained = true, .drain_reason = "disks", .hosts = fine, .n_hosts = 1},
            {.name = "up", .hosts = good, .n_hosts = 2},
            {.name = "down", .hosts = bad, .n_hosts = 1},
            {.name = "big", .hosts = more, .n_hosts = 2},
            {.name = "empty"},
            {.name = "swap", .drained = true, .drain_to = "up", .hosts = spare, .n_hosts = 1},
            {.name = "chain", .drained = true, .drain_to = "swap"},
        };

        return view_new(inputs, G_N_ELEMENTS(inputs), false, NULL);
}

static ConfPolicy
make_policy(const char *text)
{
        static const struct {
                const char *word;
                ConfPolicyKind kind;
        } words[] = {{"any", CONF_POLICY_ANY},
                     {"park", CONF_POLICY_PARK},
                     {"dead", CONF_POLICY_DEAD},
                     {"fail", CONF_POLICY_FAIL}};

        if (g_str_has_prefix(text, "cluster:"))
                return (ConfPolicy){.kind = CONF_POLICY_CLUSTER, .name = (char *)text + strlen("cluster:")};
        if (g_str_has_prefix(text, "queue:"))
                return (ConfPolicy){.kind = CONF_POLICY_QUEUE, .name = (char *)text + strlen("queue:")};
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                if (strcmp(text, words[i].word) == 0)
                        return (ConfPolicy){.kind = words[i].kind};
        g_error("no policy: %s", text);
}

static Envelope
make_envelope(const Row *row, const View *view)
{
        Envelope envelope = {.kind = ENVELOPE_CLUSTER, .is_call = row->is_call};

        switch (row->says[0]) {
        case '-':
                envelope.kind = ENVELOPE_NO_CLUSTER;
                break;
        case '?':
                envelope.kind = ENVELOPE_UNKNOWN;
                break;
        case '!':
                envelope.kind = ENVELOPE_BAD;
                break;
        default:
                envelope.cluster = view_find(view, row->says, strlen(row->says));
                g_assert_nonnull(envelope.cluster);
        }
        return envelope;
}

static Decision
decide_row(const Row *row, const View *view, uint64_t ticket)
{
        ConfRoute route = {.on_no_cluster = make_policy(row->none),
                           .on_unknown_cluster = make_policy(row->unknown),
                           .on_down_cast = make_policy(row->cast),
                           .on_down_call = make_policy(row->call)};
        Envelope envelope = make_envelope(row, view);

        return decide(&envelope, &route, view, ticket);
}

static char *
spell(const Decision *decision, bool any)
{
        static const char *const kinds[] = {[DECIDE_DELIVER] = "deliver",
                                            [DECIDE_QUEUE] = "queue",
                                            [DECIDE_PARK] = "park",
                                            [DECIDE_DEAD] = "dead",
                                            [DECIDE_FAIL] = "fail"};
        const char *where = decision->cluster ? decision->cluster->name : "-";

        if (decision->kind == DECIDE_QUEUE)
                where = decision->queue;
        else if (any && decision->cluster && view_cluster_is_usable(decision->cluster))
                where = "any";
        return g_strdup_printf("%s %s %s", kinds[decision->kind], where, reason_code(decision->reason));
}

static void
check_rows(const Row *table, size_t n_rows, const View *view)
{
        for (size_t i = 0; i < n_rows; i++) {
                const Row *row = &table[i];

                for (uint64_t ticket = 0; ticket < 9; ticket++) {
                        Decision decision = decide_row(row, view, ticket);
                        g_autofree char *got = spell(&decision, strstr(row->expect, " any ") != NULL);

                        g_test_message("row %zu: %s%s none=%s unknown=%s cast=%s call=%s", i, row->says,
                                       row->is_call ? " (call)" : "", row->none, row->unknown, row->cast,
                                       row->call);
                        g_assert_cmpstr(got, ==, row->expect);
                }
        }
}

static void
test_table(void)
{
        g_autoptr(View) view = make_view(true);

        check_rows(rows, G_N_ELEMENTS(rows), view);
}

static void
test_nothing_usable(void)
{
        g_autoptr(View) view = make_view(false);

        check_rows(dark_rows, G_N_ELEMENTS(dark_rows), view);
}

static void
test_single_mode(void)
{
        g_autoptr(View) view = view_new(NULL, 0, true, NULL);

        check_rows(single_rows, G_N_ELEMENTS(single_rows), view);
}

static void
test_any_spreads(void)
{
        g_autoptr(View) view = make_view(true);
        const Row row = {"-", false, "any", "dead", "dead", "dead", ""};
        unsigned up = 0, big = 0;

        for (uint64_t ticket = 0; ticket < 4000; ticket++) {
                Decision decision = decide_row(&row, view, ticket);

                up += strcmp(decision.cluster->name, "up") == 0;
                big += strcmp(decision.cluster->name, "big") == 0;
        }
        g_assert_cmpuint(up, ==, 2000);
        g_assert_cmpuint(big, ==, 2000);
}

static void
test_reasons_have_words(void)
{
        for (Reason reason = 0; reason < REASON_COUNT; reason++) {
                g_assert_nonnull(reason_code(reason));
                g_assert_cmpuint(strlen(reason_meaning(reason)), >, 10);
                for (Reason other = 0; other < reason; other++)
                        g_assert_cmpstr(reason_code(reason), !=, reason_code(other));
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/decide/every_row_of_the_table", test_table);
        g_test_add_func("/decide/any_parks_when_nothing_is_usable", test_nothing_usable);
        g_test_add_func("/decide/single_mode_delivers_all", test_single_mode);
        g_test_add_func("/decide/any_spreads_by_usable_hosts_and_skips_drained", test_any_spreads);
        g_test_add_func("/decide/every_reason_has_its_own_code_and_meaning", test_reasons_have_words);
        return g_test_run();
}
