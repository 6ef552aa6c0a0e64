/* SPDX-License-Identifier: MIT */

/*
 * The thread. It goes round: tend the connections, take the newest view, read what came in, hear what became
 * of what went out, acknowledge, and sleep until a socket has news. It never waits for anything but the
 * shared broker.
 *
 * The shared queue is consumed only while something can be published: otherwise its messages would lie here
 * unacknowledged until the broker's patience (consumer_timeout) ends.
 */

#include "router/lane.h"
#include "router/lane_state.h"
#include "router/topology.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
        READ_SHARED = 64, /* messages per turn */
        READ_MORE =
            128, /* of other intakes: more than is parked meanwhile, so that parking queues come to an end */
        TICK_US = 20 * 1000,
        STUCK_GRACE_US = 5 * 1000 * 1000, /* what a single destination holds is parked before */
        SLEEP_BUSY_MS = 20,               /* while something waits for its time */
        SLEEP_MS = 500,                   /* else; heartbeats must be served */
};

/* ---- connections ---- */

/*
 * Nothing gets through: after the hold time all deliveries go back to the broker. Whether the connection says
 * so (lost, blocked) or only confirms nothing is the same.
 */
static void
guard_against_stuck(Lane *lane, bool can_publish)
{
        bool idle = can_publish && ledger_open_count(intake_ledger(lane->shared)) == 0;

        if (idle || lane->settled || lane->stuck_us == 0)
                lane->stuck_us = lane->now_us;
        lane->settled = false;
        if (lane->now_us - lane->stuck_us < lane->conf->hold_time_ms * 1000 + STUCK_GRACE_US)
                return;
        lane->stuck_us = lane->now_us;
        for (unsigned i = 0; i < lane->intakes->len; i++) {
                Link *in = intake_link(g_ptr_array_index(lane->intakes, i));

                if (link_state(in) == LINK_UP)
                        link_fail(in, "nothing can be published: messages stay in their queue");
        }
}

static void
tend_links(Lane *lane)
{
        Link *out = outlet_link(lane->outlet);
        bool can_publish = link_tick(out, lane->now_us) == LINK_UP && !link_is_blocked(out);
        for (unsigned i = 1; i < lane->outlets->len; i++)
                link_tick(outlet_link(g_ptr_array_index(lane->outlets, i)), lane->now_us);
        guard_against_stuck(lane, can_publish);
        for (unsigned i = 0; i < lane->intakes->len; i++) {
                Link *in = intake_link(g_ptr_array_index(lane->intakes, i));

                /* What is taken must be published somewhere. */
                if (link_state(in) != LINK_DOWN || (can_publish && lane->stop_us == 0))
                        link_tick(in, lane->now_us);
        }
        lane_tell(lane);
}

/* ---- the turn ---- */

static void
follow_registry(Lane *lane)
{
        if (lane->view && lane->view->generation == registry_generation(lane->registry))
                return;

        View *old = lane->view;

        lane->view = registry_get_view(lane->registry);
        lane_follow_view(lane);
        lane->tended = 0;
        lane_follow_hosts(lane);
        view_unref(old);
}

static void
on_cancelled(Lane *lane, const Intake *intake, int number)
{
        if (intake_kind(intake) == INTAKE_SHARED)
                lane->cancelled = true;
        else if (intake_kind(intake) == INTAKE_PARKING)
                lane_end_consumer(lane, number);
        else if (intake_kind(intake) == INTAKE_HOSTS)
                lane_end_taking(lane, number);
}

/* As many bytes are in hand as may be: what comes in has to wait. A connection that is lost has something to
 * say. */
static bool
must_wait(const Lane *lane, Link *link)
{
        return lane->in_flight_bytes > lane->conf->in_flight_bytes && link_state(link) == LINK_UP;
}

static bool
read_intake(Lane *lane, Intake *intake, unsigned limit)
{
        IntakeEvent event;
        unsigned count = 0;

        if (must_wait(lane, intake_link(intake)))
                intake_rest(intake, lane->now_us);
        while (count < limit && !must_wait(lane, intake_link(intake))) {
                switch (intake_next(intake, &event)) {
                case INTAKE_NOTHING:
                        return count > 0;
                case INTAKE_MESSAGE:
                        lane_receive(lane, intake, event.message);
                        count++;
                        break;
                case INTAKE_LOST:
                        lane_drop_all(lane, intake);
                        return true;
                case INTAKE_CANCELLED:
                        on_cancelled(lane, intake, event.number);
                        break;
                }
        }
        return count > 0;
}

