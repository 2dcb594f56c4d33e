// Hiding what is embargoed in much at once: the same answer as in one piece, with turns for polls in between.
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { hideInTurns } from '../../src/control/embargoes.ts'
import { EMBARGOED, Secrets } from '../../src/rollouts/embargo.ts'
import type { Json } from '../../src/store/port.ts'
import { someChange, someRelease } from '../fixtures/rollout-samples.ts'

const TITLE = 'sessions end with their certificate'
/** Of 1,000 characters, as much as anybody can write at once. */
const LONG = 'x'.repeat(1_000)
const ITEMS = 500

const security = { embargoed: true, fixes: ['SEC-2026-1'], liftedAt: null }
const secrets = new Secrets([someRelease({ security, changes: [someChange('1', { title: TITLE })] })])

/** How many turns of the event loop others had until `work` was done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let [turns, isDone] = [0, false]
  const ended = work.then(() => (isDone = true))
  while (!isDone) {
    await nextTurn()
    turns += 1
  }
  await ended
  return turns
}

t.test('a list is hidden item by item, and others have their turn in between', async (t) => {
  const items = Array.from({ length: ITEMS }, (_, n) => ({ seq: n, reason: n % 7 === 0 ? `of ${TITLE}` : LONG }))
  const answer: Json = { items, next: null, reason: TITLE, more: { detail: 'SEC-2026-1', list: ['a'] } }
  const hiding = hideInTurns(secrets, answer)
  t.ok((await turnsDuring(hiding)) > 10)
  const shown = await hiding
  t.strictSame(shown, secrets.hide(answer))
  t.match(shown, {
    items: [
      { seq: 0, reason: EMBARGOED },
      { seq: 1, reason: LONG },
    ],
    reason: EMBARGOED,
  })
})

t.test('what is no object is hidden as it is', async (t) => {
  const named: Json = { ['__proto__']: [{ reason: TITLE }], texts: ['a'] }
  for (const answer of [null, 7, TITLE, [{ reason: TITLE }], {}, named]) {
    t.strictSame(await hideInTurns(secrets, answer), secrets.hide(answer))
  }
})

t.test('little has no turn to itself', async (t) => {
  t.equal(await turnsDuring(hideInTurns(secrets, { items: [{ reason: TITLE }, { reason: LONG }] })), 1)
})
