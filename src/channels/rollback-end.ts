// The end of a rollback: the versions that its pin remembers as left, and the guard `rollback_end` against serving one of them
// again by the end of the pin (ADR 41).
import type { Channel, Pin } from './channel.ts'
import type { Verdict } from './outcome.ts'

/** Versions that one pin remembers. Each is a rollback more without an end of the pin; nobody goes back so often. */
export const LEFT_VERSIONS_MAX = 16

/**
 * The versions that a pin to `version` remembers: what a rollback leaves (`left`, none for another pin) and what the pin that it
 * replaces remembers, so that no pin over a rollback's pin forgets it. The newest are last. Never without one that the source
 * has now.
 */
export function rememberedLeft(
  { pin, source, ramp }: Channel,
  version: string,
  left: readonly string[],
): Pick<Pin, 'rolledBackFrom'> {
  const earlier = (pin?.rolledBackFrom ?? []).filter((one) => !left.includes(one))
  const all = [...earlier, ...left].filter((one) => one !== version)
  const inSource = [source.version, ramp?.before.version]
  const kept = all.filter((one, index) => index >= all.length - LEFT_VERSIONS_MAX || inSource.includes(one))
  return kept.length === 0 ? {} : { rolledBackFrom: kept }
}

/** A verdict for each of the versions that the pin's rollback has left, if they would be served without the pin. */
export function judgeRollbackEnd(pin: Pin | null, versions: readonly string[], force: boolean): readonly Verdict[] {
  const left = pin?.rolledBackFrom ?? []
  return versions
    .filter((version) => left.includes(version))
    .map((version) => ({
      guard: 'rollback_end',
      verdict: force ? 'forced' : 'refused',
      detail: `${version} was rolled back here and would be served again without the pin; set a good version and take the pin away together (PUT …/version with \`unpin\`: true), or let an admin force it with a reason`,
    }))
}
