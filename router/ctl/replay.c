/* SPDX-License-Identifier: MIT */
/*
 * Messages are taken one by one on one connection, published through an outlet on another, and acknowledged
 * in whatever order the confirms come. The number to take is fixed at the beginning: what dies again during
 * the job is not replayed again, and what was skipped is not met twice, since it stays unacknowledged until
 * the end.
 */
#include "router/ctl/replay.h"

#include "router/ctl/command.h"
#include "router/outlet.h"
#include "router/topology.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { WINDOW = 256, BAR_WIDTH = 30, BAR_EVERY_US = 100 * 1000, SLEEP_MS = 20 };

/* One message on its way. */
typedef struct {
        Flight flight; /* first: the outlet knows only this */
        Message *message;
        Provenance provenance;
        bool doubtful; /* a copy may be out already */
        int64_t published_us;
} Item;

typedef struct {
        const ReplayOptions *options;
        const ConfRoute *route;
        ReplayCounts *counts;
        char *queue;
        Broker *broker;
        Outlet *outlet; /* NULL: nothing is published */
        Publication *publication;
        GQueue again;     /* of Item *: to be published once more */
        uint64_t left;    /* to be taken */
        uint64_t in_hand; /* taken, and not done with */
        int64_t due_us;   /* when the next may be published */
        int64_t bar_us;
        LinkHome home;
        int signal_fd;
        bool stop; /* take no more */
        bool told; /* why the first one was refused */
        bool told_blocked;
} Job;

static void
item_free(gpointer data)
{
        Item *item = data;

        message_free(item->message);
        g_free(item);
}

static void
fail(Job *job)
{
        job->counts->failed = true;
        job->stop = true;
}

static void
fail_taking(Job *job)
{
        broker_fail(job->broker);
        fail(job);
}

/* ---- progress ---- */

static void
show_progress(Job *job, bool now)
{
        const ReplayCounts *counts = job->counts;
        uint64_t over = counts->messages - job->left - job->in_hand;
        unsigned filled = counts->messages ? (unsigned)(over * BAR_WIDTH / counts->messages) : BAR_WIDTH;
        int64_t now_us = g_get_monotonic_time();

        if (!job->options->progress || (!now && now_us < job->bar_us))
                return;
        job->bar_us = now_us + BAR_EVERY_US;
        fprintf(stderr,
                "\r[%.*s%*s] %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT ", %" G_GUINT64_FORMAT " done%s",
                (int)filled, "##############################", (int)(BAR_WIDTH - filled), "", over,
                counts->messages, counts->done, now ? "\n" : "");
}

/* ---- towards the broker ---- */

static void
settle(Job *job, const Item *item)
{
        job->in_hand--;
        if (broker_settle(job->broker, item->message->tag) != BROKER_DONE)
                fail_taking(job);
        else
                job->counts->done++;
}

static void
publish(Job *job, Item *item, bool bare)
{
        PublicationNotes notes = {.seq = outlet_next_seq(job->outlet),
                                  .possible_duplicate = item->doubtful,
                                  .ttl_ms = item->provenance.ttl_ms,
                                  .route = job->route};
        bool home = job->options->action == REPLAY_TO_ORIGINAL;
        amqp_bytes_t exchange = home ? item->provenance.exchange : amqp_empty_bytes;
        amqp_bytes_t key = home ? item->provenance.key : bytes_of(job->route->queue);
        uint64_t rate_s = job->options->rate_s;

        item->published_us = g_get_monotonic_time();
        if (rate_s > 0)
                job->due_us = MAX(job->due_us, item->published_us - G_USEC_PER_SEC / 10) +
                              G_USEC_PER_SEC / (int64_t)rate_s;
        outlet_publish(job->outlet, &item->flight, bare, exchange, key,
                       publication_build(job->publication, item->message, &item->provenance, &notes),
                       item->message->body);
}

/* False if it has to wait. */
static bool
try_publish(Job *job, Item *item)
{
        bool bare = publication_is_bare(item->message, NULL);

        if (!outlet_is_ready(job->outlet, bare))
                return false;
        publish(job, item, bare);
        return true;
}

