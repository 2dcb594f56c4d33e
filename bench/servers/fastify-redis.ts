// The obvious way to build a version server: a route that reads Redis for every poll.
//   fastify-redis.ts REDIS_URL
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { BODY, HEADERS, POLL_PATH } from './answer.ts'

const redis = new Redis(process.argv[2] ?? '', { enableAutoPipelining: true })
await redis.set('stable/cloud', BODY)
const app = Fastify({ logger: false, keepAliveTimeout: 65_000 })
app.get(POLL_PATH, async (_request, reply) => reply.headers(HEADERS).send(await redis.get('stable/cloud')))
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
