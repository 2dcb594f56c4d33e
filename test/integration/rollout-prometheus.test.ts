// A whole rollout, from the package to the rollback: a real server, and a real Prometheus that scrapes a real exporter.
// Everything is done and seen through HTTP. Only the server's clock is helped on, so that a minute of soaking takes a moment.
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Client } from '../../bench/client.ts'
import { readJournal } from '../../bench/journal.ts'
import { at, type Fields } from '../fixtures/admin-json.ts'
import { dataFolder, jsonOf, run, type Running } from '../fixtures/fault-process.ts'
import { prometheusTest, startPrometheus, type PrometheusProcess } from '../fixtures/prometheus-process.ts'
import { until } from '../fixtures/redis-process.ts'
import { cloud, codesOf, commitOf, listAt, MINUTE_MS } from '../fixtures/rollout-session.ts'
import { answering, startUpstream } from '../fixtures/upstream-server.ts'

/** A machine that is busy takes its time. */
const FILE_TIMEOUT_MS = 280_000
/** What is waited for takes seconds; it is given up only where it does not come at all. */
const WAIT_MS = 90_000
/** Far less than what goes by before a soaking begins anew because nobody watched, even where the next sample takes long. */
const CLOCK_STEP_MS = 20_000
/** A soaking that begins anew takes more of them. */
const CLOCK_STEPS_MAX = 30
const CLOCK = fileURLToPath(new URL('../fixtures/shifted-clock.mjs', import.meta.url))

t.setTimeout(FILE_TIMEOUT_MS)

const RELEASE = cloud(9)
const CHANNELS = ['canary', 'internal', 'trials', 'team', 'enterprise'] as const
/** The releases that the witness's pipeline takes, and no other. */
const WITNESS_MAJOR = 16

/** Every channel has come from another version, so that a rollback cannot mix them up. */
function before(channel: string): string {
  return cloud(1 + CHANNELS.findIndex((name) => name === channel))
}

/** What agents are told once the release has come to these channels. */
function tellsAt(...reached: readonly (typeof CHANNELS)[number][]): Fields {
  return Object.fromEntries(CHANNELS.map((name) => [name, reached.includes(name) ? RELEASE : before(name)]))
}

function stagesOn(url: string): readonly Fields[] {
  const often = { url, everySeconds: 5, failures: 2 }
  const gates = [
    { name: 'errors', query: 'errors', op: '<', threshold: 5, ...often },
    { name: 'online', query: 'sum(online)', op: '>=', threshold: 3, ...often },
  ]
  return [
    { name: 'canary', channels: ['canary'], auto: true, gates },
    { name: 'internal', channels: ['internal'], requireSignOff: true, soakMinutes: 1, gates },
    { name: 'trials', channels: ['trials'], approvals: 1, soakMinutes: 1, gates },
    { name: 'team-enterprise', channels: ['team', 'enterprise'], approvals: 2, soakMinutes: 1, gates },
  ]
}

class Journey {
  readonly server: Running
  readonly prometheus: PrometheusProcess
  #witnesses = 0

  constructor(server: Running, prometheus: PrometheusProcess) {
    this.server = server
    this.prometheus = prometheus
  }

  static async start(t: Test): Promise<Journey> {
    const prometheus = await startPrometheus(t)
    const env = {
      BELLWETHER_GATES_ALLOW: '127.0.0.1',
      BELLWETHER_PACKAGES_ALLOW: '127.0.0.1',
      NODE_OPTIONS: `--import=${CLOCK}`,
      CLOCK_STEP_MS: String(CLOCK_STEP_MS),
    }
    return new Journey(await run(t, { dataDir: await dataFolder(t), env }), prometheus)
  }