static void
refuse(Job *job, const char *why)
{
        if (!job->told)
                command_warn("%s: a message is refused: %s", job->queue, why);
        job->told = true;
        job->counts->refused++;
}

/* ---- one message ---- */

/* What is not published stays unacknowledged: it is put aside by forgetting it. */
static void
handle(Job *job, Message *message)
{
        int64_t now_unix_ms = g_get_real_time() / 1000;
        g_autoptr(Stored) stored = stored_read(message, now_unix_ms);
        bool publishes = job->options->action != REPLAY_PURGE;
        Item *item = g_new0(Item, 1);

        *item =
            (Item){.message = message, .provenance = stored->provenance, .doubtful = message->redelivered};
        job->in_hand++;
        if (!selection_has(&job->options->selection, stored, now_unix_ms))
                job->counts->not_selected++;
        else if (publishes && stored->is_expired)
                job->counts->expired++;
        else if (job->options->action == REPLAY_TO_ORIGINAL && !stored->is_own)
                refuse(job, "it does not tell where it came from; --to router puts it into the shared queue");
        else if (job->options->dry_run)
                job->counts->done++;
        else if (publishes) {
                g_queue_push_tail(&job->again, item);
                return;
        } else {
                settle(job, item);
                item_free(item);
                return;
        }
        job->in_hand--;
        item_free(item);
}

/* ---- from the broker ---- */

static void
on_event(Job *job, const OutletEvent *event)
{
        Item *item = (Item *)event->flight;

        switch (event->kind) {
        case OUTLET_CONFIRMED:
                settle(job, item);
                item_free(item);
                return;
        case OUTLET_UNSURE:
                item->doubtful = true;
                g_queue_push_tail(&job->again, item);
                return;
        case OUTLET_RETURNED:
                job->counts->unroutable++;
                break;
        case OUTLET_NACKED:
                job->counts->nacked++;
                break;
        case OUTLET_REFUSED:
                refuse(job, event->text);
                break;
        case OUTLET_NOTHING:
                return;
        }
        job->in_hand--;
        item_free(item);
}

static bool
collect(Job *job)
{
        OutletEvent event;
        bool any = false;

        while (job->outlet && outlet_next(job->outlet, &event) != OUTLET_NOTHING) {
                on_event(job, &event);
                any = true;
        }
        return any;
}

/* The connection that publishes: down, or silent for too long. */
static void
check_outlet(Job *job)
{
        int64_t now_us = g_get_monotonic_time();
        Link *link = job->outlet ? outlet_link(job->outlet) : NULL;
        const Item *oldest = job->outlet ? (const Item *)outlet_oldest(job->outlet) : NULL;

        if (link == NULL || job->counts->failed)
                return;
        if (oldest && now_us - oldest->published_us > job->options->conf->hold_time_ms * 1000)
                link_fail(link, "the broker does not confirm what it was sent");
        if (link_is_blocked(link) && !job->told_blocked) {
                command_warn("the broker takes no messages just now (memory or disk alarm); waiting");
                job->told_blocked = true;
        }
        if (link_tick(link, now_us) != LINK_UP && link_error(link)) {
                command_warn("%s", link_error(link));
                fail(job);
        }
}

/* ---- the turn ---- */

static void
take(Job *job)
{
        Message *message = NULL;

        switch (broker_take(job->broker, job->queue, &message)) {
        case BROKER_DONE:
                job->left--;
                handle(job, message);
                return;
        case BROKER_NOTHING: /* somebody else takes from it, too */
                job->counts->messages -= job->left;
                job->left = 0;
                return;
        case BROKER_FAILED:
                fail_taking(job);
                return;
        }
}

/* Does the next thing there is to do; false if that must wait. */
static bool
advance(Job *job)
{
        Item *item = g_queue_peek_head(&job->again);
        bool full = job->outlet && outlet_unconfirmed(job->outlet) >= WINDOW;

        if (item) {
                if (g_get_monotonic_time() < job->due_us || !try_publish(job, item))
                        return false;
                g_queue_pop_head(&job->again);
                return true;
        }
        if (job->stop || job->left == 0 || full)
                return false;
        take(job);
        return true;
}

