/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>

/*
 * The captured messages of tests/data. In a header, because unit tests are programs of one file.
 */

typedef struct {
        char *name;       /* file name */
        json_t *message;  /* the whole file */
        const char *body; /* of the message; belongs to it */
        size_t length;
        const char *key; /* routing key; belongs to the message */
} Capture;

static inline void
capture_free(gpointer data)
{
        Capture *capture = data;
        g_free(capture->name);
        json_decref(capture->message);
        g_free(capture);
}

static inline int
capture_compare(gconstpointer a, gconstpointer b)
{
        const Capture *const *x = a;
        const Capture *const *y = b;
        return g_strcmp0((*x)->name, (*y)->name);
}

static inline Capture *
capture_load(const char *folder, const char *name)
{
        g_autofree char *path = g_build_filename(folder, name, NULL);
        json_error_t error;
        Capture *capture = g_new0(Capture, 1);
        capture->name = g_strdup(name);
        capture->message = json_load_file(path, 0, &error);
        if (!capture->message)
                g_error("%s: %s", path, error.text);
        capture->body = json_string_value(json_object_get(capture->message, "body"));
        capture->length = json_string_length(json_object_get(capture->message, "body"));
        capture->key = json_string_value(json_object_get(capture->message, "routing_key"));
        g_assert_nonnull(capture->body);
        return capture;
}

/* All of them, of Capture *, in order of name. */
static inline GPtrArray *
captures_load(void)
{
        const char *root = g_getenv("PROJECT_ROOT");
        g_autofree char *folder = g_build_filename(root ? root : ".", "tests", "data", NULL);
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        g_assert_nonnull(dir);
        GPtrArray *captures = g_ptr_array_new_with_free_func(capture_free);
        for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
                if (g_str_has_suffix(name, ".json"))
                        g_ptr_array_add(captures, capture_load(folder, name));
        }
        g_ptr_array_sort(captures, capture_compare);
        return captures;
}

/* The one whose name begins so. */
static inline const Capture *
captures_find(const GPtrArray *captures, const char *prefix)
{
        for (unsigned i = 0; i < captures->len; i++) {
                const Capture *capture = captures->pdata[i];
                if (g_str_has_prefix(capture->name, prefix))
                        return capture;
        }
        g_error("no captured message %s", prefix);
}
