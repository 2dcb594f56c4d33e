// The poll bench's own reckoning: what wrk says, and ratios taken round by round.
import t from 'tap'
import { readWrk } from '../../bench/polls/generators.ts'
import { showOutcome } from '../../bench/polls/report.ts'
import { Rounds } from '../../bench/polls/rounds.ts'

const GOOD = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  204721 requests in 2.00s, 76.53MB read
Requests/sec: 102345.67
`

await t.test('the number of answers is read off what wrk says, and any failure is a failed run', (t) => {
  t.equal(readWrk(GOOD), 204_721)
  t.throws(
    () => readWrk(`${GOOD}  Socket errors: connect 0, read 3, write 0, timeout 0\n`),
    /Socket errors: connect 0, read 3/,
  )
  t.throws(() => readWrk(`${GOOD}  Non-2xx or 3xx responses: 12\n`), /Non-2xx or 3xx responses: 12/)
  t.throws(() => readWrk('unable to connect\n'), /no number of requests: unable to connect/)
  t.end()
})

await t.test('servers are loaded in turns, each as often, and ratios are those within a round', async (t) => {
  const subject = (name: string) => ({ name, url: '', pids: [process.pid], path: '', stop: async () => {} })
  const order: string[] = []
  let nowMs = 0
  const rounds = new Rounds('test', () => nowMs)
  const polls = { a: [9, 200, 300, 400], b: [9, 100, 100, 100] }
  await rounds.run([subject('a'), subject('b')], 3, async ({ name }) => {
    order.push(name)
    nowMs += 500
    return polls[name === 'a' ? 'a' : 'b'].shift() ?? 0
  })
  t.same(order, ['a', 'b', 'a', 'b', 'b', 'a', 'a', 'b'], 'the first two warm up')
  const ratio = rounds.ratio('a', 'b', 'polls/s', 1, 2)
  t.match(ratio, { ratio: { median: 3, min: 2, max: 4 }, atLeast: 1, aimFor: 2 })
  t.equal(rounds.ratio('a', 'not there', 'polls/s', 1, 2), null)
  t.match(rounds.rows(), [
    { server: 'a', perSecond: { median: 600, min: 400, max: 800 } },
    { server: 'b', perSecond: { median: 200 } },
  ])
})

await t.test('a server that answers nothing fails the run', async (t) => {
  const subject = { name: 'a', url: '', pids: [process.pid], path: '', stop: async () => {} }
  await t.rejects(
    new Rounds('test').run([subject], 1, async () => 0),
    { message: 'a has answered nothing' },
  )
})

await t.test('what was not reached and what was skipped is said', (t) => {
  const ratio = { median: 0.9, min: 0.8, max: 1 }
  const text = showOutcome({
    rows: [],
    ratios: [{ name: 'one against other', by: 'polls/s', ratio, atLeast: 1, aimFor: 2 }],
    figures: [{ name: 'memory', unit: 'MB', value: { median: 95, min: 95, max: 95 }, atMost: 90, aimFor: 70 }],
    skipped: ['there is no nginx'],
  })
  t.equal(text.match(/NOT REACHED/g)?.length, 2)
  t.match(text, 'SKIPPED there is no nginx')
  t.end()
})
