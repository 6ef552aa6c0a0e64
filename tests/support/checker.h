/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The judge of a load: it sends messages that can be recognised one by one, collects them from the queues
 * where they may have ended, and says what happened to them.
 *
 * Every message has an id, given in the order of sending; its body, headers and properties follow from the id
 * and its cluster, so that any change shows. Sending survives lost connections and brokers that restart: what
 * was not confirmed then counts as attempted only, and is not sent again.
 *
 * The functions below are for one thread; a load that runs between checker_start() and checker_stop() has its
 * own.
 */
typedef struct Checker Checker;

/* Messages go to @queue at the broker @url. */
Checker *checker_new(const char *url, const char *queue) G_GNUC_WARN_UNUSED_RESULT;
void checker_free(Checker *checker); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Checker, checker_free)

const char *checker_url(const Checker *checker); /* of the broker; the checker's */

/* Sends @count messages for @clusters in turn (NULL-terminated, borrowed; the name "" stands for none), and
 * waits for their confirms. */
void checker_send(Checker *checker, const char *const *clusters, unsigned count);

/* The same in a thread, without end, @per_s messages a second. */
void checker_start(Checker *checker, const char *const *clusters, unsigned per_s);
void checker_stop(Checker *checker);

uint64_t checker_confirmed(Checker *checker); /* so far */
/* Waits until that many more are confirmed; aborts the test after 30 s. */
void checker_wait_confirmed(Checker *checker, uint64_t more);

/*
 * Empties @queue, where messages of @cluster may end (NULL: of any), and notes what is in it. Returns how
 * many. Nobody else may consume it.
 */
unsigned checker_collect(Checker *checker, const char *queue, const char *cluster);
/* The same at another broker. */
unsigned checker_collect_at(Checker *checker, const char *url, const char *queue, const char *cluster);

typedef struct {
        uint64_t attempted;
        uint64_t confirmed;           /* by the broker, to us */
        uint64_t delivered;           /* different messages collected */
        uint64_t lost;                /* confirmed, but not collected */
        uint64_t duplicated_marked;   /* further copies, with x-possible-duplicate = 1 (an int) */
        uint64_t duplicated_unmarked; /* further copies without */
        uint64_t marked;              /* copies that carry the mark, first ones included */
        uint64_t misrouted;           /* found in the queue of another cluster */
        uint64_t altered;             /* body, properties or headers differ */
        uint64_t reordered;           /* first copies collected behind a later one of their cluster */
        uint64_t foreign;             /* not sent by this checker */
} CheckerVerdict;

CheckerVerdict checker_verdict(Checker *checker);

/* Nothing lost, misrouted, altered, foreign; no copy without its mark. Aborts the test if not. */
void checker_assert_safe(Checker *checker);
/* Besides that no duplicates and nothing out of order: as without any fault. */
void checker_assert_perfect(Checker *checker);
