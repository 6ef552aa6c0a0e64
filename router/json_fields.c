/* SPDX-License-Identifier: MIT */
#include "router/json_fields.h"

#include "router/json_unit.h"

#include <string.h>

/*
 * Pointers that begin alike share the nodes of their beginning, so the scanner compares a key only with the
 * tokens that can stand in the object at hand, and "two keys of one name" is "a node met twice".
 */

JsonFields *
json_fields_new(void)
{
        JsonFields *fields = g_new0(JsonFields, 1);
        fields->n_nodes = JSON_NODE_INNER + 1;
        fields->nodes = g_new0(JsonNode, fields->n_nodes);
        return fields;
}

void
json_fields_free(JsonFields *fields)
{
        if (!fields)
                return;
        for (unsigned i = 0; i < fields->n_nodes; i++)
                g_free(fields->nodes[i].token);
        g_free(fields->nodes);
        g_free(fields);
}

/* "0" or digits without a leading zero; SIZE_MAX if the token is no index. */
static size_t
token_index(const char *token)
{
        size_t digits = strspn(token, "0123456789");
        if (digits == 0 || token[digits] != '\0' || digits > 15 || (token[0] == '0' && digits > 1))
                return SIZE_MAX;
        return (size_t)g_ascii_strtoull(token, NULL, 10);
}

static JsonNodeId
find_token(const JsonFields *fields, JsonNodeId parent, const char *token)
{
        return json_fields_find_key(fields, parent, token, strlen(token), false, JSON_OUTER);
}

static JsonNodeId
obtain_child(JsonFields *fields, JsonNodeId parent, const char *token)
{
        JsonNodeId id = find_token(fields, parent, token);
        if (id != JSON_NODE_NONE)
                return id;
        id = (JsonNodeId)fields->n_nodes++;
        fields->nodes = g_renew(JsonNode, fields->nodes, fields->n_nodes);
        JsonNode *up = &fields->nodes[parent];
        size_t length = strlen(token);
        fields->nodes[id] = (JsonNode){
            .token = g_strdup(token),
            .length = length,
            .index = token_index(token),
            .next_sibling = up->first_child,
        };
        up->first_child = id;
        up->lengths |= UINT64_C(1) << (length % 64);
        return id;
}

/* Undoes ~0 and ~1 in place; false if another character follows a tilde. */
static bool
decode_token(char *token)
{
        char *out = token;
        for (const char *in = token; *in; in++) {
                if (*in != '~') {
                        *out++ = *in;
                        continue;
                }
                in++;
                if (*in != '0' && *in != '1')
                        return false;
                *out++ = *in == '0' ? '~' : '/';
        }
        *out = '\0';
        return true;
}

/* The tokens of a pointer, decoded; NULL if it is malformed or too deep. */
static GPtrArray *
split_pointer(const char *pointer)
{
        g_autoptr(GPtrArray) tokens = g_ptr_array_new_with_free_func(g_free);
        while (*pointer == '/') {
                const char *next = strchrnul(++pointer, '/');
                char *token = g_strndup(pointer, (size_t)(next - pointer));
                g_ptr_array_add(tokens, token);
                if (!decode_token(token) || tokens->len > JSON_DEPTH_MAX)
                        return NULL;
                pointer = next;
        }
        return *pointer == '\0' ? g_steal_pointer(&tokens) : NULL;
}

int
json_fields_add(JsonFields *fields, JsonLevel level, const char *pointer)
{
        g_autoptr(GPtrArray) tokens = split_pointer(pointer);
        if (!tokens || fields->n_fields == JSON_FIELDS_MAX)
                return -1;
        if (level == JSON_INNER && fields->envelope == JSON_NODE_NONE)
                fields->envelope = obtain_child(fields, JSON_NODE_OUTER, "oslo.message");
        uint64_t bit = UINT64_C(1) << fields->n_fields;
        JsonNodeId id = level == JSON_INNER ? JSON_NODE_INNER : JSON_NODE_OUTER;
        fields->nodes[id].under |= bit;
        for (unsigned i = 0; i < tokens->len; i++) {
                id = obtain_child(fields, id, tokens->pdata[i]);
                fields->nodes[id].under |= bit;
        }
        fields->nodes[id].fields |= bit;
        return (int)fields->n_fields++;
}

JsonNodeId
json_fields_find_key(const JsonFields *fields, JsonNodeId node, const char *key, size_t length, bool escaped,
                     JsonLevel level)
{
        for (JsonNodeId id = fields->nodes[node].first_child; id; id = fields->nodes[id].next_sibling) {
                const JsonNode *child = &fields->nodes[id];
                if (!escaped && child->length == length && memcmp(child->token, key, length) == 0)
                        return id;
                if (escaped && json_spelling_equals(key, length, level, child->token, child->length))
                        return id;
        }
        return JSON_NODE_NONE;
}

JsonNodeId
json_fields_find_index(const JsonFields *fields, JsonNodeId node, size_t index)
{
        for (JsonNodeId id = fields->nodes[node].first_child; id; id = fields->nodes[id].next_sibling) {
                if (fields->nodes[id].index == index)
                        return id;
        }
        return JSON_NODE_NONE;
}
