// The rule of different people against every sequence of what fewer of them can do: none promotes the stage.
import * as fc from 'fast-check'
import t from 'tap'
import type { People } from '../../src/rollouts/people.ts'
import type { Pipeline, StageRules } from '../../src/rollouts/pipeline.ts'
import { planPromotion } from '../../src/rollouts/promotion.ts'
import { addArtifacts, draftRelease, editRelease, judgeChange } from '../../src/rollouts/release-draft.ts'
import type { PeopleContext } from '../../src/rollouts/release-draft.ts'
import type { Release } from '../../src/rollouts/release.ts'
import { approveStage, rebaseRollout, startRollout } from '../../src/rollouts/rollout-draft.ts'
import type { Rollout } from '../../src/rollouts/rollout.ts'
import { channelOf, inHours, NOW } from '../fixtures/channel-samples.ts'
import {
  allowed,
  channelsByName,
  promotionContextOf,
  ruleContextOf,
  someFacts,
  somePipeline,
  someStage,
} from '../fixtures/rollout-samples.ts'
import { SEED, sized } from '../fixtures/test-form.ts'

const NAMES = ['ann', 'bob', 'cat'] as const
/** Each person has a token of their name, one of another name, and a login. */
const LOGINS = new Map(NAMES.map((name) => [`${name}-on-github`, name]))
const PEOPLE: People = { logins: LOGINS, isUnreadable: false }

/** Who does it, by which of their tokens, and what, chosen among what there is. */
const step = fc.record({
  who: fc.nat(),
  token: fc.nat(2),
  what: fc.constantFrom(
    ...([
      'edit',
      'list',
      'pack',
      'sign',
      'withdraw',
      'approve',
      'approve',
      'lower',
      'move',
      'drop',
      'restore',
    ] as const),
    ...(['rebase', 'rebase'] as const),
  ),
  choice: fc.nat(3),
})
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

interface World {
  release: Release
  rollout: Rollout
  pipeline: Pipeline
  revision: number
}

/** The fleet has to be approved by so many people, its changes signed off. */
function stagesFor(approvals: number): readonly StageRules[] {
  return [someStage('canary'), someStage('fleet', { approvals, requireSignOff: true })]
}

function contextOf(people: readonly string[], { who, token }: Pick<Step, 'who' | 'token'>): PeopleContext {
  const name = people[who % people.length] ?? ''
  const actors = [{ actor: `${name}/t1` }, { actor: 'robot/t2', person: name }, { actor: `${name}-on-github/github` }]
  return ruleContextOf({ people: PEOPLE, ...actors[token] })
}

function begin(people: readonly string[], required: number, first: Step): World {
  const packages = [{ url: 'https://packages.example.com/a.deb', foundAt: inHours(0) }]
  const draft = { version: '15.2.0', commit: 'aabbccd', kind: 'full', changes: [] } as const
  const context = contextOf(people, first)
  const { release } = allowed(draftRelease(draft, packages, context))
  const pipeline = somePipeline(stagesFor(required))
  return { release, pipeline, revision: 1, rollout: startRollout({ pipeline, revision: 1 }, release, [], context) }
}

/** Does a step; what is refused changes nothing. */
function take(world: World, people: readonly string[], required: number, { what, choice, ...by }: Step): void {
  const context = contextOf(people, by)
  const { release, rollout, pipeline } = world
  const edited = (result: ReturnType<typeof editRelease>): void => {
    if (result.outcome === 'drafted') world.release = result.release
  }
  const rules = (stages: readonly StageRules[]): void => {
    world.pipeline = { ...pipeline, stages }
    world.revision += 1
  }
  const [canary, fleet] = stagesFor(required) as [StageRules, StageRules] // Of two.
  switch (what) {
    case 'edit':
      return edited(editRelease(release, { minAgentVersion: `14.${choice}.0` }, context))
    case 'list': {
      const changes = [{ id: '1', title: `title ${choice}`, author: people[choice % people.length] ?? '' }]
      return edited(editRelease(release, { changes: choice === 0 ? [] : changes }, context))
    }
    case 'pack':
      return edited(
        addArtifacts(release, [{ url: `https://p.example.com/${choice}`, foundAt: inHours(0) }], true, context),
      )
    case 'sign':
    case 'withdraw':
      return edited(judgeChange(release, '1', what === 'sign' ? 'verify' : 'withdraw', context))
    case 'approve': {
      const result = approveStage(rollout, release, { index: choice % rollout.stages.length, looked: null }, context)
      if (result.outcome === 'drafted') world.rollout = result.rollout
      return
    }
    case 'lower':
      return rules([canary, { ...fleet, approvals: choice % required, requireSignOff: choice > 1 }])
    case 'move':
      return rules([
        { ...canary, channels: ['canary', 'fleet'] },
        { ...fleet, channels: ['other'] },
      ])
    case 'drop':
      return rules(choice === 0 ? [canary] : [canary, someStage('renamed', { channels: ['fleet'] })])
    case 'restore':
      return rules([canary, fleet])
    case 'rebase': {
      const next = { pipeline, revision: world.revision }
      const result = rebaseRollout(rollout, next, { release, people: PEOPLE }, NOW)
      if (result.outcome === 'drafted') world.rollout = result.rollout
    }
  }
}

