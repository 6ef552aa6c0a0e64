/* SPDX-License-Identifier: MIT */
#include "cluster/local_host.h"

#include "conf/name.h"
#include "conf/trouble.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

/* Addresses are compared as addresses: "::1" and "0:0:0:0:0:0:0:1" are one. */
static bool
is_address(const struct sockaddr *address, const char *member)
{
        struct in6_addr wanted;
        const void *bytes;
        size_t size;
        if (address == NULL)
                return false;
        if (address->sa_family == AF_INET) {
                bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
                size = sizeof(struct in_addr);
        } else if (address->sa_family == AF_INET6) {
                bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
                size = sizeof(struct in6_addr);
        } else {
                return false;
        }
        return inet_pton(address->sa_family, member, &wanted) == 1 && memcmp(bytes, &wanted, size) == 0;
}

static bool
is_ours(const struct ifaddrs *interfaces, const char *member)
{
        for (; interfaces != NULL; interfaces = interfaces->ifa_next) {
                if (is_address(interfaces->ifa_addr, member))
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
            error, TROUBLE, TROUBLE_OUTSIDE,
            "%s: this machine is called \"%s\", which is no legal host name (%s); set host in [DEFAULT]",
            conf->path, host, name_explain_host(host, strlen(host)));
        return NULL;
}