static void
read_clock(Lane *lane)
{
        lane->now_us = g_get_monotonic_time();
        lane->now_unix_ms = g_get_real_time() / 1000;
}

/* One round; true if anything happened, so that it should not sleep yet. */
static bool
turn(Lane *lane)
{
        bool busy = false, tick;

        read_clock(lane);
        tick = lane->now_us >= lane->tick_us;
        tend_links(lane);
        follow_registry(lane);
        busy |= lane_collect(lane);
        /* Before anything is published: a broker under an alarm answers no declares after the first publish.
         */
        if (tick)
                lane_prepare_flows(lane);
        lane_flush(lane);
        for (unsigned i = lane->intakes->len; i-- > 0;)
                busy |=
                    read_intake(lane, g_ptr_array_index(lane->intakes, i), i == 0 ? READ_SHARED : READ_MORE);
        busy |= lane_collect(lane);
        if (tick) {
                lane->tick_us = lane->now_us + TICK_US;
                lane_tend_flows(lane);
                lane_tend_hosts(lane);
                lane_drop_old(lane);
        }
        read_clock(lane);
        for (unsigned i = 0; i < lane->intakes->len; i++) {
                intake_flush(g_ptr_array_index(lane->intakes, i), lane->now_us);
                lane_sweep_ledger(lane, g_ptr_array_index(lane->intakes, i));
        }
        lane_end_care(lane);
        for (unsigned i = 0; i < lane->outlets->len; i++)
                link_flush(outlet_link(g_ptr_array_index(lane->outlets, i)));
        atomic_store_explicit(&lane->stats->in_flight,
                              (int64_t)ledger_open_count(intake_ledger(lane->shared)), memory_order_relaxed);
        return busy;
}

static bool
is_waiting(const Lane *lane)
{
        return lane->stalled->len > 0 || lane->stop_us != 0 || host_queues_taken(lane->host_queues) > 0 ||
               ledger_count(intake_ledger(lane->shared)) > 0 || lane->waiting > 0 ||
               lane->tended < lane->flows->len;
}

static Link *
nth_link(const Lane *lane, unsigned n)
{
        if (n < lane->outlets->len)
                return outlet_link(g_ptr_array_index(lane->outlets, n));
        return intake_link(g_ptr_array_index(lane->intakes, n - lane->outlets->len));
}

/* Enters the sockets, the lane's own bell after those of the links; false if frames are waiting already. */
static bool
enter_sockets(Lane *lane)
{
        unsigned links = lane->outlets->len + lane->intakes->len;
        struct pollfd bell = {.fd = lane->home.wake_fd, .events = POLLIN};
        bool quiet = true;

        g_array_set_size(lane->sockets, 0);
        for (unsigned n = 0; n < links; n++) {
                Link *link = nth_link(lane, n);
                bool left = n >= lane->outlets->len && must_wait(lane, link);
                struct pollfd entry = {.fd = left ? -1 : link_fd(link), .events = POLLIN};

                quiet &= left || !link_has_buffered(link);
                /* Messages held back by a full socket go on as soon as it takes more. */
                if (n < lane->outlets->len && (lane->stalled->len > 0 || link_is_writing(link)) &&
                    link_state(link) == LINK_UP && !link_is_blocked(link) && !link_has_room(link))
                        entry.events |= POLLOUT;
                g_array_append_val(lane->sockets, entry);
        }
        g_array_append_val(lane->sockets, bell);
        return quiet;
}

/*
 * Looks which sockets have news, and sleeps until one has if there is nothing else to do. What answers and
 * what comes in anew is read once in a turn, since that leaves more to be done at once in the next; what is
 * parked is read to the end, so that parking queues are emptied faster than they fill.
 */
