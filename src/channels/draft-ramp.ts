// The channel that a rollout asks for: a release for everybody or for a ramp's first cohorts, the next step of a ramp, and
// the end of a rollback's pin.
import { withoutRamp, type Channel } from './channel.ts'
import { COHORTS } from './cohort.ts'
import type { ChannelChange, Drafted } from './draft.ts'
import { followsUpstream } from './draft-source.ts'

/** `change` is from a rollout's rules, so what does not fit it is a fault there and throws. */
export function draftRolledOut(
  channel: Channel,
  change: Extract<ChannelChange, { kind: 'promote' | 'ramp' | 'settle' }>,
): Drafted {
  const { source, ramp } = channel
  if (source.kind === 'forward') return followsUpstream(channel, source.url)
  switch (change.kind) {
    case 'promote': {
      // What the others are told would be two things: a ramp is finished or given up before the next one.
      if (ramp !== undefined && ramp.seed !== change.seed) throw new TypeError('another ramp is under way')
      const { version, critical, seed } = change
      const promoted = { ...channel, source: { kind: 'static', version, critical, criticalUntil: null } as const }
      if (change.ramp === null) return { outcome: 'drafted', channel: withoutRamp(promoted) }
      checkPercent(change.ramp.percent)
      const { version: told, critical: wasCritical, criticalUntil } = source
      const before = ramp?.before ?? { version: told, critical: wasCritical, criticalUntil }
      return { outcome: 'drafted', channel: { ...promoted, ramp: { seed, ...change.ramp, before } } }
    }
    case 'ramp':
      if (ramp === undefined) throw new TypeError(`channel ${channel.name} has no ramp`)
      if (change.percent === COHORTS) return { outcome: 'drafted', channel: withoutRamp(channel) }
      checkPercent(change.percent)
      if (change.percent < ramp.percent) throw new RangeError('a ramp does not go back')
      return { outcome: 'drafted', channel: { ...channel, ramp: { ...ramp, percent: change.percent } } }
    case 'settle': {
      const { pin } = channel
      if (pin === null) throw new TypeError(`channel ${channel.name} has no pin`)
      const { version, critical, criticalUntil } = pin
      const settled = { ...channel, pin: null, source: { kind: 'static', version, critical, criticalUntil } as const }
      return { outcome: 'drafted', channel: withoutRamp(settled) }
    }
  }
}

function checkPercent(percent: number): void {
  if (!Number.isInteger(percent) || percent < 1 || percent >= COHORTS) {
    throw new RangeError(`a ramp has 1 to ${COHORTS - 1} percent, not ${percent}`)
  }
}
