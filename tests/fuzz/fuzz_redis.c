/* SPDX-License-Identifier: MIT */
#include "cluster/announcement.h"
#include "cluster/liveness.h"
#include "conf/name.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

/*
 * Any bytes as what redis answers, from the first reply of a connection to its end. The first byte of the
 * input chooses who asks: the registry for hosts, a router for the others, an agent.
 */

enum { INPUT_MAX = 16384, TIMEOUT_MS = 5000, TTL_MS = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once, kept until the program ends. */
static GSocket *listener;
static char *url;
static GMutex lock; /* guards what follows */
static GBytes *answers;

static GBytes *
ref_answers(void)
{
        g_mutex_lock(&lock);

        GBytes *ref = g_bytes_ref(answers);

        g_mutex_unlock(&lock);
        return ref;
}

static void
set_answers(const uint8_t *data, size_t size)
{
        g_mutex_lock(&lock);
        g_bytes_unref(answers);
        answers = g_bytes_new(data, size);
        g_mutex_unlock(&lock);
}

/* Says everything at once and waits until the other side has had enough. */
static void *
serve(void *unused)
{
        for (;;) {
                g_autoptr(GSocket) client = g_socket_accept(listener, NULL, NULL);
                g_autoptr(GBytes) said = ref_answers();
                size_t length = 0;
                const char *bytes = g_bytes_get_data(said, &length);
                char asked[4096];

                while (length > 0) {
                        gssize sent = g_socket_send(client, bytes, length, NULL, NULL);

                        if (sent <= 0)
                                break;
                        bytes += sent;
                        length -= (size_t)sent;
                }
                g_socket_shutdown(client, FALSE, TRUE, NULL);
                while (g_socket_receive(client, asked, sizeof(asked), NULL, NULL) > 0)
                        continue;
        }
        return NULL;
}

static void
start(void)
{
        g_autofree char *folder = g_dir_make_tmp("fuzz-redis-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(folder, "socket", NULL);
        g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
        GError *error = NULL;

        signal(SIGPIPE, SIG_IGN);
        listener = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, &error);
        g_assert_no_error(error);
        g_socket_bind(listener, address, FALSE, &error);
        g_assert_no_error(error);
        g_socket_listen(listener, &error);
        g_assert_no_error(error);
        url = g_strdup_printf("unix://%s", path);
        g_thread_unref(g_thread_new("redis", serve, NULL));
}

static void
ask_for_hosts(void)
{
        static const char *const members[] = {"10.0.0.1", "10.0.0.2", NULL};
        g_autoptr(Liveness) liveness = liveness_new(url, TIMEOUT_MS, NULL);
        g_autoptr(GPtrArray) clusters = g_ptr_array_new_with_free_func((GDestroyNotify)liveness_cluster_free);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;

        g_ptr_array_add(clusters, liveness_cluster_new("east", members));
        g_ptr_array_add(clusters, liveness_cluster_new("west", NULL));
        /* The second time with what the first one left. */
        for (unsigned i = 0; i < 2 && !error; i++) {
                if (liveness_check_hosts(liveness, clusters, warnings, &error))
                        liveness_write_counts(liveness, clusters, warnings);
                else
                        g_assert_nonnull(error);
        }
        for (unsigned i = 0; i < clusters->len; i++) {
                const LivenessCluster *cluster = clusters->pdata[i];

                for (unsigned h = 0; h < cluster->hosts->len; h++) {
                        const LivenessHost *host = cluster->hosts->pdata[h];

                        g_assert_true(name_is_host(host->name, strlen(host->name)));
                }
        }
}

static void
ask_for_routers(void)
{
        static const char text[] = "[http]\nlisten = 127.0.0.1:9419\n";
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_parse("f", text, strlen(text), errors);
        g_autoptr(RedisLink) link = redis_link_new(url, TIMEOUT_MS, NULL);
        g_autoptr(GError) error = NULL;

        if (!announcement_renew(link, conf, &error))
                g_assert_nonnull(error);
        redis_link_close(link);

        g_autoptr(GPtrArray) found = announcement_list(link, NULL);

        for (unsigned i = 0; found && i < found->len; i++) {
                const Announcement *announcement = g_ptr_array_index(found, i);

                g_assert_true(announcement->id && announcement->address);
        }
        redis_link_close(link);
        if (!announcement_withdraw(link, conf, NULL))
                return;
}

static void
beat(void)
{
        g_autoptr(Liveness) liveness = liveness_new(url, TIMEOUT_MS, NULL);
        g_autoptr(GError) error = NULL;

        if (!liveness_send_heartbeat(liveness, "east", "10.0.0.1", TTL_MS, &error) ||
            !liveness_goodbye(liveness, "east", "10.0.0.1", &error))
                g_assert_nonnull(error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!listener)
                start();
        if (size == 0)
                return 0;
        set_answers(data + 1, MIN(size - 1, INPUT_MAX));
        if (data[0] == 'h')
                ask_for_hosts();
        else if (data[0] == 'r')
                ask_for_routers();
        else
                beat();
        return 0;
}
