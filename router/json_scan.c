/* SPDX-License-Identifier: MIT */
#include "router/json_scan.h"

#include "router/json_fields.h"
#include "router/json_skip.h"

#include <string.h>

/*
 * One loop over the tokens of the text; each turn takes one value or one opening bracket and what follows it.
 * The loop is compiled twice: for the body, and for the text inside the string "oslo.message", whose
 * characters are read through the escapes of the body (there a quote is \", a backslash \\, a raw quote the
 * end). The latter runs in the place of skipping that string, so that each byte is looked at once.
 *
 * What makes it fast: where strings may end is found for 64 bytes at a time; members that nobody looks for
 * are skipped by comparing what stands between their strings; the brackets that are open are bits of one
 * word; all that has to do with fields hangs on `live`, the depth of the innermost open bracket that lies on
 * the path of some field, so that most of the text pays one comparison per key for it. Whatever is rare
 * stands in functions that are not inlined, and there plain code is good enough.
 */

#define NEVER_INLINE static __attribute__((noinline))

enum { WORD_BITS = 64 };

struct JsonScratch {
        uint64_t *words; /* brackets beyond the innermost 64, 64 to a word: 1 for an object */
        size_t size;
};

/* What both levels share in one scan. */
typedef struct {
        const JsonFields *fields;
        JsonScratch *scratch;
        JsonResult *result;
        const char *text;
        const char *end;
        JsonMarks marks;
        uint64_t ambiguous; /* fields */
        bool failed;        /* broken_at is set */
        uint64_t seen[JSON_NODES_MAX / WORD_BITS + 1];
} Scan;

/* The open brackets of one level. */
typedef struct {
        uint64_t kinds; /* innermost in bit 0: 1 for an object */
        size_t depth;
        size_t live; /* the innermost that lies on the path of a field; 0: none */
} Stack;

/* Where the live brackets stand in the tree of pointers. */
typedef struct {
        JsonNodeId nodes[JSON_DEPTH_MAX + 2];
        size_t elements[JSON_DEPTH_MAX + 2]; /* of an array: how many have begun */
} Path;

JsonScratch *
json_scratch_new(void)
{
        return g_new0(JsonScratch, 1);
}

void
json_scratch_free(JsonScratch *scratch)
{
        if (!scratch)
                return;
        g_free(scratch->words);
        g_free(scratch);
}

NEVER_INLINE void
scratch_save(JsonScratch *scratch, size_t index, uint64_t word)
{
        if (index >= scratch->size) {
                scratch->size = MAX(2 * scratch->size, index + 16);
                scratch->words = g_renew(uint64_t, scratch->words, scratch->size);
        }
        scratch->words[index] = word;
}

NEVER_INLINE const char *
fail(Scan *scan, const char *p)
{
        if (!scan->failed)
                scan->result->broken_at = (size_t)(p - scan->text);
        scan->failed = true;
        return NULL;
}

/* ---- fields ---- */

static bool
is_container(int c)
{
        return c == '{' || c == '[';
}

/* The node for a key of the object at @node; notes a second key of the same name. */
NEVER_INLINE JsonNodeId
meet_key(Scan *scan, JsonNodeId node, const char *key, size_t length, bool escaped, bool inner)
{
        JsonLevel level = inner ? JSON_INNER : JSON_OUTER;
        JsonNodeId id = json_fields_find_key(scan->fields, node, key, length, escaped, level);
        if (id == JSON_NODE_NONE)
                return id;
        uint64_t bit = UINT64_C(1) << (id % WORD_BITS);
        if (scan->seen[id / WORD_BITS] & bit) {
                scan->ambiguous |= scan->fields->nodes[id].under;
                if (!inner && id == scan->fields->envelope) {
                        fail(scan, key);
                        scan->result->inner = JSON_TEXT_BROKEN;
                }
        }
        scan->seen[id / WORD_BITS] |= bit;
        return id;
}

/* Takes the value of a node for all fields that end there. */
NEVER_INLINE void
take_value(Scan *scan, JsonNodeId id, const JsonValue *value)
{
        for (uint64_t rest = scan->fields->nodes[id].fields; rest; rest &= rest - 1)
                scan->result->values[__builtin_ctzll(rest)] = *value;
}

NEVER_INLINE void
take_other(Scan *scan, JsonNodeId id, const char *p, int c, bool inner)
{
        JsonValue value = {.kind = c == 'n' ? JSON_VALUE_ABSENT : JSON_VALUE_OTHER,
                           .level = inner ? JSON_INNER : JSON_OUTER};
        take_value(scan, id, &value);
        if (!inner && id == scan->fields->envelope) {
                fail(scan, p);
                scan->result->inner = JSON_TEXT_BROKEN;
        }
}

