/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/*
 * Bytes wait in `late` until their delay is over, then in `ready` until the scanner allows them: it walks
 * from frame to frame, so that a trigger can stop the stream at an exact byte of an exact frame. What is
 * allowed is written as slices and bandwidth permit.
 */

enum {
        BUFFER_BYTES = 256 * 1024,
        READ_BYTES = 32 * 1024,
        SLICES = 2000,          /* per turn */
        PORTIONS_PER_S = 50,    /* into which a second's bandwidth is cut */
        PREAMBLE_BYTES = 8,     /* "AMQP", version */
        FRAME_START_BYTES = 11, /* type, channel, size, and of a method its class and number */
        FRAME_OVERHEAD_BYTES = 8,
        FRAME_METHOD = 1,
        FRAME_HEADER = 2,
        FRAME_BODY = 3
};

typedef struct {
        GBytes *bytes;
        int64_t due_us;
} Chunk;

void
fault_stream_init(FaultStream *stream, int from, int to, FaultDirection direction)
{
        *stream = (FaultStream){.from = from, .to = to, .direction = direction, .stop_in = UINT64_MAX};
        g_queue_init(&stream->late);
        stream->ready = g_byte_array_new();
}

static void
free_chunk(void *data)
{
        g_bytes_unref(((Chunk *)data)->bytes);
        g_free(data);
}

void
fault_stream_clear(FaultStream *stream)
{
        g_queue_clear_full(&stream->late, free_chunk);
        g_byte_array_unref(stream->ready);
}

bool
fault_stream_is_empty(const FaultStream *stream)
{
        return g_queue_is_empty((GQueue *)&stream->late) && stream->ready->len == 0;
}

bool
fault_stream_has_stopped(const FaultStream *stream)
{
        int unsent = 0;

        if (!stream->stopped || stream->allowed > 0)
                return false;
        return ioctl(stream->to, SIOCOUTQ, &unsent) != 0 || unsent == 0;
}

bool
fault_stream_wants_input(const FaultStream *stream)
{
        return !stream->ended && !stream->broken && stream->late.length * READ_BYTES < BUFFER_BYTES &&
               stream->ready->len < BUFFER_BYTES;
}

bool
fault_stream_wants_output(const FaultStream *stream, int64_t now_us)
{
        return stream->allowed > 0 && now_us >= stream->write_us;
}

int64_t
fault_stream_due_us(const FaultStream *stream, int64_t now_us)
{
        const Chunk *first = g_queue_peek_head((GQueue *)&stream->late);
        int64_t due_us = first != NULL ? first->due_us : INT64_MAX;

        if (stream->stopped) /* nobody tells when the kernel has sent the rest */
                return now_us + 1000;
        return stream->allowed > 0 ? MIN(due_us, stream->write_us) : due_us;
}

void
fault_stream_read(FaultStream *stream, const FaultShape *shape, GRand *random, int64_t now_us)
{
        guint8 buffer[READ_BYTES];

        while (fault_stream_wants_input(stream)) {
                ssize_t count = recv(stream->from, buffer, sizeof buffer, MSG_DONTWAIT);
                const Chunk *last = g_queue_peek_tail(&stream->late);
                Chunk *chunk = NULL;

                if (count <= 0) {
                        stream->ended = count == 0;
                        stream->broken = count < 0 && errno != EAGAIN && errno != EINTR;
                        return;
                }
                chunk = g_new0(Chunk, 1);
                chunk->bytes = g_bytes_new(buffer, (size_t)count);
                chunk->due_us = now_us + shape->delay_ms * 1000;
                if (shape->jitter_ms > 0)
                        chunk->due_us += g_rand_int_range(random, 0, (gint32)shape->jitter_ms * 1000);
                if (last != NULL) /* order holds */
                        chunk->due_us = MAX(chunk->due_us, last->due_us);
                g_queue_push_tail(&stream->late, chunk);
        }
}

/* ---- frames ---- */

