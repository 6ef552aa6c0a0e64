/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/json_scan.h"

#include <glib.h>
#include <stdint.h>

/*
 * The compiled pointers: a tree of tokens, one root per level. For the scanner alone; others use json_scan.h.
 * Immutable once the last pointer is added.
 */

/* The most nodes there can be: none, two roots, "oslo.message" and the tokens. */
enum { JSON_NODES_MAX = 4 + JSON_FIELDS_MAX * JSON_DEPTH_MAX };

/* Numbers of nodes. 0 stands for no node. */
typedef uint16_t JsonNodeId;
enum { JSON_NODE_NONE, JSON_NODE_OUTER, JSON_NODE_INNER };

typedef struct {
        char *token; /* belongs to the fields; NULL for a root */
        size_t length;
        size_t index; /* the token as an array index, SIZE_MAX if it is none */
        JsonNodeId first_child;
        JsonNodeId next_sibling;
        uint64_t lengths; /* bit n % 64: some child's token has n bytes */
        uint64_t fields;  /* those whose pointer ends here */
        uint64_t under;   /* those whose pointer ends here or below */
} JsonNode;

struct JsonFields {
        JsonNode *nodes;
        unsigned n_nodes;
        unsigned n_fields;
        JsonNodeId envelope; /* "oslo.message" at the top; NONE if no field is looked for inside */
};

/* The child for that key of an object, as spelled there; NONE if there is none. */
JsonNodeId json_fields_find_key(const JsonFields *fields, JsonNodeId node, const char *key, size_t length,
                                bool escaped, JsonLevel level);

/* The child for that element of an array; NONE if there is none. */
JsonNodeId json_fields_find_index(const JsonFields *fields, JsonNodeId node, size_t index);
