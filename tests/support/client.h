/* SPDX-License-Identifier: MIT */
#pragma once

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A plain synchronous AMQP client for tests: one connection, one channel with publisher confirms, durable
 * classic queues unless arguments say otherwise. What the broker refuses aborts the test with the reason.
 *
 * A client that consumes does nothing else (deliveries would mix with answers): open a second one.
 */
typedef struct Client Client;

/* Connects; tries again for 30 s while nobody listens, since tests restart brokers. @url may be several,
 * separated by commas, which are tried in turn. */
Client *client_new(const char *url) G_GNUC_WARN_UNUSED_RESULT;
void client_free(Client *client); /* NULL and a client whose broker is gone are fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* @arguments may be NULL. */
void client_declare_queue(Client *client, const char *queue, const amqp_table_t *arguments);
/* It is nobody else's, and ends with this client. */
void client_declare_exclusive(Client *client, const char *queue);
void client_delete_queue(Client *client, const char *queue); /* fine if there is none */
void client_purge_queue(Client *client, const char *queue);
void client_declare_exchange(Client *client, const char *exchange, const char *type);
void client_delete_exchange(Client *client, const char *exchange);
void client_bind(Client *client, const char *queue, const char *exchange, const char *key);

/* Ready messages and consumers of a queue; false if there is no such queue. Outputs may be NULL. */
bool client_count(Client *client, const char *queue, uint32_t *out_messages, uint32_t *out_consumers);

/* Sends, not mandatory; client_confirm() tells when the broker has it. @properties may be NULL. */
void client_publish(Client *client, const char *exchange, const char *key,
                    const amqp_basic_properties_t *properties, amqp_bytes_t body);

/* To a queue: a persistent message with the header `cluster` (none if NULL). */
void client_publish_text(Client *client, const char *queue, const char *cluster, const char *body);

/* Waits until the broker has confirmed all that was published; aborts the test on a nack or after 30 s. */
void client_confirm(Client *client);

/* Entries for a header or argument table. The strings are borrowed. */
amqp_table_entry_t client_entry_text(const char *key, const char *text);
amqp_table_entry_t client_entry_int(const char *key, int64_t value);

typedef struct {
        char *exchange;
        char *key;
        bool redelivered;
        uint64_t delivery_tag;
        amqp_message_t message; /* .properties and .body */
} ClientMessage;

void client_message_free(ClientMessage *message); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClientMessage, client_message_free)

/* The value of a header, borrowed; NULL if there is none of that name. */
const amqp_field_value_t *client_message_header(const ClientMessage *message, const char *name);
/* Its text as a new string; NULL if there is none, or it is no string. */
char *client_message_header_text(const ClientMessage *message, const char *name) G_GNUC_WARN_UNUSED_RESULT;
/* Aborts the test unless that header is that text. */
void client_message_expect_text(const ClientMessage *message, const char *name, const char *wanted);
char *client_message_body(const ClientMessage *message) G_GNUC_WARN_UNUSED_RESULT; /* as a new string */

/* Takes one message off a queue and acknowledges it; NULL if the queue is empty. */
ClientMessage *client_get(Client *client, const char *queue) G_GNUC_WARN_UNUSED_RESULT;

/* Begins to consume; messages are acknowledged by client_ack() only. @prefetch 0: no limit. */
void client_consume(Client *client, const char *queue, uint16_t prefetch);
/* The next message, from any queue consumed; NULL if none comes within @timeout_ms. */
ClientMessage *client_next(Client *client, int64_t timeout_ms) G_GNUC_WARN_UNUSED_RESULT;
void client_ack(Client *client, const ClientMessage *message);
/* This one and all that came before it. */
void client_ack_upto(Client *client, const ClientMessage *message);
