/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The dashboard's files, from router/web/ and the chart library, as the build put them into the program. The
 * bytes live as long as the process. Any thread.
 */
typedef struct {
        const char *type; /* media type */
        const void *bytes;
        size_t size;
} WebFile;

/* "/" is the page itself. False if there is no file at @path. */
bool web_find(const char *path, WebFile *out_file);
