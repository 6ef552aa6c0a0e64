/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/log.h"
#include "router/answer.h"
#include "router/envelope.h"
#include "router/flow.h"
#include "router/host_queue.h"
#include "router/intake.h"
#include "router/lane.h"
#include "router/outlet.h"
#include "router/publication.h"
#include "router/recall.h"
#include "router/refusals.h"
#include "router/relay.h"
#include "router/reply_book.h"
#include "router/target.h"

/*
 * The inside of a lane, shared by the files lane*.c only. Everything here belongs to the lane's thread, but
 * for the fields marked otherwise.
 *
 *     lane.c         the thread: connections, views, the turn
 *     lane_route.c   a message comes in: read, decide, choose its target
 *     lane_publish.c it goes out, and what the broker says of it
 *     lane_careful.c after a crash: one message at a time
 *     lane_recall.c  what was done although the broker does not know it
 *     lane_flow.c    clusters: queues made, parking queues passed through
 *     lane_ask.c     what a broker says of a queue
 *     lane_evidence.c  are the queues of living clusters consumed?
 *     lane_tell.c    how its connections are, for log and statistics
 *     lane_log.c     lines about this route, its clusters and its messages
 *     lane_hosts.c   what is left in the queues of dead hosts is taken back
 *     lane_reply.c   callers: answered at once, or their replies copied back
 */

struct Lane {
        Conf *conf;
        const ConfRoute *route;
        unsigned number;
        Registry *registry;
        RouteStats *stats;
        GThread *thread;
        LinkHome home; /* any thread writes to its wake_fd */
        int stopping;  /* atomic, set by the main thread */
        int done;      /* atomic, set by the lane */
        _Atomic uint64_t turns;
        ReplyBook *book;
        const Crashes *crashes; /* or NULL */
        bool careful;           /* the last run crashed, and nothing was acknowledged since */
        GSourceFunc on_done;
        void *user_data;

        View *view;
        EnvelopeReader *reader;
        Publication *publication;
        GString *scratch;

        Intake *shared;
        Intake *parking;
        Outlet *outlet;     /* on the shared broker: parking and dead queues, and clusters without a broker of
                               their own */
        GPtrArray *outlets; /* of Outlet *: that one, and one for each cluster with its own broker */
        GPtrArray *own;     /* of Flow *: those clusters, in the order of the outlets */
        bool consuming;     /* as told to the statistics */
        bool blocked;
        char *reported; /* the connection error last logged, NULL: all well */

        GPtrArray *flows;       /* of Flow *, by number */
        GHashTable *flow_names; /* name -> Flow * */
        Recall *recall;         /* confirmed, but not known to be acknowledged */
        GQueue kept;            /* of Delivery *: acknowledged just now, by time */
        size_t kept_bytes;
        Flow **flow_of; /* by index of the view's clusters, NULL: not met yet */
        size_t n_flow_of;
        Flow *common; /* for messages of no cluster; in single-cluster mode the one flow there is */
        Target dead;
        Target caller;      /* the default exchange, where callers wait */
        GPtrArray *intakes; /* of Intake *: shared, parking, and one for each cluster with its own broker */
        GHashTable *queues; /* policy queue -> Target * */
        HostQueues *host_queues;  /* of dead hosts, or NULL: first lane only */
        GHashTable *host_intakes; /* Outlet * -> Intake *, its broker's; made when first needed */
        Refusals *refusals;       /* exchanges that were not there */
        GPtrArray *stalled;       /* of Target * that hold messages */
        GArray *sockets;          /* of struct pollfd, to sleep on */
        int64_t looked_us;        /* when a queue was last looked at to see what others do with it */
        unsigned look_cursor;
        bool looking; /* the flow there: how much is in its parking queue? */
        unsigned tend_cursor;
        unsigned tended;   /* flows looked after since anything last happened here */
        unsigned waiting;  /* flows that wait for their time, when last looked after */
        uint64_t prepared; /* all queues were made at this count of changes, 0: never */

