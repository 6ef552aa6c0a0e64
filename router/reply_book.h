/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdint.h>

/*
 * The names of reply queues that callers wait on, kept in redis so that they survive a restart: a reply that
 * arrives in a cluster while no router runs is copied to its caller by the next one. Every router knows the
 * names of all.
 *
 * A thread of its own talks to redis once a second; lanes only read and write memory. Without redis the book
 * holds what this process knows, and a name is learned again from the next request. Any thread.
 */
typedef struct ReplyBook ReplyBook;

enum { REPLY_BOOK_KEEP_S = 35 * 60 };

ReplyBook *reply_book_new(const Conf *conf);
void reply_book_free(ReplyBook *book); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReplyBook, reply_book_free)

/* Redis, and the clusters with their own broker, are those of @conf now; a new redis gets the names there
 * are. */
void reply_book_follow(ReplyBook *book, const Conf *conf);

/* A caller waits on @queue for replies of @cluster: now; not any more. */
void reply_book_note(ReplyBook *book, const char *cluster, const char *queue);
void reply_book_forget(ReplyBook *book, const char *cluster, const char *queue);

/* Grows when names were learned from other routers. */
uint64_t reply_book_generation(ReplyBook *book);

/* The names noted for @cluster in the last REPLY_BOOK_KEEP_S, by anybody; a new array of char *. */
GPtrArray *reply_book_names(ReplyBook *book, const char *cluster) G_GNUC_WARN_UNUSED_RESULT;