static uint32_t
read_uint32(const guint8 *at)
{
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* As FaultTrigger names it; 0 for any other. */
static uint32_t
frame_kind(const guint8 *at)
{
        switch (at[0]) {
        case FRAME_METHOD:
                return read_uint32(at + 7);
        case FRAME_HEADER:
                return FAULT_HEADER;
        case FRAME_BODY:
                return FAULT_BODY;
        default:
                return 0;
        }
}

static bool
begin_stream(FaultStream *stream, const guint8 *at)
{
        stream->begun = true;
        if (stream->direction == FAULT_UP && at[0] == 'A') {
                stream->frame_left = PREAMBLE_BYTES;
                return true;
        }
        stream->raw = stream->direction == FAULT_UP || at[0] != FRAME_METHOD;
        return false;
}

/* At the border of a frame: how long it is, and whether the trigger waits for it. False: too little is here.
 */
static bool
begin_frame(FaultStream *stream, FaultArmed *armed)
{
        const guint8 *at = stream->ready->data + stream->allowed;
        size_t have = stream->ready->len - stream->allowed;
        const FaultTrigger *what = &armed->what;

        if (!stream->begun && begin_stream(stream, at))
                return true;
        if (stream->raw) {
                stream->frame_left = UINT64_MAX;
                return true;
        }
        if (have < FRAME_OVERHEAD_BYTES || (at[0] == FRAME_METHOD && have < FRAME_START_BYTES))
                return false;
        stream->frame_left = (uint64_t)read_uint32(at + 3) + FRAME_OVERHEAD_BYTES;
        if (what->action == FAULT_NOTHING || armed->stopping || !(what->direction & stream->direction) ||
            what->frame != frame_kind(at) || ++armed->seen < what->nth)
                return true;
        armed->stopping = true;
        stream->stop_in = what->moment == FAULT_BEFORE   ? 0
                          : what->moment == FAULT_MIDDLE ? stream->frame_left / 2
                                                         : stream->frame_left;
        return true;
}

/* How many bytes a trigger that counts bytes lets through. */
static uint64_t
count_bytes(FaultStream *stream, FaultArmed *armed, uint64_t count)
{
        const FaultTrigger *what = &armed->what;

        if (what->action == FAULT_NOTHING || armed->stopping || what->frame != FAULT_BYTES ||
            !(what->direction & stream->direction))
                return count;
        count = MIN(count, what->nth - armed->seen);
        armed->seen += count;
        if (armed->seen == what->nth) {
                armed->stopping = true;
                stream->stop_in = count;
        }
        return count;
}

static void
scan(FaultStream *stream, FaultArmed *armed)
{
        while (!stream->stopped && stream->allowed < stream->ready->len) {
                uint64_t count = stream->ready->len - stream->allowed;

                if (stream->frame_left == 0 && !begin_frame(stream, armed))
                        return;
                count = MIN(count, MIN(stream->frame_left, stream->stop_in));
                count = count_bytes(stream, armed, count);
                stream->allowed += count;
                stream->frame_left -= stream->raw ? 0 : count;
                if (stream->stop_in == UINT64_MAX)
                        continue;
                stream->stop_in -= count;
                stream->stopped = stream->stop_in == 0;
        }
}

/* ---- passing on ---- */

static void
take_due(FaultStream *stream, int64_t now_us)
{
        const Chunk *chunk;

        while ((chunk = g_queue_peek_head(&stream->late)) != NULL && chunk->due_us <= now_us) {
                gsize length = 0;
                const guint8 *data = g_bytes_get_data(chunk->bytes, &length);

                g_byte_array_append(stream->ready, data, (guint)length);
                free_chunk(g_queue_pop_head(&stream->late));
        }
}

static size_t
portion(const FaultStream *stream, const FaultShape *shape)
{
        size_t count = stream->allowed;

        if (shape->slice_bytes > 0)
                count = MIN(count, shape->slice_bytes);
        if (shape->bytes_per_s > 0)
                count = MIN(count, MAX(shape->bytes_per_s / PORTIONS_PER_S, 1));
        return count;
}

void
fault_stream_write(FaultStream *stream, const FaultShape *shape, FaultArmed *armed, int64_t now_us)
{
        size_t written = 0;

        take_due(stream, now_us);
        scan(stream, armed);
        for (unsigned i = 0; i < SLICES && fault_stream_wants_output(stream, now_us); i++) {
                ssize_t count = send(stream->to, stream->ready->data + written, portion(stream, shape),
                                     MSG_DONTWAIT | MSG_NOSIGNAL);

                if (count < 0) {
                        stream->broken |= errno != EAGAIN && errno != EINTR;
                        break;
                }
                written += (size_t)count;
                stream->allowed -= (size_t)count;
                if (shape->bytes_per_s > 0)
                        stream->write_us = now_us + count * G_USEC_PER_SEC / shape->bytes_per_s;
        }
        if (written > 0)
                g_byte_array_remove_range(stream->ready, 0, (guint)written);
}