static void
look(Lane *lane, bool busy)
{
        bool quiet = enter_sockets(lane) && !busy;
        struct pollfd *sockets = (struct pollfd *)lane->sockets->data;
        unsigned links = lane->sockets->len - 1;
        uint64_t rung;

        if (poll(sockets, lane->sockets->len, !quiet ? 0 : is_waiting(lane) ? SLEEP_BUSY_MS : SLEEP_MS) <= 0)
                return;
        for (unsigned n = 0; n < links; n++) {
                if (sockets[n].revents & ~POLLOUT)
                        link_expect(nth_link(lane, n), n <= lane->outlets->len ? 1 : UINT_MAX, lane->now_us);
        }
        if (sockets[links].revents & POLLIN && read(lane->home.wake_fd, &rung, sizeof(rung)) < 0 &&
            errno != EAGAIN)
                lane_log(lane, G_LOG_LEVEL_WARNING, NULL, "eventfd: %s", g_strerror(errno));
}

/* ---- the end ---- */

static void
begin_stop(Lane *lane)
{
        lane->stop_us = lane->now_us;
        intake_stop(lane->shared);
        for (unsigned i = 0; i < lane->flows->len; i++)
                lane_break_pass(lane, g_ptr_array_index(lane->flows, i));
        lane_stop_taking(lane);
}

static bool
is_settled(const Lane *lane)
{
        bool quiet = lane->cancelled || link_state(intake_link(lane->shared)) != LINK_UP;

        if (lane->now_us - lane->stop_us >= lane->conf->drain_deadline_ms * 1000)
                return true;
        for (unsigned i = 0; i < lane->outlets->len; i++)
                quiet &= outlet_unconfirmed(g_ptr_array_index(lane->outlets, i)) == 0;
        for (unsigned i = 0; i < lane->intakes->len; i++)
                quiet &= ledger_open_count(intake_ledger(g_ptr_array_index(lane->intakes, i))) == 0;
        return quiet;
}

static void
close_outlet(Lane *lane, Outlet *outlet)
{
        OutletEvent event;

        outlet_abandon(outlet, "stopping");
        while (outlet_next(outlet, &event) != OUTLET_NOTHING) {
                Delivery *delivery = (Delivery *)event.flight;

                lane_note_answered(lane, delivery);
                lane_settle(lane, delivery, REASON_LIVE);
        }
        link_close(outlet_link(outlet), 0);
}

/* Closing the consuming connections gives everything unsettled back to the broker. A silent one must not keep
 * the next lanes of the route waiting: a second for all, the shared broker's first. */
static void
close_all(Lane *lane)
{
        int64_t until_us = g_get_monotonic_time() + G_USEC_PER_SEC;

        for (unsigned i = 0; i < lane->intakes->len; i++) {
                link_close(intake_link(g_ptr_array_index(lane->intakes, i)), until_us);
                lane_drop_all(lane, g_ptr_array_index(lane->intakes, i));
        }
        for (unsigned i = 0; i < lane->outlets->len; i++)
                close_outlet(lane, g_ptr_array_index(lane->outlets, i));
        lane_tell_end(lane);
}

static void *
lane_thread(void *data)
{
        Lane *lane = data;

        atomic_fetch_add(&lane->stats->lanes, 1);
        while (lane->stop_us == 0 || !is_settled(lane)) {
                bool busy = turn(lane);

                if (busy)
                        lane->tended = 0;
                atomic_fetch_add_explicit(&lane->turns, 1, memory_order_relaxed);
                if (lane->stop_us == 0 && g_atomic_int_get(&lane->stopping)) {
                        begin_stop(lane);
                        busy = true;
                }
                look(lane, busy);
        }
        close_all(lane);
        g_atomic_int_set(&lane->done, 1);
        g_idle_add(lane->on_done, lane->user_data);
        return NULL;
}

/* ---- for the main thread ---- */

static void
free_queue_target(void *data)
{
        target_clear(data);
        g_free(data);
}

static bool
has_own_brokers(const Conf *conf)
{
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                if (((const ConfCluster *)g_ptr_array_index(conf->clusters, i))->amqp_urls[0])
                        return true;
        }
        return false;
}

