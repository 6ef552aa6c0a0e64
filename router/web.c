/* SPDX-License-Identifier: MIT */
/*
 * The files are a GResource that is linked in and stored plain, so that what is sent are the program's own
 * pages and nothing is copied or held in memory.
 */
#include "router/web.h"

#include <gio/gio.h>
#include <string.h>

GResource *web_get_resource(void); /* made by the build from web/web.gresource.xml */

static const struct {
        const char *path;
        const char *resource;
        const char *type;
} files[] = {
    {"/", "/web/index.html", "text/html; charset=utf-8"},
    {"/app.css", "/web/app.css", "text/css; charset=utf-8"},
    {"/app.js", "/web/app.js", "text/javascript; charset=utf-8"},
    {"/charts.js", "/web/charts.js", "text/javascript; charset=utf-8"},
    {"/dygraph.js", "/web/dygraph.js", "text/javascript; charset=utf-8"},
    {"/dygraph.css", "/web/dygraph.css", "text/css; charset=utf-8"},
    {"/icon.svg", "/web/icon.svg", "image/svg+xml"},
};

bool
web_find(const char *path, WebFile *out_file)
{
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                if (strcmp(path, files[i].path) != 0)
                        continue;

                g_autoptr(GBytes) bytes =
                    g_resource_lookup_data(web_get_resource(), files[i].resource, 0, NULL);
                g_assert(bytes); /* the list above and web.gresource.xml differ */
                out_file->type = files[i].type;
                out_file->bytes = g_bytes_get_data(bytes, &out_file->size);
                return true;
        }
        return false;
}