  /** Calls the admin API, where it must succeed. */
  async done(method: string, path: string, body?: object, client = this.server.control): Promise<unknown> {
    const reply = await client.admin(method, path, body)
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${reply.body}`)
    return jsonOf(reply)
  }

  /** Tries to promote a stage that is held back; gives the problem. */
  async refused(t: Test, stage: string): Promise<unknown> {
    const reply = await this.server.control.admin('POST', '/rollouts/cloud/promote', { stage })
    t.match(jsonOf(reply), { status: 422, code: 'held_back', stage })
    return jsonOf(reply)
  }

  /** Approves a stage as an operator of that name. */
  approve(stage: string, name: string): Promise<void> {
    return this.#doAs(name, '/rollouts/cloud/approve', { stage })
  }

  /** Signs a change off as an operator of that name. */
  signOff(id: string, name: string): Promise<void> {
    return this.#doAs(name, `/releases/${RELEASE}/changes/${id}/verify`, {})
  }

  async #doAs(name: string, path: string, body: object): Promise<void> {
    const { token } = (await this.done('POST', '/tokens', { name, role: 'operator' })) as { token: string } // Its schema.
    const client = new Client(this.server.controlUrl, 1, token)
    await this.done('POST', path, body, client).finally(() => client.close())
  }

  /** What the agents of every channel are told. */
  async told(): Promise<Fields> {
    const one = async (name: string): Promise<[string, string]> => [
      name,
      await this.server.asAgent(`/v1/${name}/version`),
    ]
    return Object.fromEntries(await Promise.all(CHANNELS.map(one)))
  }

  /** Has the exporter say this, and waits until Prometheus says it, too; null: the exporter is away. */
  async scraped(errors: number | null): Promise<void> {
    this.prometheus.show(errors === null ? null : { 'errors{zone="a"}': 0, 'errors{zone="b"}': errors, online: 4 })
    await until(
      `Prometheus has scraped ${errors}`,
      async () => {
        const reply = await fetch(`${this.prometheus.url}/api/v1/query?query=max(errors)`)
        const result = listAt(await reply.json(), 'data', 'result')
        return errors === null ? result.length === 0 : at(result, 0, 'value', 1) === String(errors)
      },
      WAIT_MS,
    )
  }

  rollout(): Promise<unknown> {
    return this.done('GET', `/rollouts/cloud/${RELEASE}`)
  }

  async stage(name: string): Promise<unknown> {
    return stageIn(await this.rollout(), name)
  }

  /** The rollout once it is as it is waited for. */
  async rolloutOnce(what: string, is: (rollout: unknown) => boolean): Promise<unknown> {
    let last: unknown = null
    const look = async (): Promise<boolean> => is((last = await this.rollout()))
    await until(what, look, WAIT_MS).catch((error: unknown) => {
      throw new Error(`the rollout does not come to this: ${what}: ${JSON.stringify(last)}`, { cause: error })
    })
    return last
  }

  /** One stage once it is as it is waited for, the rollout going on. */
  async stageOnce(name: string, what: string, is: (stage: unknown) => boolean): Promise<unknown> {
    const rollout = await this.rolloutOnce(`stage ${name} ${what}`, (rollout) => {
      if (at(rollout, 'paused') !== null) throw new Error('it is paused')
      return is(stageIn(rollout, name))
    })
    return stageIn(rollout, name)
  }

  /** The rollout once a gate has paused it. */
  paused(): Promise<unknown> {
    return this.rolloutOnce('it is paused', (rollout) => at(rollout, 'paused') !== null)
  }

  async resume(reason: string): Promise<void> {
    await this.done('POST', '/rollouts/cloud/resume', { reason })
  }

  /** Waits until every gate of a stage has passed since that moment of the server's clock, or the stage is done. */
  watched(name: string, since: number): Promise<unknown> {
    return this.stageOnce(name, 'is watched', (stage) => {
      const lasts = ['errors', 'online'].map((gate) => samplesIn(stage, gate).at(-1))
      const isAsked = lasts.every((last) => at(last, 'verdict') === 'passed' && momentAt(last, 'at') >= since)
      return isAsked || at(stage, 'state') === 'done'
    })
  }

  /** Sets the server's clock forward, and gives what it shows then, in milliseconds. */
  async clockSteps(): Promise<number> {
    const path = `/releases/next-version?major=15&commit=${commitOf(1)}`
    const clock = async (): Promise<number> => momentAt(await this.done('GET', path), 'cutAt')
    let now = await clock()
    const target = now + CLOCK_STEP_MS
    this.server.child.kill('SIGWINCH')
    await until('the clock has moved', async () => (now = await clock()) >= target, WAIT_MS)
    return now
  }

  /** Has the rest of a stage's soaking go by, its gates being asked after every step of the clock. */
  async soaks(name: string): Promise<unknown> {
    let now = momentAt(await this.stage(name), 'since')
    for (let steps = 0; steps < CLOCK_STEPS_MAX; steps += 1) {
      const stage = await this.watched(name, now)
      if (at(stage, 'state') === 'done') return stage
      now = await this.clockSteps()
    }
    return this.stageOnce(name, 'is done', (stage) => at(stage, 'state') === 'done')
  }

  /**
   * Resolves once the driver has looked at all rollouts: another pipeline's release, which goes by itself, was begun after
   * this and is out, and so is a second one, begun after the first was out. Only the next look can have taken that.
   */
  async driverHasLooked(): Promise<void> {
    for (const last of [this.#witnesses + 1, this.#witnesses + 2]) {
      const version = cloud(last).replace('15', String(WITNESS_MAJOR))
      await this.done('POST', '/releases', { version, commit: commitOf(last), kind: 'full', changes: [] })
      await until(
        'the witness is moved',
        async () => (await this.server.asAgent('/v1/witness/version')) === version,
        WAIT_MS,
      )
      this.#witnesses = last
    }
  }

  /** Proves that a paused rollout is left as it is, also by whoever would promote its next stage. */
  async staysPaused(t: Test, next: string): Promise<void> {
    const [rollout, told] = [await this.rollout(), await this.told()]
    await this.driverHasLooked()
    const problem = await this.refused(t, next)
    t.ok(codesOf(problem).includes('paused'))
    t.match(at(problem, 'detail'), String(at(rollout, 'paused', 'reason')), 'whoever promotes is told why, too')
    t.same(at(await this.rollout(), 'revision'), at(rollout, 'revision'), 'nothing was done to it')
    t.match(rollout, { state: 'running', rollback: null, endedAt: null }, 'it has not ended')
    t.same(await this.told(), told, 'nobody is told anything else')
  }
}

function stageIn(rollout: unknown, name: string): unknown {
  return listAt(rollout, 'stages').find((stage) => at(stage, 'name') === name)
}

function samplesIn(stage: unknown, gate: string): readonly unknown[] {
  const shown = listAt(stage, 'gates').find((one) => at(one, 'name') === gate)
  return listAt(shown, 'samples')
}

/**
 * The values that a gate of a stage has found, oldest first, each once where it was found several times in a row. Without
 * those that are no number: on a busy machine Prometheus can come too late for one of its scrapes.
 */
function found(stage: unknown, gate: string): readonly string[] {
  const numbers = samplesIn(stage, gate).filter((sample) => at(sample, 'value') !== null)
  const words = numbers.map((sample) => `${String(at(sample, 'verdict'))} ${String(at(sample, 'value'))}`)
  return words.filter((word, index) => word !== words[index - 1])
}

/** The moment that stands there, in milliseconds since the epoch. */
function momentAt(value: unknown, member: string): number {
  return Date.parse(String(at(value, member)))
}

/** How long a stage that is done has soaked, by the server's clock. */
function soakedMs(stage: unknown): number {
  return momentAt(stage, 'doneAt') - momentAt(stage, 'since')
}

await prometheusTest(
  t,
  'a release goes stage by stage to everybody, watched by a real Prometheus, and back',
  async (t) => {
    const journey = await Journey.start(t)
    const { server, prometheus } = journey
    /** One part of the way; where one before it has failed, there is no way to go on. */
    const leg = async (title: string, body: (t: Test) => Promise<void>): Promise<void> => {
      await t.test(title, { skip: !t.passing() && 'a leg before it has failed' }, body)
    }

    await leg('a full release is taken once its package is there; canary has it by itself', async (t) => {
      await journey.scraped(1.25)
      for (const channel of [...CHANNELS, 'witness']) {
        const source = {
          kind: 'static',
          version: channel === 'witness' ? cloud(0).replace('15', String(WITNESS_MAJOR)) : before(channel),
        }
        await journey.done('POST', '/channels', { name: channel, source })
      }
      const witness = { name: 'witness', channels: ['witness'], auto: true }
      const versions = `>=${WITNESS_MAJOR}.0.0-0`
      await journey.done('PUT', '/pipelines/witness', { versions, requirePackages: false, stages: [witness] })
      const ours = { versions: `<${WITNESS_MAJOR}.0.0-0`, stages: stagesOn(prometheus.url) }
      await journey.done('PUT', '/pipelines/cloud', ours)

      const packages = await startUpstream(t)
      const release = {
        version: RELEASE,
        commit: commitOf(9),
        kind: 'full',
        packages: [`http://127.0.0.1:${packages.port}/teleport-${RELEASE}.deb`],
        changes: [{ id: '4711', title: 'a faster handshake', author: 'ann' }],
      }
      packages.serve('', answering(404, 'not there yet'))
      const refused = await server.control.admin('POST', '/releases', release)
      t.match(jsonOf(refused), { status: 422, code: 'packages_missing', detail: /is answered 404/ })
      packages.serve('', answering(200, 'a package'))
      await journey.done('POST', '/releases', release)
      t.same(
        packages.requests.map(({ path }) => path),
        Array(2).fill(`/teleport-${RELEASE}.deb`),
      )

