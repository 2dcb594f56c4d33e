// The journal's pages: newest first, every filter alone and together, and cursors that miss and repeat nothing.
import type { Test } from 'tap'
import {
  JOURNAL_PAGE_MAX,
  type DocumentChange,
  type JournalEntry,
  type JournalPage,
  type JournalQuery,
  type Store,
} from '../../../src/store/port.ts'
import { JOURNAL_PAGE_BYTES_MAX, JOURNAL_SCAN_BYTES_MAX, JOURNAL_SCAN_MAX } from '../../../src/store/sizes.ts'
import { allPages, commit, positionAt, put, range, seqs } from '../../fixtures/store-changes.ts'
import { freshStore, type MakePlace } from '../conformance.ts'

const ACTORS = ['ann', 'bob', 'cid'] as const
const KINDS = ['moved', 'pinned'] as const

/** One entry a minute, some with seconds' fractions: as text, 12:00:00.500Z is before 12:00:00Z. */
function timeOf(n: number): string {
  const minute = String(n % 60).padStart(2, '0')
  return `2024-05-01T1${Math.floor(n / 60)}:${minute}:00${n % 3 === 0 ? '.500' : ''}Z`
}

async function fill(store: Store): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = []
  for (const n of range(0, 119)) {
    const key = `channel/${n % 4}`
    const others = n % 10 === 0 ? [put(`token/${n}`, 0)] : []
    const actor = ACTORS[n % 3] ?? 'ann'
    const kind = KINDS[n % 2] ?? 'moved'
    entries.push(await commit(store, [put(key, Math.floor(n / 4)), ...others], { at: timeOf(n), actor, kind }))
  }
  return entries
}

function expected(entries: readonly JournalEntry[], query: JournalQuery): number[] {
  const since = query.since === undefined ? -Infinity : Date.parse(query.since)
  const until = query.until === undefined ? Infinity : Date.parse(query.until)
  return seqs(entries)
    .filter((seq) => {
      const entry = entries[seq - 1]
      if (entry === undefined) return false
      const at = Date.parse(entry.at)
      return (
        (query.subject === undefined || entry.subjects.includes(query.subject)) &&
        (query.actor === undefined || entry.actor === query.actor) &&
        (query.kind === undefined || entry.kind === query.kind) &&
        (query.beforeSeq === undefined || seq < query.beforeSeq) &&
        at >= since &&
        at < until
      )
    })
    .reverse()
}

const QUERIES: readonly Omit<JournalQuery, 'limit'>[] = [
  {},
  { subject: 'channel/1' },
  { subject: 'token/50' },
  { subject: 'channel/9' },
  { actor: 'bob' },
  { actor: 'nobody' },
  { kind: 'pinned' },
  { since: '2024-05-01T11:00:00Z' },
  { since: '2024-05-01T11:00:00.500Z' },
  { until: '2024-05-01T10:30:00Z' },
  { until: '2024-05-01T10:30:00.501Z' },
  { since: '2024-05-01T10:15:00Z', until: '2024-05-01T10:45:00Z' },
  { since: '2024-05-01T12:30:00+02:00', until: '2024-05-01T12:45:00+02:00' },
  { since: '2025-01-01T00:00:00Z' },
  { beforeSeq: 60 },
  { beforeSeq: 1 },
  { beforeSeq: 0 },
  { beforeSeq: 100_000 },
  { subject: 'channel/2', beforeSeq: 50 },
  { subject: 'channel/2', actor: 'cid', kind: 'moved' },
  { subject: 'channel/0', actor: 'ann', kind: 'moved', since: '2024-05-01T10:10:00Z', until: '2024-05-01T11:40:00Z' },
]

/** A page that is read in parts, put together. */
async function pageInParts(store: Store, query: JournalQuery): Promise<JournalPage> {
  const { entries, next } = await store.journalInParts(query)
  const whole: JournalEntry[] = []
  for (const { head, changes } of entries) {
    const all: DocumentChange[] = []
    for await (const part of changes()) all.push(...part)
    whole.push({ ...head, changes: all })
  }
  return { entries: whole, next }
}

