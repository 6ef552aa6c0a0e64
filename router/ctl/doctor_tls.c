/* SPDX-License-Identifier: MIT */
/*
 * Certificates of the files that the configuration names, and those that brokers show. To be told of one that
 * has expired already, nothing is verified here: whether it is trusted is what the connection itself finds
 * out.
 */
#include "conf/conf_url.h"
#include "router/ctl/doctor.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

enum { WARNING_DAYS = 30, ERROR_DAYS = 7, TIMEOUT_S = 5 };

static void
judge(Doctor *doctor, const char *subject, const X509 *certificate)
{
        int days = 0, seconds = 0;
        struct tm end = {0};

        ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end);
        if (!ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)))
                return;
        g_autofree char *found = g_strdup_printf("certificate %s on %04d-%02d-%02d, %d days %s",
                                                 days < 0 || seconds < 0 ? "expired" : "expires",
                                                 end.tm_year + 1900, end.tm_mon + 1, end.tm_mday, ABS(days),
                                                 days < 0 || seconds < 0 ? "ago" : "from now");

        if (days > WARNING_DAYS)
                doctor_ok(doctor, "certificates", subject, "%s", found);
        else
                doctor_add(doctor, days < ERROR_DAYS ? FINDING_ERROR : FINDING_WARNING, "certificates",
                           subject, found, "from then on no connection is made with it",
                           "renew it; the router takes a new file at its next connection");
}

static void
look_at_file(Doctor *doctor, const char *path)
{
        X509 *certificate = NULL;
        g_autofree char *text = NULL;
        g_autoptr(GError) error = NULL;
        gsize length = 0;

        if (path == NULL)
                return;
        if (!g_file_get_contents(path, &text, &length, &error)) {
                doctor_add(doctor, FINDING_ERROR, "certificates", path, error->message,
                           "no connection with TLS is made", "correct the file name, or who may read it");
                return;
        }
        BIO *bio = BIO_new_mem_buf(text, (int)length);

        while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
                judge(doctor, path, certificate);
                X509_free(certificate);
        }
        BIO_free(bio);
}

/* A blocking socket with time limits, or NULL. */
static GSocketConnection *
connect_to(const ConfUrl *url)
{
        const struct timeval limit = {.tv_sec = TIMEOUT_S};
        g_autoptr(GSocketClient) client = g_socket_client_new();
        GSocketConnection *connection;

        g_socket_client_set_timeout(client, TIMEOUT_S);
        connection = g_socket_client_connect_to_host(client, url->host, url->port, NULL, NULL);
        if (connection == NULL)
                return NULL;

        int fd = g_socket_get_fd(g_socket_connection_get_socket(connection));

        if (fcntl(fd, F_SETFL, 0) == 0)
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        return connection;
}

static void
look_at_server(Doctor *doctor, const char *text, const ConfTls *tls)
{
        g_autoptr(ConfUrl) url = conf_url_parse(text, CONF_URL_AMQP, NULL);
        g_autofree char *shown = conf_mask_url(text);
        g_autoptr(GSocketConnection) connection = url && url->tls ? connect_to(url) : NULL;

        if (connection == NULL)
                return;
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL *ssl = SSL_new(context);
        X509 *certificate;

        if (tls->cert && tls->key) {
                SSL_use_certificate_file(ssl, tls->cert, SSL_FILETYPE_PEM);
                SSL_use_PrivateKey_file(ssl, tls->key, SSL_FILETYPE_PEM);
        }
        SSL_set_tlsext_host_name(ssl, url->host);
        SSL_set_fd(ssl, g_socket_get_fd(g_socket_connection_get_socket(connection)));
        SSL_connect(ssl);
        certificate = SSL_get1_peer_certificate(ssl); /* known even if the server then refuses us */
        if (certificate)
                judge(doctor, shown, certificate);
        X509_free(certificate);
        SSL_free(ssl);
        SSL_CTX_free(context);
}

static void
look_at_tls(Doctor *doctor, const ConfTls *tls, const char *const *urls)
{
        look_at_file(doctor, tls->ca);
        look_at_file(doctor, tls->cert);
        for (; *urls; urls++)
                look_at_server(doctor, *urls, tls);
}

void
doctor_look_at_certificates(Doctor *doctor)
{
        static const char *const none[] = {NULL};
        const Conf *conf = doctor->conf;

        look_at_tls(doctor, &conf->broker_tls, (const char *const *)conf->broker_urls);
        look_at_tls(doctor, &conf->mysql_tls, none);
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = g_ptr_array_index(conf->clusters, i);

                look_at_tls(doctor, &cluster->tls, (const char *const *)cluster->amqp_urls);
        }
}