      const canary = await journey.stageOnce('canary', 'is done', (stage) => at(stage, 'state') === 'done')
      t.same(found(canary, 'errors'), ['passed 1.25'], 'the worst of two zones')
      t.same(found(canary, 'online'), ['passed 4'])
      t.same(await journey.told(), tellsAt('canary'))
    })

    await leg(
      'a metric that goes bad while internal soaks pauses it there; good again and resumed, it goes on',
      async (t) => {
        t.ok(codesOf(await journey.refused(t, 'internal')).includes('sign-off'))
        await journey.signOff('4711', 'sam')
        await journey.done('POST', '/rollouts/cloud/promote', { stage: 'internal' })
        t.same(await journey.told(), tellsAt('canary', 'internal'))
        await journey.watched('internal', 0)

        await journey.scraped(12.5)
        const rollout = await journey.paused()
        t.match(at(rollout, 'paused'), { gate: 'errors', by: 'bellwether' })
        t.match(
          at(rollout, 'paused', 'reason'),
          /^gate errors failed 2 times in a row: the value is not < 5 in 1 of 2 series; the worst is 12\.5, of errors\{/,
        )
        const internal = stageIn(rollout, 'internal')
        t.match(internal, { state: 'paused', percent: 100, gates: [{ name: 'errors', op: '<', threshold: 5 }, {}] })
        t.same(found(internal, 'errors'), ['passed 1.25', 'failed 12.5'])
        t.same(found(internal, 'online'), ['passed 4'], 'the other gate has nothing to do with it')
        t.match(samplesIn(internal, 'errors').at(-1), {
          detail: /^the value is not < 5 in 1 of 2 series; the worst is 12\.5, of errors\{.*zone="b".*\}$/,
        })

        // All that it has waited for is there now, but that somebody resumes it.
        await journey.scraped(0.5)
        const until = Date.parse(String(at(internal, 'since'))) + MINUTE_MS
        while ((await journey.clockSteps()) <= until);
        await journey.staysPaused(t, 'trials')
        t.same(await journey.told(), tellsAt('canary', 'internal'))

        await journey.resume('the zone was repaired')
        t.not(at(await journey.stage('internal'), 'state'), 'done', 'what went by in the pause does not count')
        const done = await journey.soaks('internal')
        t.ok(soakedMs(done) >= MINUTE_MS, `it has soaked for ${soakedMs(done)} ms since`)
        t.same(found(done, 'errors'), ['passed 1.25', 'failed 12.5', 'passed 0.5'])
      },
    )

    await leg(
      'without data of an exporter that is away trials is paused; with data and resumed, it goes on',
      async (t) => {
        t.same(codesOf(await journey.refused(t, 'trials')), ['approvals'])
        await journey.approve('trials', 'ann')
        await journey.done('POST', '/rollouts/cloud/promote', { stage: 'trials' })
        t.same(await journey.told(), tellsAt('canary', 'internal', 'trials'))
        await journey.watched('trials', 0)

        await journey.scraped(null)
        const rollout = await journey.paused()
        const reason = /^gate (errors|online) failed 2 times in a row: there is no data \(the query gives no series\)$/
        t.match(at(rollout, 'paused', 'reason'), reason)
        const last = samplesIn(stageIn(rollout, 'trials'), String(at(rollout, 'paused', 'gate'))).at(-1)
        t.match(last, { verdict: 'no data', value: null, detail: 'the query gives no series' })
        await journey.staysPaused(t, 'team-enterprise')

        await journey.scraped(0.75)
        await journey.resume('the exporter is back')
        const done = await journey.soaks('trials')
        t.ok(soakedMs(done) >= MINUTE_MS)
        t.same(found(done, 'errors'), ['passed 0.5', 'passed 0.75'])
        t.same(await journey.told(), tellsAt('canary', 'internal', 'trials'))
      },
    )

    await leg(
      'a Prometheus that is killed pauses the last stage, and says so; started again and resumed, all have it',
      async (t) => {
        await journey.approve('team-enterprise', 'bob')
        t.same(codesOf(await journey.refused(t, 'team-enterprise')), ['approvals'])
        await journey.approve('team-enterprise', 'cat')
        await journey.done('POST', '/rollouts/cloud/promote', { stage: 'team-enterprise' })
        t.same(await journey.told(), tellsAt(...CHANNELS))
        await journey.watched('team-enterprise', 0)

        await prometheus.kill()
        const rollout = await journey.paused()
        const reason =
          /^gate (errors|online) failed 2 times in a row: it could not be evaluated \(the query could not be asked: /
        t.match(at(rollout, 'paused', 'reason'), reason)
        t.match(at(rollout, 'paused', 'reason'), 'ECONNREFUSED')
        const last = samplesIn(stageIn(rollout, 'team-enterprise'), String(at(rollout, 'paused', 'gate'))).at(-1)
        t.match(last, { verdict: 'error', value: null, detail: /ECONNREFUSED/ })
        await journey.staysPaused(t, 'team-enterprise')

        await prometheus.start()
        await journey.scraped(2)
        await journey.resume('Prometheus is back')
        const done = await journey.soaks('team-enterprise')
        t.same(found(done, 'errors'), ['passed 0.75', 'passed 2'])
        t.match(await journey.rollout(), { state: 'done', paused: null, rollback: null })
        t.same(await journey.told(), tellsAt(...CHANNELS))
      },
    )

    await leg('one request takes it back from every channel, each to what it had before', async (t) => {
      const steps = CHANNELS.map((channel) => ({ channel, from: RELEASE, to: before(channel) }))
      const answer = await journey.done('POST', '/rollouts/cloud/rollback', { reason: 'logins fail' })
      t.match(answer, { state: 'rolled back', rollback: { reason: 'logins fail', channels: steps }, moves: steps })
      t.same(at(answer, 'untouched'), [])
      t.same(await journey.told(), tellsAt())
      for (const channel of CHANNELS) {
        const pinned = await journey.done('GET', `/channels/${channel}`)
        t.match(pinned, { pin: { version: before(channel), reason: 'logins fail' } })
      }
      for (const { name } of stagesOn('')) t.match(await journey.stage(String(name)), { state: 'rolled back' })
    })

    await leg('the journal tells the same, and nothing else', async (t) => {
      const entries = await readJournal(server.control, 0)
      const kindsOf = (key: string): readonly string[] =>
        entries.filter(({ changes }) => changes.some((change) => change.key === key)).map(({ kind }) => kind)
      // On a machine that is very busy a soaking can begin anew; all else is done once.
      const kinds = kindsOf(`rollout/cloud/${RELEASE}`).filter((kind) => kind !== 'rollout.restart')
      const [promote, soaked] = ['rollout.promote', 'rollout.soaked']
      const paused = [promote, 'rollout.pause', 'rollout.resume', soaked]
      const approve = 'rollout.approve'
      t.same(kinds, [
        ...['release.register', promote, soaked],
        ...paused,
        ...[approve, ...paused],
        ...[approve, approve, ...paused],
        'rollout.rollback',
      ])
      for (const channel of CHANNELS) {
        t.same(kindsOf(`channel/${channel}`), ['channel.create', promote, 'rollout.rollback'], channel)
      }
    })
  },
)
