/* SPDX-License-Identifier: MIT */

/*
 * One table of policies says which of them need a name and where each is legal. Whether the named cluster or
 * queue makes sense is not known here; conf_check looks at that when the whole file is read.
 */

#include "conf/conf_policy.h"

#include "conf/conf_nearest.h"
#include "conf/conf_value.h"
#include "conf/name.h"

#include <string.h>

typedef struct {
        const char *word; /* with a colon: a name follows */
        ConfPolicyKind kind;
        bool without_cluster; /* on_no_cluster, on_unknown_cluster */
        bool when_down;
} Policy;

static const Policy policies[] = {
    {"any", CONF_POLICY_ANY, true, true},       {"cluster:", CONF_POLICY_CLUSTER, true, true},
    {"queue:", CONF_POLICY_QUEUE, true, false}, {"park", CONF_POLICY_PARK, true, true},
    {"dead", CONF_POLICY_DEAD, true, true},     {"fail", CONF_POLICY_FAIL, false, true},
};

static bool
is_legal(const Policy *policy, bool down)
{
        return down ? policy->when_down : policy->without_cluster;
}

/* The name behind the word of @policy, "" if it takes none; NULL if @text is another policy. */
static const char *
match(const Policy *policy, const char *text)
{
        if (strcmp(policy->word, text) == 0)
                return "";
        bool takes_name = g_str_has_suffix(policy->word, ":");
        return takes_name && g_str_has_prefix(text, policy->word) ? text + strlen(policy->word) : NULL;
}

static bool
refuse(const ConfPlace *place, const char *text, bool down)
{
        const char *legal[G_N_ELEMENTS(policies) + 1] = {NULL};
        for (size_t i = 0, n = 0; i < G_N_ELEMENTS(policies); i++)
                if (is_legal(&policies[i], down))
                        legal[n++] = policies[i].word;
        g_autofree char *quoted = conf_quote(text);
        g_autofree char *list = g_strjoinv(", ", (GStrv)legal);
        g_autofree char *word = g_strndup(text, strcspn(text, ":") + 1);
        const char *nearest = conf_nearest(word, legal);
        if (nearest && strcmp(nearest, word) != 0)
                return conf_place_error(place, "%s is no policy of this key; did you mean \"%s\"?", quoted,
                                        nearest);
        return conf_place_error(place, "%s is no policy of this key; there is %s", quoted, list);
}

static bool
check_name(const ConfPlace *place, const Policy *policy, const char *name)
{
        if (!g_str_has_suffix(policy->word, ":"))
                return true;
        if (!*name)
                return conf_place_error(place, "%s needs a name: %sNAME", policy->word, policy->word);
        if (policy->kind == CONF_POLICY_QUEUE && strlen(name) > 255)
                return conf_place_error(place, "a queue name has at most 255 bytes");
        if (policy->kind == CONF_POLICY_QUEUE && strpbrk(name, "{}"))
                return conf_place_error(place, "the name of a queue is plain here, without {placeholders}");
        if (policy->kind == CONF_POLICY_CLUSTER && !name_is_cluster(name, strlen(name))) {
                g_autofree char *quoted = conf_quote(name);
                return conf_place_error(place, "%s is no cluster name: %s", quoted,
                                        name_explain_cluster(name, strlen(name)));
        }
        return true;
}

static bool
parse(const ConfPlace *place, const char *text, bool down, ConfPolicy *out_policy)
{
        for (size_t i = 0; i < G_N_ELEMENTS(policies); i++) {
                const char *name = match(&policies[i], text);
                if (!name || !is_legal(&policies[i], down))
                        continue;
                if (!check_name(place, &policies[i], name))
                        return false;
                conf_policy_clear(out_policy);
                out_policy->kind = policies[i].kind;
                out_policy->name = *name ? g_strdup(name) : NULL;
                out_policy->line = place->line;
                return true;
        }
        if (strcmp(text, "fail") == 0)
                return conf_place_error(place,
                                        "fail is only possible in on_cluster_down; did you mean \"dead\"?");
        return refuse(place, text, down);
}

bool
conf_policy_parse(const ConfPlace *place, const char *text, ConfPolicy *out_policy)
{
        return parse(place, text, false, out_policy);
}

/* One item: [cast:|call:]POLICY. @seen says which sorts were already spoken of. */
static bool
parse_down_item(const ConfPlace *place, const char *item, bool seen[2], ConfPolicy *outputs[2])
{
        static const char *const sorts[] = {"cast", "call"};
        size_t length = strlen("cast:");
        bool plain = !g_str_has_prefix(item, "cast:") && !g_str_has_prefix(item, "call:");
        const char *policy = plain ? item : item + length;
        while (*policy == ' ')
                policy++;
        for (int i = 0; i < 2; i++) {
                if (!plain && strncmp(item, sorts[i], length - 1) != 0)
                        continue;
                if (seen[i])
                        return conf_place_error(place, "two policies for %s; write cast:POLICY, call:POLICY",
                                                sorts[i]);
                seen[i] = true;
                if (!parse(place, policy, true, outputs[i]))
                        return false;
        }
        return true;
}

bool
conf_policy_parse_down(const ConfPlace *place, const char *text, ConfPolicy *out_cast, ConfPolicy *out_call)
{
        g_auto(GStrv) items = NULL;
        if (!conf_value_list(place, text, &items))
                return false;
        ConfPolicy found[2] = {{CONF_POLICY_PARK, NULL, place->line}, {CONF_POLICY_PARK, NULL, place->line}};
        ConfPolicy *outputs[2] = {&found[0], &found[1]};
        bool seen[2] = {false, false};
        bool good = true;
        for (char **item = items; *item && good; item++)
                good = parse_down_item(place, *item, seen, outputs);
        if (good) {
                *out_cast = found[0];
                *out_call = found[1];
        } else {
                conf_policy_clear(&found[0]);
                conf_policy_clear(&found[1]);
        }
        return good;
}

char *
conf_policy_spell(const ConfPolicy *policy)
{
        static const char *const words[] = {
            [CONF_POLICY_ANY] = "any",   [CONF_POLICY_CLUSTER] = "cluster:", [CONF_POLICY_QUEUE] = "queue:",
            [CONF_POLICY_PARK] = "park", [CONF_POLICY_DEAD] = "dead",        [CONF_POLICY_FAIL] = "fail"};

        return g_strconcat(words[policy->kind], policy->name, NULL);
}

void
conf_policy_clear(ConfPolicy *policy)
{
        g_clear_pointer(&policy->name, g_free);
}