export async function journal(t: Test, makePlace: MakePlace): Promise<void> {
  await t.test('a journal of which nothing was trimmed has no beginning', async (t) => {
    const store = await freshStore(t, makePlace)
    t.equal(await store.journalBegins(), null)
    await commit(store, [put('channel/1', 0)])
    t.equal(await store.journalBegins(), null)
  })

  await t.test('every filter, alone and with others, gives the entries that match, newest first', async (t) => {
    const store = await freshStore(t, makePlace)
    const entries = await fill(store)
    for (const query of QUERIES) {
      for (const limit of [1, 7, 500]) {
        const found = await allPages(store, { ...query, limit })
        t.same(seqs(found.entries), expected(entries, { ...query, limit }), JSON.stringify({ ...query, limit }))
        for (const entry of found.entries) if (entry.seq % 40 === 1) t.same(entry, entries[entry.seq - 1])
        t.same(await pageInParts(store, { ...query, limit }), await store.journal({ ...query, limit }), 'in parts')
      }
    }
  })

  await t.test('a page has no next where nothing older is left', async (t) => {
    const store = await freshStore(t, makePlace)
    await fill(store)
    const whole = await store.journal({ limit: 120 })
    t.equal(whole.entries.length, 120)
    t.equal(whole.next, null)
    const most = await store.journal({ limit: 119 })
    t.equal(most.next, 2)
    t.equal((await store.journal({ limit: 120, subject: 'token/10' })).next, null)
  })

  await t.test('a page never holds more entries than the most, whatever is asked for', async (t) => {
    const store = await freshStore(t, makePlace)
    for (const n of range(1, JOURNAL_PAGE_MAX + 10)) await commit(store, [put(`a/${n}`, 0)])
    const page = await store.journal({ limit: 1_000_000 })
    t.equal(page.entries.length, JOURNAL_PAGE_MAX)
    t.same(seqs((await store.journal({ limit: 500, beforeSeq: page.next ?? 0 })).entries), range(1, 10).reverse())
  })

  await t.test('a filter that matches next to nothing ends a page early, and the next one goes on', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a/1', 0)], { actor: 'once' })
    for (const batch of range(0, JOURNAL_SCAN_MAX / 100)) {
      await Promise.all(range(1, 100).map((n) => commit(store, [put(`a/${batch * 100 + n + 1}`, 0)])))
    }
    const first = await store.journal({ limit: 10, actor: 'once' })
    t.same(first.entries, [])
    t.type(first.next, 'number')
    const all = await allPages(store, { limit: 10, actor: 'once' })
    t.same(seqs(all.entries), [1])
    t.equal(all.pages, 2)
  })

  await t.test('a page of huge entries ends early, and every entry is still reached once', async (t) => {
    const store = await freshStore(t, makePlace)
    const sizes = [10, 300_000, 300_000, 2_000_000, 10, 400_000, 400_000, 400_000, 10, 10, 3_000_000, 10]
    for (const [index, size] of sizes.entries()) {
      await commit(store, [put(`a/${index % 2}`, Math.floor(index / 2), { text: 'x'.repeat(size) })], {
        actor: index % 3 === 0 ? 'ann' : 'bob',
      })
    }
    const all = range(1, sizes.length).reverse()
    const queries: readonly [Omit<JournalQuery, 'limit'>, number[]][] = [
      [{}, all],
      [{ subject: 'a/1' }, all.filter((seq) => seq % 2 === 0)],
      [{ actor: 'ann' }, all.filter((seq) => seq % 3 === 1)],
      [{ actor: 'bob', subject: 'a/0' }, all.filter((seq) => seq % 3 !== 1 && seq % 2 === 1)],
    ]
    for (const [query, wanted] of queries) {
      const found: number[] = []
      let beforeSeq: number | null = Infinity
      while (beforeSeq !== null) {
        const page = await store.journal({ ...query, beforeSeq, limit: 500 })
        t.same(await pageInParts(store, { ...query, beforeSeq, limit: 500 }), page, 'in parts')
        const bytes = JSON.stringify(page.entries).length
        t.ok(page.entries.length > 0, 'at least one entry')
        t.ok(page.entries.length === 1 || bytes <= JOURNAL_PAGE_BYTES_MAX + 100, `${bytes} bytes`)
        found.push(...seqs(page.entries))
        beforeSeq = page.next
      }
      t.same(found, wanted, JSON.stringify(query))
    }
  })

  await t.test(
    'a filter that matches nothing in huge entries ends a page early, and the next one goes on',
    async (t) => {
      const store = await freshStore(t, makePlace)
      const text = 'x'.repeat(4_000_000)
      await commit(store, [put('a', 0)], { actor: 'once' })
      for (const n of range(1, Math.ceil(JOURNAL_SCAN_BYTES_MAX / text.length) + 2)) {
        await commit(store, [put(`b/${n}`, 0, { text, ',"changes":[': ',"changes":[' })])
      }
      const first = await store.journal({ limit: 10, actor: 'once' })
      t.same(first.entries, [])
      t.type(first.next, 'number')
      const all = await allPages(store, { limit: 10, actor: 'once' })
      t.same(seqs(all.entries), [1])
      t.equal(all.pages, 2)
    },
  )

  await t.test('words that look like the form of an entry do not mislead a filter', async (t) => {
    const store = await freshStore(t, makePlace)
    const odd = ',"changes":[]}'
    await commit(store, [put('a', 0)], { actor: odd, kind: odd, reason: `"${odd}` })
    await commit(store, [put(odd, 0, { [odd]: odd })], { actor: 'ann', reason: odd, requestId: odd })
    t.same(seqs((await store.journal({ limit: 5, actor: odd })).entries), [1])
    t.same(seqs((await store.journal({ limit: 5, actor: 'ann', subject: odd })).entries), [2])
    t.same(seqs((await store.journal({ limit: 5, actor: 'ann', kind: odd })).entries), [])
  })

  await t.test(
    'huge entries are read between turns of the event loop, by pages and by followers together',
    async (t) => {
      const store = await freshStore(t, makePlace)
      const text = 'x'.repeat(900_000)
      for (const n of range(1, 6)) await commit(store, [put('a', n - 1, { text })])
      const after = await positionAt(store, 0)
      let turn = 0
      let isOver = false
      const count = (): void => {
        turn += 1
        if (!isOver) setImmediate(count)
      }
      setImmediate(count)
      const parsedIn: number[] = []
      const stop = new AbortController()
      const followers = ['operator', 'reader', 'reader'] as const
      const on = (entry: JournalEntry): void => {
        if (entry.subjects[0] === 'a') parsedIn.push(turn)
        if (parsedIn.length === 6 * followers.length) stop.abort()
      }
      await Promise.all(followers.map((lane) => store.follow(after, on, stop.signal, lane)))
      isOver = true
      t.equal(new Set(parsedIn).size, parsedIn.length, 'no two in one turn')
    },
  )

  await t.test('paging is not disturbed by commits in between', async (t) => {
    const store = await freshStore(t, makePlace)
    for (const n of range(1, 20)) await commit(store, [put('a', n - 1)])
    const first = await store.journal({ limit: 8, subject: 'a' })
    for (const n of range(21, 30)) await commit(store, [put('a', n - 1)])
    const rest = await allPages(store, { limit: 8, subject: 'a', beforeSeq: first.next ?? 0 })
    t.same(seqs([...first.entries, ...rest.entries]), range(1, 20).reverse())
  })

  await t.test('subjects that are parts of each other, or of odd characters, have their own history', async (t) => {
    const store = await freshStore(t, makePlace)
    const keys = [
      'channel/a',
      'channel/a/b',
      'channel/ab',
      'channel/',
      'channel/A',
      'channel/a ',
      'channel/a\u0000',
      'channel/a\u0000b',
      'channel/a%2Fb',
      'channel/{a}',
      'channel/a:b*?[x]',
      'channel/ä',
      'channel/a\u0308',
      'channel/🚦',
      'channel/"\\\n',
      `channel/${'x'.repeat(128)}`,
      `channel/${'x'.repeat(127)}`,
      '__proto__',
    ]
    for (const round of [0, 1, 2]) for (const key of keys) await commit(store, [put(key, round)])
    for (const key of keys) {
      const { entries } = await allPages(store, { limit: 2, subject: key })
      t.same(
        entries.map(({ subjects }) => subjects),
        [[key], [key], [key]],
        JSON.stringify(key),
      )
    }
    t.same((await store.load()).documents.map(({ key }) => key).sort(), [...keys].sort())
  })

  await t.test('a deleted document keeps its history', async (t) => {
    const store = await freshStore(t, makePlace)
    await commit(store, [put('a', 0)])
    await commit(store, [{ key: 'a', expected: 1, body: null }])
    t.same(seqs((await store.journal({ limit: 5, subject: 'a' })).entries), [2, 1])
  })

  await t.test('a query that cannot be meant is refused', async (t) => {
    const store = await freshStore(t, makePlace)
    await t.rejects(store.journal({ limit: 0 }), RangeError)
    await t.rejects(store.journal({ limit: Number.NaN }), RangeError)
    await t.rejects(store.journal({ limit: 5, since: 'yesterday' }), RangeError)
    await t.rejects(store.journal({ limit: 5, until: '' }), RangeError)
    await t.rejects(store.journal({ limit: 5, beforeSeq: -1 }), RangeError)
  })
}
