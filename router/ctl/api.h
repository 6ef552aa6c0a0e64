/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <jansson.h>

/*
 * Asks the router of this configuration over HTTP, at the address of its [http] listen. Returns the document,
 * the caller's; or says on stderr what was tried and what to do, sets @out_status to the exit status and
 * returns NULL.
 */
json_t *api_get(const Conf *conf, const char *path, int *out_status) G_GNUC_WARN_UNUSED_RESULT;

/* The same without saying anything: @out_error is new. */
json_t *api_ask(const Conf *conf, const char *path, int *out_status,
                char **out_error) G_GNUC_WARN_UNUSED_RESULT;

/* Another router, at HOST:PORT. */
json_t *api_ask_at(const char *address, const char *path, int *out_status,
                   char **out_error) G_GNUC_WARN_UNUSED_RESULT;

/* Where the router of this configuration is asked, as HOST:PORT. New; NULL if HTTP is off. */
char *api_address(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;

/* Where the router is asked: a wildcard address becomes loopback. New; NULL if HTTP is off. */
char *api_url(const Conf *conf, const char *path) G_GNUC_WARN_UNUSED_RESULT;
