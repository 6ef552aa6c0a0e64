/* SPDX-License-Identifier: MIT */

/*
 * FNV-1a reads the bytes; a host's score is the mix of two such hashes. The mix must spread well, since names
 * of hosts and keys often differ in their last digit only: it is the finaliser of splitmix64.
 */
#include "cluster/rendezvous.h"

static uint64_t
mix(uint64_t value)
{
        value ^= value >> 30;
        value *= G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
        value ^= value >> 27;
        value *= G_GUINT64_CONSTANT(0x94d049bb133111eb);
        return value ^ (value >> 31);
}

uint64_t
rendezvous_hash(const char *bytes, size_t length)
{
        uint64_t hash = G_GUINT64_CONSTANT(0xcbf29ce484222325);
        for (size_t i = 0; i < length; i++)
                hash = (hash ^ (unsigned char)bytes[i]) * G_GUINT64_CONSTANT(0x100000001b3);
        return mix(hash);
}

const ViewHost *
rendezvous_pick(const ViewCluster *cluster, uint64_t key)
{
        const ViewHost *best = NULL;
        uint64_t best_score = 0;
        for (guint i = 0; i < cluster->usable->len; i++) {
                const ViewHost *host = g_ptr_array_index(cluster->usable, i);
                uint64_t score = mix(key ^ host->name_hash);
                if (best == NULL || score > best_score) {
                        best = host;
                        best_score = score;
                }
        }
        return best;
}
