// Who a token lets in, and until when.
import t, { type Test } from 'tap'
import type { Control } from '../../src/control/control.ts'
import { createToken } from '../../src/control/create-token.ts'
import { identify, isStillIdentified } from '../../src/control/tokens.ts'
import { SharedClock } from '../../src/serve/trusted-clock.ts'
import { inHours } from '../fixtures/channel-samples.ts'
import { started } from '../fixtures/command-proof.ts'
import type { CommandRig } from '../fixtures/command-rig.ts'
import { SettableClock } from '../fixtures/poll-clock.ts'

const DAY_MS = 24 * 3_600_000
const ADMIN = 'an-admin-token-of-more-than-32-characters'

/** A token that ends in a day, on a server whose store tells the time with an error of `errorMs`. */
interface Let {
  readonly rig: CommandRig
  readonly control: Control
  readonly machine: SettableClock
  readonly secret: string
  readonly look: (errorMs: number) => Promise<void>
}

async function letIn(t: Test): Promise<Let> {
  const rig = await started(t)
  const machine = new SettableClock(rig.clock.now())
  let error = 0
  const clock = new SharedClock(machine, async () => machine.now() + error)
  const control = { ...rig.control, clock }
  const look = (errorMs: number): Promise<void> => {
    error = errorMs
    return clock.look()
  }
  await look(0)
  const draft = { name: 'robot', role: 'operator', expiresAt: inHours(24) } as const
  const made = await createToken(control, rig.request(), draft, false)
  if (made.outcome !== 'created') throw new Error(`it was ${made.outcome}`)
  return { rig, control, machine, secret: made.secret, look }
}

t.test('a store whose clock jumps back does not make an expired token valid', async (t) => {
  const { control, machine, secret, look } = await letIn(t)
  const before = identify(control, ADMIN, secret)
  if (before.outcome !== 'identified') throw new Error(`it was ${before.outcome}`)
  await machine.advance(2 * DAY_MS)
  t.equal(identify(control, ADMIN, secret).outcome, 'expired')
  await look(-40 * DAY_MS)
  t.strictSame(identify(control, ADMIN, secret), { outcome: 'expired', at: inHours(24) })
  t.notOk(isStillIdentified(control, before.identity), 'a stream that began with it ends')
})

t.test('a store whose clock jumps ahead locks nobody out', async (t) => {
  const { control, machine, secret, look } = await letIn(t)
  await look(40 * DAY_MS)
  t.equal(identify(control, ADMIN, secret).outcome, 'identified')
  await machine.advance(DAY_MS)
  t.equal(identify(control, ADMIN, secret).outcome, 'expired', 'its own time ends it all the same')
  t.equal(identify(control, ADMIN, ADMIN).outcome, 'identified', 'the first token has no end')
})

t.test('a replica that starts while its store is behind goes by its own clock', async (t) => {
  const { rig, machine, secret } = await letIn(t)
  await machine.advance(2 * DAY_MS)
  const clock = new SharedClock(machine, async () => machine.now() - 40 * DAY_MS)
  await clock.look()
  const restarted = { ...rig.control, clock }
  t.equal(identify(restarted, ADMIN, secret).outcome, 'expired')
  const draft = { name: 'robot', role: 'operator', expiresAt: inHours(24) } as const
  t.match(await createToken(restarted, rig.request(), draft, false), { outcome: 'refused', message: /has passed/ })
})