static void
build(Lane *lane)
{
        const Conf *conf = lane->conf;
        const char *const *urls = (const char *const *)conf->broker_urls;
        g_autofree char *dead = topology_dead_queue(lane->route);

        lane->home.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        lane->reader = envelope_reader_new(lane->route, has_own_brokers(conf) && lane->route->replies);
        lane->publication = publication_new();
        lane->scratch = g_string_new(NULL);
        lane->shared =
            intake_new(INTAKE_SHARED, lane->conf, lane->route, urls, &conf->broker_tls, &lane->home);
        lane->parking =
            intake_new(INTAKE_PARKING, lane->conf, lane->route, urls, &conf->broker_tls, &lane->home);
        intake_set_window(lane->shared, lane->careful ? 1 : lane->route->prefetch);
        lane->intakes = g_ptr_array_new();
        g_ptr_array_add(lane->intakes, lane->shared);
        g_ptr_array_add(lane->intakes, lane->parking);
        lane->outlet = outlet_new(lane->conf, lane->route, urls, &conf->broker_tls, &lane->home);
        lane->outlets = g_ptr_array_new_with_free_func((GDestroyNotify)outlet_free);
        g_ptr_array_add(lane->outlets, lane->outlet);
        lane->own = g_ptr_array_new();
        lane->sockets = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
        lane->flows = g_ptr_array_new_with_free_func((GDestroyNotify)flow_free);
        lane->flow_names = g_hash_table_new(g_str_hash, g_str_equal);
        lane->queues = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_queue_target);
        lane->refusals = refusals_new();
        lane->stalled = g_ptr_array_new();
        lane->host_queues = lane->number == 0 ? host_queues_new(lane->route) : NULL;
        lane->host_intakes = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)intake_free);
        g_queue_init(&lane->kept);
        lane->recall = recall_new(2 * (size_t)lane->route->prefetch);
        target_init(&lane->caller, TARGET_CALLER, NULL, lane->outlet, "", "{key}", "", false, conf);
        target_init(&lane->dead, TARGET_DEAD, NULL, lane->outlet, "", dead, "", true, conf);
}

Lane *
lane_new(const LaneOptions *options)
{
        Lane *lane = g_new0(Lane, 1);

        lane->conf = conf_ref(options->conf);
        lane->route = options->route;
        lane->number = options->number;
        lane->registry = options->registry;
        lane->stats = stats_route(options->stats, options->route->name);
        lane->home.watchdog = options->watchdog;
        lane->book = options->book;
        lane->crashes = options->crashes;
        lane->careful = options->crashes && crashes_was_one(options->crashes);
        lane->on_done = options->on_done;
        lane->user_data = options->user_data;
        build(lane);
        lane->thread = g_thread_new("lane", lane_thread, lane);
        return lane;
}

void
lane_wake(Lane *lane)
{
        uint64_t one = 1;

        if (write(lane->home.wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
                lane_log(lane, G_LOG_LEVEL_WARNING, NULL, "eventfd: %s", g_strerror(errno));
}

void
lane_stop(Lane *lane)
{
        g_atomic_int_set(&lane->stopping, 1);
        lane_wake(lane);
}

bool
lane_is_done(const Lane *lane)
{
        return g_atomic_int_get(&lane->done);
}

uint64_t
lane_turns(const Lane *lane)
{
        return atomic_load_explicit(&lane->turns, memory_order_relaxed);
}

void
lane_free(Lane *lane)
{
        if (!lane)
                return;
        g_thread_join(lane->thread);
        target_clear(&lane->dead);
        target_clear(&lane->caller);
        g_hash_table_unref(lane->queues);
        g_hash_table_unref(lane->flow_names);
        g_ptr_array_unref(lane->flows);
        g_ptr_array_unref(lane->stalled);
        intake_free(lane->shared);
        intake_free(lane->parking);
        g_hash_table_unref(lane->host_intakes);
        host_queues_free(lane->host_queues);
        g_ptr_array_unref(lane->intakes);
        g_ptr_array_unref(lane->outlets);
        g_ptr_array_unref(lane->own);
        g_array_unref(lane->sockets);
        while (!g_queue_is_empty(&lane->kept))
                delivery_free(g_queue_peek_head(&lane->kept));
        recall_free(lane->recall);
        refusals_free(lane->refusals);
        publication_free(lane->publication);
        envelope_reader_free(lane->reader);
        g_string_free(lane->scratch, TRUE);
        view_unref(lane->view);
        conf_unref(lane->conf);
        g_free(lane->flow_of);
        g_free(lane->reported);
        close(lane->home.wake_fd);
        g_free(lane);
}
