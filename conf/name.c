/* SPDX-License-Identifier: MIT */

/*
 * Each kind of name is judged by one function that gives the reason against it, or NULL if it is legal: so
 * the verdict and its explanation cannot disagree.
 *
 * Redis keys are CLUSTER_HOST, CLUSTER_set, CLUSTER_host_num and CLUSTER_up_host_num. A host holds no "_", so
 * the last "_" of a heartbeat key parts cluster and host without doubt; the two words and the one ending that
 * are forbidden keep the other keys apart.
 */

#include "conf/name.h"

#include <glib.h>
#include <string.h>

static bool
has_shape(const char *name, size_t length, const char *first, const char *rest)
{
        for (size_t i = 0; i < length; i++) {
                const char *extra = i == 0 ? first : rest;
                if (!g_ascii_isalnum(name[i]) && (name[i] == '\0' || !strchr(extra, name[i])))
                        return false;
        }
        return true;
}

static bool
is_word(const char *name, size_t length, const char *word)
{
        return length == strlen(word) && memcmp(name, word, length) == 0;
}

static bool
is_reserved(const char *name, size_t length)
{
        static const char *const words[] = {"DEFAULT", "broker", "redis", "mysql", "http"};
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                if (length == strlen(words[i]) && g_ascii_strncasecmp(name, words[i], length) == 0)
                        return true;
        return false;
}

static const char *
against_cluster(const char *name, size_t length)
{
        if (length == 0)
                return "it is empty";
        if (length > NAME_MAX_BYTES)
                return "it is longer than 64 bytes";
        if (!has_shape(name, length, "", "._-"))
                return "only letters, digits, \".\", \"_\" and \"-\" are allowed, the first a letter or "
                       "digit";
        if (is_reserved(name, length))
                return "it is a reserved word of the configuration";
        if (length >= 3 && memcmp(name + length - 3, "_up", 3) == 0)
                return "it ends in \"_up\", which is used for counts in redis";
        return NULL;
}

static const char *
against_host(const char *name, size_t length)
{
        if (length == 0)
                return "it is empty";
        if (length > NAME_MAX_BYTES)
                return "it is longer than 64 bytes";
        if (!has_shape(name, length, ":", ".-:"))
                return "only letters, digits, \".\", \"-\" and \":\" are allowed, the first not \".\" or "
                       "\"-\"";
        if (is_word(name, length, "set") || is_word(name, length, "num"))
                return "\"set\" and \"num\" are used for other keys in redis";
        return NULL;
}

static const char *
against_route(const char *name, size_t length)
{
        if (length == 0)
                return "it is empty";
        if (length > NAME_MAX_BYTES)
                return "it is longer than 64 bytes";
        if (!has_shape(name, length, "", "._-"))
                return "only letters, digits, \".\", \"_\" and \"-\" are allowed, the first a letter or "
                       "digit";
        if (g_strstr_len(name, (gssize)length, ".parked"))
                return "it holds \".parked\", which is used for parking queues";
        return NULL;
}

bool
name_is_cluster(const char *name, size_t length)
{
        return !against_cluster(name, length);
}

bool
name_is_host(const char *name, size_t length)
{
        return !against_host(name, length);
}

bool
name_is_route(const char *name, size_t length)
{
        return !against_route(name, length);
}

const char *
name_explain_cluster(const char *name, size_t length)
{
        return against_cluster(name, length);
}

const char *
name_explain_host(const char *name, size_t length)
{
        return against_host(name, length);
}

const char *
name_explain_route(const char *name, size_t length)
{
        return against_route(name, length);
}