static void
drop_again(Job *job)
{
        job->in_hand -= job->again.length;
        g_queue_clear_full(&job->again, item_free);
}

static void
check_signals(Job *job)
{
        struct signalfd_siginfo info;

        if (read(job->signal_fd, &info, sizeof(info)) != sizeof(info))
                return;
        if (job->counts->interrupted)
                job->counts->failed = true; /* the second one: wait for nothing */
        job->counts->interrupted = true;
        job->stop = true;
        drop_again(job);
}

static void
rest(Job *job)
{
        Link *link = job->outlet ? outlet_link(job->outlet) : NULL;
        struct pollfd fds[] = {{.fd = job->signal_fd, .events = POLLIN},
                               {.fd = job->home.wake_fd, .events = POLLIN},
                               {.fd = link ? link_fd(link) : -1, .events = POLLIN}};
        uint64_t count;

        if (link && link_has_buffered(link))
                return;
        if (link && link_is_writing(link))
                fds[2].events |= POLLOUT;
        poll(fds, G_N_ELEMENTS(fds), SLEEP_MS);
        if (read(job->home.wake_fd, &count, sizeof(count)) < 0)
                count = 0;
        if (broker_idle(job->broker) != BROKER_DONE)
                fail_taking(job);
}

static void
run(Job *job)
{
        while (!job->counts->failed && (job->in_hand > 0 || (job->left > 0 && !job->stop))) {
                check_outlet(job);
                bool busy = collect(job);

                busy |= advance(job);
                check_signals(job);
                show_progress(job, false);
                if (!busy && !job->counts->failed)
                        rest(job);
        }
        show_progress(job, true);
}

/* ---- beginning and end ---- */

static bool
begin(Job *job)
{
        uint32_t messages = 0;

        job->broker = broker_open(job->options->conf);
        if (job->broker == NULL)
                return false;
        if (broker_look(job->broker, job->queue, &messages, NULL) == BROKER_FAILED) {
                broker_fail(job->broker);
                return false;
        }
        job->left = messages;
        job->counts->messages += messages;
        return true;
}

/* What has no confirm goes back to its place together with what was put aside. */
static void
end(Job *job)
{
        OutletEvent event;

        if (job->outlet) {
                outlet_abandon(job->outlet, "the job is over");
                while (outlet_next(job->outlet, &event) != OUTLET_NOTHING)
                        item_free(event.flight);
        }
        drop_again(job);
        outlet_free(job->outlet);
        watchdog_free(job->home.watchdog);
        broker_free(job->broker);
        publication_free(job->publication);
        g_free(job->queue);
        close(job->home.wake_fd);
}

static void
open_outlet(Job *job)
{
        const Conf *conf = job->options->conf;

        if (job->options->action == REPLAY_PURGE || job->options->dry_run)
                return;
        job->home.watchdog = watchdog_new();
        job->outlet = outlet_new((Conf *)conf, job->route, (const char *const *)conf->broker_urls,
                                 &conf->broker_tls, &job->home);
}

/*
 * From here on a signal must not end the program between a confirm and its acknowledgement. Threads inherit
 * the mask, so none may be older than it.
 */
static void
run_watching(Job *job)
{
        sigset_t watched, before;

        sigemptyset(&watched);
        sigaddset(&watched, SIGINT);
        sigaddset(&watched, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &watched, &before);
        job->signal_fd = signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
        open_outlet(job);
        run(job);
        close(job->signal_fd);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void
replay_queue(const ReplayOptions *options, const ConfRoute *route, ReplayCounts *counts)
{
        Job job = {.options = options,
                   .route = route,
                   .counts = counts,
                   .queue = topology_dead_queue(route),
                   .publication = publication_new(),
                   .home = {.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)}};

        g_queue_init(&job.again);
        if (!begin(&job))
                counts->failed = true;
        else
                run_watching(&job);
        end(&job);
}
