/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"

#include <stdbool.h>

/*
 * Where messages go (`destination`) and come from (`bind`, `bind_exchange`). Each parser returns false after
 * adding an error to @place and then leaves the route untouched.
 */
bool conf_destination_parse(const ConfPlace *place, const char *text,
                            ConfRoute *route) G_GNUC_WARN_UNUSED_RESULT;
bool conf_bind_parse_list(const ConfPlace *place, const char *text,
                          GPtrArray **out_binds) G_GNUC_WARN_UNUSED_RESULT;
bool conf_bind_parse_exchange(const ConfPlace *place, const char *text,
                              ConfRoute *route) G_GNUC_WARN_UNUSED_RESULT;

/* Whether exchange or key of the destination hold @placeholder, such as "{cluster}". */
bool conf_destination_has(const ConfRoute *route, const char *placeholder);

void conf_bind_free(ConfBind *bind); /* NULL is fine */
