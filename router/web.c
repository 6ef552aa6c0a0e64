/* SPDX-License-Identifier: MIT */
#include "router/web.h"

#include <string.h>

const WebFile *
web_find(const char *path)
{
        for (size_t i = 0; i < n_web_files; i++) {
                if (strcmp(path, web_files[i].path) == 0)
                        return &web_files[i];
        }
        return NULL;
}
