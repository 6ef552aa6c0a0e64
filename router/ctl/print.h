/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>

/*
 * Output for people and for programs. Plain text without colours, the same on a terminal and in a pipe.
 * Control characters in names from outside are shown as "?", so that no name can play tricks on a terminal.
 */

/* Rows of text in columns; columns of numbers stand to the right. */
typedef struct Table Table;

/* Column titles up to a NULL. */
Table *table_new(const char *title, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;
void table_free(Table *table); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/* A row: as many cells as there are titles, up to a NULL; copied. An empty cell is shown as "-". */
void table_add(Table *table, const char *cell, ...) G_GNUC_NULL_TERMINATED;
char *table_text(const Table *table) G_GNUC_WARN_UNUSED_RESULT; /* new */
void table_print(const Table *table);

/* Prints the document, indented; keys keep their order. Takes @document over. */
void print_json(json_t *document);

/* A member as text for a cell, new: numbers as they are, null and absent as "-", true and false as yes and
 * no. */
char *print_member(const json_t *object, const char *key) G_GNUC_WARN_UNUSED_RESULT;

/* @text without control characters, as tables show it. New. */
char *print_printable(const char *text) G_GNUC_WARN_UNUSED_RESULT;

/* "850 us", "1.2 ms", "3.4 s"; "-" for 0. New. */
char *print_duration_us(double us) G_GNUC_WARN_UNUSED_RESULT;

/* @text as a JSON string, or null; bytes that are no UTF-8 are replaced. */
json_t *print_string(const char *text_or_null) G_GNUC_WARN_UNUSED_RESULT;
