/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* One file schema/NNN_NAME.sql, built into the programs so that `db sync` needs no files. */
typedef struct {
        unsigned version; /* NNN; they count from 1 without a gap */
        const char *name;
        const char *sql; /* statements that each end with ";" at the end of a line */
} Migration;

extern const Migration migrations[]; /* in order */
extern const size_t n_migrations;
