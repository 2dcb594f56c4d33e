// How many connections each listener takes under a limit of file descriptors, and what is said of a limit that is too low.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { connectionLimits, descriptorLimit, listenersOf } from '../../src/boot/connection-limits.ts'

const both = { poll: true, control: true }

t.test('a limit that is enough, or not known, changes nothing and is not spoken of', async (t) => {
  for (const descriptors of [null, 52_160, 1_048_576]) {
    t.same(connectionLimits(both, descriptors), { poll: 50_000, control: 2_000, warnings: [] }, String(descriptors))
  }
  t.same(connectionLimits({ poll: false, control: true }, 2_160).warnings, [])
})

t.test(
  'under a lower limit polls leave descriptors to the control plane and to the store: open_files_limited',
  async (t) => {
    for (const descriptors of [52_159, 20_000, 4_096, 1_024, 256]) {
      const { poll, control, warnings } = connectionLimits(both, descriptors)
      t.ok(poll + control <= descriptors - 160, `${poll} and ${control} of ${descriptors}`)
      t.ok(control >= 16 && control <= 2_000)
      if (descriptors >= 20_000) t.same(warnings, [], 'enough for a fleet')
      else
        t.match(warnings, [
          { code: 'open_files_limited', message: `is ${descriptors}, so at most ${poll} of polls and` },
        ])
    }
    t.match(connectionLimits(both, 1_024), { poll: 692, control: 172 })
    t.match(connectionLimits({ poll: false, control: true }, 1_024), { control: 864 })
    t.match(connectionLimits({ poll: true, control: false }, 1_024), { poll: 864 })
    t.match(connectionLimits(both, 20), { poll: 16, control: 16 })
  },
)

t.test('a process has the listeners of its role, and no poll listener beside workers', async (t) => {
  t.same(listenersOf({ role: 'all', pollWorkers: 1 }), both)
  t.same(listenersOf({ role: 'all', pollWorkers: 4 }), { poll: false, control: true })
  t.same(listenersOf({ role: 'poll', pollWorkers: 1 }), { poll: true, control: false })
  t.same(listenersOf({ role: 'control', pollWorkers: 1 }), { poll: false, control: true })
})

t.test("the system's soft limit is read, where it says one", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bellwether-limits-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'limits')
  t.equal(descriptorLimit(path), null)
  for (const [soft, limit] of [
    ['1024', 1_024],
    ['unlimited', null],
  ] as const) {
    const lines = ['Limit   Soft Limit  Hard Limit  Units', `Max open files   ${soft}   1048576   files`]
    await writeFile(path, `${lines.join('\n')}\n`)
    t.equal(descriptorLimit(path), limit)
  }
})
