/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf_text.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What is wrong with a file, gathered while it is read, so that a person sees all of it at once.
 */

typedef struct {
        const char *path; /* borrowed, for messages */
        GPtrArray *errors;
        GPtrArray *warnings;
} ConfFaults;

ConfFaults *conf_faults_new(const char *path) G_GNUC_WARN_UNUSED_RESULT;
void conf_faults_free(ConfFaults *faults); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfFaults, conf_faults_free)

/* Adds an error or a warning at @line; 0 for the file as a whole. */
void conf_faults_error(ConfFaults *faults, unsigned line, const char *format, ...) G_GNUC_PRINTF(3, 4);
void conf_faults_warn(ConfFaults *faults, unsigned line, const char *format, ...) G_GNUC_PRINTF(3, 4);

/*
 * Appends what was gathered (one of the two arrays of @faults) to @lines, an array of char *, in order of
 * line, each text once, as "FILE:LINE: text". Of very many only the first are given, and how many there are.
 */
void conf_faults_append_to(const ConfFaults *faults, const GPtrArray *gathered, GPtrArray *lines);

/* Where a value stands: what every parser of values needs for its messages. */
typedef struct {
        ConfFaults *faults;
        ConfText *text; /* the whole file, for values that name groups */
        const char *key;
        unsigned line;
} ConfPlace;

/* Adds the error "KEY: ..." at that place and returns false, to be passed on. */
bool conf_place_error(const ConfPlace *place, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* @text in quotes for a message: cut if long, control characters escaped. New. */
char *conf_quote(const char *text) G_GNUC_WARN_UNUSED_RESULT;
