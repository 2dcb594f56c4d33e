// Cohorts: a hundred parts of a channel's agents, each polled under a path of its own, and the order in which a ramp
// reaches them. The order is a permutation made from a seed, so that the same cohort is not first in every rollout.

/** How many cohorts every channel has: one for each percent. */
export const COHORTS = 100

const NUMBERS: ReadonlyMap<string, number> = new Map(
  Array.from({ length: COHORTS }, (_, cohort) => [String(cohort), cohort]),
)

/** Reads a cohort's number as paths write it, without leading zeros: one path, and one cache entry, for each. */
export function parseCohort(text: string): number | null {
  return NUMBERS.get(text) ?? null
}

/**
 * The cohorts' ranks for a seed, by cohort: a ramp of p % has reached those whose rank is below p, so a cohort that it has
 * reached stays so while p grows. Running ramps depend on it: for one seed it must never come out differently.
 */
export function cohortRanks(seed: string): readonly number[] {
  const weights = Array.from({ length: COHORTS }, (_, cohort) => weightOf(`${seed}/${cohort}`))
  const inOrder = Array.from({ length: COHORTS }, (_, cohort) => cohort).toSorted(
    (a, b) => (weights[a] ?? 0) - (weights[b] ?? 0) || a - b,
  )
  const ranks = Array.from({ length: COHORTS }, () => 0)
  for (const [rank, cohort] of inOrder.entries()) ranks[cohort] = rank
  return ranks
}

/** FNV-1a with the finalizer of MurmurHash3, whose last bits alone would hardly differ from cohort to cohort. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
