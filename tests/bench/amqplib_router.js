// SPDX-License-Identifier: MIT
// A router as one writes it with amqplib: confirms, and an acknowledgement for each of them.
//
//     NODE_PATH=... node amqplib_router.js URL QUEUE flat|oslo
'use strict'

const amqplib = require('amqplib')

const PREFETCH = 500

const findCluster = {
  flat: body => JSON.parse(body).cluster,
  oslo: body => JSON.parse(JSON.parse(body)['oslo.message']).args.filter_properties.scheduler_hints.cluster
}

async function main (url, queue, kind) {
  const connection = await amqplib.connect(url)
  const channel = await connection.createConfirmChannel()
  await channel.prefetch(PREFETCH)
  await channel.consume(queue, message => {
    const cluster = findCluster[kind](message.content)
    channel.sendToQueue(`${queue}.${cluster}`, message.content, message.properties, error => {
      if (error) throw error
      channel.ack(message)
    })
  })
}

process.on('SIGTERM', () => process.exit(0))
main(...process.argv.slice(2))
