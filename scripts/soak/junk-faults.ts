// Another program writes into the Redis of a fleet: into a channel's document, and among the announcements of replicas.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fleet } from '../../test/fixtures/fleet.ts'
import { junkDocuments } from '../../test/fixtures/junk-documents.ts'
import type { RedisServer } from '../../test/fixtures/redis-server.ts'
import type { FaultKind } from './fault-plan.ts'

const DOCUMENTS = '{bellwether}:documents'
const ANNOUNCEMENTS = '{bellwether}:replicas'
const ENDS = '{bellwether}:replica-ends'
const PRESENT_MAX_MS = 3_000
/** An ordinary write mends a document; while Redis is down, too, it must succeed soon after. */
const MEND_MAX_MS = 30_000
/** Redis may be down or still when its turn comes. */
const CALL_TRIES_MAX = 50
const CALL_PAUSE_MS = 200
/** Some seconds from now, in milliseconds since the epoch: an announcement that would be listed. */
const ANNOUNCED_FOR_MS = 5_000

const ANNOUNCED: readonly string[] = [
  '',
  'not JSON',
  '[]',
  'null',
  '{}',
  '{"id":"another","seq":"7"}',
  '['.repeat(10_000),
]

export function junkFaults(fleet: Fleet, redis: RedisServer): readonly FaultKind[] {
  const call = (...command: readonly [string, ...(string | number)[]]): Promise<unknown> =>
    callPatiently(redis, command)
  let mended = 0
  return [
    {
      kind: 'junk in a document',
      weight: 1.5,
      draw(random) {
        const index = random.next(fleet.size)
        const [, change] = random.pick(Object.entries(junkDocuments))
        const presentMs = random.next(PRESENT_MAX_MS)
        const channel = `junk/${index}`
        return {
          part: `replica ${index}`,
          async cause() {
            // It reads the document at its start; the others need not know.
            await fleet.processes.stop(index, 'SIGKILL')
            const key = `channel/${channel}`
            await call('HSET', DOCUMENTS, key, change(String(await call('HGET', DOCUMENTS, key))))
            await fleet.processes.startAgain(index)
            await sleep(presentMs)
            mended += 1
            if (!(await fleet.set(channel, `1.0.${mended}`, index, AbortSignal.timeout(MEND_MAX_MS)))) {
              throw new Error(`${channel} could not be mended within ${MEND_MAX_MS} ms`)
            }
          },
        }
      },
    },
    {
      kind: 'junk among the announcements',
      weight: 1,
      draw(random) {
        const id = `junk-${random.next(1_000)}`
        const text = random.pick(ANNOUNCED)
        const presentMs = random.next(PRESENT_MAX_MS)
        return {
          part: 'announcements',
          async cause() {
            await call('HSET', ANNOUNCEMENTS, id, text)
            await call('ZADD', ENDS, Date.now() + ANNOUNCED_FOR_MS, id)
            await sleep(presentMs)
            await call('HDEL', ANNOUNCEMENTS, id)
            await call('ZREM', ENDS, id)
          },
        }
      },
    },
  ]
}

async function callPatiently(
  redis: RedisServer,
  [command, ...args]: readonly [string, ...(string | number)[]],
): Promise<unknown> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await redis.call(command, ...args)
    } catch (error) {
      if (tries === CALL_TRIES_MAX) throw error
      await sleep(CALL_PAUSE_MS)
    }
  }
}
