/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The config file as text: groups, keys and values with their lines, not yet understood.
 *
 * The syntax is that of GKeyFile: `[group]`, `key = value`, `#` in front of a comment line, blanks around
 * names and values dropped, UTF-8. Unlike GKeyFile it keeps line numbers and refuses a group or key that
 * stands twice.
 */

typedef struct {
        char *key;
        char *value;
        unsigned line;
} ConfEntry;

typedef struct {
        char *name;
        unsigned line;
        bool used;          /* a fields: group that some route reads */
        GPtrArray *entries; /* of ConfEntry *, in file order */
        GHashTable *by_key; /* key -> ConfEntry *, borrowed from entries */
} ConfGroup;

typedef struct ConfText ConfText;
struct ConfText {
        GPtrArray *groups;   /* of ConfGroup *, in file order */
        GHashTable *by_name; /* name -> ConfGroup *, borrowed from groups */
};

ConfText *conf_text_new(void) G_GNUC_WARN_UNUSED_RESULT;
void conf_text_free(ConfText *text); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfText, conf_text_free)

/* Both take the strings over. The caller has made sure that the name is new. */
ConfGroup *conf_text_add(ConfText *text, char *name, unsigned line);
void conf_group_add(ConfGroup *group, char *key, char *value, unsigned line);

ConfGroup *conf_text_find(const ConfText *text, const char *group); /* NULL if the file has none */
const ConfEntry *conf_group_find(const ConfGroup *group, const char *key);

/* The line of that key, else that of its group, else 0. */
unsigned conf_text_line(const ConfText *text, const char *group, const char *key);

/* The same for a key of the group of that route. */
unsigned conf_text_route_line(const ConfText *text, const char *route, const char *key);
