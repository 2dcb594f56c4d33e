// Coordination of a replica that is alone: leases and announcements that end with their time, and small facts.
import t from 'tap'
import { localCoordination } from '../../src/store/local-coordination.ts'
import { Notes } from '../../src/store/notes.ts'
import { FakeClock } from '../fixtures/fake-clock.ts'

t.test('a lease is had by one, kept by renewing, given back by its owner only, and ends with its time', async (t) => {
  const clock = new FakeClock()
  const alone = localCoordination(() => clock.now())
  t.equal(await alone.lease('upstream', 'one', 1_000), true)
  t.equal(await alone.lease('upstream', 'other', 1_000), false)
  t.equal(await alone.lease('another', 'other', 1_000), true, 'other names are other leases')
  await clock.advance(900)
  t.equal(await alone.lease('upstream', 'one', 1_000), true, 'renewed')
  await clock.advance(900)
  await alone.release('upstream', 'other')
  t.equal(await alone.lease('upstream', 'other', 1_000), false, 'who does not have it gives nothing back')
  await clock.advance(100)
  t.equal(await alone.lease('upstream', 'other', 1_000), true, 'its time is over')
  await alone.release('upstream', 'other')
  t.equal(await alone.lease('upstream', 'one', 1_000), true)
})

t.test('what is announced is told until its time is over', async (t) => {
  const clock = new FakeClock()
  const alone = localCoordination(() => clock.now())
  await alone.announce('r-1', { seq: 1 }, 1_000)
  await alone.announce('r-2', { seq: 2 }, 2_000)
  await clock.advance(1_000)
  t.same(await alone.announced(), new Map([['r-2', { seq: 2 }]]))
})

t.test('facts are kept by topic and name, in place of older ones, until they are taken away', async (t) => {
  let changes = 0
  const clock = new FakeClock()
  const now = (): number => clock.now()
  const notes = new Notes(now, new Map(), () => (changes += 1))
  const alone = localCoordination(now, notes)
  t.same(await alone.noted('upstreams'), new Map())
  await alone.note('upstreams', { a: '1', b: '2', 'c/d': '' })
  await alone.note('upstreams', { a: '3', b: null, never: null })
  await alone.note('others', { a: 'x' })
  t.equal(changes, 3)
  await alone.note('upstreams', {})
  await alone.note('nobody', { never: null })
  t.equal(changes, 3, 'what changes nothing is no change')
  const noted = await alone.noted('upstreams')
  t.same(
    [...noted],
    [
      ['a', '3'],
      ['c/d', ''],
    ],
  )
  const all = notes.all()
  await alone.note('upstreams', { a: null, 'c/d': null })
  t.equal(noted.size, 2, 'what was read stays as it was')
  t.same([...all.keys()], ['upstreams', 'others'])
  t.equal(all.get('upstreams')?.facts.size, 2)
  t.same([...notes.all().keys()], ['others'], 'a topic without facts is none')
})
