/* SPDX-License-Identifier: MIT */

/* Which names are legal, and that every refusal is explained. */

#include "conf/name.h"

#include <glib.h>
#include <string.h>

#define X64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

typedef struct {
        const char *name;
        size_t length;
        bool cluster, host, route;
} Row;

#define ROW(text, ...)                                                                                       \
        {                                                                                                    \
                text, sizeof(text) - 1, __VA_ARGS__                                                          \
        }

static const Row rows[] = {
    ROW("east", true, true, true),      ROW("0", true, true, true),
    ROW("a.b-c", true, true, true),     ROW("a_b", true, false, true),
    ROW(X64, true, true, true),         ROW(X64 "a", false, false, false),
    ROW("", false, false, false),       ROW(".a", false, false, false),
    ROW("-a", false, false, false),     ROW("_a", false, false, false),
    ROW("a b", false, false, false),    ROW("a*", false, false, false),
    ROW("a\nb", false, false, false),   ROW("a\0b", false, false, false),
    ROW("\0", false, false, false),     ROW("\xc3\xa9", false, false, false),
    ROW("east_up", false, false, true), ROW("_up", false, false, false),
    ROW("up", true, true, true),        ROW("east_UP", true, false, true),
    ROW("default", false, true, true),  ROW("Broker", false, true, true),
    ROW("REDIS", false, true, true),    ROW("mysql", false, true, true),
    ROW("http", false, true, true),     ROW("https", true, true, true),
    ROW("set", true, false, true),      ROW("num", true, false, true),
    ROW("host_num", true, false, true), ROW("SET", true, true, true),
    ROW("10.0.0.11", true, true, true), ROW("fe80::1", false, true, false),
    ROW("::1", false, true, false),     ROW("route:x", false, true, false),
    ROW("a.parked", true, true, false), ROW("a.parked.b", true, true, false),
    ROW("parked", true, true, true),
};

typedef bool (*Verdict)(const char *, size_t);
typedef const char *(*Explain)(const char *, size_t);

static void
check(const Row *row, const char *kind, Verdict verdict, Explain explain, bool expected)
{
        /* A copy of exactly that size: reading behind it would be seen by a sanitizer. */
        g_autofree char *copy = g_memdup2(row->name, row->length);
        if (verdict(copy, row->length) != expected)
                g_error("%s name \"%s\": expected %s", kind, row->name, expected ? "legal" : "refused");
        if (!expected)
                g_assert_cmpstr(explain(copy, row->length), !=, NULL);
}

static void
test_rows(void)
{
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                check(&rows[i], "cluster", name_is_cluster, name_explain_cluster, rows[i].cluster);
                check(&rows[i], "host", name_is_host, name_explain_host, rows[i].host);
                check(&rows[i], "route", name_is_route, name_explain_route, rows[i].route);
        }
}

/* Every key of every legal cluster and host, made as redis sees it, must belong to one owner only. */
static void
test_redis_keys_never_collide(void)
{
        const char *parts[] = {"a",   "a_b", "a_host", "a_up", "a_b_c", "a_up_host",
                               "num", "set", "host",   "b",    "up"};
        g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (size_t c = 0; c < G_N_ELEMENTS(parts); c++) {
                if (!name_is_cluster(parts[c], strlen(parts[c])))
                        continue;
                g_assert_true(g_hash_table_add(seen, g_strconcat(parts[c], "_set", NULL)));
                g_assert_true(g_hash_table_add(seen, g_strconcat(parts[c], "_host_num", NULL)));
                g_assert_true(g_hash_table_add(seen, g_strconcat(parts[c], "_up_host_num", NULL)));
                for (size_t h = 0; h < G_N_ELEMENTS(parts); h++)
                        if (name_is_host(parts[h], strlen(parts[h])))
                                g_assert_true(
                                    g_hash_table_add(seen, g_strconcat(parts[c], "_", parts[h], NULL)));
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/name/legal_or_explained", test_rows);
        g_test_add_func("/name/redis_keys_never_collide", test_redis_keys_never_collide);
        return g_test_run();
}
