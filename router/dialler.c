/* SPDX-License-Identifier: MIT */

/*
 * The thread works on its own references only, so that the owner may go away at any moment without waiting
 * for it. Whoever reads `done` as set sees everything the thread wrote before.
 */

#include "router/dialler.h"
#include "router/dial.h"

#include <errno.h>
#include <unistd.h>

struct Dialler {
        gatomicrefcount refs;
        DiallerOptions options;
        char *name;
        int wake_fd;                        /* a copy: the owner may close its own */
        int done;                           /* atomic */
        amqp_connection_state_t connection; /* NULL if it failed, or taken */
        GError *error;
};

void
dialler_unref(Dialler *dialler)
{
        if (!dialler || !g_atomic_ref_count_dec(&dialler->refs))
                return;
        if (dialler->connection)
                dial_discard(dialler->connection);
        conf_unref(dialler->options.conf);
        close(dialler->wake_fd);
        g_free(dialler->name);
        g_clear_error(&dialler->error);
        g_free(dialler);
}

static void *
dialler_thread(void *data)
{
        Dialler *dialler = data;
        const DiallerOptions *options = &dialler->options;
        uint64_t one = 1;
        amqp_connection_state_t connection = dial(
            options->url, options->tls, options->conf->broker_heartbeat_s, dialler->name, &dialler->error);

        if (connection && !options->setup(connection, options->conf, options->route, &dialler->error)) {
                dial_discard(connection);
                connection = NULL;
        }
        dialler->connection = connection;
        g_atomic_int_set(&dialler->done, 1);
        if (write(dialler->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
                g_warning("cannot wake a lane: %s", g_strerror(errno));
        dialler_unref(dialler);
        return NULL;
}

Dialler *
dialler_start(const DiallerOptions *options)
{
        Dialler *dialler = g_new0(Dialler, 1);

        g_atomic_ref_count_init(&dialler->refs);
        g_atomic_ref_count_inc(&dialler->refs);
        dialler->options = *options;
        dialler->options.conf = conf_ref(options->conf);
        dialler->name = g_strdup_printf("cluster-router %s %s", options->route->name, options->role);
        dialler->wake_fd = dup(options->wake_fd);
        g_thread_unref(g_thread_new("dial", dialler_thread, dialler));
        return dialler;
}

bool
dialler_is_done(const Dialler *dialler)
{
        return g_atomic_int_get(&dialler->done);
}

amqp_connection_state_t
dialler_take(Dialler *dialler, const char **out_error)
{
        *out_error = dialler->error ? dialler->error->message : "no connection";
        return g_steal_pointer(&dialler->connection);
}
