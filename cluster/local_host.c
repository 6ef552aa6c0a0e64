/* SPDX-License-Identifier: MIT */
#include "cluster/local_host.h"

#include "conf/name.h"

#include <gio/gio.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

/* Addresses are compared as addresses: "::1" and "0:0:0:0:0:0:0:1" are one. */
static bool
is_address(const struct sockaddr *address, GInetAddress *wanted)
{
        const guint8 *bytes = NULL;
        if (address == NULL)
                return false;
        if (address->sa_family == AF_INET)
                bytes = (const guint8 *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
        else if (address->sa_family == AF_INET6)
                bytes = (const guint8 *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        GSocketFamily family = g_inet_address_get_family(wanted);
        return bytes != NULL && (int)family == (int)address->sa_family &&
               memcmp(bytes, g_inet_address_to_bytes(wanted), g_inet_address_get_native_size(wanted)) == 0;
}

static bool
is_ours(const struct ifaddrs *interfaces, const char *member)
{
        g_autoptr(GInetAddress) wanted = g_inet_address_new_from_string(member);
        if (wanted == NULL)
                return false;
        for (; interfaces != NULL; interfaces = interfaces->ifa_next) {
                if (is_address(interfaces->ifa_addr, wanted))
                        return true;
        }
        return false;
}

static char *
find_member(const ConfCluster *cluster)
{
        struct ifaddrs *interfaces = NULL;
        char *found = NULL;
        if (cluster == NULL || getifaddrs(&interfaces) != 0)
                return NULL;
        for (char **member = cluster->members; *member != NULL && found == NULL; member++) {
                if (is_ours(interfaces, *member))
                        found = g_strdup(*member);
        }
        freeifaddrs(interfaces);
        return found;
}

char *
local_host_find(const Conf *conf, GError **error)
{
        g_autofree char *host = g_strdup(conf->host);
        if (host == NULL && conf->cluster != NULL)
                host = find_member(conf_find_cluster(conf, conf->cluster));
        if (host == NULL)
                host = g_strdup(g_get_host_name());
        if (name_is_host(host, strlen(host)))
                return g_steal_pointer(&host);
        g_set_error(
            error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
            "%s: this machine is called \"%s\", which is no legal host name (%s); set host in [DEFAULT]",
            conf->path, host, name_explain_host(host, strlen(host)));
        return NULL;
}