/** Whether the fleet's channel would be told the release by some stage, once the stages before it are done. */
function reachesFleet({ release, rollout }: World, context: PeopleContext): boolean {
  return rollout.rules.stages.some(({ channels }, index) => {
    if (!channels.includes('fleet')) return false
    const stages = rollout.stages.map((one, at) => (at < index ? { ...one, state: 'done' as const } : one))
    const names = rollout.rules.stages.flatMap((stage) => stage.channels)
    const facts = someFacts(
      { ...rollout, stages },
      { release, people: PEOPLE, channels: channelsByName(...names.map((name) => channelOf({ name }))) },
    )
    return planPromotion(facts, index, promotionContextOf({ actor: context.actor })).outcome === 'planned'
  })
}

const steps = fc.array(step, { minLength: 1, maxLength: 25 })

t.test('as many people as must approve, one of whom has written the release, promote it by no sequence', async (t) => {
  for (const required of [1, 2, 3]) {
    const people = NAMES.slice(0, required)
    fc.assert(
      fc.property(steps, (all) => {
        const [first] = all
        if (first === undefined) return
        const world = begin(people, required, first)
        for (const one of all) {
          take(world, people, required, one)
          if (reachesFleet(world, contextOf(people, one))) throw new Error(`promoted: ${JSON.stringify(world.rollout)}`)
        }
      }),
      { seed: SEED, numRuns: sized(400, 4_000) },
    )
  }
  t.pass('no counterexample')
})

/** What an approval is of, by the test's own account. */
function contentOf({ changes, minAgentVersion, packages }: Release): string {
  const listed = changes?.map(({ id, title, author }) => [id, title, author])
  return JSON.stringify([listed, minAgentVersion, packages.map(({ url }) => url)])
}

t.test('whoever has written some of a release is none of those that a promotion of it needs', async (t) => {
  let promoted = 0
  const harmless = steps.map((all) => all.filter(({ what }) => !['lower', 'move', 'drop'].includes(what)))
  for (const required of [1, 2]) {
    fc.assert(
      fc.property(harmless, (all) => {
        const [first] = all
        if (first === undefined) return
        const nameOf = ({ who }: Pick<Step, 'who'>): string => NAMES[who % NAMES.length] ?? ''
        const world = begin(NAMES, required, first)
        const writers = new Set([nameOf(first)])
        const approvedBy = new Map<string, string>()
        let listedBy = new Set<string>()
        let signedBy = ''
        for (const one of all) {
          const [before, known] = [contentOf(world.release), world.release.changes]
          const { rollout } = world
          take(world, NAMES, required, one)
          const name = nameOf(one)
          if (contentOf(world.release) !== before) writers.add(name)
          if (one.what === 'approve' && one.choice % 2 === 1 && world.rollout !== rollout)
            approvedBy.set(name, contentOf(world.release))
          const [was, is] = [known?.[0], world.release.changes?.[0]]
          if (is === undefined) listedBy = new Set()
          else if (was?.title !== is.title || was.author !== is.author) listedBy.add(name)
          if (one.what === 'sign' && was?.signedOff !== is?.signedOff) signedBy = name
          if (!reachesFleet(world, contextOf(NAMES, one))) continue
          promoted += 1
          const others = [...approvedBy].filter(([who, what]) => !writers.has(who) && what === contentOf(world.release))
          if (others.length < required) throw new Error(`approved by ${others.length} of ${required}`)
          if (is === undefined || is.withdrawn !== null) continue
          if (is.author === signedBy || listedBy.has(signedBy)) throw new Error(`signed off by ${signedBy}`)
        }
      }),
      { seed: SEED, numRuns: sized(1_500, 15_000) },
    )
  }
  t.ok(promoted > 20, `promoted ${promoted} times`)
})

t.test('one person more is enough: the same steps promote it', async (t) => {
  let promoted = 0
  fc.assert(
    fc.property(steps, (all) => {
      const [first] = all
      if (first === undefined) return
      const world = begin(NAMES, 1, first)
      for (const one of all) take(world, NAMES, 1, one)
      if (reachesFleet(world, contextOf(NAMES, first))) promoted += 1
    }),
    { seed: SEED, numRuns: sized(400, 4_000) },
  )
  t.ok(promoted > 20, `promoted in ${promoted} sequences`)
})
