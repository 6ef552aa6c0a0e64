/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * General parsers at the work of the scanner: of an oslo.messaging body, the five fields that a route for
 * volume requests asks for, read through to the end of the message. Each as its own documents tell to do it
 * fast.
 */

#ifdef __cplusplus
extern "C" {
#endif

enum { RIVAL_PADDING_BYTES = 64 };

typedef struct {
        const char *name;
        /* How many of the five fields it found as strings, -1: the body is no such envelope. @body is
         * followed by RIVAL_PADDING_BYTES that may be read. */
        int (*find)(const char *body, size_t length);
} Rival;

extern const Rival rival_jansson, rival_cjson, rival_simdjson;

#ifdef __cplusplus
}
#endif