        LogBudget log_budget; /* of lines about single messages */
        uint64_t arrivals;
        uint64_t in_flight_bytes;
        Load away; /* unconfirmed at brokers of clusters' own */
        Load held; /* by all stalled targets, when last flushed */
        int64_t now_us;
        int64_t now_unix_ms;
        int64_t tick_us;  /* when the slow work is due again */
        bool settled;     /* something got its outcome since the last look */
        int64_t stuck_us; /* since when nothing can be published, 0: it can */
        int64_t stop_us;  /* when stopping began, 0: not stopping */
        bool cancelled;   /* the shared queue sends nothing more */
};

/* ---- lane_log.c ---- */

/* A line about this lane's route, and about @cluster unless it is NULL. */
void lane_log(const Lane *lane, GLogLevelFlags level, const char *cluster, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/* A line about one message: what became of it and why. So many are left out if there are too many. */
void lane_log_message(Lane *lane, const Delivery *delivery, Reason reason, const char *what);

/* ---- lane_tell.c ---- */

/* After the links were tended: says what changed about them. */
void lane_tell(Lane *lane);
/* The connections are closed, and the lane is no longer one of its route. */
void lane_tell_end(Lane *lane);

/* ---- lane_route.c ---- */

/* Takes over @message. */
void lane_receive(Lane *lane, Intake *intake, Message *message);
/* The intake's channel is gone: forgets its deliveries. */
void lane_drop_all(Lane *lane, Intake *intake);
/* Reads a message and sends it where it belongs. */
void lane_route(Lane *lane, Delivery *delivery);
/* Out of the books, back to its queue as if never delivered. */
void lane_hand_back(Lane *lane, Delivery *delivery);
/* A message that came from a parking queue has left it. */
void lane_count_unparked(const Lane *lane, const Delivery *delivery);
/* The delivery has its outcome (counted by the caller). */
void lane_settle(Lane *lane, Delivery *delivery, Reason reason);
/* Frees what the ledger has let go. */
void lane_sweep_ledger(Lane *lane, Intake *intake);

/* ---- lane_careful.c ---- */

/* True if the message has crashed the router too often: it is put aside unread. */
bool lane_is_poison(Lane *lane, const Delivery *delivery);
/* After acknowledgements: once there was one, takes as many messages as usual. */
void lane_end_care(Lane *lane);

/* ---- lane_recall.c ---- */

/* It was acknowledged: frees it, at once or, if it could be recognised, once its ack has surely arrived. */
void lane_keep(Lane *lane, Delivery *delivery);
/* Frees what was kept long enough. */
void lane_drop_old(Lane *lane);
/* The connection is gone, maybe with the last acks: what it acknowledged just before may come back. */
void lane_remember_kept(Lane *lane, const Intake *intake);
/* The message will come back although it is done with; @target: where it went, if that was not counted, else
 * NULL. */
void lane_remember(Lane *lane, const Delivery *delivery, Target *target);
/* True if it came back and was done with before: it is settled now. */
bool lane_recognise(Lane *lane, Delivery *delivery);

/* ---- lane_publish.c ---- */

/* Counts a delivery that the broker has. */
void lane_count_outcome(Lane *lane, const Delivery *delivery, const Target *target);
/* Publishes it there, now or as soon as it can be. */
void lane_send(Lane *lane, Delivery *delivery, Target *target, Reason reason);
/* To the back of the flow's parking queue. */
void lane_park(Lane *lane, Delivery *delivery, Flow *flow, Reason reason);
/* Sends on what was kept waiting for the end of a pass. */
void lane_release_waiting(Lane *lane, Flow *flow);
void lane_bury(Lane *lane, Delivery *delivery, Reason reason);
/* What is new for this flow is parked from now on, because its destination takes nothing. */
void lane_give_up(Lane *lane, Flow *flow);
/* Nothing gets through to it just now: a cluster's own broker is away, blocked or silent. */
bool lane_is_out_of_order(const Lane *lane, const Target *target);
/* Publishes what waits, as far as possible. */
void lane_flush(Lane *lane);
/* Takes in what the broker says of publishes. True if there was anything. */
bool lane_collect(Lane *lane);

/* ---- lane_share.c ---- */

/* A cluster's own broker has as much unconfirmed as it may have: an eighth, or a few messages once these
 * brokers together have half of what there is. The shared one is needed for everything and never full. */
bool lane_is_full(const Lane *lane, const Target *target);
/* It keeps waiting what others need room for: a quarter, alone or together with the others that do. */
bool lane_is_crowded(const Lane *lane, const Target *target);
/* The delivery is published to its target; the broker has said what became of it, or will not. */
void lane_note_sent(Lane *lane, const Delivery *delivery);
void lane_note_answered(Lane *lane, const Delivery *delivery);
/* Before lane_is_crowded() is asked: how much all targets keep waiting. */
void lane_count_held(Lane *lane);

/* ---- lane_ask.c ---- */

/*
 * Asks the broker behind that outlet about a queue that is needed now. The shared broker's answer is awaited,
 * since without it nothing goes anyway; that of a cluster's own broker comes later: PENDING until then, ask
 * again. PENDING also while nobody can be asked. What is not needed now is asked by outlet_ask() alone.
 */
InquiryResult lane_ask(Lane *lane, Outlet *outlet, InquiryKind kind, const char *queue,
                       InquiryAnswer *out_answer) G_GNUC_WARN_UNUSED_RESULT;

/* ---- lane_evidence.c ---- */

/* Looks, now and then, whether the cluster's queue is consumed, and warns if heartbeats tell otherwise. False
 * while the broker has not answered. */
bool lane_compare_evidence(Lane *lane, Flow *flow);

/* ---- lane_hosts.c ---- */

/* Which hosts are dead in the view. Nothing more is taken from the queue of one that is not. */
void lane_follow_hosts(Lane *lane);
/* Slow work: begins and ends to take back, a portion at a time. */
void lane_tend_hosts(Lane *lane);
/* A message came out of the queue of a dead host. */
void lane_receive_taken(Lane *lane, Delivery *delivery);
/* That queue sends nothing more. */
void lane_end_taking(Lane *lane, int number);
/* The channel is gone, and with it all that was in hand. */
void lane_abort_taking(Lane *lane, const Intake *intake);
void lane_stop_taking(Lane *lane);
/* Before its outcome is counted: nothing unless it was taken back. */
void lane_count_taken(Lane *lane, const Delivery *delivery);

/* ---- lane_reply.c ---- */

/* Publishes an answer to the caller in place of the request. False if it says not where the caller waits. */
bool lane_answer(Lane *lane, Delivery *delivery, const Envelope *envelope, const char *cluster,
                 Reason reason);
/* The broker has the answer, or the caller is gone. */
void lane_count_answer(Lane *lane, const Delivery *delivery);
/* Remembers where the caller waits, if its reply will have to be copied. */
void lane_note_caller(Delivery *delivery, const Flow *flow, const Envelope *envelope);
/* Makes the reply queue on the cluster's side, unless done or not needed. False if that must wait. */
bool lane_prepare_reply(Lane *lane, Delivery *delivery);
/* Consumes the reply queues that callers wait on. */
void lane_tend_relay(Lane *lane, Flow *flow);
/* A reply came in. */
void lane_receive_reply(Lane *lane, Relay *relay, Delivery *delivery);
/* The caller's queue is gone: the reply is dropped, and no more are fetched. */
void lane_lose_caller(Lane *lane, Delivery *delivery);

/* ---- lane_flow.c ---- */

/* The flow of that cluster; made at the first call. */
Flow *lane_flow(Lane *lane, const ViewCluster *cluster);
Target *lane_queue_target(Lane *lane, const char *queue);
/* Looks, once per connection, whether something is parked already. False if that must wait. */
bool lane_check_parking(Lane *lane, Flow *flow);
/* Declares what the target needs, unless done. False if that must wait. */
bool lane_prepare(Lane *lane, Target *target);
/* Adapts the flows to the view. */
void lane_follow_view(Lane *lane);
/* Slow work, a few times a second: queues to make, passes to begin and end, parking queues to look at. */
void lane_tend_flows(Lane *lane);
/* Makes the queues that are missing, a portion at a time. */
void lane_prepare_flows(Lane *lane);
/* Keeps it until the pass that is about to end has ended. */
void lane_wait(Delivery *delivery, Flow *flow, Reason reason);
/* The parking queue of the flow of that number sends nothing more. */
void lane_end_consumer(Lane *lane, int number);
/* Breaks off the pass: nothing more is taken from the parking queue, what was taken goes back. */
void lane_break_pass(Lane *lane, Flow *flow);
