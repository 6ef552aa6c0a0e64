/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <stddef.h>

/* Sets the fingerprints of @conf and of each of its routes. @bytes are those of the file. */
void conf_fingerprint_seal(Conf *conf, const char *bytes, size_t length);