NEVER_INLINE void
take_string(Scan *scan, JsonNodeId id, const char *text, const char *close, bool escaped, bool inner)
{
        JsonValue value = {.kind = JSON_VALUE_STRING,
                           .text = text,
                           .length = (size_t)(close - text),
                           .escaped = escaped,
                           .level = inner ? JSON_INNER : JSON_OUTER};
        take_value(scan, id, &value);
}

/* ---- the loop ---- */

JSON_INLINE void
stack_push(Stack *stack, JsonScratch *scratch, bool object)
{
        if (G_UNLIKELY(stack->depth % WORD_BITS == 0 && stack->depth > 0))
                scratch_save(scratch, stack->depth / WORD_BITS - 1, stack->kinds);
        stack->kinds = stack->kinds << 1 | object;
        stack->depth++;
}

JSON_INLINE void
stack_pop(Stack *stack, const JsonScratch *scratch)
{
        stack->kinds >>= 1;
        stack->depth--;
        if (G_UNLIKELY(stack->depth % WORD_BITS == 0 && stack->depth > 0))
                stack->kinds = scratch->words[stack->depth / WORD_BITS - 1];
        stack->live = MIN(stack->live, stack->depth);
}

JSON_INLINE bool
in_object(const Stack *stack)
{
        return stack->kinds & 1;
}

/* What closes the innermost bracket: ']' and '}' differ in one bit. */
JSON_INLINE int
closer(const Stack *stack)
{
        return ']' | (int)(stack->kinds & 1) << 5;
}

/* Opens the value of @target, whose bracket is @c. */
JSON_INLINE void
open_bracket(Scan *scan, Stack *stack, Path *path, JsonNodeId target, int c)
{
        stack_push(stack, scan->scratch, c == '{');
        if (G_UNLIKELY(target && scan->fields->nodes[target].first_child)) {
                stack->live = stack->depth;
                path->nodes[stack->live] = target;
                path->elements[stack->live] = 0;
        }
}

/* The lengths of the keys that are looked for in the innermost object. */
JSON_INLINE uint64_t
lengths_sought(const Scan *scan, const Stack *stack, const Path *path)
{
        return stack->depth == stack->live ? scan->fields->nodes[path->nodes[stack->live]].lengths : 0;
}

JSON_INLINE const char *
take_key(Scan *scan, const char *p, const Stack *stack, const Path *path, const bool inner,
         JsonNodeId *out_target)
{
        const char *close;
        bool escaped;
        const char *next = json_skip_string(&scan->marks, p, scan->end, inner, &close, &escaped);
        *out_target = JSON_NODE_NONE;
        if (stack->depth != stack->live || !next)
                return next;
        JsonNodeId node = path->nodes[stack->live];
        size_t length = (size_t)(close - p);
        if (escaped || scan->fields->nodes[node].lengths >> length % WORD_BITS & 1)
                *out_target = meet_key(scan, node, p, length, escaped, inner);
        return next;
}

JSON_INLINE JsonNodeId
next_element(const Scan *scan, const Stack *stack, Path *path)
{
        if (stack->depth != stack->live)
                return JSON_NODE_NONE;
        return json_fields_find_index(scan->fields, path->nodes[stack->live], path->elements[stack->live]++);
}

/* The string "oslo.message" from after its opening quote: the place after it if the inner text is fine. */
static const char *scan_inner(Scan *scan, const char *text);

JSON_INLINE const char *
string_value(Scan *scan, const char *text, JsonNodeId target, const bool inner)
{
        const char *close;
        bool escaped;
        const char *next;
        if (!inner && target && target == scan->fields->envelope) {
                next = scan_inner(scan, text);
                escaped = true;
                close = next ? next - 1 : NULL;
                if (!next)
                        next = json_skip_string(&scan->marks, text, scan->end, inner, &close, &escaped);
        } else {
                next = json_skip_string(&scan->marks, text, scan->end, inner, &close, &escaped);
        }
        if (target && next)
                take_string(scan, target, text, close, escaped, inner);
        return next;
}

/*
 * After a value (or, if @opened, an opening bracket): closes brackets and takes the comma, to the first
 * character of the next key or element. NO_TOKEN: broken, or the last bracket is closed.
 */
JSON_INLINE int
next_member(Scan *scan, Stack *stack, const char **p, bool opened, const bool inner)
{
        const char *end = scan->end;
        if (inner && !opened && json_is_at(*p, end, ", \\\"")) {
                *p += 4;
                return '"';
        }
        int c = json_next_token(p, end, inner);
        while (c == closer(stack)) {
                stack_pop(stack, scan->scratch);
                if (stack->depth == 0)
                        return JSON_NO_TOKEN;
                opened = false;
                c = json_next_token(p, end, inner);
        }
        if (opened)
                return c;
        return c == ',' ? json_next_token(p, end, inner) : JSON_NO_TOKEN;
}

