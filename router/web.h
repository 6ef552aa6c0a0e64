/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/*
 * The dashboard's files, from router/web/ and the chart library, as the build put them into the program. The
 * bytes live as long as the process. Any thread.
 */
typedef struct {
        const char *path; /* on HTTP; "/" is the page itself */
        const char *type; /* media type */
        const char *bytes;
        size_t size;
} WebFile;

extern const WebFile web_files[]; /* made by router/web/embed.py */
extern const size_t n_web_files;

/* NULL if there is no file at @path. */
const WebFile *web_find(const char *path);
