/* SPDX-License-Identifier: MIT */

/*
 * Two ways to ask, one for each kind of broker. A call to the shared broker waits for its answer, so that
 * what is found in a parking queue is true at the moment when it is acted upon. A cluster's own broker may be
 * silent, and must not hold up all other clusters: its answers come among all else that it sends.
 */

#include "router/lane_state.h"
#include "router/topology.h"

static InquiryResult
result_of(TopologyResult result)
{
        switch (result) {
        case TOPOLOGY_OK:
                return INQUIRY_OK;
        case TOPOLOGY_ABSENT:
                return INQUIRY_ABSENT;
        case TOPOLOGY_REFUSED:
                return INQUIRY_REFUSED;
        case TOPOLOGY_LOST:
                break;
        }
        return INQUIRY_PENDING;
}

static InquiryResult
call(Lane *lane, InquiryKind kind, const char *queue, InquiryAnswer *out_answer)
{
        Link *link = outlet_link(lane->outlet);
        g_autoptr(GError) error = NULL;
        TopologyResult result;

        /* A blocked broker does not answer; and an answer still to come would be taken for this one. */
        if (link_state(link) != LINK_UP || link_is_blocked(link) || outlet_asked_us(lane->outlet) != 0 ||
            !link_open_side(link))
                return INQUIRY_PENDING;
        if (kind == INQUIRY_LOOK)
                result = topology_look(link_connection(link), LINK_SIDE_CHANNEL, queue, &out_answer->messages,
                                       &out_answer->consumers, &error);
        else
                result = topology_ensure_queue(link_connection(link), LINK_SIDE_CHANNEL, queue,
                                               lane->conf->quorum, &out_answer->messages, &error);
        if (result == TOPOLOGY_LOST)
                link_fail(link, "%s", error ? error->message : "no answer");
        if (result == TOPOLOGY_REFUSED)
                g_strlcpy(out_answer->text, error->message, sizeof(out_answer->text));
        return result_of(result);
}

InquiryResult
lane_ask(Lane *lane, Outlet *outlet, InquiryKind kind, const char *queue, InquiryAnswer *out_answer)
{
        if (outlet == lane->outlet)
                return call(lane, kind, queue, out_answer);
        return outlet_ask(outlet, kind, queue, lane->now_us, out_answer);
}