/* After a key: takes the colon, to the first character of the value. */
JSON_INLINE int
next_value(const char **p, const char *end, const bool inner)
{
        if (inner && json_is_at(*p, end, ": \\\"")) {
                *p += 4;
                return '"';
        }
        return json_next_token(p, end, inner) == ':' ? json_next_token(p, end, inner) : JSON_NO_TOKEN;
}

/* From the first bracket of the text of a level to after its last; NULL if broken. */
JSON_INLINE const char *
walk(Scan *scan, const char *p, const bool inner)
{
        const char *end = scan->end;
        Stack stack = {0};
        Path path;
        JsonNodeId target = inner ? JSON_NODE_INNER : JSON_NODE_OUTER;
        int c = json_next_token(&p, end, inner);
        for (;;) {
                const char *next = p;
                bool opened = is_container(c);
                if (target && c != '"')
                        take_other(scan, target, p, c, inner);
                if (c == '"')
                        next = string_value(scan, p, target, inner);
                else if (opened)
                        open_bracket(scan, &stack, &path, target, c);
                else
                        next = json_skip_scalar(p, end, inner, c);
                if (!next)
                        return fail(scan, p);
                p = next;
                c = next_member(scan, &stack, &p, opened, inner);
                if (stack.depth == 0)
                        return p;
                if (in_object(&stack)) {
                        if (c == '"')
                                p = json_skip_members(&scan->marks, p, end,
                                                      lengths_sought(scan, &stack, &path), inner);
                        next = c == '"' ? take_key(scan, p, &stack, &path, inner, &target) : NULL;
                        if (!next)
                                return fail(scan, p);
                        p = next;
                        c = next_value(&p, end, inner);
                } else {
                        target = next_element(scan, &stack, &path);
                }
        }
}

/* ---- beginnings and ends ---- */

/* Whether a text begins as JSON: OK; ABSENT; BROKEN if a byte order mark stands in front. */
static JsonText
text_begins(const char *p, const char *end, bool inner)
{
        int c = json_next_token_slow(&p, end, inner);
        if (is_container(c))
                return JSON_TEXT_OK;
        bool raw_mark = c == 0xef && end - p >= 2 && memcmp(p, "\xbb\xbf", 2) == 0;
        if (raw_mark)
                p += 2;
        else if (c != 0xfeff)
                return JSON_TEXT_ABSENT;
        return is_container(json_next_token_slow(&p, end, inner)) ? JSON_TEXT_BROKEN : JSON_TEXT_ABSENT;
}

static const char *
scan_inner(Scan *scan, const char *text)
{
        if (scan->result->inner != JSON_TEXT_ABSENT)
                return NULL; /* the second one */
        scan->result->inner = text_begins(text, scan->end, true);
        if (scan->result->inner == JSON_TEXT_BROKEN)
                return fail(scan, text);
        if (scan->result->inner == JSON_TEXT_ABSENT)
                return NULL;
        scan->result->inner = JSON_TEXT_BROKEN;
        const char *p = walk(scan, text, true);
        if (!p)
                return NULL;
        if (json_next_token_slow(&p, scan->end, true) != JSON_NO_TOKEN || p == scan->end || *p != '"')
                return fail(scan, p);
        scan->result->inner = JSON_TEXT_OK;
        return p + 1;
}

static JsonText
scan_outer(Scan *scan)
{
        JsonText begins = text_begins(scan->text, scan->end, false);
        if (begins == JSON_TEXT_BROKEN)
                fail(scan, scan->text);
        if (begins != JSON_TEXT_OK)
                return begins;
        const char *p = walk(scan, scan->text, false);
        if (!p)
                return JSON_TEXT_BROKEN;
        if (json_next_token_slow(&p, scan->end, false) == JSON_NO_TOKEN)
                return JSON_TEXT_OK;
        fail(scan, p);
        return JSON_TEXT_BROKEN;
}

void
json_scan(const JsonFields *fields, JsonScratch *scratch, const char *text, size_t length,
          JsonResult *out_result)
{
        Scan scan;
        scan.fields = fields;
        scan.scratch = scratch;
        scan.result = out_result;
        scan.text = text;
        scan.end = text + length;
        scan.marks = (JsonMarks){0};
        scan.ambiguous = 0;
        scan.failed = false;
        memset(scan.seen, 0, (fields->n_nodes / WORD_BITS + 1) * sizeof(scan.seen[0]));
        memset(out_result->values, 0, fields->n_fields * sizeof(out_result->values[0]));
        out_result->inner = JSON_TEXT_ABSENT;
        out_result->broken_at = 0;
        out_result->outer = scan_outer(&scan);
        if (out_result->outer == JSON_TEXT_BROKEN && fields->envelope != JSON_NODE_NONE)
                out_result->inner = JSON_TEXT_BROKEN;
        for (uint64_t rest = scan.ambiguous; rest; rest &= rest - 1)
                out_result->values[__builtin_ctzll(rest)].kind = JSON_VALUE_AMBIGUOUS;
}
