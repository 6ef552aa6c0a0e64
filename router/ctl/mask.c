/* SPDX-License-Identifier: MIT */
/*
 * Secrets are known by the names of their keys. Better one harmless field too many than one token shown.
 */
#include "router/ctl/mask.h"

#include <glib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

static const char *const secret_words[] = {"token",       "service_catalog", "password",     "passwd",
                                           "secret",      "credential",      "passphrase",   "admin_pass",
                                           "private_key", "provider_auth",   "authorization"};

static bool
speaks_of_secrets(const char *text, size_t length)
{
        g_autofree char *lower = g_ascii_strdown(text, (gssize)length);

        for (size_t i = 0; i < G_N_ELEMENTS(secret_words); i++)
                if (memmem(lower, length, secret_words[i], strlen(secret_words[i])))
                        return true;
        return false;
}

static json_t *show(const json_t *value, bool raw, unsigned depth);

static json_t *
show_object(const json_t *object, bool raw, unsigned depth)
{
        json_t *copy = json_object();
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)object, key, value)
        {
                bool hidden = !raw && !json_is_null(value) && speaks_of_secrets(key, strlen(key));

                json_object_set_new(copy, key, hidden ? json_string("***") : show(value, raw, depth + 1));
        }
        return copy;
}

static json_t *
show_array(const json_t *array, bool raw, unsigned depth)
{
        json_t *copy = json_array();
        const json_t *value;
        size_t i;

        json_array_foreach(array, i, value)
        {
                json_array_append_new(copy, show(value, raw, depth + 1));
        }
        return copy;
}

static json_t *
show_text(const json_t *text, bool raw, unsigned depth)
{
        const char *bytes = json_string_value(text);
        size_t length = json_string_length(text);
        bool maybe_json = length > 1 && (bytes[0] == '{' || bytes[0] == '[');
        json_t *inner = maybe_json ? json_loadb(bytes, length, JSON_ALLOW_NUL, NULL) : NULL;

        if (inner == NULL && maybe_json && !raw && speaks_of_secrets(bytes, length))
                return json_string("*** (broken JSON that speaks of secrets)");
        if (inner == NULL)
                return json_copy((json_t *)text);

        json_t *shown = show(inner, raw, depth + 1);

        json_decref(inner);
        return shown;
}

static json_t *
show(const json_t *value, bool raw, unsigned depth)
{
        if (depth > DEPTH_MAX)
                return json_string("*** (nested too deep)");
        if (json_is_object(value))
                return show_object(value, raw, depth);
        if (json_is_array(value))
                return show_array(value, raw, depth);
        if (json_is_string(value))
                return show_text(value, raw, depth);
        return json_copy((json_t *)value);
}

json_t *
mask_json(const json_t *value, bool raw)
{
        return show(value, raw, 0);
}

json_t *
mask_body(const char *body, size_t length, bool raw)
{
        json_t *parsed = json_loadb(body, length, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
        json_t *shown = NULL;

        if (parsed) {
                shown = mask_json(parsed, raw);
        } else if (!raw && speaks_of_secrets(body, length)) {
                shown =
                    json_sprintf("*** (%zu bytes that are no JSON and speak of secrets; see --raw)", length);
        } else if (!raw && !g_utf8_validate_len(body, length, NULL)) {
                shown = json_sprintf("(%zu bytes that are no text; see --raw)", length);
        } else {
                g_autofree char *valid = g_utf8_make_valid(body, (gssize)length);

                shown = json_string(valid);
        }
        json_decref(parsed);
        return shown;
}
