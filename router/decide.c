/* SPDX-License-Identifier: MIT */
/*
 * Every answer is one place and one reason. The reason says why the message did not simply go to a live
 * cluster that it named, even if a policy then found it a good home.
 *
 * Policies never chain: at most one step leads from the message to a cluster, and one more from a cluster
 * that is down to another. What finds no usable cluster then is parked with the first one, so nothing can go
 * round in circles.
 */
#include "router/decide.h"

#include <string.h>

static Decision
deliver(const ViewCluster *cluster, Reason reason)
{
        return (Decision){.kind = DECIDE_DELIVER, .reason = reason, .cluster = cluster};
}

static Decision
park(const ViewCluster *cluster_or_null, Reason reason)
{
        return (Decision){.kind = DECIDE_PARK, .reason = reason, .cluster = cluster_or_null};
}

static Decision
dead(Reason reason)
{
        return (Decision){.kind = DECIDE_DEAD, .reason = reason};
}

static Decision
to_queue(const ConfPolicy *policy, Reason reason)
{
        return (Decision){.kind = DECIDE_QUEUE, .reason = reason, .queue = policy->name};
}

static const ViewCluster *
find_named(const View *view, const ConfPolicy *policy)
{
        return view_find(view, policy->name, strlen(policy->name));
}

/* Where the operator sends what is new for a drained cluster; NULL if that cannot take it now. */
static const ViewCluster *
find_substitute(const ViewCluster *cluster, const View *view)
{
        const ViewCluster *other = cluster->drained && cluster->drain_to
                                       ? view_find(view, cluster->drain_to, strlen(cluster->drain_to))
                                       : NULL;

        return other && view_cluster_is_usable(other) ? other : NULL;
}

/* A drain is a wish to lose nothing: what would kill the message parks it instead. A caller is told all the
 * same. */
static ConfPolicyKind
soften_for_drain(ConfPolicyKind kind, bool drained)
{
        return kind == CONF_POLICY_DEAD && drained ? CONF_POLICY_PARK : kind;
}

static Decision
decide_for_unusable(const ViewCluster *cluster, bool is_call, const ConfRoute *route, const View *view,
                    uint64_t ticket)
{
        const ConfPolicy *policy = is_call ? &route->on_down_call : &route->on_down_cast;
        Reason reason = cluster->drained ? REASON_CLUSTER_DRAINED : REASON_CLUSTER_DOWN;
        const ViewCluster *other = find_substitute(cluster, view);

        if (other)
                return deliver(other, reason);
        switch (soften_for_drain(policy->kind, cluster->drained)) {
        case CONF_POLICY_ANY:
                other = view_pick(view, ticket);
                return other ? deliver(other, reason) : park(cluster, reason);
        case CONF_POLICY_CLUSTER:
                other = find_named(view, policy);
                return other && view_cluster_is_usable(other) ? deliver(other, reason)
                                                              : park(cluster, reason);
        case CONF_POLICY_QUEUE:
                return to_queue(policy, reason);
        case CONF_POLICY_DEAD:
                return dead(reason);
        case CONF_POLICY_FAIL:
                /* nobody waits for the answer to a cast */
                return is_call ? (Decision){.kind = DECIDE_FAIL, .reason = reason, .cluster = cluster}
                               : park(cluster, reason);
        case CONF_POLICY_PARK:
                break;
        }
        return park(cluster, reason);
}

static Decision
decide_for_named(const ViewCluster *cluster, Reason reason, bool is_call, const ConfRoute *route,
                 const View *view, uint64_t ticket)
{
        if (view_cluster_is_usable(cluster))
                return deliver(cluster, reason);
        return decide_for_unusable(cluster, is_call, route, view, ticket);
}

/* For a message that leads to no cluster by itself. */
static Decision
decide_by_policy(const ConfPolicy *policy, Reason reason, bool is_call, const ConfRoute *route,
                 const View *view, uint64_t ticket)
{
        const ViewCluster *cluster = NULL;

        switch (policy->kind) {
        case CONF_POLICY_ANY:
                cluster = view_pick(view, ticket);
                return cluster ? deliver(cluster, reason) : park(NULL, REASON_CLUSTER_DOWN);
        case CONF_POLICY_CLUSTER:
                cluster = find_named(view, policy);
                return cluster ? decide_for_named(cluster, reason, is_call, route, view, ticket)
                               : park(NULL, reason); /* removed from the catalogue since */
        case CONF_POLICY_QUEUE:
                return to_queue(policy, reason);
        case CONF_POLICY_DEAD:
                return dead(reason);
        case CONF_POLICY_PARK:
        case CONF_POLICY_FAIL: /* not legal here: the safe thing */
                break;
        }
        return park(NULL, reason);
}

Decision
decide(const Envelope *envelope, const ConfRoute *route, const View *view, uint64_t ticket)
{
        if (envelope->kind == ENVELOPE_BAD)
                return dead(REASON_BAD_MESSAGE);
        if (view->single)
                return deliver(NULL, REASON_LIVE);

        switch (envelope->kind) {
        case ENVELOPE_CLUSTER:
                return decide_for_named(envelope->cluster, REASON_LIVE, envelope->is_call, route, view,
                                        ticket);
        case ENVELOPE_UNKNOWN:
                return decide_by_policy(&route->on_unknown_cluster, REASON_UNKNOWN_CLUSTER, envelope->is_call,
                                        route, view, ticket);
        case ENVELOPE_NO_CLUSTER:
        case ENVELOPE_BAD:
                break;
        }
        return decide_by_policy(&route->on_no_cluster, REASON_NO_CLUSTER, envelope->is_call, route, view,
                                ticket);
}
