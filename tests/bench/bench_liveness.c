/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Fills a redis with heartbeats, sent as agents send them, one after the other on one connection; then polls
 * all clusters again and again as the router's registry does.
 *
 *     bench_liveness URL HOSTS POLLS CLUSTER...
 *
 * Prints "heartbeats PER_SECOND" and for each poll "poll SECONDS".
 */

enum { TIMEOUT_MS = 10000, TTL_MS = 24 * 3600 * 1000 };

static void
fail(const char *what, const GError *error)
{
        fprintf(stderr, "bench_liveness: %s: %s\n", what, error ? error->message : "failed");
        exit(1);
}

static double
since_s(int64_t began_us)
{
        return (double)(g_get_monotonic_time() - began_us) / G_USEC_PER_SEC;
}

static void
beat_all(Liveness *liveness, char **clusters, unsigned n_clusters, unsigned hosts)
{
        int64_t began_us = g_get_monotonic_time();
        g_autoptr(GError) error = NULL;

        for (unsigned i = 0; i < n_clusters; i++) {
                for (unsigned j = 0; j < hosts; j++) {
                        char host[32];

                        g_snprintf(host, sizeof(host), "10.%u.%u.%u", i / 250, i % 250, j + 1);
                        if (!liveness_send_heartbeat(liveness, clusters[i], host, TTL_MS, &error))
                                fail("heartbeat", error);
                }
        }
        printf("heartbeats %.0f\n", n_clusters * hosts / since_s(began_us));
}

static unsigned
count_alive(const GPtrArray *clusters)
{
        unsigned alive = 0;

        for (unsigned i = 0; i < clusters->len; i++)
                alive += ((const LivenessCluster *)clusters->pdata[i])->alive;
        return alive;
}

static void
poll_all(Liveness *liveness, GPtrArray *clusters, unsigned hosts)
{
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;
        int64_t began_us = g_get_monotonic_time();

        if (!liveness_check_hosts(liveness, clusters, warnings, &error))
                fail("poll", error);
        printf("poll %.6f\n", since_s(began_us));
        if (count_alive(clusters) < clusters->len * hosts || warnings->len > 0)
                fail("poll", NULL);
        liveness_write_counts(liveness, clusters, warnings);
}

int
main(int argc, char **argv)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(Liveness) liveness = NULL;

        if (argc < 5) {
                fprintf(stderr, "usage: bench_liveness URL HOSTS POLLS CLUSTER...\n");
                return 64;
        }
        liveness = liveness_new(argv[1], TIMEOUT_MS, &error);
        if (!liveness)
                fail(argv[1], error);

        uint64_t hosts, polls;
        unsigned clusters = (unsigned)argc - 4;
        g_autoptr(GPtrArray) polled = g_ptr_array_new_with_free_func((GDestroyNotify)liveness_cluster_free);

        if (!g_ascii_string_to_unsigned(argv[2], 10, 1, 250, &hosts, &error) ||
            !g_ascii_string_to_unsigned(argv[3], 10, 0, 10000, &polls, &error))
                fail("HOSTS or POLLS", error);

        beat_all(liveness, argv + 4, clusters, (unsigned)hosts);
        for (unsigned i = 0; i < clusters; i++)
                g_ptr_array_add(polled, liveness_cluster_new(argv[4 + i], NULL));
        for (uint64_t i = 0; i < polls; i++)
                poll_all(liveness, polled, (unsigned)hosts);
        return 0;
}
