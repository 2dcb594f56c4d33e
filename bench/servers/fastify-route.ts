// What a plain Fastify route does with a poll: the yardstick for what the poll plane adds or saves.
import Fastify from 'fastify'
import { BODY, HEADERS, POLL_PATH } from './answer.ts'

const app = Fastify({ logger: false, keepAliveTimeout: 65_000 })
app.get(POLL_PATH, (_request, reply) => reply.headers(HEADERS).send(BODY))
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
