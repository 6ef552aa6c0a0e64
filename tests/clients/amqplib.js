// SPDX-License-Identifier: MIT
// amqplib, unmodified, as callers and as workers of clusters east (beside the callers) and west (its own vhost).
// Run by test_amqplib.py: node amqplib.js FOLDER-OF-AMQPLIB CALLERS-URL WEST-URL. Prints TAP.
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const path = require('path');

const [, , folder, apiUrl, westUrl] = process.argv;
const amqp = require(path.join(folder, 'node_modules', 'amqplib'));

const DEADLINE_MS = 10000;
const seen = new Map(); // message id -> {cluster, message}
const waiting = new Map(); // message id or correlation id -> resolve

function event(identity) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not within ${DEADLINE_MS} ms: ${identity}`)), DEADLINE_MS);
    waiting.set(identity, (value) => { clearTimeout(timer); waiting.delete(identity); resolve(value); });
  });
}

function happened(identity, value) {
  const resolve = waiting.get(identity);
  if (resolve) resolve(value);
}

async function startWorker(connection, cluster) {
  const channel = await connection.createChannel();
  await channel.assertQueue(`work.${cluster}`, { durable: true });
  await channel.consume(`work.${cluster}`, (message) => {
    const { replyTo, correlationId, messageId } = message.properties;
    if (replyTo)
      channel.sendToQueue(replyTo, Buffer.from(JSON.stringify({ by: cluster, size: message.content.length })),
        { correlationId });
    channel.ack(message);
    if (messageId) {
      assert(!seen.has(messageId), `${messageId} came twice`);
      seen.set(messageId, { cluster, message });
      happened(messageId, { cluster, message });
    }
  });
}

function send(world, cluster, content, options = {}) {
  const headers = { cluster, ...options.headers };
  world.channel.sendToQueue('work', content, { ...options, headers });
}

async function deliver(world, cluster, content, options = {}) {
  const messageId = crypto.randomUUID();
  const arrival = event(messageId);
  send(world, cluster, content, { ...options, messageId });
  const { cluster: where, message } = await arrival;
  assert.strictEqual(where, cluster);
  return message;
}

async function call(world, replyTo, cluster, content) {
  const correlationId = crypto.randomUUID();
  const answer = event(correlationId);
  send(world, cluster, content, { replyTo, correlationId });
  return JSON.parse((await answer).content.toString());
}

const promises = {
  'amqplib: calls with a reply queue are answered from both clusters': async (world) => {
    const calls = [];
    for (let i = 0; i < 40; i++) {
      const cluster = i % 2 ? 'east' : 'west';
      calls.push(call(world, world.answers, cluster, Buffer.alloc(i)).then((answer) =>
        assert.deepStrictEqual(answer, { by: cluster, size: i })));
    }
    await Promise.all(calls);
  },
  'amqplib: direct reply-to works inside one broker': async (world) => {
    const answer = await call(world, 'amq.rabbitmq.reply-to', 'east', Buffer.from('x'));
    assert.deepStrictEqual(answer, { by: 'east', size: 1 });
  },
  'amqplib: a call to a drained cluster is answered with its name and the reason': async (world) => {
    const { error } = await call(world, world.answers, 'north', Buffer.from('x'));
    assert.strictEqual(error.cluster, 'north');
    assert.strictEqual(error.reason, 'cluster_drained');
  },
  'amqplib: headers, priority and the other properties arrive as they were sent': async (world) => {
    const headers = { text: 'é', number: 7, big: 2 ** 40, fraction: 0.5, yes: true, nothing: null, list: [1, 'two'],
      table: { inner: { deep: 1 } } };
    const sent = { contentType: 'text/plain', contentEncoding: 'utf-8', priority: 7, persistent: true, type: 't',
      appId: 'a', timestamp: 1700000000, expiration: '60000' };
    for (const cluster of ['east', 'west']) {
      const { properties } = await deliver(world, cluster, Buffer.from('x'), { ...sent, headers });
      for (const name of Object.keys(headers)) assert.deepStrictEqual(properties.headers[name], headers[name], name);
      for (const name of ['contentType', 'contentEncoding', 'priority', 'type', 'appId', 'timestamp'])
        assert.strictEqual(properties[name], sent[name], name);
      assert.strictEqual(properties.deliveryMode, 2);
      assert(Number(properties.expiration) > 50000 && Number(properties.expiration) <= 60000, properties.expiration);
    }
  },
  'amqplib: bodies of 1 MB and empty ones arrive whole': async (world) => {
    for (const content of [crypto.randomBytes(1000000), Buffer.alloc(0)]) {
      for (const cluster of ['east', 'west'])
        assert((await deliver(world, cluster, content)).content.equals(content));
    }
  },
};

async function main() {
  const api = await amqp.connect(apiUrl);
  const west = await amqp.connect(westUrl);
  await startWorker(api, 'east');
  await startWorker(west, 'west');
  const world = { channel: await api.createChannel(), answers: `answers-${crypto.randomUUID()}` };
  const take = (message) => happened(message.properties.correlationId, message);
  await world.channel.assertQueue(world.answers, { exclusive: true });
  await world.channel.consume(world.answers, take, { noAck: true });
  await world.channel.consume('amq.rabbitmq.reply-to', take, { noAck: true });

  let number = 0;
  let broken = 0;
  for (const [name, promise] of Object.entries(promises)) {
    number++;
    try {
      await promise(world);
      console.log(`ok ${number} - ${name}`);
    } catch (error) {
      broken++;
      console.error(error);
      console.log(`not ok ${number} - ${name}`);
    }
  }
  console.log(`1..${number}`);
  process.exit(broken ? 1 : 0);
}

main().catch((error) => { console.error(error); process.exit(1); });
