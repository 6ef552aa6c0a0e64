/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

/* A place of the file that names a cluster which the file does not define. */
typedef struct {
        char *name;
        unsigned line;
        char *text; /* what to tell about it */
} ConfReference;

/* All such places, an array of ConfReference * that owns them. */
GPtrArray *conf_references_undefined(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;
